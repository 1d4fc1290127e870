"""Bundles: bit-exact round trip, nothing unpickled, damage named."""

from __future__ import annotations

import json
import pickle  # noqa: TID251 - to write a hostile file
from pathlib import Path

import pytest
import torch

from toy_models import SMALL, component, perturbed, simulator
from toy_tasks import batch_of, evolution, steady
from ups_core import UPSError
from ups_models.bundle import load_bundle, save_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    sim = perturbed(simulator("latent_operator", evolution(), steady()))
    save_bundle(tmp_path / "model", sim, component("latent_operator"), "f" * 64)
    return tmp_path / "model"


@pytest.mark.parametrize("kind", SMALL)
def test_round_trip_predicts_the_same_bits(kind: str, tmp_path: Path) -> None:
    tasks = evolution(), steady()
    sim = perturbed(simulator(kind, *tasks)).eval()
    save_bundle(tmp_path, sim, component(kind), "abc")
    before = torch.get_rng_state()
    loaded = load_bundle(tmp_path)
    assert torch.equal(torch.get_rng_state(), before), "loading moves no random stream"
    for task in tasks:
        batch = batch_of(task)
        with torch.no_grad():
            assert torch.equal(
                loaded.rollout(batch, batch.target.shape[1]), sim.rollout(batch, batch.target.shape[1])
            )
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["provider"] == "ups-models"
    assert config["fingerprint"] == "abc"
    assert config["parameters"] == sim.parameter_count()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]


def test_missing_plugin_is_named(bundle: Path) -> None:
    path = bundle / "config.json"
    path.write_text(
        path.read_text().replace('"latent_operator"', '"acme/net"').replace('"ups-models"', '"acme"')
    )
    with pytest.raises(
        UPSError, match=r"'acme/net' of acme 0\.2\.0, which is not installed: pip install 'acme==0\.2\.0'"
    ):
        load_bundle(bundle)


def test_damage_is_named_with_file_and_size(bundle: Path) -> None:
    weights = bundle / "weights.safetensors"
    content = weights.read_bytes()
    for cut in (0, 5, len(content) // 2, len(content) - 1):
        weights.write_bytes(content[:cut])
        with pytest.raises(UPSError, match=rf"weights\.safetensors \({cut} bytes\) does not contain"):
            load_bundle(bundle)
    weights.unlink()
    with pytest.raises(UPSError, match=r"is not a saved model \(weights\.safetensors missing\)"):
        load_bundle(bundle)
    (bundle / "config.json").write_text("{")
    with pytest.raises(UPSError, match="is not readable JSON"):
        load_bundle(bundle)
    (bundle / "config.json").write_text('{"schema": 9}')
    with pytest.raises(UPSError, match="has schema 9; this version reads schema 1"):
        load_bundle(bundle)
    with pytest.raises(UPSError, match=r"is not a saved model \(config\.json missing\)"):
        load_bundle(bundle / "elsewhere")


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("owned"),))


def test_hostile_pickle_is_not_executed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("weights.safetensors", "config.json"):
        (bundle / name).write_bytes(pickle.dumps(Hostile()))
        with pytest.raises(UPSError):
            load_bundle(bundle)
    assert not (tmp_path / "owned").exists()
