"""The operator's objective on toy tasks: losses, depth, noise, augmentation, scores, export."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toy_models import component
from toy_tasks import batch_of, evolution, statistics, steady
from ups_core import validate_options
from ups_data.batches.batch import FieldBatch
from ups_data.batches.symmetry import augment
from ups_data.info import TaskInfo
from ups_data.prepare.opening import TaskData
from ups_models.bundle import load_bundle
from ups_models.simulator import feed_back
from ups_models.testing import perturb
from ups_train.engine.objective import ObjectiveInputs
from ups_train.stages.latent_consistency import latent_consistency
from ups_train.stages.operator import OperatorObjective, create_losses
from ups_train.stages.operator_config import OperatorConfig
from ups_train.stages.training_start import noise_like

SYMMETRIC = replace(evolution(), symmetries=("translation", "sign"))
WAVE, FLOW = batch_of(evolution()), batch_of(steady())
MSE = [{"kind": "mse"}]


def config(**options: Any) -> OperatorConfig:
    """Without augmentation and curriculum, by the mean square error, where not said otherwise."""
    return validate_options(OperatorConfig, {"augment": False, "curriculum": 0.0, "losses": MSE, **options})


def objective(*tasks: TaskInfo, model: str = "latent_operator", **options: Any) -> OperatorObjective:
    """With the same weights every time, none of which is zero."""
    tasks = tasks or (evolution(), steady())
    data = {task.name: TaskData(task, None, statistics(task), None) for task in tasks}  # type: ignore[arg-type]
    torch.manual_seed(0)
    made = OperatorObjective(config(**options), ObjectiveInputs(component(model), data, fingerprint="f"))
    perturb(made.network)
    return made


def part(batch: FieldBatch, *rows: int) -> FieldBatch:
    """Some samples of a batch."""
    return batch.rows(torch.tensor(rows))


def perfect(made: OperatorObjective, batch: FieldBatch, shift: float = 0.0) -> FieldBatch:
    """The batch with what the network predicts as its target."""
    with torch.no_grad():
        prediction = made.simulator.rollout(batch, batch.target.shape[1])
    return replace(batch, target=prediction + shift)


# Losses


@pytest.mark.parametrize("batch", [WAVE, FLOW], ids=["evolution", "steady"])
@pytest.mark.parametrize("unroll", [1, 3])
def test_a_perfect_prediction_has_loss_zero(batch: FieldBatch, unroll: int) -> None:
    made = objective(unroll=unroll)
    assert made.loss(perfect(made, batch), 0, 1.0).item() == pytest.approx(0, abs=1e-12)
    assert made.loss(perfect(made, batch, shift=1.0), 0, 1.0).item() > 1e-3


def test_losses_see_normalised_fields() -> None:
    made = objective()
    scale = torch.tensor(statistics(evolution()).target.std)
    loss = made.loss(perfect(made, WAVE, shift=1.0), 0, 1.0)
    assert loss.item() == pytest.approx((1 / scale**2).mean().item(), rel=1e-4)


@pytest.fixture(scope="module")
def fno() -> OperatorObjective:
    """One for all examples of a property: to make it takes longer than to use it."""
    return objective(model="fno")


@given(first=st.floats(0, 10), second=st.floats(0, 10))
def test_losses_are_a_weighted_sum(first: float, second: float, fno: OperatorObjective) -> None:
    kinds = ("mse", first), ("relative_l2", second)
    listed = validate_options(
        OperatorConfig, {"losses": [{"kind": kind, "weight": weight} for kind, weight in kinds]}
    )
    losses = create_losses(listed.losses)
    assert [weight for weight, _ in losses] == [first, second]
    fno.losses = losses
    target = WAVE.target
    found = fno.compare(WAVE, target + 1, target)
    scaled = fno.simulator.normaliser("wave").target_scaled
    expected = sum(weight * term(scaled(target + 1), scaled(target)).item() for weight, term in losses)
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    "option", [{"latent_unroll": 2}, {"consistency": 0.5}], ids=["latent rollout", "consistency"]
)
def test_losses_of_the_latent_space_are_added(option: dict[str, Any]) -> None:
    plain, made = objective(), objective(**option)
    difference = made.loss(WAVE, 0, 1.0) - plain.loss(WAVE, 0, 1.0)
    if "consistency" in option:
        expected = 0.5 * latent_consistency(made.simulator, WAVE)
    else:
        expected = made.compare(WAVE, made.simulator.latent_rollout(WAVE, 2), WAVE.target[:, :2])
    assert torch.allclose(difference, expected, rtol=1e-4)
    assert difference > 0


def test_steady_tasks_have_one_step_without_noise_and_latent_losses() -> None:
    plain = objective()
    rich = objective(unroll=3, pushforward=2, noise=0.5, latent_unroll=2, consistency=0.5)
    assert torch.equal(plain.loss(FLOW, 0, 1.0), rich.loss(FLOW, 0, 1.0))


# Depth


@pytest.mark.parametrize("unroll", [1, 2, 4])
def test_unrolled_losses_see_every_step(unroll: int) -> None:
    made = objective(unroll=unroll)
    expected = made.compare(WAVE, made.simulator.rollout(WAVE, unroll), WAVE.target[:, :unroll])
    assert torch.equal(made.loss(WAVE, 0, 1.0), expected)


def test_the_curriculum_starts_with_one_step() -> None:
    deep, flat = objective(unroll=3, pushforward=1, curriculum=0.5), objective()
    for seed in range(5):
        assert torch.equal(deep.loss(WAVE, seed, 0.0), flat.loss(WAVE, seed, 0.0))
    assert not torch.equal(deep.loss(WAVE, 0, 0.5), flat.loss(WAVE, 0, 0.5))


def test_pushforward_steps_carry_no_gradient() -> None:
    """The loss is that of an ordinary step from the frames that the network has predicted."""
    made = objective(pushforward=2)
    depths = set()
    for seed in range(12):
        made.zero_grad()
        loss = made.loss(WAVE, seed, 1.0)
        loss.backward()
        gradients = [weight.grad for weight in made.network.parameters()]
        candidates = {}
        for depth in range(3):
            with torch.no_grad():
                start = WAVE
                if depth:
                    start = feed_back(WAVE, made.simulator.rollout(WAVE, depth))
            step = made.simulator.rollout(start, 1)
            candidates[depth] = made.compare(WAVE, step, WAVE.target[:, depth : depth + 1])
        depth = next(depth for depth, value in candidates.items() if torch.equal(value, loss))
        depths.add(depth)
        wanted = torch.autograd.grad(candidates[depth], list(made.network.parameters()), allow_unused=True)
        for ours, theirs in zip(gradients, wanted, strict=True):
            assert (ours is None) == (theirs is None)
            assert ours is None or theirs is None or torch.equal(ours, theirs)
    assert depths == {0, 1, 2}


# Noise


def test_noise_is_a_function_of_seed_and_trajectory() -> None:
    state = noise_like(WAVE, 1)
    assert state.shape == WAVE.state.shape
    assert torch.equal(state, noise_like(WAVE, 1))
    assert not torch.equal(state, noise_like(WAVE, 2))
    assert not torch.equal(state[0], state[1])
    same = replace(WAVE, index=torch.full_like(WAVE.index, 7))
    twice = noise_like(same, 1)
    assert torch.equal(twice[0], twice[1])


@given(rows=st.lists(st.integers(0, 2), min_size=1, max_size=5), seed=st.integers(0, 2**63 - 1))
def test_noise_does_not_depend_on_the_other_samples(rows: list[int], seed: int) -> None:
    assert torch.equal(noise_like(part(WAVE, *rows), seed), noise_like(WAVE, seed)[rows])


def test_noise_is_standard_normal() -> None:
    many = batch_of(evolution(cells=512), size=8)
    noise = noise_like(many, 3)
    assert abs(noise.mean().item()) < 0.02
    assert noise.std().item() == pytest.approx(1.0, abs=0.02)


def test_noise_has_the_scale_of_each_channel() -> None:
    made = objective(noise=0.25)
    seen: list[Tensor] = []

    def note(batch: FieldBatch, steps: int) -> Tensor:
        seen.append(batch.state - WAVE.state)
        return WAVE.target[:, :steps]

    made.simulator.rollout = note  # type: ignore[method-assign]
    made.loss(WAVE, 5, 1.0)
    (noise,) = seen
    relative = noise / 0.25 / torch.tensor(statistics(evolution()).state.std).reshape(1, 1, 2, 1)
    assert relative.std().item() == pytest.approx(1.0, abs=0.1)
    assert relative[:, :, 0].std().item() == pytest.approx(relative[:, :, 1].std().item(), rel=0.2)


def test_targets_are_not_disturbed() -> None:
    made = objective(noise=0.25)
    before = copy.deepcopy(WAVE)
    loss = made.loss(WAVE, 5, 1.0)
    assert torch.equal(loss, made.loss(WAVE, 5, 1.0))
    assert not torch.equal(loss, made.loss(WAVE, 6, 1.0))
    assert torch.equal(WAVE.state, before.state)
    assert torch.equal(WAVE.target, before.target)


# Augmentation


def test_augmentation_follows_the_option_and_the_seed() -> None:
    batch = batch_of(SYMMETRIC)
    plain, augmented = objective(SYMMETRIC), objective(SYMMETRIC, augment=True)
    assert len({plain.loss(batch, seed, 1.0).item() for seed in range(4)}) == 1
    found = [augmented.loss(batch, seed, 1.0).item() for seed in range(4)]
    assert len(set(found)) > 1
    assert found == [augmented.loss(batch, seed, 1.0).item() for seed in range(4)]


def test_tasks_without_symmetries_are_not_augmented() -> None:
    plain, augmented = objective(), objective(augment=True)
    assert torch.equal(plain.loss(WAVE, 1, 1.0), augmented.loss(WAVE, 1, 1.0))


@given(seed=st.integers(0, 2**63 - 1), row=st.integers(0, 2))
def test_a_sample_is_augmented_in_the_same_way_in_any_batch(seed: int, row: int) -> None:
    batch = batch_of(SYMMETRIC)
    alone, together = augment(part(batch, row), SYMMETRIC, seed), augment(batch, SYMMETRIC, seed)
    assert torch.equal(alone.state[0], together.state[row])
    assert torch.equal(alone.target[0], together.target[row])


def test_losses_of_parts_average_to_that_of_the_batch() -> None:
    """What is drawn does not depend on how a batch is split into micro-batches."""
    made = objective(SYMMETRIC, augment=True, noise=0.1, pushforward=2, unroll=2)
    batch = batch_of(SYMMETRIC)
    for seed in range(3):
        complete = made.loss(batch, seed, 1.0)
        parts = torch.stack([made.loss(part(batch, row), seed, 1.0) for row in range(3)])
        assert torch.allclose(parts.mean(), complete, rtol=1e-4)


# Scores


def test_a_perfect_prediction_has_score_zero() -> None:
    made = objective()
    for batch in (WAVE, FLOW):
        made.validate(made.network, perfect(made, batch))
    scores = made.scores()
    assert set(scores) == {"val/wave/nrmse", "val/flow/nrmse", "val/nrmse"}
    assert all(float(score) < 1e-6 for score in scores.values())


def test_the_score_is_the_relative_error_of_rollouts_in_physical_units() -> None:
    made = objective()
    batch = perfect(made, WAVE)
    batch = replace(batch, target=batch.target / 1.5)
    made.validate(made.network, batch)
    made.validate(made.network, perfect(made, FLOW))
    scores = made.scores()
    assert float(scores["val/wave/nrmse"]) == pytest.approx(0.5, rel=1e-4)
    assert float(scores["val/nrmse"]) == pytest.approx(0.25, rel=1e-4)


def test_scores_are_of_the_given_network() -> None:
    made = objective()
    other = copy.deepcopy(made.network)
    perturb(other, seed=9)
    batch = perfect(made, WAVE)
    for network, small in ((made.network, True), (other, False)):
        made.validate(network, batch)
        made.validate(network, perfect(made, FLOW))
        assert (float(made.scores()["val/wave/nrmse"]) < 1e-6) is small


def test_batches_of_weight_zero_do_not_count_but_are_run() -> None:
    made = objective()
    runs: list[int] = []
    made.network.register_forward_hook(lambda *given: runs.append(1))
    for batch in (WAVE, FLOW):
        made.validate(made.network, perfect(made, batch))
    before = len(runs)
    made.validate(made.network, replace(WAVE, loss_weight=0.0))
    assert len(runs) == before + WAVE.target.shape[1]
    assert float(made.scores()["val/nrmse"]) < 1e-6


def test_scores_start_again() -> None:
    made = objective()
    made.validate(made.network, WAVE)
    made.validate(made.network, FLOW)
    first = made.scores()
    for batch in (WAVE, FLOW):
        made.validate(made.network, perfect(made, batch))
    second = made.scores()
    assert float(first["val/nrmse"]) > 1e-3
    assert float(second["val/nrmse"]) < 1e-6


def test_scores_do_not_depend_on_the_cut_into_batches() -> None:
    made = objective()
    found = []
    for cut in ([(0, 1, 2)], [(0,), (1, 2)], [(2,), (1,), (0,)]):
        for rows in cut:
            made.validate(made.network, part(WAVE, *rows))
        made.validate(made.network, FLOW)
        found.append(float(made.scores()["val/wave/nrmse"]))
    assert found == pytest.approx([found[0]] * 3, rel=1e-5)


# Export


@pytest.mark.parametrize("model", ["latent_operator", "fno", "unet"])
def test_an_exported_simulator_predicts_the_same(model: str, tmp_path: Path) -> None:
    made = objective(model=model)
    other = copy.deepcopy(made.network)
    perturb(other, seed=9)
    made.export(other, tmp_path / "model")
    loaded = load_bundle(tmp_path / "model")
    made.simulator.network = other
    with torch.no_grad():
        for batch in (WAVE, FLOW):
            assert torch.equal(loaded.rollout(batch, 1), made.simulator.eval().rollout(batch, 1))
    assert loaded.tasks == made.simulator.tasks
    assert loaded.statistics == made.simulator.statistics


def test_normalisation_is_not_trained() -> None:
    made = objective()
    trained = {id(weight) for weight in made.network.parameters()}
    assert {id(weight) for weight in made.parameters()} == trained
