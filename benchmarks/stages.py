"""What samples best: ensemble, residual flow or its student, where the future is uncertain.

Each case has a part of its problem hidden, so that one start has many futures. An operator is trained first;
then, for equal seconds, an ensemble starts from it (one for every score), and a flow learns its residual; a
student of the flow trains for the same seconds more. All are scored by the same number of members on the test
split, beside the operator, and beside samples of the exact posterior where it is known.

    .venv/bin/python benchmarks/stages.py --case advection --budget 60
    .venv/bin/python benchmarks/stages.py --case burgers --budget 120

Cases: `advection`, one frame of waves whose speed is hidden, uniform in [0, 0.5] domains per frame, so that
the posterior is known; `burgers`, decaying waves whose viscosity is hidden; `observed` is advection with its
speed among the parameters, where nothing is uncertain.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from ups_eval.builtin_metrics import ENSEMBLE_METRICS, create_metric
from ups_eval.ensemble_metrics import EnsembleMetric
from ups_eval.trajectory_statistics import reduce_values

Array = NDArray[np.float64]
CELLS = 64
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
        moved = field(parts, hidden / 2)
        end = burgers(start, 1e-3 * 10 ** (1.5 * hidden)) if case == "burgers" else moved
        arrays: dict[str, Any] = {"u": np.stack([start, end], axis=1).astype(np.float32)}
        if case == "observed":
            arrays["speed"] = hidden / 2
        if case == "advection" and split == "test":
            draws = [field(parts, rng.uniform(0, 0.5, count)) for _ in range(64)]
            np.save(folder / "posterior.npy", np.stack(draws)[:, :, None, None].astype(np.float32))
        np.savez(folder / f"{split}.npz", **arrays)
    task: dict[str, Any] = {"kind": "arrays", **{split: str(folder / f"{split}.npz") for split in SIZES}}
    task |= {"channels": ["u"], "axes": ["trajectory", "time", "x"], "domain": {"x": [0, 1]}, "dt": 1.0}
    task |= {"boundary": "periodic", "symmetries": ["translation"]}
    return task | ({"parameters": {"speed": "speed"}} if case == "observed" else {})


def pipeline(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Operator, ensembles, flow and student, each followed by its scores."""
    rate = {"optimizer": {"kind": "muon_hybrid", "lr": args.lr}}
    budget = {"budget": args.budget, "batch_size": 32, **rate}
    scored = {"evaluate": "rollout", "members": args.members, "save_predictions": 0}
    steps: list[dict[str, Any]] = [
        {"stage": "operator", **budget},
        {**scored, "id": "score_operator", "needs": ["operator"], "baselines": ["persistence"]},
    ]
    for score in ("energy", "crps", "both"):
        name = f"ensemble_{score}"
        objective = {"kind": "ensemble", "score": score, "members": args.train_members}
        steps.append(
            {"stage": "operator", "id": name, "init": {"step": "operator"}, "objective": objective, **budget}
        )
        steps.append({**scored, "id": f"score_{name}", "needs": [name], "baselines": ["operator"]})
    steps.append({"stage": "diffusion_residual", "id": "flow", "needs": ["operator"], **budget})
    for kind, count in (("heun", 16), ("euler", 1), ("euler", 2)):
        sampler = {"sampler": {"kind": kind, "steps": count}}
        step = {**scored, "id": f"score_flow_{kind}_{count}", "needs": ["flow"], "baselines": [], **sampler}
        steps.append(step)
    steps.append({"stage": "consistency_distillation", "id": "student", "needs": ["flow"], **budget})
    for count in (1, 2):
        sampler = {"sampler": {"kind": "jumps", "steps": count}}
        steps.append(
            {**scored, "id": f"score_student_{count}", "needs": ["student"], "baselines": [], **sampler}
        )
    return steps


def run(
    task: dict[str, Any], args: argparse.Namespace, seed: int, folder: Path
) -> dict[str, dict[str, float]]:
    """Train and score with one seed; model -> metric -> value."""
    spec = {
        "version": 1,
        "name": f"{args.case}-{seed}",
        "seed": seed,
        "tasks": {args.case: task},
        "model": {"kind": "latent_operator"},
        "trainer": {"accelerator": "cpu", "threads": args.threads},
        "pipeline": pipeline(args),
    }
    path = folder / f"{args.case}-{seed}.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    command = [Path(sys.executable).with_name("ups-run"), path, "--runs-dir", folder / "runs"]
    done = subprocess.run(
        [*map(str, command), "--data-root", str(folder)], text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"ups-run ended with {done.returncode}:\n{done.stderr[-2000:]}")
    (directory,) = (folder / "runs").glob(f"{args.case}-{seed}-*")
    found = {}
    for step in sorted((directory / "steps").glob("score_*")):
        metrics = json.loads((step / "metrics.json").read_text(encoding="utf-8"))["metrics"]
        scores = {key.rpartition("/")[2]: value for key, value in metrics.items() if key.count("/") == 1}
        found[step.name.removeprefix("score_")] = scores
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
    """Make the data, train with every seed, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=("advection", "burgers", "observed"), default="advection")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of every training; default: 60")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--members", type=int, default=32, help="of the scored ensembles; default: 32")
    parser.add_argument("--train-members", type=int, default=4, help="of the trained ones; default: 4")
    parser.add_argument("--lr", type=float, default=4e-3, help="default: 4e-3")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/stages"))
    args = parser.parse_args()
    folder = args.out.resolve() / args.case
    folder.mkdir(parents=True, exist_ok=True)
    task = make(args.case, folder)
    found: dict[str, list[dict[str, float]]] = {}
    if exact := posterior(folder, args.members):
        found["exact posterior"] = [exact]
    for seed in range(args.seeds):
        for model, scores in run(task, args, seed, folder).items():
            found.setdefault(model, []).append(scores)
        print(table(found), flush=True)
    (folder / "scores.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
