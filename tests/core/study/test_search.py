"""`ups tune`: what may be searched, and what is tried."""

from __future__ import annotations

import importlib.util
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from small_study import LR, SPEC, tune
from ups_core import UPSError
from ups_core.spec import PipelineSpec
from ups_core.study.parameters import parse_parameter, parse_space, read_space
from ups_core.study.search import Optuna, choose_method, create_search
from ups_core.study.space import Choice, Range, Space, value_text
from ups_core.yamlreader import parse_yaml

needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="Optuna is an extra")

# What may be searched


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr=1e-4:1e-2:log", Range(LR, 1e-4, 1e-2, log=True)),
        ("pipeline.0.optimizer.lr=0:1", Range(LR, 0.0, 1.0)),
        ("model.width=16:64:int", Range("model.width", 16, 64, integer=True)),
        ("model.width=16:64:int:log", Range("model.width", 16, 64, log=True, integer=True)),
        ("model.width=32,64,128", Choice("model.width", (32, 64, 128))),
        ("model={kind: fno}, unet", Choice("model", ({"kind": "fno"}, "unet"))),
        ("ema=null,0.99", Choice("pipeline.operator.ema", (None, 0.99))),
    ],
)
def test_parameters_are_read(text: str, expected: Range | Choice, spec: PipelineSpec) -> None:
    parameter = parse_parameter(text, spec)
    assert parameter == expected
    assert parse_parameter(f"{parameter.key}={parameter.text}", spec) == expected, "its text reads the same"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr", "write it as KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=a,b,c"),
        ("=1:2", "write it as KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=a,b,c"),
        ("optimizer.lr=1e-2:1e-4", "the low end 1e-2 must be below the high end 1e-4"),
        ("optimizer.lr=1:1", "the low end 1 must be below the high end 1"),
        ("optimizer.lr=0:1:log", "the low end 0 has no logarithm; start above 0 or remove :log"),
        ("optimizer.lr=-1:1:log", "the low end -1 has no logarithm"),
        ("optimizer.lr=1:2:lin", "unexpected ':lin'; write a range as LOW:HIGH, then :log, :int or both"),
        ("optimizer.lr=1:2:log:log", "unexpected ':log'"),
        ("optimizer.lr=a:2", "'a' is not a number"),
        ("optimizer.lr=1:.inf", "'.inf' is not a number"),
        ("optimizer.lr=1:", "'' is not a number"),
        ("model.width=8:9.5:int", "'9.5' is not an integer; write one or remove :int"),
        ("model.width=", "no values are given; write a,b,c or LOW:HIGH"),
        ("model.width=64", "a single value leaves nothing to search; use --set model.width=64"),
        ("model.width=64,32,64", "64 is given twice"),
        ("model.width=[64,32", "the choices are not valid YAML"),
    ],
)
def test_nonsense_is_one_line_and_code_2(
    text: str, expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune("--param", text) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: --param {text}")
    assert expected in lines[0]
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--param", "optimizer.lrr=1:2"],
            f"--set {LR}r=1.0 pipeline[0].optimizer.lrr: unknown key 'lrr'; did you mean 'lr'?\n",
        ),
        (
            ["--param", "modle.width=1,2"],
            "--set pipeline.operator.modle.width=1 pipeline[0].modle: unknown key 'modle'; did you mean 'model'?\n",
        ),
        (
            ["--param", "model.width=8,wide"],
            "--set model.width=wide model.width: expected a valid integer, got 'wide'\n",
        ),
        (["--param", "model.width=8:16"], "expected a valid integer, got 16.0; write LOW:HIGH:int\n"),
        (["--param", "optimizer.lr=-1:1"], "got -1.0\n"),
        (
            ["--param", "optimizer.lr=1:2", "--param", f"{LR}=3,4"],
            f"error: --param {LR} is given twice; remove one\n",
        ),
        (
            ["--param", "pipeline.test.split=val,test"],
            "changes nothing: trials only train and validate; remove it\n",
        ),
        (
            ["--param", "optimizer.lr=1:2", "--method", "grid"],
            f"a grid needs the number of values of '{LR}'; add --points K\n",
        ),
        (
            ["--param", "optimizer.lr=1:2", "--method", "random", "--points", "3"],
            "--points belongs to --method grid, not to random",
        ),
        (
            ["--param", "optimizer.lr=1:2", "--points", "10001"],
            "the grid has 10001 points, more than 10000; use --method random\n",
        ),
        (
            ["--param", "optimizer.lr=1:2", "--metric", "test/a/width"],
            "--metric test/a/width is measured on the test split; a study selects on the validation split only",
        ),
        (["--param", "optimizer.lr=1:2", "--metric", "operator/test/loss"], "is measured on the test split"),
        (
            ["--param", "optimizer.lr=1:2", "--metric", "val/loss"],
            "write it as STEP/METRIC, e.g. operator/val/loss; steps: operator, check, test\n",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(
    arguments: list[str], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(*arguments) == 2
    assert expected in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_spec_that_trains_nothing_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tiny.yaml").write_text(
        SPEC.replace("stage: toy/train", "evaluate: toy/page").split("    epochs")[0]
    )
    assert tune("--param", "optimizer.lr=1:2") == 2
    assert "the spec has no training stage, so there is nothing to tune" in capsys.readouterr().err


def test_another_kind_is_set_before_its_options(spec: PipelineSpec) -> None:
    texts = ["model.depth=1,2", "model.kind=a,b", "optimizer.lr=1:2", "optimizer.kind=a,b", "model=c,d"]
    keys = [parameter.key for parameter in parse_space(texts, spec)]
    assert keys == ["model", "model.kind", "model.depth", "pipeline.operator.optimizer.kind", LR]


finite = st.floats(min_value=-1e12, max_value=1e12)
positive = st.floats(min_value=1e-12, max_value=1e12)
shares = st.floats(min_value=0.0, max_value=1.0)


@given(finite, finite, shares, st.booleans())
def test_values_lie_inside_the_range(a: float, b: float, u: float, integer: bool) -> None:
    low, high = (math.floor(min(a, b)), math.ceil(max(a, b))) if integer else (min(a, b), max(a, b))
    assume(low < high)
    parameter = Range("k", low, high, integer=integer)
    value = parameter.sample(u)
    assert low <= value <= high
    assert isinstance(value, int) == integer
    assert -1e-9 <= parameter.position(value) <= 1 + 1e-9


@given(positive, positive, shares)
def test_log_ranges_are_uniform_in_the_logarithm(a: float, b: float, u: float) -> None:
    low, high = min(a, b), max(a, b)
    assume(high > low * (1 + 1e-6))
    parameter = Range("k", low, high, log=True)
    value = parameter.sample(u)
    assert low <= value <= high
    assert math.log(value) == pytest.approx(math.log(low) + u * math.log(high / low), abs=1e-9)
    assert parameter.position(value) == pytest.approx(u, abs=1e-3)


@given(positive, positive, st.integers(2, 50), st.booleans(), st.booleans())
def test_grids_go_from_end_to_end(a: float, b: float, points: int, log: bool, integer: bool) -> None:
    low, high = (math.ceil(min(a, b)), math.ceil(max(a, b))) if integer else (min(a, b), max(a, b))
    assume(high > low * (1 + 1e-6))
    values = Range("k", low, high, log, integer).grid(points)
    assert (values[0], values[-1]) == (low, high)
    assert values == sorted(values)
    assert len(values) <= points


def test_integers_are_drawn_equally_often() -> None:
    for log in (False, True):
        drawn = [Range("k", 1, 4, log, integer=True).sample(index / 999) for index in range(1000)]
        assert set(drawn) == {1, 2, 3, 4}
    counts = [
        [Range("k", 1, 4, integer=True).sample(i / 999) for i in range(1000)].count(n) for n in (1, 2, 3, 4)
    ]
    assert max(counts) - min(counts) < 5


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp"))),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    )
)
def test_a_value_as_text_reads_as_itself(value: Any) -> None:
    read = parse_yaml(value_text(value), "text", {}).data
    assert read == value
    assert value_text(read) == value_text(value)


