"""Options of components that a spec leaves at their default: `--set`, YAML and `extends` reach them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ups_core import SpecError
from ups_core.default_options import over_default
from ups_core.validate import load_spec

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "specs" / "smoke.yaml"


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("ups_train", reason="the core is tested alone")


def option(spec: Any, *path: str | int) -> Any:
    for key in path:
        spec = spec[key]
    return spec


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("pipeline.operator.optimizer.lr=1e-3", ("pipeline", 0, "optimizer", "lr"), 1e-3),
        ("pipeline.0.optimizer.lr=1e-3", ("pipeline", 0, "optimizer", "kind"), "muon_hybrid"),
        ("pipeline.operator.scheduler.warmup=0.3", ("pipeline", 0, "scheduler", "warmup"), 0.3),
        ("pipeline.operator.losses.relative_l2.weight=2.0", ("pipeline", 0, "losses", 0, "weight"), 2.0),
        ("pipeline.operator.losses.0.weight=2.0", ("pipeline", 0, "losses", 0, "weight"), 2.0),
        ("pipeline.test.baselines.fno.width=4", ("pipeline", 1, "baselines", 2, "width"), 4),
        ("pipeline.operator.checkpoints.keep=1", ("pipeline", 0, "checkpoints", "keep"), 1),
        ("pipeline.operator.compile.policy=require", ("pipeline", 0, "compile", "policy"), "require"),
        ("model.width=8", ("model", "width"), 8),
    ],
)
def test_an_option_of_a_default_can_be_set(change: str, path: tuple[str | int, ...], value: Any) -> None:
    spec, _ = load_spec(SMOKE, [change])
    assert option(spec.model_dump(mode="json"), *path) == value


def test_the_options_of_the_default_itself_stay() -> None:
    default = {"kind": "a", "x": 1, "y": 2}
    assert over_default(default, {"y": 3}) == {"kind": "a", "x": 1, "y": 3}
    assert over_default(default, {"kind": "b"}) == {"kind": "b"}
    assert over_default(["a", {"kind": "b", "x": 1}], {"b": {"y": 2}, "0": {"z": 3}}) == [
        {"kind": "a", "z": 3},
        {"kind": "b", "x": 1, "y": 2},
    ]
    assert over_default(["a"], {"c": {"y": 2}}) == {"c": {"y": 2}}
    assert over_default(None, {"y": 2}) == {"y": 2}


@pytest.mark.parametrize("written", ["optimizer: {lr: 1e-3}", "optimizer: adamw", "optimizer: {kind: adamw}"])
def test_a_file_that_extends_may_go_on(tmp_path: Path, written: str) -> None:
    base = SMOKE.read_text().replace("extends: ", f"extends: {SMOKE.parent}/")
    (tmp_path / "base.yaml").write_text(base)
    (tmp_path / "middle.yaml").write_text(f"extends: base.yaml\npipeline: {{operator: {{{written}}}}}\n")
    (tmp_path / "top.yaml").write_text(
        "extends: middle.yaml\npipeline: {operator: {optimizer: {weight_decay: 0.5}}}\n"
    )
    optimizer = load_spec(tmp_path / "top.yaml")[0].model_dump(mode="json")["pipeline"][0]["optimizer"]
    assert optimizer["weight_decay"] == 0.5
    assert optimizer["kind"] == ("muon_hybrid" if "lr" in written else "adamw")
    assert optimizer["lr"] == (1e-3 if "lr" in written else optimizer["lr"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("pipeline.operator.optimizer.lrr=1", "pipeline[0].optimizer.lrr: unknown key 'lrr'; did you mean 'lr'?"),
        ("launcher.lr=1", "launcher.lr: unknown key 'lr'; it has no options"),
        ("trainer.strategy.lr=1", "trainer.strategy.lr: unknown key 'lr'; it has no options"),
        ("pipeline.test.metrics.nrmse.x=1", "pipeline[1].metrics: unknown key 'x'"),
        ("pipeline.operator.losses.mse.weight=1", "pipeline[0].losses: expected a list, got a mapping"),
        (
            "pipeline.operator.model.width=8",
            "pipeline[0].model: missing key 'kind'; it has no default, so set pipeline.operator.model.kind before its options",
        ),
        ("tasks.new.x=8", "tasks.new: missing key 'kind'; it has no default, so set tasks.new.kind before its options"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_says_what_to_write(change: str, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        load_spec(SMOKE, [change])
    assert str(refused.value) == f"--set {change} {message}"
