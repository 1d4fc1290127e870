"""UPS core: plug board, spec language, planner and runner. Knows neither torch nor PDEs."""

from ups_core.config import Component, Config, Registered, default_component
from ups_core.errors import SpecError, TryAgain, UPSError, UsageError
from ups_core.hookspecs import Register, hookimpl
from ups_core.step import DataPlan, ModelConfig, Requirement, Step, StepConfig, StepContext

__all__ = [
    "Component",
    "Config",
    "DataPlan",
    "ModelConfig",
    "Register",
    "Registered",
    "Requirement",
    "SpecError",
    "Step",
    "StepConfig",
    "StepContext",
    "TryAgain",
    "UPSError",
    "UsageError",
    "default_component",
    "hookimpl",
]
