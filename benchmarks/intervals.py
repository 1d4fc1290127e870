"""How often equal models look different: the figures of docs/trust.md and decision 53.

    python benchmarks/intervals.py [--pairs 200] [--repeats 5]

Errors of two equal models: a difficulty of every trajectory (log-normal, sigma 1), times noise of each model
(sigma 0.3). A pair counts if the 95 % interval of the ratio says that the first is better; 2.5 % are meant.
`plain` are percentiles of the bootstrap, `expanded` those that UPS uses. For seeds, every error of a model
has a factor of its own (sigma 0.05), on 100 trajectories with noise of sigma 0.1."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ups_eval import bootstrap
from ups_eval.bootstrap import Sample, compare

Random = np.random.Generator


def sample(errors: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Sample:
    """Errors as what trajectories contribute to a metric."""
    return Sample(errors, "mean", tuple(range(len(errors))))


def expanded(random: Random, count: int) -> bool:
    """Whether the first of two equal models looks better."""
    difficulty = random.lognormal(0, 1, count)
    one, other = difficulty * random.lognormal(0, 0.3, (2, count))
    return compare([sample(one)], [sample(other)], seed_spread=None).high < 1


def plain(random: Random, count: int) -> bool:
    """The same by plain percentiles."""
    difficulty = random.lognormal(0, 1, count)
    one, other = difficulty * random.lognormal(0, 0.3, (2, count))
    weights = random.multinomial(count, np.full(count, 1 / count), size=bootstrap.DRAWS) / count
    return bool(np.quantile((weights @ one) / (weights @ other), 0.975) < 1)


def seeds(random: Random, spread: float | None) -> bool:
    """Whether one of two seeds of a training looks better, with an assumed spread or without."""
    difficulty = random.lognormal(0, 1, 100)
    one, other = difficulty * random.lognormal(0, 0.1, (2, 100)) * random.lognormal(0, 0.05, (2, 1))
    return compare([sample(one)], [sample(other)], seed_spread=spread).high < 1


def main() -> None:
    """Simulate and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=200, metavar="N", help="pairs of a repetition; 200")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="repetitions; 5")
    args = parser.parse_args()
    cases: dict[str, Callable[[Random], bool]] = {}
    for count in (3, 5, 8, 16, 100):
        cases[f"plain, {count} trajectories"] = lambda random, count=count: plain(random, count)  # type: ignore[misc]
        if count >= bootstrap.FEWEST:
            cases[f"expanded, {count} trajectories"] = lambda random, count=count: expanded(random, count)  # type: ignore[misc]
    cases["seeds, trajectories alone"] = lambda random: seeds(random, None)
    cases["seeds, 5 % assumed"] = lambda random: seeds(random, bootstrap.SEED_SPREAD)
    table = Table("case", "look better", "± over repetitions")
    for name, case in track(cases.items(), transient=True):
        shares = [
            np.mean([case(random) for _ in range(args.pairs)])
            for random in map(np.random.default_rng, range(args.repeats))
        ]
        spread = np.std(shares, ddof=1) if args.repeats > 1 else 0.0
        table.add_row(name, f"{100 * np.mean(shares):.1f} %", f"{100 * spread:.1f} %")
    Console().print(table)


if __name__ == "__main__":
    main()
