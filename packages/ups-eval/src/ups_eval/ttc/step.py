"""The step `ttc`: a choice among candidates, beside no choice, chance, their mean and an oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ups_core import StepContext, UPSError
from ups_eval.physics_metrics import Problem
from ups_eval.random_errors import WithoutSampling
from ups_eval.score_step import Entrants, ScoreStep
from ups_eval.ttc.choices import BestOfN, Combined, Iterated
from ups_eval.ttc.config import ITERATIONS, REFINED, TTCConfig
from ups_eval.ttc.rewards import create_penalty, true_error
from ups_models.bundle import load_bundle
from ups_models.bundle_config import read_bundle_config, weights_sum
from ups_models.device import choose_device

if TYPE_CHECKING:
    from ups_data.prepare.opening import TaskData
    from ups_models.simulator import Simulator


class TTCStep(ScoreStep):
    """Scores uses of one stochastic simulator that differ in what they compute at test time."""

    config: TTCConfig

    def entrants(self, context: StepContext, data: Mapping[str, TaskData]) -> Entrants:
        """See :class:`ScoreStep`; only predictions without a choice follow from the weights alone.

        Raises:
            UPSError: the model draws no candidates, or a task has no such reward.
        """
        config = self.config
        bundle = context.inputs["simulator"] / "model"
        described = read_bundle_config(bundle)
        simulator = load_bundle(bundle).to(choose_device(context.spec.trainer.accelerator))
        if not simulator.stochastic:
            raise UPSError(
                f"a {described['kind']} makes one prediction, which leaves nothing to choose from; name an "
                "ensemble, a flow, a student or a prior in needs"
            )
        problems = {
            name: Problem(opened.problem(config.split), opened.solver)
            for name, opened in data.items()
            if name in simulator.tasks
        }
        penalties = {name: create_penalty(config.reward, problem) for name, problem in problems.items()}
        candidates = config.members, config.beam, config.seed
        choice = BestOfN(simulator, problems, penalties.__getitem__, *candidates)
        random_choice = BestOfN(simulator, problems, lambda task: true_error, 1, 1, config.seed)
        oracle = BestOfN(simulator, problems, lambda task: true_error, config.members, 1, config.seed)
        single = WithoutSampling(simulator)
        entrants: dict[str, Simulator] = {
            "choice": choice,
            "no_choice": single,
            "random_choice": random_choice,
            "mean_of_candidates": simulator,
            "oracle_choice": oracle,
            "combined": Combined(simulator, problems, config.members, config.seed),
        }
        for count in config.refine:
            entrants[f"{REFINED}{count}"] = Iterated(single, problems, count, zero=False)
            entrants[f"{ITERATIONS}{count}"] = Iterated(single, problems, count, zero=True)
        weights = weights_sum(described)
        return Entrants(entrants, {"no_choice": weights, "mean_of_candidates": weights})
