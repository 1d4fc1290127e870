"""Values of `${env:NAME}` may be secrets: no file and no line of output has them, whatever happens."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_cloud import FakeCloud
from ups_core.cli.main import main as ups
from ups_core.cli.run import main as ups_run
from ups_core.launchers import slurm
from ups_core.redaction import SHORTEST, redacted
from ups_core.study.parameters import parse_parameter
from ups_core.validate import load_spec

SECRET = "s3ntinel-" + "0123456789abcdef" * 9 + "/\"<&>'"
"""Longer than messages show, and with characters that JSON, shells and HTML write otherwise."""

LEAKY = """\
from ups_core import EvaluationConfig, StepResult, UPSError, Verdict, hookimpl


class LeakyConfig(EvaluationConfig):
    token: str
    mode: str = "verdict"

    def check(self, tasks, model):
        return [("token", f"no entry with {self.token}")] if self.mode == "check" else []


class Leaky:
    def __init__(self, config):
        self.config = config

    def run(self, context):
        token, mode = self.config.token, self.config.mode
        context.console.say(f"logging in with {token}")
        if mode == "error":
            raise UPSError(f"the server refuses {token}")
        if mode == "bug":
            raise RuntimeError(f"bad token {token}")
        return StepResult({}, Verdict(mode != "negative", f"judged with {token}"))


@hookimpl
def ups_register_evaluations(register):
    register("leaky/judge", Leaky, config=LeakyConfig, summary="leaks")
