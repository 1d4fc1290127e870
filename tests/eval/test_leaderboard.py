"""The leaderboard: nothing is lost, equal models share a rank, and only the better one is promoted."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ups_core import UPSError
from ups_core.cli.main import main as ups
from ups_eval.leaderboard.entry import Entry, restricted
from ups_eval.leaderboard.promotion import judge
from ups_eval.leaderboard.ranking import rank
from ups_eval.leaderboard.store import Leaderboard
from ups_eval.results import Results, ScoredProblem
from ups_eval.scoring import TaskScore

COUNT = 40
DIFFICULTY = np.random.default_rng(0).lognormal(0, 1, (COUNT, 1, 1))


def entry(
    spec: str, factor: float = 1.0, *, model: str = "net", seed: int = 0, noise: float = 0.05, **more: Any
) -> Entry:
    """A model whose errors are a multiple of the trajectories' difficulty, with noise of its own."""
    random = np.random.default_rng([seed, *spec.encode()])
    errors = factor * DIFFICULTY * random.lognormal(0, noise, (COUNT, 1, 1))
    results, arrays = Results(model, [], "test", names=["nrmse"]), dict[str, Any]()
    params = np.full((COUNT, 1), 0.4)
    score = TaskScore({"nrmse": float(errors.mean())}, {}, errors, params, list(range(COUNT)), 0)
    results.add("flow", model, score, arrays)
    results.problems["flow"] = ScoredProblem(
        "evolution", ["u"], ["beta"], [(0.4, 0.4)], results.store(params, arrays), [64], [64], 1, 0.1
    )
    one, values = restricted(results, arrays, "flow", model)
    options: dict[str, Any] = {"experiment": spec, "baseline": False, "gates": None} | more
    return Entry(
        task="flow", data="dd", split="test", limit=0, model=model, run=f"run-{spec}", spec=f"{spec}-{seed}",
        seed=seed, packages={"ups-eval": "1"}, results=one, arrays=values, **options,
    )  # fmt: skip


def test_entries_come_back_as_they_were(tmp_path: Path) -> None:
    board = Leaderboard(tmp_path / "board.sqlite")
    (stored,) = board.add([entry("a")])
    (found,) = board.entries()
    assert found.number == stored.number == 1
    assert found.results == entry("a").results
    for name, values in entry("a").arrays.items():
        np.testing.assert_array_equal(found.arrays[name], values)
    assert replace(found, number=0, created="", results=None, arrays={}) == replace(
        entry("a"), results=None, arrays={}
    )  # type: ignore[arg-type]


def test_the_same_spec_and_code_replaces_its_entry_and_other_code_does_not(tmp_path: Path) -> None:
    board = Leaderboard(tmp_path / "board.sqlite")
    board.add([entry("a"), entry("b")])
    board.add([replace(entry("a"), run="again")])
    assert [found.run for found in board.entries()] == ["again", "run-b"]
    board.add([replace(entry("a"), packages={"ups-eval": "2"})])
    assert len(board.entries()) == 3


def test_a_first_champion_is_promoted_and_noise_is_not() -> None:
    first = entry("a")
    assert judge(first, None, [first], "nrmse", 0.05).passed
    for other, passed in (
        (entry("b"), False),
        (entry("c", 0.95), False),
        (entry("d", 0.6), True),
        (entry("e", 2.0), False),
    ):
        verdict = judge(other, first, [first, other], "nrmse", 0.05)
        assert verdict.passed is passed, verdict
    assert not judge(replace(entry("d", 0.6), gates=False), first, [], "nrmse", 0.05).passed


def test_of_200_equal_candidates_at_most_8_percent_are_promoted() -> None:
    """Equal but for the seed, which changes every error by 5 %, and for noise on trajectories."""
    champion = entry("champion", 1.0)
    random = np.random.default_rng(1)
    promoted = 0
    for number in range(200):
        one, other = random.lognormal(0, 0.05, 2)
        best = entry(f"x{number}", one, noise=0.2)
        promoted += judge(entry(f"y{number}", other, noise=0.2), best, [], "nrmse", 0.05).passed
    assert promoted <= 16
    assert judge(entry("z", 0.5, noise=0.2), champion, [], "nrmse", 0.05).passed


