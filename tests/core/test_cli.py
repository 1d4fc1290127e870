"""The commands themselves: shared arguments, plugins' commands, exit codes."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ups_core import SpecError, UPSError, UsageError
from ups_core.cli import options
from ups_core.cli.main import main as ups
from ups_core.cli.output import counted, guarded, print_columns, print_table
from ups_core.cli.run import RunCommand, command_line
from ups_core.cli.run import main as ups_run
from ups_core.errors import Issue
from ups_core.interrupts import Interrupted

SHARED = {
    "--set": "override one value of the spec, e.g. model.width=64 or pipeline.operator.epochs=5; repeatable",
    "--runs-dir": "directory of the run directories (default: runs)",
    "--data-root": "directory of data files, generated ones included (default: $UPS_DATA_ROOT, else ./data)",
}


def help_of(*command: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "ups_core.cli.main", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"COLUMNS": "500"},
    )
    return result.stdout


# Shared arguments


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("command", "shared"),
    [("run", list(SHARED)), ("tune", list(SHARED)), ("validate", ["--set"])],
)
def test_shared_arguments_say_the_same_in_every_command(command: str, shared: list[str]) -> None:
    text = " ".join(help_of(command).split())
    for argument in shared:
        assert SHARED[argument] in text


def test_shared_arguments_have_one_meaning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser()
    options.add_overrides(parser)
    options.add_runs_dir(parser)
    options.add_data_root(parser)
    args = parser.parse_args([])
    assert (args.overrides, args.runs_dir, args.data_root) == ([], Path("runs"), None)
    args = parser.parse_args(["--set", "a=1", "--set", "b=2", "--runs-dir", "r", "--data-root", "d"])
    assert (args.overrides, args.runs_dir, args.data_root) == (["a=1", "b=2"], Path("r"), Path("d"))
    assert options.data_root(None) == Path("data")
    monkeypatch.setenv("UPS_DATA_ROOT", str(tmp_path))
    assert options.data_root(None) == tmp_path
    assert options.data_root(Path("d")) == Path("d")
    monkeypatch.setenv("UPS_DATA_ROOT", "")
    assert options.data_root(None) == Path("data")


def test_the_data_root_of_the_environment_is_used(
    spec_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPS_DATA_ROOT", str(tmp_path / "elsewhere"))
    assert ups_run([str(spec_file)]) == 0
    assert (tmp_path / "elsewhere" / "a.txt").exists()
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a.yaml"], ["ups-run", "a.yaml"]),
        (["a.yaml", "--fresh", "--json"], ["ups-run", "a.yaml"]),
        (["a.yaml", "--set", "x=1", "--set", "y=2"], ["ups-run", "a.yaml", "--set", "x=1", "--set", "y=2"]),
        (["a.yaml", "--runs-dir", "r"], ["ups-run", "a.yaml", "--runs-dir", "r"]),
        (["a.yaml", "--data-root", "d"], ["ups-run", "a.yaml", "--data-root", "d"]),
        (["a.yaml", "--runs-dir", "runs"], ["ups-run", "a.yaml"]),
    ],
)
def test_the_recorded_command_repeats_the_run(arguments: list[str], expected: list[str]) -> None:
    parser = argparse.ArgumentParser()
    RunCommand().add_arguments(parser)
    assert command_line(parser.parse_args(arguments)) == expected


@pytest.mark.parametrize("pair", [("--only=a", "--from=b"), ("--plan", "--dry-run")])
def test_options_that_exclude_each_other(
    pair: tuple[str, str], spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ups_run([str(spec_file), *pair]) == 2
    assert "exclude each other; give one" in capsys.readouterr().err


# Commands of plugins

COMMAND = """\
from ups_core import CommandConfig, hookimpl

class Greet:
    \"\"\"Greets somebody.\"\"\"

    help = "greet"

    def __init__(self, config):
        assert isinstance(config, CommandConfig)

    def add_arguments(self, parser):
        parser.add_argument("name")
        parser.add_argument("--json", action="store_true")

    def run(self, args, console):
        console.say("greeting")
        print(f"hello {args.name}")
        return 4

@hookimpl
def ups_register_commands(register):
    register("greet", "greeting:Greet", config=CommandConfig, summary="greets")
    register("broken", "nowhere:Command", config=CommandConfig, summary="cannot be imported")
