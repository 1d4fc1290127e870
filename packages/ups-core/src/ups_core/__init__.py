"""UPS core: plugins, spec language, planner and runner. Knows neither torch nor PDEs."""

from ups_core.base_configs import (
    CallbackConfig,
    CommandConfig,
    LauncherConfig,
    LayoutConfig,
    LossConfig,
    MetricConfig,
    ModelConfig,
    OptimizerConfig,
    SchedulerConfig,
    SourceConfig,
    StrategyConfig,
    TaskConfig,
    TrackerConfig,
)
from ups_core.citation import Citation
from ups_core.component import Component, Registered, default_component, validate_options
from ups_core.config import Config
from ups_core.context import StepContext
from ups_core.errors import RestartRequested, SpecError, UPSError, UsageError
from ups_core.hookspecs import Register, hookimpl
from ups_core.step import Step, StepResult, Verdict
from ups_core.step_config import EvaluationConfig, Requirement, StageConfig, StepConfig
from ups_core.task import DataPlan, TaskProvider
from ups_core.tracker import TrackedRun, TrackedStep, Tracker

__all__ = [
    "CallbackConfig",
    "Citation",
    "CommandConfig",
    "Component",
    "Config",
    "DataPlan",
    "EvaluationConfig",
    "LauncherConfig",
    "LayoutConfig",
    "LossConfig",
    "MetricConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Register",
    "Registered",
    "Requirement",
    "RestartRequested",
    "SchedulerConfig",
    "SourceConfig",
    "SpecError",
    "StageConfig",
    "Step",
    "StepConfig",
    "StepContext",
    "StepResult",
    "StrategyConfig",
    "TaskConfig",
    "TaskProvider",
    "TrackedRun",
    "TrackedStep",
    "Tracker",
    "TrackerConfig",
    "UPSError",
    "UsageError",
    "Verdict",
    "default_component",
    "hookimpl",
    "validate_options",
]
