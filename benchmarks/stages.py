"""What samples best: ensemble, residual flow or its student, where the future is uncertain.

Each case has a part of its problem hidden, so that one start has many futures. An operator is trained first;
then, for equal seconds, it trains on, an ensemble starts from it (one for every score), and a flow learns its
residual; a student of the flow trains for the same seconds more. A step of every training runs as many
windows through the network: an ensemble of 4 has a quarter of the batch. All are scored by the same number of
members on the test split, beside the operator alone, the operator with errors of random training
trajectories, and samples of the exact posterior where it is known.

    .venv/bin/python benchmarks/stages.py                  # all cases, three seeds
    .venv/bin/python benchmarks/stages.py --case burgers --seeds 1 --budget 20

Cases: `advection`, one frame of waves whose speed is hidden, uniform in [0, 0.5] domains per frame, so that
the posterior is known; `burgers`, decaying waves whose viscosity is hidden; `observed` is Burgers with its
viscosity among the parameters, where nothing is uncertain.
"""

from __future__ import annotations

import argparse
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stage_runs import run_spec

from ups_eval.builtin_metrics import ENSEMBLE_METRICS, create_metric
from ups_eval.ensemble_metrics import EnsembleMetric
from ups_eval.trajectory_statistics import reduce_values

Array = NDArray[np.float64]
Scores = dict[str, dict[str, float]]
"""Model -> metric -> value."""
UNCERTAIN = ("advection", "burgers")
CASES = (*UNCERTAIN, "observed")
CELLS = 64
BATCH = 32
SIZES = {"train": 2000, "val": 100, "test": 200}
SHOWN = ("nrmse", *ENSEMBLE_METRICS)


