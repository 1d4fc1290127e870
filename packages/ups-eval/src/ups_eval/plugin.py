"""Registers metrics, evaluation steps and the command of ups-eval; imports neither torch nor matplotlib."""

from __future__ import annotations

from ups_core import Register, hookimpl
from ups_core.events import SeedsInfo, StudyInfo
from ups_eval.builtin_metrics import ENSEMBLE_METRICS, METRICS, PHYSICS_METRICS
from ups_eval.citations import OF_METRICS


@hookimpl
def ups_register_metrics(register: Register) -> None:
    """Register the metrics."""
    for name, (factory, summary) in (METRICS | PHYSICS_METRICS | ENSEMBLE_METRICS).items():
        cite = OF_METRICS.get(name, ())
        register(name, factory, config="ups_core:MetricConfig", summary=summary, cite=cite)


@hookimpl
def ups_register_evaluations(register: Register) -> None:
    """Register the evaluation steps."""
    register(
        "rollout",
        "ups_eval.rollout_step:RolloutStep",
        config="ups_eval.config:RolloutConfig",
        summary="metrics of the simulator and of baselines on autoregressive rollouts",
    )
    register(
        "ttc",
        "ups_eval.ttc.step:TTCStep",
        config="ups_eval.ttc.config:TTCConfig",
        summary="choices among candidates by physics, beside no, random and the best choice",
    )
    register(
        "observations",
        "ups_eval.observations.step:ObservationsStep",
        config="ups_eval.observations.config:ObservationsConfig",
        summary="what a prior infers from a few points of steady fields, beside classical methods",
    )
    register(
        "report",
        "ups_eval.report.step:ReportStep",
        config="ups_eval.config:ReportConfig",
        summary="one self-contained HTML page about the run",
    )

    register(
        "gate",
        "ups_eval.gate.step:GateStep",
        config="ups_eval.gate.config:GateConfig",
        summary="thresholds, and ratios to baselines, frozen references and the champion",
    )
    register(
        "leaderboard",
        "ups_eval.leaderboard.step:LeaderboardStep",
        config="ups_eval.leaderboard.config:LeaderboardConfig",
        summary="scores of many runs in one file, with a champion",
    )


@hookimpl
def ups_register_commands(register: Register) -> None:
    """Register the commands."""
    register(
        "verify",
        "ups_eval.verify.command:VerifyCommand",
        config="ups_core:CommandConfig",
        summary="prove that the numbers of a run follow from its files",
    )
    register(
        "eval",
        "ups_eval.command:EvalCommand",
        config="ups_core:CommandConfig",
        summary="print numbers of finished runs, render their reports again",
    )
    register(
        "compare",
        "ups_eval.compare.command:CompareCommand",
        config="ups_core:CommandConfig",
        summary="compare runs: differences, and whether they exceed the noise",
    )
    register(
        "leaderboard",
        "ups_eval.leaderboard.command:LeaderboardCommand",
        config="ups_core:CommandConfig",
        summary="show, export or promote the entries of a leaderboard",
    )


@hookimpl
def ups_study_finished(study: StudyInfo) -> None:
    """Draw `study.png`."""
    from ups_eval.study_figure import write_study_figure

    write_study_figure(study)


@hookimpl
def ups_seeds_finished(seeds: SeedsInfo) -> None:
    """Print and write what several seeds say together."""
    from ups_eval.compare.command import write_seeds

    print(f"seeds: {write_seeds(seeds.directory, seeds.runs)}")
