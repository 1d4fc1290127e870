"""Facts about every trainable model, those of installed plugins included: a new model gets these tests for free."""

from __future__ import annotations

import pytest

from toy_models import SMALL
from ups_core.plugin_loader import registry_in_use
from ups_models.testing import CHECKS, ModelCase, check_model, registered_cases

BLOCK = 4
"""Cells per axis of a block on the coarsest grid of the latent operator, with patches of two cells."""
OPERATOR = SMALL["latent_operator"] | {"patch": 2}
KNOWN = [
    *(
        ModelCase("latent_operator", OPERATOR | {"trunk": trunk}, shift=BLOCK)
        for trunk in ("multiscale", "pdet_stack", "pdet_unet")
    ),
    ModelCase("fno", SMALL["fno"], shift=1),
    ModelCase("unet", SMALL["unet"], shift=2),
    ModelCase("unet", SMALL["unet"] | {"levels": {"1": 4, "2": 3, "3": 2}, "blocks": 2}, shift=8),
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", registered_cases(KNOWN), ids=str)
def test_model(case: ModelCase, check: str) -> None:
    check_model(case, check)


def test_no_trainable_model_is_left_out() -> None:
    covered = {case.kind for case in registered_cases(KNOWN)}
    entries = registry_in_use().entries("models")
    trainable = {entry.name for entry in entries if getattr(entry.load_config(), "trainable", True)}
    assert covered == trainable
    assert {"latent_operator", "fno", "unet"} <= covered
    assert not {"persistence", "mean"} & covered


def test_a_model_without_a_case_of_its_own_gets_the_default_one() -> None:
    cases = registered_cases(
        [ModelCase("fno", {"width": 4}), ModelCase("absent/model")], provider="ups-models"
    )
    assert [case.kind for case in cases] == ["fno", "latent_operator", "unet"]
    assert cases[0].options == {"width": 4}
    assert cases[1] == ModelCase("latent_operator")
    assert registered_cases(provider="nobody") == []