def waves(rng: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
    """Amplitudes, wavenumbers and phases of three sines each, `(count, 3)`."""
    return (
        rng.uniform(0, 1, (count, 3)),
        rng.integers(1, 7, (count, 3)).astype(np.float64),
        rng.uniform(0, 2 * np.pi, (count, 3)),
    )


def field(parts: tuple[Array, Array, Array], shift: Array) -> Array:
    """The waves at the cells' centres, moved by `shift` `(count,)`, `(count, CELLS)`."""
    amplitude, number, phase = (part[..., None] for part in parts)
    x = (np.arange(CELLS) + 0.5) / CELLS - shift[:, None, None]
    return np.asarray((amplitude * np.sin(2 * np.pi * number * x + phase)).sum(axis=1))


def burgers(start: Array, viscosity: Array, time: float = 0.2) -> Array:
    """u_t + (u² / 2)_x = nu u_xx from `(count, CELLS)`, pseudo-spectral with exact diffusion, RK4."""
    wave = 2j * np.pi * np.fft.rfftfreq(CELLS, 1 / CELLS)
    kept = np.abs(wave.imag) < 2 * np.pi * CELLS / 3
    steps = 400
    dt = time / steps
    half = np.exp(viscosity[:, None] * (wave**2).real * dt / 2)

    def slope(spectrum: NDArray[np.complex128]) -> NDArray[np.complex128]:
        square = np.fft.irfft(spectrum * kept, CELLS) ** 2
        return np.asarray(-0.5 * wave * np.fft.rfft(square) * kept)

    u = np.fft.rfft(start)
    for _ in range(steps):
        a = slope(u)
        b = slope(half * (u + dt / 2 * a))
        c = slope(half * u + dt / 2 * b)
        d = slope(half**2 * u + dt * half * c)
        u = half**2 * u + dt / 6 * (half**2 * a + 2 * half * (b + c) + d)
    return np.asarray(np.fft.irfft(u, CELLS))


def make(case: str, folder: Path) -> dict[str, Any]:
    """Write the files of a case; returns its task. The test file also has posterior samples if known."""
    rng = np.random.default_rng(0)
    for split, count in SIZES.items():
        parts, hidden = waves(rng, count), rng.uniform(0, 1, count)
        start = field(parts, np.zeros(count))
        viscosity = 1e-3 * 10 ** (1.5 * hidden)
        end = field(parts, hidden / 2) if case == "advection" else burgers(start, viscosity)
        arrays: dict[str, Any] = {"u": np.stack([start, end], axis=1).astype(np.float32)}
        if case == "observed":
            arrays["viscosity"] = viscosity
        if case == "advection" and split == "test":
            draws = [field(parts, rng.uniform(0, 0.5, count)) for _ in range(64)]
            np.save(folder / "posterior.npy", np.stack(draws)[:, :, None, None].astype(np.float32))
        np.savez(folder / f"{split}.npz", **arrays)
    task: dict[str, Any] = {"kind": "arrays", **{split: str(folder / f"{split}.npz") for split in SIZES}}
    task |= {"channels": ["u"], "axes": ["trajectory", "time", "x"], "domain": {"x": [0, 1]}, "dt": 1.0}
    task |= {"boundary": "periodic", "symmetries": ["translation"]}
    return task | ({"parameters": {"viscosity": "viscosity"}} if case == "observed" else {})


def pipeline(args: argparse.Namespace, case: str) -> list[dict[str, Any]]:
    """Operator, ensembles, flow and student, each followed by its scores."""
    optimizer = {"optimizer": {"kind": "muon_hybrid", "lr": args.lr}}
    budget = {"budget": args.budget, "batch_size": BATCH, "validation_trajectories": 25, **optimizer}
    # Validations do not count as training, but they cost time.
    sampling = {**budget, "members": 4, "sampler": {"steps": 4}}
    steps: list[dict[str, Any]] = []

    def scored(name: str, of: str, **options: Any) -> None:
        step = {"evaluate": "rollout", "id": f"score_{name}", "needs": [of], "baselines": []}
        steps.append({**step, "members": args.members, "save_predictions": 0, **options})

    def sampled(name: str, of: str, kind: str, count: int, **sampler: Any) -> None:
        scored(name, of, sampler={"kind": kind, "steps": count, **sampler})

    steps.append({"stage": "operator", **budget})
    scored("operator", "operator")
    steps.append({"stage": "operator", "id": "operator_longer", "init": {"step": "operator"}, **budget})
    scored("operator_longer", "operator_longer")
    for score in ("energy", "crps", "both") if case == "advection" else ("energy",):
        name = f"ensemble_{score}"
        objective = {"kind": "ensemble", "score": score, "members": args.train_members}
        training = {**budget, "batch_size": BATCH // args.train_members, "objective": objective}
        steps.append({"stage": "operator", "id": name, "init": {"step": "operator"}, **training})
        scored(name, name)
        if score == "energy" and case in UNCERTAIN:
            # As long as the operator and the ensemble that starts from it together.
            twice = {**training, "budget": 2 * args.budget}
            steps.append({"stage": "operator", "id": "ensemble_from_scratch", **twice})
            scored("ensemble_from_scratch", "ensemble_from_scratch")
    for flow in ("rectified", "edm") if case == "advection" else ("rectified",):
        step = {"stage": "diffusion_residual", "id": f"flow_{flow}", "flow": flow, "needs": ["operator"]}
        steps.append({**step, **sampling})
        sampled(f"flow_{flow}_heun_16", f"flow_{flow}", "heun", 16)
    sampled("flow_rectified_refining", "flow_rectified", "heun", 4, start=0.3)
    if case in UNCERTAIN:
        for count in (1, 2):
            sampled(f"flow_rectified_euler_{count}", "flow_rectified", "euler", count)
        steps.append(
            {
                "stage": "consistency_distillation",
                "id": "student",
                "needs": ["flow_rectified"],
                **sampling,
                "sampler": {"steps": 1},
            }
        )
        for count in (1, 2):
            sampled(f"student_{count}", "student", "jumps", count)
    return steps


def run(args: argparse.Namespace, case: str, seed: int, task: dict[str, Any]) -> Scores:
    """Train and score a case with one seed."""
    folder = args.folder.resolve() / case
    spec = {
        "version": 1,
        "name": f"{case}-{seed}",
        "seed": seed,
        "tasks": {case: task},
        "model": {"kind": "latent_operator"},
        "trainer": {"accelerator": "cpu", "threads": args.threads},
        "pipeline": pipeline(args, case),
    }
    directory = run_spec(spec, folder, folder)
    found = {}
    for step in pipeline(args, case):
        if "evaluate" not in step:
            continue
        path = directory / "steps" / step["id"] / "metrics.json"
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        rows = {step["id"].removeprefix("score_"): f"{case}/"}
        if step["id"] == "score_flow_rectified_heun_16":
            rows["operator, random errors"] = f"{case}/random_errors/"
        for row, start in rows.items():
            found[row] = {
                key.removeprefix(start): value for key, value in metrics.items() if key.startswith(start)
            }
    return found


def posterior(folder: Path, members: int) -> dict[str, float]:
    """Scores of samples of the exact posterior."""
    if not (folder / "posterior.npy").exists():
        return {}
    samples = torch.from_numpy(np.load(folder / "posterior.npy")[:members])
    target = torch.from_numpy(np.load(folder / "test.npz")["u"][:, 1:, None])
    scores = {}
    for name in SHOWN:
        metric = create_metric(name)
        given = samples if isinstance(metric, EnsembleMetric) else samples.mean(dim=0)
        values = metric.values(given, target).numpy()  # type: ignore[operator]
        scores[name] = reduce_values(values, metric.reduction)  # type: ignore[arg-type]
    return scores


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Mean and spread over seeds of every model and metric."""
    lines = ["| model | " + " | ".join(SHOWN) + " |", "|---|" + "---|" * len(SHOWN)]
    for model, runs in found.items():
        cells = []
        for name in SHOWN:
            values = [scores[name] for scores in runs if scores.get(name) is not None]
            spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.4g}{spread}" if values else "–")
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Make the data, train every case with every seed, print a table per case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", choices=CASES, default=CASES, help="default: all")
    parser.add_argument("--budget", type=float, default=80.0, help="seconds of every training; default: 80")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--members", type=int, default=24, help="of the scored ensembles; default: 24")
    parser.add_argument("--train-members", type=int, default=4, help="of the trained ones; default: 4")
    parser.add_argument("--lr", type=float, default=4e-3, help="default: 4e-3")
    parser.add_argument("--threads", type=int, default=1, help="of every run; default: 1")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, as many as cores; default: 2")
    parser.add_argument("--folder", type=Path, default=Path("runs/stages"), help="data and runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/stages.json"), help="all scores")
    args = parser.parse_args()
    tasks: dict[str, dict[str, Any]] = {}
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for case in args.case:
        folder = args.folder.resolve() / case
        folder.mkdir(parents=True, exist_ok=True)
        tasks[case] = make(case, folder)
        exact = posterior(folder, args.members)
        found[case] = {"exact posterior": [exact]} if exact else {}
    with ThreadPoolExecutor(args.jobs) as pool:
        started = {
            (case, seed): pool.submit(run, args, case, seed, tasks[case])
            for case in args.case
            for seed in range(args.seeds)
        }
    for (case, _), result in started.items():
        for model, scores in result.result().items():
            found[case].setdefault(model, []).append(scores)
    for case, models in found.items():
        print(f"\n{case}\n\n{table(models)}", flush=True)
    args.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