"""


@pytest.fixture
def greeting(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install("greeting", COMMAND)
    monkeypatch.setenv("UPS_PLUGINS", "greeting")


@pytest.mark.usefixtures("greeting")
def test_a_plugin_adds_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["greet", "you"]) == 4
    assert capsys.readouterr() == ("hello you\n", "greeting\n")
    assert ups(["greet", "you", "--json"]) == 4
    assert capsys.readouterr() == ("hello you\n", ""), "nothing beside JSON"


@pytest.mark.usefixtures("greeting")
def test_a_command_is_imported_only_when_it_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ups(["--help"])
    text = capsys.readouterr().out
    assert "cannot be imported" in text
    assert "greets" in text
    assert ups(["broken"]) == 1
    expected = "error: cannot load command 'broken' of greeting 0.1: ModuleNotFoundError: No module named 'nowhere'\n"
    assert capsys.readouterr().err == expected


@pytest.mark.usefixtures("greeting")
def test_the_help_of_a_command_is_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ups(["greet", "--help"])
    assert "Greets somebody." in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["--nonsense"]])
def test_a_command_line_that_makes_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        ups(arguments)
    assert stop.value.code == 2
    assert "usage: ups" in capsys.readouterr().err


# Exit codes


def raising(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UPSError("no data; generate some"), 1, "error: no data; generate some"),
        (UsageError("give a name"), 2, "error: give a name"),
        (SpecError([Issue("a.yaml", 3, 5, "model", "wrong")]), 2, "a.yaml:3:5 model: wrong"),
        (OSError(13, "Permission denied", "runs/a"), 1, "error: runs/a: Permission denied"),
        (OSError(28, "No space left on device"), 1, "error: a file: No space left on device"),
        (OSError("odd"), 1, "error: a file: odd"),
        (Interrupted(143), 143, "interrupted (SIGTERM); rerun the same command to resume"),
        (Interrupted(75), 75, "interrupted (out of time); rerun the same command to resume"),
        (KeyboardInterrupt(), 130, "interrupted; rerun the same command to resume"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(raising(error)) == code
    assert capsys.readouterr() == ("", f"{line}\n")


def test_in_json_mode_errors_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    issue = Issue("a.yaml", 3, 5, "model", "wrong")
    assert guarded(raising(SpecError([issue])), as_json=True) == 2
    assert json.loads(capsys.readouterr().out) == {
        "error": "a.yaml:3:5 model: wrong",
        "issues": [issue.to_dict()],
    }
    assert guarded(raising(UPSError("no data")), as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {"error": "no data", "issues": []}


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(raising(ZeroDivisionError()))


def test_a_closed_pipe_is_no_error() -> None:
    """As in `ups list | head -n 1`."""
    script = "import sys\nfrom ups_core.cli.main import main\nsys.exit(main(['schema']))\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stderr:
        assert stderr.read() == ""
    assert process.wait(60) == 0


# Output


def test_tables_are_aligned_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "what it is"), [("a", "short"), ("longer", "x")])
    assert capsys.readouterr().out == "name    what it is\na       short\nlonger  x\n"
    print_table(("name", "value"), [])
    assert capsys.readouterr().out == "name  value\n"


def test_tables_on_a_terminal_take_text_literally(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    print_table(("name",), [("[red]a[/red]",)])
    assert "[red]a[/red]" in capsys.readouterr().out


def test_rows_must_have_equal_lengths() -> None:
    with pytest.raises(ValueError, match="zip"):
        print_columns([("a", "b"), ("c",)])


@pytest.mark.parametrize(
    ("number", "words", "expected"),
    [
        (0, ("task",), "0 tasks"),
        (1, ("task",), "1 task"),
        (2, ("task",), "2 tasks"),
        (1, ("loss", "losses"), "1 loss"),
        (3, ("loss", "losses"), "3 losses"),
    ],
)
def test_counts_agree_with_their_nouns(number: int, words: tuple[str, ...], expected: str) -> None:
    assert counted(number, *words) == expected


def test_a_tilde_is_the_home_directory(
    spec_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell leaves it in `--data-root=~/x`, which made a folder called `~`."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert ups_run([str(spec_file), "--data-root=~/data", "--runs-dir=~/runs"]) == 0
    assert (home / "data" / "executions.txt").exists()
    assert len(list((home / "runs").iterdir())) == 1
    monkeypatch.setenv("UPS_DATA_ROOT", "~/other")
    assert options.data_root(None) == home / "other"
    spec_file.rename(home / "base.yaml")
    spec_file.write_text("extends: ~/base.yaml\n")
    assert ups(["validate", str(spec_file)]) == 0
    assert not Path("~").exists()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        ups_run([str(spec_file), "--data-root=~nobody-of-this-name/x"])
    assert "write the path out" in capsys.readouterr().err