# What is tried

SPACE: Space = (
    Range("lr", 1e-4, 1e-1, log=True),
    Choice("kind", ("a", "b", [1, 2])),
    Range("n", 1, 9, integer=True),
)


@pytest.mark.parametrize("method", ["grid", "random", pytest.param("optuna", marks=needs_optuna)])
def test_a_proposal_is_a_function_of_seed_number_and_results(method: str) -> None:
    def proposals(seed: int) -> list[dict[str, Any]]:
        points = 3 if method == "grid" else None
        results: list[tuple[dict[str, Any], float | None]] = []
        for number in range(1, 15):
            search = create_search(method, SPACE, seed, points)  # a new one each time: nothing is remembered
            values = dict(search.propose(number, results))
            results.append((values, None if number == 3 else abs(math.log(values["lr"] / 1e-3))))
        return [values for values, _ in results]

    first = proposals(0)
    assert first == proposals(0)
    assert first != proposals(1)
    for values in first:
        assert list(values) == ["lr", "kind", "n"]
        assert 1e-4 <= values["lr"] <= 1e-1
        assert values["kind"] in ("a", "b", [1, 2])
        assert values["n"] in range(1, 10)
        json.dumps(values)


def test_a_grid_has_every_combination_once() -> None:
    search = create_search("grid", SPACE, 0, 3)
    assert search.limit == 27
    every = [json.dumps(search.propose(number, [])) for number in range(1, 28)]
    assert len(set(every)) == 27


