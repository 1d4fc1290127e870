"""Messages and progress, on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console as RichConsole

from ups_core.console import LOG_WIDTH, Console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that progress sees, in its first item."""
    now = [100.0]
    monkeypatch.setattr("ups_core.console.time.monotonic", lambda: now[0])
    return now


def terminal(console: Console) -> io.StringIO:
    """Make a console believe that it writes to a terminal; returns what it writes."""
    written = io.StringIO()
    console.rich = RichConsole(file=written, force_terminal=True, width=100, highlight=False)
    return written


def test_messages_go_to_standard_error_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Console().say("[bold]not markup[/bold] " + "x" * 300, style="red")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "[bold]not markup[/bold] " + "x" * 300 + "\n"


def test_a_quiet_console_prints_nothing(capsys: pytest.CaptureFixture[str], clock: list[float]) -> None:
    console = Console(quiet=True)
    console.say("hello")
    with console.progress("work", 3) as advance:
        clock[0] += 60
        advance(3)
    assert capsys.readouterr() == ("", "")
    terminal(console)
    assert not console.interactive


def test_a_file_has_a_width_of_its_own() -> None:
    console = Console()
    assert console.rich.width == LOG_WIDTH
    assert not console.interactive


def test_progress_in_a_file_is_a_line_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with Console().progress("samples", 40) as advance:
        for _ in range(4):
            advance(5)
            clock[0] += 6
        advance()
    assert capsys.readouterr().err.splitlines() == [
        "samples: 15/40 after 12 s",
        "samples: 21/40 after 24 s",
        "samples: 21 done in 24.0 s",
    ]


def test_progress_without_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress("samples", 0):
        pass
    assert capsys.readouterr().err == ""


def test_a_failure_inside_progress_is_not_reported_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with Console().progress("samples", 2) as advance:
            advance()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert "done" not in capsys.readouterr().err


def test_progress_on_a_terminal_is_a_bar_that_leaves_no_trace() -> None:
    console = Console()
    written = terminal(console)
    assert console.interactive
    with console.progress("[samples]", 4) as advance:
        advance(3)
        advance()
    text = written.getvalue()
    assert "[samples]" in text
    assert "4/4" in text
    assert text.endswith("\x1b[2K"), "the line of the bar is erased"
