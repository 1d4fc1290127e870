"""Bundles: bit-exact round trip, nothing unpickled, damage named."""

from __future__ import annotations

import json
import math
import os
import pickle  # noqa: TID251 - to write a hostile file
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from toy_models import SMALL, component, perturbed, simulator
from toy_tasks import batch_of, evolution, statistics, steady
from ups_core import UPSError
from ups_core.sealed import read_sealed, write_sealed
from ups_core.sums import file_sum
from ups_data.prepare.conditions import Conditions
from ups_models.bundle import load_bundle, save_bundle
from ups_models.bundle_config import ARTIFACT, read_bundle_config
from ups_models.simulator import build_simulator


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


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_people_who_share_a_folder_can_read_it(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_bundle(tmp_path / "model", simulator("unet", steady()), component("unet"), "f" * 64)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()} == {0o666 & ~mask}


def test_missing_plugin_is_named(bundle: Path) -> None:
    edit(bundle, kind="acme/net", provider="acme")
    with pytest.raises(
        UPSError, match=r"'acme/net' of acme 0\.2\.0, which is not installed: pip install 'acme==0\.2\.0'"
    ):
        load_bundle(bundle)


def test_damage_is_named_with_file_and_size(bundle: Path) -> None:
    weights = bundle / "weights.safetensors"
    content = weights.read_bytes()
    for cut in (0, 5, len(content) // 2, len(content) - 1):
        weights.write_bytes(content[:cut])
        assert f"weights.safetensors has {cut} bytes instead of {len(content)}" in refused(bundle)
    for place in (0, 100, len(content) - 1):
        weights.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert "weights.safetensors does not match its checksum" in refused(bundle)
    weights.unlink()
    assert "weights.safetensors is missing" in refused(bundle)
    weights.symlink_to(bundle / "config.json")
    assert "weights.safetensors is a link" in refused(bundle)
    (bundle / "config.json").write_text("{")
    assert "is not readable JSON" in refused(bundle)
    (bundle / "config.json").write_text('{"schema": 9}')
    assert "has schema 9; this version reads schema 2" in refused(bundle)
    with pytest.raises(UPSError, match=r"is not a saved model \(config\.json missing\)"):
        load_bundle(bundle / "elsewhere")


def test_a_changed_digit_in_the_description_is_noticed(bundle: Path) -> None:
    path = bundle / "config.json"
    content = json.loads(path.read_text())
    content["statistics"]["wave"]["state"]["std"][0] *= 1e4
    path.write_text(json.dumps(content))
    assert "config.json does not match its checksum" in refused(bundle)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    sim = simulator("fno", evolution())
    with torch.no_grad():
        next(sim.parameters()).view(-1)[0] = value
    save_bundle(tmp_path, sim, component("fno"), "")
    assert "contains NaN or infinity in '" in refused(tmp_path)


@pytest.mark.parametrize("value", [0.0, -1.0, None])
def test_statistics_that_divide_by_nothing_are_refused(value: float | None, bundle: Path) -> None:
    known = read_bundle_config(bundle)["statistics"]
    known["wave"]["state"]["std"][0] = value
    edit(bundle, statistics=known)
    assert "config.json is damaged" in refused(bundle)


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


def edit(bundle: Path, **changes: Any) -> None:
    """Change `config.json`, its checksum included; None removes a key."""
    path = bundle / "config.json"
    config = read_sealed(path) | changes
    write_sealed(path, {key: value for key, value in config.items() if value is not None})


def refused(bundle: Path) -> str:
    """The one line that loading gives."""
    with pytest.raises(UPSError) as caught:
        load_bundle(bundle)
    line = str(caught.value)
    assert "\n" not in line
    assert str(bundle) in line
    return line


def test_a_bundle_says_which_artifact_it_is(bundle: Path) -> None:
    config = read_bundle_config(bundle)
    assert config["artifact"] == ARTIFACT == "simulator"
    edit(bundle, artifact="prior")
    assert "contains a prior, not a simulator; choose a directory of a simulator" in refused(bundle)


@pytest.mark.parametrize(
    "provider", ["a'; rm -rf ~; '", "a b", "$(id)", "-r/etc/passwd", "a\nb", "../a", 3, ""]
)
@pytest.mark.parametrize("key", ["provider", "version"])
def test_only_names_of_packages_are_printed_for_a_shell(bundle: Path, key: str, provider: object) -> None:
    edit(bundle, **{"kind": "acme/net", key: provider})
    with pytest.raises(UPSError, match="which is not installed: ") as refused:
        load_bundle(bundle)
    assert "pip install" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["kind", "options", "provider", "version", "tasks", "statistics", "weights"])
