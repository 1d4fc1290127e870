"""`ups-run SPEC --seeds N`: the same spec with several seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

from ups_core.cli.options import at_least, data_root
from ups_core.console import Console
from ups_core.errors import UsageError
from ups_core.fingerprint import digest
from ups_core.planner import make_plan
from ups_core.seed_runs import SeedRun, SeedRuns, seed_command
from ups_core.validate import load_spec

SUMMARY = "seeds"
"""In the name of the directory for what is written about all runs."""


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """`--seeds N` and `--jobs N`."""
    parser.add_argument(
        "--seeds",
        type=at_least(1),
        metavar="N",
        help="run the spec with N seeds, from its own one on, and compare them",
    )
    parser.add_argument(
        "--jobs",
        type=at_least(1),
        default=1,
        metavar="N",
        help="with --seeds: runs at a time; set trainer.threads to share the cores (default: 1)",
    )


def run_seeds(args: argparse.Namespace, console: Console) -> int:
    """Run a spec with `args.seeds` seeds, from its own one on; returns the exit code.

    Raises:
        UsageError: an option is about one run.
        SpecError: the spec is wrong.
    """
    for option, given in (("--plan", args.plan), ("--dry-run", args.dry_run), ("--json", args.json)):
        if given:
            raise UsageError(f"--seeds and {option} exclude each other; give one")
    spec, document = load_spec(args.spec, args.overrides)
    console.redact = document.redacted
    runs = []
    with document.redacting():
        for seed in range(spec.seed, spec.seed + args.seeds):
            one, read = load_spec(args.spec, [*args.overrides, f"seed={seed}"])
            plan = make_plan(one, read, runs_dir=args.runs_dir, data_root=data_root(args.data_root))
            if seed == spec.seed and args.jobs > 1:  # the data once, not by every process
                for task in plan.tasks.values():
                    task.prepare_data(plan.data_root, console)
            runs.append(SeedRun(seed, plan, seed_command(args.spec, seed, _options(args))))
    name = f"{spec.name}-{SUMMARY}-{digest([spec.experiment(), args.seeds])[:8]}"
    directory = Path(args.runs_dir) / name
    return SeedRuns(runs, directory, console, jobs=args.jobs).run()


def _options(args: argparse.Namespace) -> list[str]:
    """The arguments of every single run."""
    options = [word for override in args.overrides for word in ("--set", override)]
    options += ["--runs-dir", str(args.runs_dir)]
    if args.data_root is not None:
        options += ["--data-root", str(args.data_root)]
    for name in ("only", "start"):
        if getattr(args, name):
            options += ["--from" if name == "start" else "--only", getattr(args, name)]
    for name in ("fresh", "accept_others", "profile"):
        if getattr(args, name):
            options.append(f"--{name.replace('_', '-')}")
    return options
