"""Checks of a registered model, for the tests of plugins: no data files, a few seconds, no test framework.

Each check raises AssertionError with one line that says what is wrong. Usage with pytest::

    from ups_models.testing import CHECKS, ModelCase, check_model, registered_cases

    CASES = registered_cases(provider="my-distribution")

    @pytest.mark.parametrize("check", CHECKS)
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_model(case: ModelCase, check: str) -> None:
        check_model(case, check)
"""

from ups_models.testing.cases import ModelCase, registered_cases
from ups_models.testing.checks import CHECKS, check_model
from ups_models.testing.toys import perturb, toy_batch, toy_evolution, toy_statistics, toy_steady

__all__ = [
    "CHECKS",
    "ModelCase",
    "check_model",
    "perturb",
    "registered_cases",
    "toy_batch",
    "toy_evolution",
    "toy_statistics",
    "toy_steady",
]