def test_a_missing_key_is_named(bundle: Path, key: str) -> None:
    edit(bundle, **{key: None})
    assert f"config.json is damaged ('{key}' missing); save the model again" in refused(bundle)


@pytest.mark.parametrize(
    "damage",
    [
        {"tasks": []},
        {"tasks": {"wave": {"name": "wave"}}},
        {"tasks": {"wave": 3}},
        {"statistics": {"wave": {"state": {}}}},
        {"statistics": {"wave": None}},
        {"statistics": {}},
    ],
    ids=str,
)
def test_a_damaged_description_is_one_line(bundle: Path, damage: dict[str, Any]) -> None:
    edit(bundle, **damage)
    assert "config.json is damaged" in refused(bundle)


@pytest.mark.parametrize("content", ["[]", "3", '"text"', "null", "{}"])
def test_json_that_is_no_description(bundle: Path, content: str) -> None:
    (bundle / "config.json").write_text(content)
    assert "config.json has schema None; this version reads schema 2" in refused(bundle)


def test_options_of_another_version_name_the_version_to_install(bundle: Path) -> None:
    options = read_bundle_config(bundle)["options"]
    edit(bundle, options=options | {"depth_2d": 3, "rank": 1}, version="0.1.0")
    line = refused(bundle)
    assert "was written by ups-models 0.1.0 with options that this version does not read" in line
    assert "depth_2d" in line
    assert "rank" in line
    assert line.endswith("pip install 'ups-models==0.1.0'")


def test_weights_of_another_model_are_refused(bundle: Path, tmp_path: Path) -> None:
    task = evolution()
    save_bundle(tmp_path / "fno", simulator("fno", task), component("fno"), "")
    (tmp_path / "fno/weights.safetensors").rename(bundle / "weights.safetensors")
    assert "weights.safetensors has " in refused(bundle), "another size than that of this model's"
    edit(bundle, weights=file_sum(bundle / "weights.safetensors")._asdict())
    assert "does not contain the weights of this model: " in refused(bundle)
    assert len(refused(bundle)) < 600, "hundreds of names of weights would hide the message"


def test_a_folder_in_the_place_of_a_file(bundle: Path) -> None:
    (bundle / "config.json").unlink()
    (bundle / "config.json").mkdir()
    assert "config.json is not a regular file" in refused(bundle)


def test_a_failed_save_leaves_the_old_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("ups_models.bundle.save_file", full)
    with pytest.raises(OSError, match="no space"):
        save_bundle(bundle, simulator("fno", evolution()), component("fno"), "new")
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_loaded_builtis_ready_to_predict(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert not loaded.training
    assert {weight.device.type for weight in loaded.parameters()} == {"cpu"}
    assert list(loaded.tasks) == ["wave", "flow"]
    assert loaded.tasks["wave"] == evolution()
    assert loaded.statistics["flow"] == statistics(steady())


def test_views_and_half_precision_weights_are_saved(tmp_path: Path) -> None:
    """Weights may share memory or be laid out for speed; the file has plain tensors."""
    task = steady()
    sim = simulator("unet", task)
    assert any(not weight.is_contiguous() for weight in sim.network.state_dict().values())
    save_bundle(tmp_path, sim, component("unet"), "")
    batch = batch_of(task)
    with torch.no_grad():
        assert torch.equal(load_bundle(tmp_path).step(batch), sim.step(batch))


def test_a_bundle_knows_its_grid_points_and_what_training_varied(tmp_path: Path) -> None:
    task = replace(evolution(cells=16), points=((0.0, 0.9375),))
    varied = Conditions(((0.5, 0.5),), (False,), (0.1, 0.1), augmented=False)
    scale = replace(statistics(task), conditions=varied)
    model = component("fno")
    save_bundle(tmp_path, build_simulator(model, {task.name: task}, {task.name: scale}), model, "abc")
    loaded = load_bundle(tmp_path)
    assert loaded.statistics[task.name].conditions == varied
    known = loaded.tasks[task.name]
    assert known.shape == (16,)
    assert known.axes == (tuple(number / 16 for number in range(16)),)
    assert known.spacing == (1 / 16,)


def test_the_mean_field_is_saved(tmp_path: Path) -> None:
    task = steady(cells=4)
    scale = replace(statistics(task), mean_field=tuple(number / 7 for number in range(16)))
    model = component("mean")
    built = build_simulator(model, {task.name: task}, {task.name: scale})
    save_bundle(tmp_path, built, model, "abc")
    batch = batch_of(task)
    assert torch.equal(load_bundle(tmp_path).step(batch), built.step(batch))
