"""Options of models: one value per dimension, former keys, checks against the grid, nothing heavy imported."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from toy_tasks import evolution, steady
from ups_core import ModelConfig, validate_options
from ups_core.plugin_loader import registry_in_use
from ups_models.config import FNOConfig, LatentOperatorConfig, MeanConfig, PersistenceConfig, UNetConfig
from ups_models.per_dimension import PerDimension, PerDimensionConfig, at, by_dimension, key_at


class Net(PerDimensionConfig):
    """Options with values per dimension."""

    size: PerDimension = by_dimension(7, 5)
    """Cells."""
    depth: PerDimension = by_dimension(1, 3)
    """Blocks."""


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({}, [7, 5, 5]),
        ({"size": 9}, [9, 9, 9]),
        ({"size": {"1": 3}}, [3, 5, 5]),
        ({"size": {"2": 3}}, [7, 3, 3]),
        ({"size": {"3": 2}}, [7, 5, 2]),
        ({"size": {"1": 1, "2": 2, "3": 3}}, [1, 2, 3]),
    ],
)
def test_values_by_dimension(given: dict[str, Any], sizes: list[int]) -> None:
    config = validate_options(Net, given)
    assert [at(config.size, dim) for dim in (1, 2, 3)] == sizes
    assert [at(config.depth, dim) for dim in (1, 2, 3)] == [1, 3, 3], "other options keep their defaults"


@given(values=st.dictionaries(st.integers(1, 3), st.integers(1, 99), max_size=3))
def test_saved_options_are_read_back(values: dict[int, int]) -> None:
    config = Net(size=values)
    again = validate_options(Net, json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert list(config.size) == sorted(config.size), "one spelling, so one fingerprint"


@given(values=st.dictionaries(st.integers(2, 3), st.integers(1, 99)), dim=st.integers(1, 3))
def test_a_dimension_without_a_value_takes_the_next_lower_one(values: dict[int, int], dim: int) -> None:
    complete = {1: 50} | values
    key = key_at(complete, dim)
    assert key <= dim
    assert not any(key < other <= dim for other in complete)
    assert at(complete, dim) == complete[key]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "greater than or equal to 1"),
        ({"1": 0}, "greater than or equal to 1"),
        ({"4": 3}, "less than or equal to 3"),
        ({"0": 3}, "greater than or equal to 1"),
        ({"two": 3}, "valid integer"),
        ({"1": "3"}, "valid integer"),
        (True, r"expected an integer, or one per grid dimension such as \{1: 7, 2: 5\}, not"),
        ("7", r"expected an integer, or one per grid dimension such as \{1: 7, 2: 5\}, not"),
        (1.5, r"expected an integer, or one per grid dimension such as \{1: 7, 2: 5\}, not"),
        ([3], r"expected an integer, or one per grid dimension such as \{1: 7, 2: 5\}, not"),
    ],
)
def test_wrong_values(size: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        validate_options(Net, {"size": size})


def test_options_are_frozen_and_their_schema_shows_both_spellings() -> None:
    config = Net()
    with pytest.raises(ValidationError, match="frozen"):
        config.size = {1: 3}
    schema = Net.model_json_schema()["properties"]["size"]
    assert [choice["type"] for choice in schema["anyOf"]] == ["integer", "object"]
    assert schema["default"] == {"1": 7, "2": 5}


@pytest.mark.parametrize("key", ["depth_2d", "middle_blocks_2d", "local_width_2d", "patch_2d", "kernel_2d"])
def test_former_keys_of_the_operator_name_the_new_ones(key: str) -> None:
    name = key.removesuffix("_2d")
    assert LatentOperatorConfig.former_keys[key] == f"renamed to '{name}: {{2: ...}}' in 0.2"
    assert name in LatentOperatorConfig.model_fields
    assert key not in LatentOperatorConfig.model_fields


def test_former_keys_of_the_fno() -> None:
    assert FNOConfig.former_keys["modes_2d"] == "renamed to 'modes: {2: ...}' in 0.2"


def test_capabilities() -> None:
    trainable = {config: config.trainable for config in (FNOConfig, UNetConfig, LatentOperatorConfig)}
    assert all(trainable.values())
    assert not PersistenceConfig.trainable
    assert not MeanConfig.trainable
    assert LatentOperatorConfig.latent
    assert not FNOConfig.latent


def test_plan_checks_name_the_grid() -> None:
    tasks = {"a": evolution("a", cells=64), "b": steady("b", cells=16)}
    assert FNOConfig(modes={1: 32, 2: 8}).check(tasks) == []
    assert FNOConfig(modes={1: 33, 2: 9}).check(tasks) == [
        ("modes.1", "33 modes need 66 cells; task 'a' has 64 (at most 32 modes)"),
        ("modes.2", "9 modes need 18 cells; task 'b' has 16 (at most 8 modes)"),
    ]
    assert UNetConfig(levels=6).check(tasks) == [
        (
            "levels.1",
            "task 'a' has 64 cells along an axis; a periodic convolution of 7 cells on blocks of 32 needs at "
            "least 96; use fewer levels",
        )
    ]
    config = LatentOperatorConfig(trunk="pdet_stack", kernel=4, width=30, heads=4)
    assert config.check({"b": tasks["b"]}) == [
        ("kernel.1", "kernel 4 is even; use an odd one, which keeps the grid"),
        ("kernel.2", "kernel 4 is even; use an odd one, which keeps the grid"),
        ("heads", "heads 4 does not divide width 30; use a divisor"),
    ]
    assert LatentOperatorConfig(width=30, heads=4).check(tasks) == [], "the multi-scale trunk has no heads"


def test_a_mode_option_is_reported_under_the_key_that_counts() -> None:
    cube = {"c": evolution("c", dim=3, cells=8)}
    assert FNOConfig(modes={1: 4, 2: 5}).check(cube)[0][0] == "modes.2"
    assert FNOConfig(modes={1: 4, 2: 3, 3: 5}).check(cube)[0][0] == "modes.3"
    assert FNOConfig(modes={1: 99, 2: 99, 3: 4}).check(cube) == []


def test_a_grid_that_is_not_square_counts_by_its_shortest_axis() -> None:
    from dataclasses import replace

    plane = replace(steady("p", cells=16), shape=(16, 10))
    assert FNOConfig(modes=5).check({"p": plane}) == []
    assert "'p' has 10" in FNOConfig(modes=6).check({"p": plane})[0][1]
    circle = replace(evolution("p", dim=2), shape=(64, 8))
    assert UNetConfig(levels=2).check({"p": circle}) == []
    assert "'p' has 8 cells" in UNetConfig(levels=3).check({"p": circle})[0][1]


def test_planning_imports_no_torch() -> None:
    code = (
        "import sys, json, ups_models.plugin, ups_models.config, ups_models.per_dimension;"
        "print(json.dumps([m for m in ('torch', 'numpy', 'safetensors') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_every_registered_model_can_be_loaded_and_says_what_it_is() -> None:
    own = [
        entry for entry in registry_in_use().entries("models") if entry.provider.distribution == "ups-models"
    ]
    assert [entry.name for entry in own] == ["fno", "latent_operator", "mean", "persistence", "unet"]
    for entry in own:
        assert callable(entry.load())
        assert entry.load_config().__doc__
        undocumented = [
            name for name, field in entry.load_config().model_fields.items() if not field.description
        ]
        assert not undocumented, "`ups show` is the documentation of an option"


@pytest.mark.parametrize("config", [FNOConfig, UNetConfig, LatentOperatorConfig])
def test_uneven_grids_are_refused(config: type[ModelConfig]) -> None:
    uneven = replace(evolution(), points=(tuple((point / 15) ** 2 for point in range(16)),), shape=(16,))
    problems = dict(config().check({"toy": uneven}))
    assert "points along axis 0 are not evenly spaced" in problems["kind"]
    assert "kind" not in dict(config().check({"toy": evolution()}))
