"""Every shipped spec: parses, plans, and has no key without an effect; `test_golden.py` runs each."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import SPECS
from documents import ROOT
from ups_core import UPSError
from ups_core.advice import advice_on
from ups_core.compose import read_spec
from ups_core.document import Document, KeyPath
from ups_core.planner import make_plan
from ups_core.validate import load_spec, validate

ALL = [*SPECS, ROOT / "examples" / "ups-plugin-example" / "spec.yaml"]
IDS = [path.stem for path in SPECS]
SMOKE = ROOT / "specs" / "smoke.yaml"


def scalars(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from scalars(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from scalars(item, (*path, index))
    else:
        yield path, value


def changed(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        others = [value * 2, value + 1, value / 2 if isinstance(value, float) else value // 2]
        return [other for other in others if other != value]
    return [f"{value}_x"]


def outcome(document: Document) -> tuple[str, ...]:
    """The plan's identity: run and steps; or the error."""
    try:
        spec = validate(document)
        plan = make_plan(spec, document, runs_dir=Path("runs"), data_root=Path("data"))
    except UPSError as error:
        return ("error", str(error))
    results = tuple(step.fingerprint for step in plan.steps)
    side = (spec.name, str(spec.launcher.to_dict()), str([tracker.to_dict() for tracker in spec.trackers]))
    return (*results, *side)


@pytest.mark.parametrize("path", SPECS, ids=IDS)
def test_every_scalar_matters(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document = read_spec(path)
    before = outcome(document)
    assert before[0] != "error"
    for where, value in scalars(document.data):
        for other in changed(value):
            mutated = copy.deepcopy(document)
            target = mutated.data
            for key in where[:-1]:
                target = target[key]
            target[where[-1]] = other
            assert outcome(mutated) != before, f"{where}: {value} -> {other} changes nothing"


@pytest.mark.parametrize("path", SPECS, ids=IDS)
def test_resolved_spec_resolves_to_itself(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ups_core.record import resolved_yaml

    monkeypatch.chdir(tmp_path)
    spec, document = load_spec(path)
    plan = make_plan(spec, document, runs_dir=Path("runs"), data_root=Path("data"))
    again = tmp_path / "resolved.yaml"
    again.write_text(resolved_yaml(plan))
    spec2, document2 = load_spec(again)
    assert spec2.model_dump(mode="json") == spec.model_dump(mode="json")
    assert (
        make_plan(spec2, document2, runs_dir=Path("runs"), data_root=Path("data")).directory == plan.directory
    )


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}", fullmatch=True)
POSITIVE = st.floats(0, exclude_min=True, allow_nan=False, allow_infinity=False)
FRACTIONS = st.floats(0, 1)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES
        | st.sampled_from(["null", "true", "1e3", "0x1F", "0o17", "12", "1.5", "no", "2024-01-01"]),
        "seed": st.integers(0, 2**31 - 1),
        "sampling.temperature": FRACTIONS,
        "model.width": st.integers(1, 64).map(lambda half: 2 * half),
        "trainer.workers": st.integers(0, 2**70),
        "trainer.max_time": st.none() | POSITIVE,
        "trainer.precision": st.sampled_from(["auto", 32, "bf16-mixed"]),
        "tasks.advection1d.beta": st.lists(st.floats(0.1, 4.0), min_size=1, max_size=3, unique=True),
        "tasks.advection1d.trajectories": st.integers(10, 10**6),
        "pipeline.operator.batch_size": st.integers(1, 10**9),
        "pipeline.operator.optimizer": st.builds(lambda lr: {"kind": "adamw", "lr": lr}, POSITIVE),
        "pipeline.operator.clip": st.none() | POSITIVE,
        "pipeline.operator.recompute": st.booleans(),
        "pipeline.test.baselines": st.lists(
            st.sampled_from(["persistence", "mean", "fno", "unet"]), unique=True
        ),
    },
)


@settings(max_examples=60)
@given(values=VALUES)
def test_a_resolved_spec_of_any_values_resolves_to_itself(
    values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from ups_core.record import resolved_yaml

    folder = tmp_path_factory.getbasetemp()
    spec, document = load_spec(SMOKE, [f"{key}={json.dumps(value)}" for key, value in values.items()])
    places = {"runs_dir": folder / "no_runs", "data_root": folder / "no_data"}
    plan = make_plan(spec, document, **places)
    again = folder / "resolved.yaml"
    again.write_text(resolved_yaml(plan))
    plan2 = make_plan(*load_spec(again), **places)
    assert plan2.spec.model_dump(mode="json") == spec.model_dump(mode="json")
    assert plan2.to_dict() == plan.to_dict()


@pytest.mark.parametrize("path", SPECS, ids=IDS)
def test_no_shipped_spec_gets_advice(path: Path, tmp_path: Path) -> None:
    """Their grids fit the models' blocks, and every model sees the domain of a steady problem."""
    spec, document = load_spec(path)
    plan = make_plan(spec, document, runs_dir=tmp_path, data_root=tmp_path)
    assert advice_on(plan, plan.steps) == []
