"""`ups cite`: references of what a spec uses, in order, once each, with those of plugins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ups_core import Citation, UPSError
from ups_core.citations import citations_of
from ups_core.cli.main import main as ups
from ups_core.cli.run import main as ups_run
from ups_core.validate import load_spec

PLUGIN = """\
from ups_core import Citation, MetricConfig, ModelConfig, EvaluationConfig, StepResult, hookimpl

ONE = Citation("one", "misc", "One & all", "Doe, Jane", year="2020", doi="10.1/x_y")
TWO = Citation("two", "article", "Two", "Doe, Jane and Roe, Rich", journal="J", volume="3", pages="1--2", year="2021")
OTHER = Citation("one", "misc", "Another one", "Poe, Ed and others", year="2022")
NUMBER = 3

class NetConfig(ModelConfig):
    deep: bool = False
    width: int = 4

def net(config):
    yield ONE
    if config.deep:
        yield TWO

def fails(config):
    raise ValueError("no such paper")

@hookimpl
def ups_register_models(register):
    register("cited/net", "cited:Net", config=NetConfig, summary="", cite=("cited:net",))
    register("cited/two", "cited:Net", config=ModelConfig, summary="", cite=("cited:TWO", "cited:OTHER"))
    register("cited/missing", "cited:Net", config=ModelConfig, summary="", cite=("cited:NOTHING",))
    register("cited/number", "cited:Net", config=ModelConfig, summary="", cite=("cited:NUMBER",))
    register("cited/fails", "cited:Net", config=ModelConfig, summary="", cite=("cited:fails",))
"""


@pytest.fixture
def spec(spec_file: Path, install: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy spec, with a plugin that cites."""
    install("cited", PLUGIN)
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,cited")
    return spec_file


def keys(spec: Path, *overrides: str) -> list[str]:
    return [cited.key for cited in citations_of(load_spec(spec, overrides)[0])]


def test_ups_is_cited_by_every_spec(spec: Path) -> None:
    (cited,) = citations_of(load_spec(spec)[0])
    assert cited.bibtex == (
        "@misc{ups,\n  title = {{UPS: the Universal Physics Stack}},\n  author = {{The UPS developers}},\n"
        f"  version = {{{version('ups-core')}}},\n}}"
    )
    assert (
        cited.text == f"The UPS developers. UPS: the Universal Physics Stack. version {version('ups-core')}."
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model={kind: cited/net}"], ["ups", "one"]),
        (["model={kind: cited/net, deep: true}"], ["ups", "one", "two"]),
        (["model=cited/two"], ["ups", "two", "one"]),
        (["pipeline.score.baselines=[cited/two]"], ["ups", "two", "one"]),
        (
            ["model={kind: cited/net, deep: true}", "pipeline.score.baselines=[cited/two]"],
            ["ups", "one", "two", "oneb"],
        ),
        (["pipeline.train.model={kind: cited/net}"], ["ups", "one"]),
    ],
)
def test_what_is_used_is_cited_in_order_and_once(
    spec: Path, overrides: list[str], expected: list[str]
) -> None:
    assert keys(spec, *overrides) == expected


def test_two_papers_with_one_key_are_both_there(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        ups(["cite", str(spec), "--set", "model=cited/net", "--set", "pipeline.score.baselines=[cited/two]"])
        == 0
    )
    printed = capsys.readouterr().out
    assert "@misc{one,\n  title = {{One \\& all}},\n" in printed
    assert "  doi = {10.1/x_y},\n" in printed
    assert "@misc{oneb,\n  title = {{Another one}},\n" in printed


def test_json_has_text_and_bibtex(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["cite", str(spec), "--json", "--set", "model=cited/two"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [list(entry) for entry in found] == [["key", "text", "bibtex"]] * 3
    assert found[1]["text"] == "Jane Doe and Rich Roe. Two. J 3, 1–2, 2021."
    assert found[2]["text"] == "Ed Poe et al. Another one. 2022."


def test_a_run_is_cited_like_its_spec(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ups_run([str(spec)])
    (run,) = Path("runs").iterdir()
    capsys.readouterr()
    assert ups(["cite", str(run)]) == 0
    of_run = capsys.readouterr().out
    assert ups(["cite", str(spec)]) == 0
    assert capsys.readouterr().out == of_run
    assert ups(["cite", "nowhere"]) == 2
    assert ups(["cite", "runs"]) == 2, "not a run directory"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "missing",
            "cannot load model 'cited/missing' of cited 0.1: AttributeError: module 'cited' has no attribute 'NOTHING'",
        ),
        ("number", "model 'cited/number' of cited 0.1: 3 is not a ups_core.Citation"),
        (
            "fails",
            "cited:fails, the citations of model 'cited/fails' of cited 0.1, raised ValueError: no such paper",
        ),
    ],
)
def test_a_plugin_that_cites_wrongly_is_named(
    spec: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ups(["cite", str(spec), "--set", f"model=cited/{name}"]) == 1
    assert capsys.readouterr().err == f"error: {message}\n"


def test_the_check_of_plugins_imports_citations(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ups(["plugins", "--check"]) == 1
    problems = capsys.readouterr().out
    assert (
        "model 'cited/missing' of cited 0.1: AttributeError: module 'cited' has no attribute 'NOTHING'"
        in problems
    )


@pytest.mark.parametrize("cite", ["'cited:ONE'", "(3,)", "None"])
def test_a_registration_with_something_else_is_refused(
    cite: str,
    spec_file: Path,
    install: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(
        "wrong",
        "from ups_core import ModelConfig, hookimpl\n@hookimpl\ndef ups_register_models(register):\n"
        f"    register('wrong/net', 'wrong:Net', config=ModelConfig, summary='', cite={cite})\n",
    )
    monkeypatch.setenv("UPS_PLUGINS", "ups-core,toy-plugin,wrong")
    assert ups(["cite", str(spec_file), "--set", "model=wrong/net"]) == 2
    assert "cite is a tuple of 'module:attribute'" in capsys.readouterr().err


def test_no_citation_is_imported_by_a_plan(spec: Path) -> None:
    script = (
        "import sys; from ups_core.cli.run import main; "
        f"code = main([{str(spec)!r}, '--plan', '--set', 'model=cited/two']); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(UPSError, match="NOTHING"):
        keys(spec, "model=cited/missing")


def test_an_entry_with_everything() -> None:
    citation = Citation(
        "key",
        "article",
        "A & B",
        "Li, Zongyi and {The Group}",
        "2021",
        journal="J & K",
        volume="1",
        number="2",
        pages="3--4",
        doi="10.1/a&b",
        eprint="2010.08895",
        url="https://x/?a&b",
    )
    assert citation.bibtex().splitlines() == [
        "@article{key,",
        "  title = {{A \\& B}},",
        "  author = {Li, Zongyi and {The Group}},",
        "  journal = {J \\& K},",
        "  volume = {1},",
        "  number = {2},",
        "  pages = {3--4},",
        "  year = {2021},",
        "  doi = {10.1/a&b},",
        "  eprint = {2010.08895},",
        "  url = {https://x/?a&b},",
        "  archiveprefix = {arXiv},",
        "}",
    ]
    assert citation.text() == "Zongyi Li and The Group. A & B. J & K 1, 3–4, 2021. doi:10.1/a&b."