def test_a_candidate_is_not_its_own_reference(tmp_path: Path) -> None:
    board = Leaderboard(tmp_path / "board.sqlite")
    first, second = board.add([entry("a"), entry("b", 0.5)])
    assert board.champion(first.board) is None
    board.promote(first, "first")
    assert board.champion(first.board, without=first.spec) is None
    champion = board.champion(first.board, without=second.spec)
    assert champion is not None
    assert (champion.number, champion.champion) == (first.number, True)
    board.promote(second, "better")
    assert [found.champion for found in board.entries()] == [False, True]
    before = board.champion(first.board, without=second.spec)
    assert before is not None
    assert before.number == first.number, "the champion before itself"
    assert [reason for _, _, reason in board.history(first.board)] == ["first", "better"]


def test_of_two_first_champions_one_is_judged_again(tmp_path: Path) -> None:
    """Both processes found no champion; the slower one has to beat the faster."""
    board = Leaderboard(tmp_path / "board.sqlite")
    first, second = board.add([entry("a"), entry("b", 0.5)])
    assert board.succeed(None, first, "the first champion of its board")
    assert not board.succeed(None, second, "the first champion of its board")
    assert [found.champion for found in board.entries()] == [True, False]
    assert board.succeed(first, second, "better")
    assert [found.champion for found in board.entries()] == [False, True]


def test_models_that_cannot_be_told_apart_share_a_rank() -> None:
    ranking = rank([entry("a", 1.0), entry("b", 1.03), entry("c", 3.0), entry("d", 3.1), entry("e", 0.3)])
    assert [(place.rank, place.entry.experiment) for place in ranking.places] == [
        (1, "e"), (2, "a"), (2, "b"), (4, "c"), (4, "d"),
    ]  # fmt: skip
    assert 0 < ranking.resolution < 0.5


def test_seeds_of_one_spec_are_one_line_and_the_diverged_come_last() -> None:
    bad = entry("bad")
    bad.arrays[bad.results.errors["flow"]["net"]][0] = np.inf  # type: ignore[index]
    ranking = rank([bad, *(entry("a", seed=seed) for seed in range(3)), entry("b", 5.0)])
    assert [(place.entry.experiment, place.seeds, place.rank) for place in ranking.places] == [
        ("a", 3, 1), ("b", 1, 2), ("bad", 1, 3),
    ]  # fmt: skip
    assert ranking.places[0].spread > 0


def test_a_baseline_without_parameters_is_one_line_for_all_runs() -> None:
    rows = [entry(name, 2.0, model="persistence", baseline=True, noise=0.0) for name in ("a", "b", "c")]
    for row in rows:
        row.results.parameters["persistence"] = 0
    trained = [entry(name, 2.0, model="fno", baseline=True) for name in ("a", "b")]
    ranking = rank([*rows, *trained])
    assert sorted((place.entry.model, place.seeds) for place in ranking.places) == [
        ("fno", 1), ("fno", 1), ("persistence", 1),
    ]  # fmt: skip