"""


@pytest.fixture
def leaky(spec_file: Path, install, monkeypatch: pytest.MonkeyPatch) -> Path:  # type: ignore[no-untyped-def]
    install("leaky", LEAKY)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,leaky")
    monkeypatch.setenv("SECRET", SECRET)
    spec_file.write_text(
        f"{spec_file.read_text()}  - {{evaluate: leaky/judge, id: judge, token: '${{env:SECRET}}'}}\n"
    )
    return spec_file


def assert_kept(output: pytest.CaptureResult[str]) -> None:
    """Neither files nor output have the secret, or the beginning of it."""
    for path in Path().rglob("*"):
        if path.is_file() and "cloud" not in path.parts:
            assert b"s3ntinel" not in path.read_bytes(), path
    assert "s3ntinel" not in output.out + output.err


@pytest.mark.parametrize(
    ("mode", "code"), [("verdict", 0), ("negative", 3), ("error", 1), ("bug", 1), ("check", 2)]
)
def test_a_run_shows_references(leaky: Path, capfd: pytest.CaptureFixture[str], mode: str, code: int) -> None:
    change = "--set", f"pipeline.judge.mode={mode}"
    assert ups_run([str(leaky), *change]) == code
    output = capfd.readouterr()
    assert_kept(output)
    assert mode == "verdict" or "${env:SECRET}" in output.err
    for flags in (["--plan"], ["--plan", "--json"], ["--dry-run"], ["--dry-run", "--json"], ["--json"]):
        ups_run([str(leaky), *change, *flags])
    assert_kept(capfd.readouterr())
    if mode == "verdict":
        (step,) = Path("runs").glob("*/steps/judge/step.json")
        content = json.loads(step.read_text())
        assert content["options"]["token"] == "${env:SECRET}"
        assert content["verdict"]["reason"] == "judged with ${env:SECRET}"


@pytest.mark.parametrize(
    "change",
    [
        "model=${env:SECRET}",
        "model.kind=${env:SECRET}",
        "seed=${env:SECRET}",
        "seed=x${env:SECRET}",
        "launcher=${env:SECRET}",
        "tasks.a.cells=${env:SECRET}",
        "trainer.precision=${env:SECRET}",
        "pipeline.train.id=${env:SECRET}",
        "pipeline.train.optimizer=${env:SECRET}",
        "pipeline.score.baselines=['${env:SECRET}']",
        "pipeline.score.needs=['${env:SECRET}']",
        "pipeline.judge.stage=${env:SECRET}",
        "trackers=['${env:SECRET}']",
        "extends=${env:SECRET}",
    ],
)
def test_mistakes_show_references(leaky: Path, capfd: pytest.CaptureFixture[str], change: str) -> None:
    assert ups(["validate", str(leaky), "--set", change]) == 2
    assert ups(["validate", str(leaky), "--set", change, "--json"]) == 2
    assert ups_run([str(leaky), "--set", change]) == 2
    assert_kept(capfd.readouterr())


def test_a_base_that_does_not_exist(leaky: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("child.yaml").write_text("extends: ${env:SECRET}.yaml\n")
    assert ups(["validate", "child.yaml"]) == 2
    assert_kept(capfd.readouterr())


CLOUD = {
    "kind": "skypilot",
    "max_hours": 0.1,
    "setup": ["export LOGIN=${env:SECRET}"],
    "resources": {"image_id": "docker:${env:SECRET}"},
}


def test_a_machine_gets_the_value_and_no_file_keeps_it(
    leaky: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET", SECRET[:-6])  # without quotes: the line of setup is the user's shell
    pytest.importorskip("torch")
    cloud = FakeCloud(tmp_path / "cloud")
    for name, value in cloud.variables.items():
        monkeypatch.setenv(name, value)
    sky = cloud.folder / "bin" / "sky"
    keep = 'Path(os.environ["FAKE_CLOUD"], "seen").write_text(task["setup"] + oct(os.stat(sys.argv[-1]).st_mode))\n'
    sky.write_text(sky.read_text().replace("environment = ", f"{keep}environment = ", 1))
    words = "--set", f"launcher={json.dumps(CLOUD)}", "--only", "train"
    assert ups_run([str(leaky), *words, "--dry-run"]) == 0
    assert ups_run([str(leaky), *words]) == 0
    assert_kept(capfd.readouterr())
    seen = (cloud.folder / "seen").read_text()
    assert f"export LOGIN={SECRET[:-6]}" in seen
    assert seen.endswith("600"), "nobody else could read the file"
    launch = next(call for call in cloud.calls() if call[1] == "launch")
    assert launch[-3:-1] == ["--env", "SECRET"]
    assert not Path(launch[-1]).exists()
    (kept,) = Path("runs").glob("*/skypilot/train.yaml")
    assert "export LOGIN=${env:SECRET}" in kept.read_text()


SBATCH = """\
import os, shutil, sys
shutil.copy(sys.argv[-1], os.environ["SEEN"])
print("Submitted batch job 7")
"""


def test_a_job_script_gets_the_value_and_keeps_none(
    leaky: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("submitit")
    programs = tmp_path / "cloud"
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", ""), ("scancel", ""), ("srun", "")):
        (programs / name).write_text(f"#!{sys.executable}\n{text}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SEEN", str(programs / "seen"))
    monkeypatch.setattr(slurm, "SETTLE", 0.0)
    monkeypatch.setattr(slurm, "POLL", 0.01)
    options = {"kind": "slurm", "account": "${env:SECRET}", "setup": ["export LOGIN='${env:SECRET}'"]}
    words = "--set", f"launcher={json.dumps(options)}", "--only", "train"
    assert ups_run([str(leaky), *words, "--dry-run"]) == 0
    assert ups_run([str(leaky), *words]) == 1, "the job leaves no result"
    assert_kept(capfd.readouterr())
    assert "s3ntinel" in (programs / "seen").read_text()


def test_a_study_keeps_references(leaky: Path) -> None:
    spec, _ = load_spec(leaky)
    choice = parse_parameter("pipeline.train.optimizer.kind='${env:SECRET}',toy/sgd", spec)
    assert "s3ntinel" not in choice.text
    assert "${env:SECRET}" in choice.text


@given(st.text(min_size=SHORTEST), st.text(), st.text())
def test_no_value_is_left(value: str, before: str, after: str) -> None:
    shown = redacted(before + value + after, {"NAME": value})
    assert value not in shown or value in "${env:NAME}" or len(value) < SHORTEST


def test_short_values_are_words() -> None:
    assert redacted("1 of 12 steps", {"N": "1"}) == "1 of 12 steps"
    assert redacted("a longer one: abcdefgh", {"A": "abcdef", "B": "abcdefgh"}) == "a longer one: ${env:B}"


LINES = ["a\nb", "a\rb", "a\x0bb", "a\x00b", "a\x1bb", "a\x85b", "a\u2028b"]


@pytest.mark.parametrize("text", LINES, ids=ascii)
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "slurm", "partition": "TEXT"},
        {"kind": "slurm", "account": "TEXT"},
        {"kind": "slurm", "setup": ["TEXT"]},
        {"kind": "slurm", "parameters": {"qos": "TEXT"}},
        {"kind": "slurm", "parameters": {"TEXT": "high"}},
        {"kind": "skypilot", "max_hours": 1, "infra": "TEXT"},
        {"kind": "skypilot", "max_hours": 1, "accelerators": "TEXT"},
        {"kind": "skypilot", "max_hours": 1, "setup": ["TEXT"]},
        {"kind": "skypilot", "max_hours": 1, "resources": {"cpus": "TEXT"}},
        {"kind": "skypilot", "max_hours": 1, "resources": {"TEXT": "4"}},
    ],
    ids=lambda options: "-".join([options["kind"], list(options)[-1]]),
)
def test_options_of_launchers_are_single_lines(
    spec_file: Path, capfd: pytest.CaptureFixture[str], options: dict[str, object], text: str
) -> None:
    written = json.dumps(options).replace("TEXT", json.dumps(text)[1:-1])
    spec_file.write_text(f"{spec_file.read_text()}launcher: {written}\n")
    assert ups(["validate", str(spec_file)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "expected " in line


@pytest.mark.parametrize("account", ["a --wrap=x", "a\tb", ""])
def test_a_word_cannot_begin_another_option(spec_file: Path, account: str) -> None:
    spec_file.write_text(
        f"{spec_file.read_text()}launcher: {json.dumps({'kind': 'slurm', 'account': account})}\n"
    )
    assert ups(["validate", str(spec_file)]) == 2
