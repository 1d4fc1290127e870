"""Stop requests: signals and the time limit, at once or after a checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ups_core import interrupts
from ups_core.interrupts import OUT_OF_TIME, Interrupted


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Whatever a test does, pytest gets its handlers and the list of signals back."""
    before, signals = [signal.getsignal(number) for number in interrupts.SIGNALS], list(interrupts.SIGNALS)
    yield
    interrupts.SIGNALS[:] = signals
    for number, handler in zip(signals, before, strict=True):
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.001)  # the handler runs between two bytecodes of the main thread


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_at_once_with_its_code(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as stop, interrupts.listening():
        send(number)
    assert stop.value.code == 128 + number
    assert str(stop.value) == f"interrupted ({number.name}); rerun the same command to resume"


def test_within_patience_the_first_signal_is_recorded_and_the_second_stops(
    capfd: pytest.CaptureFixture[str],
) -> None:
    reached = []

    def work() -> None:
        with interrupts.listening(), interrupts.patience():
            assert interrupts.requested() == 0
            send(signal.SIGTERM)
            reached.append(interrupts.requested())
            with pytest.raises(Interrupted):
                interrupts.check()
            send(signal.SIGINT)
            reached.append(-1)

    with pytest.raises(Interrupted) as stop:
        work()
    assert reached == [128 + signal.SIGTERM]
    assert stop.value.code == 128 + signal.SIGINT
    expected = "SIGTERM: stopping with a checkpoint after this batch; repeat the signal to stop at once\n"
    assert capfd.readouterr().err == expected


def test_patience_may_be_nested_and_ends() -> None:
    with interrupts.listening():
        with interrupts.patience(), interrupts.patience():
            pass
        with pytest.raises(Interrupted):
            send(signal.SIGTERM)


def test_a_request_outlives_the_patience_that_recorded_it() -> None:
    with interrupts.listening():
        with interrupts.patience():
            send(signal.SIGUSR1)
        with pytest.raises(Interrupted) as stop:
            interrupts.check()
    assert stop.value.code == 128 + signal.SIGUSR1


def test_the_time_limit_is_a_request() -> None:
    with interrupts.listening(max_time=1e-9):
        assert interrupts.requested() == OUT_OF_TIME
        with pytest.raises(Interrupted, match=r"interrupted \(out of time\)"):
            interrupts.check()
    with interrupts.listening(max_time=1e9):
        assert interrupts.requested() == 0
        interrupts.check()


def test_a_signal_takes_precedence_over_the_time_limit() -> None:
    with interrupts.listening(max_time=1e-9), interrupts.patience():
        send(signal.SIGTERM)
        assert interrupts.requested() == 128 + signal.SIGTERM


def test_state_and_handlers_are_restored() -> None:
    def own(number: int, frame: object) -> None: ...

    signal.signal(signal.SIGTERM, own)
    with interrupts.listening(max_time=1e-9):
        with interrupts.listening():
            assert interrupts.requested() == 0, "the inner run has no limit"
        assert interrupts.requested() == OUT_OF_TIME
        assert signal.getsignal(signal.SIGTERM) is not own
    assert signal.getsignal(signal.SIGTERM) is own
    assert interrupts.requested() == 0


def test_handlers_that_a_library_replaced_are_installed_again() -> None:
    with interrupts.listening():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        interrupts.handle_signals()
        with pytest.raises(Interrupted):
            send(signal.SIGTERM)


def test_ignored_signals_stay_ignored() -> None:
    """A shell starts background jobs with SIGINT ignored; Ctrl+C is meant for another program then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.listening():
        send(signal.SIGINT)
        assert interrupts.requested() == 0


def test_one_more_signal_may_be_a_request() -> None:
    interrupts.on_signal(signal.SIGUSR2)
    interrupts.on_signal(signal.SIGUSR2)
    assert interrupts.SIGNALS.count(signal.SIGUSR2) == 1
    with pytest.raises(Interrupted) as stop, interrupts.listening():
        send(signal.SIGUSR2)
    assert stop.value.code == 128 + signal.SIGUSR2


def test_outside_the_main_thread_only_the_time_counts() -> None:
    found: list[object] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with interrupts.listening(max_time=1e-9):
            found.append(signal.getsignal(signal.SIGTERM) == before)
            found.append(interrupts.requested())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True, OUT_OF_TIME]


@pytest.mark.parametrize(("signals", "code"), [(1, 143), (2, 143)])
def test_a_process_exits_with_the_code(signals: int, code: int) -> None:
    """As the real thing: patience in a busy loop, and signals from outside."""
    script = (
        "import sys, time\nfrom ups_core import interrupts\n"
        "with interrupts.listening(), interrupts.patience():\n"
        "    print('ready', flush=True)\n"
        "    while not interrupts.requested(): time.sleep(0.001)\n"
        "    print('saving', flush=True)\n"
        f"    while {signals} > 1: time.sleep(0.001)\n"
        "    print('saved', flush=True)\n"
        "    interrupts.check()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "saving\n"
    if signals > 1:
        process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == ("saved\n" if signals == 1 else "")
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