@needs_optuna
def test_tpe_looks_where_it_was_good() -> None:
    space: Space = (Range("lr", 1e-6, 1.0, log=True),)
    search, results = Optuna(space, 0), list[tuple[dict[str, Any], float | None]]()
    for number in range(1, 41):
        values = dict(search.propose(number, results))
        results.append((values, abs(math.log10(values["lr"] / 1e-3))))
    median = statistics.median(value for _, value in results[10:] if value is not None)
    assert median < 0.75, "half of the 1.5 that uniform draws over six decades have"
    assert len({values["lr"] for values, _ in results}) == 40


def test_the_method_suits_the_space(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = (SPACE[1],)
    assert choose_method(None, choices, None) == "grid"
    assert choose_method(None, SPACE, 3) == "grid"
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert choose_method(None, SPACE, None) == "random"
    with pytest.raises(
        UPSError, match=r"needs Optuna: pip install 'ups-core\[tune\]', or use --method random"
    ):
        create_search("optuna", SPACE, 0, None)


def test_random_draws_are_independent_and_fill_the_space() -> None:
    search = create_search("random", SPACE, 0, None)
    drawn = [dict(search.propose(number, [])) for number in range(1, 601)]
    rates = sorted(values["lr"] for values in drawn)
    assert len(set(rates)) == 600
    for decade in (1e-4, 1e-3, 1e-2):
        share = sum(decade <= rate < 10 * decade for rate in rates) / 600
        assert share == pytest.approx(1 / 3, abs=0.08), "uniform in the logarithm"
    for kind in ("a", "b", [1, 2]):
        assert sum(values["kind"] == kind for values in drawn) == pytest.approx(200, abs=50)
    assert {values["n"] for values in drawn} == set(range(1, 10))


def test_a_grid_that_is_cut_short_has_covered_every_axis() -> None:
    """In the order of the axes the first half would have one learning rate only."""
    space: Space = (Choice("a", tuple(range(10))), Choice("b", tuple(range(10))))
    search = create_search("grid", space, 0, None)
    half = [search.propose(number, []) for number in range(1, 51)]
    assert len({values["a"] for values in half}) == len({values["b"] for values in half}) == 10


def test_a_space_on_record_is_read_back() -> None:
    texts = {parameter.key: parameter.text for parameter in SPACE}
    assert texts == {"lr": "0.0001:0.1:log", "kind": "a,b,[1, 2]", "n": "1:9:int"}
    assert read_space(texts) == SPACE