def test_more_seeds_resolve_smaller_differences() -> None:
    single = rank([entry("a"), entry("b", 1.1)]).resolution
    several = rank(
        [entry(name, factor, seed=seed) for name, factor in (("a", 1.0), ("b", 1.1)) for seed in range(4)]
    )
    assert several.resolution < single


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {eval_tests!r}]
from test_leaderboard import entry
from ups_eval.leaderboard.store import Leaderboard
board = Leaderboard(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    board.add([entry(f"{{sys.argv[2]}}{{number}}")])
    print(number, flush=True)
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    code = WRITER.format(tests=str(here.parent / "helpers"), eval_tests=str(here))
    command = [sys.executable, "-c", code, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_writers_lose_no_row_and_a_kill_corrupts_nothing(tmp_path: Path) -> None:
    """200 entries each; a third one is killed in between, and what it said was written is there."""
    path = tmp_path / "board.sqlite"
    first, second, third = writer(path, "a", 200), writer(path, "b", 200), writer(path, "c", 10_000)
    assert third.stdout is not None
    said = [third.stdout.readline() for _ in range(20)]
    time.sleep(0.05)
    third.send_signal(signal.SIGKILL)
    said += third.stdout.readlines()
    third.wait()
    third.stdout.close()
    for process in (first, second):
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    runs = [found.run for found in Leaderboard(path).entries()]
    assert {f"run-{name}{number}" for name in "ab" for number in range(200)} <= set(runs)
    killed = sum(run.startswith("run-c") for run in runs)
    assert killed in (len(said) - 1, len(said)), "all that was reported, and at most one more"


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            ["PRAGMA application_id = 0x55505362", "PRAGMA user_version = 99"],
            "has version 99; this version of ups-eval reads 1",
        ),
        (["CREATE TABLE mine (x)"], "is a database, but not a leaderboard"),
    ],
)
def test_other_files_are_refused_and_stay_as_they_are(
    tmp_path: Path, statements: list[str], message: str
) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    before = path.read_bytes()
    for action in (lambda: Leaderboard(path).add([entry("a")]), lambda: Leaderboard(path).entries()):
        with pytest.raises(UPSError, match=message):
            action()
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite"
    path.write_text("not a database, but long enough to be read as one" * 20)
    with pytest.raises(UPSError, match="file is not a database"):
        Leaderboard(path).add([entry("a")])


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite"
    Leaderboard(path).add([entry("a")])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entries SET arrays = ?", (b"rubbish",))
    connection.close()
    with pytest.raises(UPSError, match=r"entry 1 of the leaderboard .* is damaged"):
        Leaderboard(path).entries()


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "board.sqlite"
    board = Leaderboard(path)
    entries = [entry("a"), entry("b", 1.01, gates=True), entry("<c>", 3.0, model="fno", baseline=True)]
    board.promote(board.add(entries)[1], "the first champion")
    return path


def test_show_prints_ranks_and_the_resolution(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["leaderboard", "show", "--store", str(stored)]) == 0
    out = capsys.readouterr().out
    assert "flow: 40 test trajectories" in out
    assert "(champion)" in out
    assert "are not resolved by these trajectories" in out


def test_export_has_every_entry_as_json_and_csv(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["leaderboard", "export", "--store", str(stored)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["run"], row["champion"]) for row in rows] == [
        ("run-a", False),
        ("run-b", True),
        ("run-<c>", False),
    ]
    assert ups(["leaderboard", "export", "--csv", "--store", str(stored)]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(line["nrmse"]) for line in lines] == [row["metrics"]["nrmse"] for row in rows]


def test_the_page_is_complete_and_escapes_names(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "board.html"
    assert ups(["leaderboard", "html", "--store", str(stored), "-o", str(target)]) == 0
    page = target.read_text()
    assert "run-&lt;c&gt;" in page
    assert "run-<c>" not in page
    assert "the first champion" in page
    assert "<script" not in page
    assert "http" not in page


def test_promote_by_hand(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["leaderboard", "promote", "1", "--store", str(stored), "--reason", "checked"]) == 0
    champion = Leaderboard(stored).champion(entry("a").board)
    assert champion is not None
    assert champion.run == "run-a"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "--store", "missing.sqlite"], "does not exist; add 'evaluate: leaderboard' to a spec"),
        (["show", "--task", "flaw"], "has no entry of task 'flaw'"),
        (["show", "--metric", "nrsme"], "no entry has the metric 'nrsme'; known: nrmse"),
        (["promote", "77"], "has no entry 77"),
    ],
)
def test_mistakes_get_one_line(
    stored: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [] if "--store" in arguments else ["--store", str(stored)]
    assert ups(["leaderboard", *arguments, *more]) == 1
    assert message in capsys.readouterr().err


def test_verify_finds_a_better_number_and_a_damaged_database(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ups(["verify", str(stored)]) == 0
    assert "numbers of 3 follow from their trajectories" in capsys.readouterr().out
    with sqlite3.connect(stored) as connection:
        (text,) = connection.execute("SELECT results FROM entries WHERE number = 2").fetchone()
        content = json.loads(text)
        content["per_sample"]["flow"]["net"][3] *= 0.5
        connection.execute("UPDATE entries SET results = ? WHERE number = 2", (json.dumps(content),))
    connection.close()
    assert ups(["verify", str(stored)]) == 1
    assert "entry 2: errors of trajectories of net on flow" in capsys.readouterr().err
    content_bytes = bytearray(stored.read_bytes())
    content_bytes[4096:6000] = bytes(1904)
    stored.write_bytes(content_bytes)
    assert ups(["verify", str(stored)]) == 1
