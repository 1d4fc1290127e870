"""`ups tune`: search options of a spec for the lowest validation error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ups_core import interrupts
from ups_core.base_configs import CommandConfig
from ups_core.cli.options import add_data_root, add_overrides, add_runs_dir, data_root
from ups_core.cli.output import print_json, print_table
from ups_core.cli.run import command_line
from ups_core.compose import apply_override, read_spec
from ups_core.console import Console
from ups_core.events import StudyInfo
from ups_core.fingerprint import digest
from ups_core.layout import run_directory
from ups_core.lifecycle import call_watchers
from ups_core.lock import locked
from ups_core.plugin_loader import plugins_in_use
from ups_core.spec import PipelineSpec
from ups_core.study.defaults import default_kinds
from ups_core.study.experiment import Experiment
from ups_core.study.loop import StudyLoop
from ups_core.study.objective import objective_key, training_part
from ups_core.study.search import METHODS, choose_method, create_search
from ups_core.study.space import parse_space, resolve_key, value_text
from ups_core.study.study import Study, Trial
from ups_core.validate import validate

TRIALS = 20
"""How many there are where neither the user nor a grid says."""

EXAMPLES = """\
a KEY is what ups-run --set takes; one that is no top-level key of the spec, such as optimizer.lr, means an
option of the first training stage. A trial runs the training stages only: no evaluation, no test data.

examples:
  ups tune SPEC --param optimizer.lr=1e-4:1e-2:log --trials 20
  ups tune SPEC --param optimizer.lr=1e-4:1e-2:log --param model.width=32:128:int
  ups tune SPEC --param optimizer.kind=adamw,muon_hybrid --param batch_size=16,32       every combination
  ups tune SPEC --param optimizer.lr=1e-3:8e-3:log --points 4                           a grid of four rates

The same command again goes on where it stopped; a larger --trials adds trials.
exit codes: 0 done, 1 every trial failed, 2 the spec or the command is wrong, 130/143 interrupted
"""


class TuneCommand:
    """Search options of a spec for the lowest validation error, one ordinary run a trial."""

    help = "search options of a spec for the lowest validation error"

    def __init__(self, config: CommandConfig):
        self.config = config

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        parser.add_argument("spec", type=Path, metavar="SPEC", help="the YAML file to tune")
        parser.add_argument(
            "--param", action="append", required=True, metavar="KEY=DOMAIN", dest="params",
            help="what to vary: KEY=LOW:HIGH, then :log, :int or both; or KEY=a,b,c; repeatable",
        )  # fmt: skip
        parser.add_argument(
            "--trials", type=_at_least(1), metavar="N",
            help=f"how many in all, those of earlier calls included (default: the whole grid, else {TRIALS})",
        )  # fmt: skip
        parser.add_argument(
            "--method", choices=METHODS,
            help="default: grid for choices or with --points, else optuna if it is installed, else random",
        )  # fmt: skip
        parser.add_argument("--points", type=_at_least(2), metavar="K", help="values per range of a grid")
        parser.add_argument(
            "--metric", metavar="KEY",
            help="what to minimise (default: <last training stage>/val/nrmse); never a test metric",
        )  # fmt: skip
        parser.add_argument(
            "--seed", type=_at_least(0), default=0, metavar="N", help="of the search (default: 0)"
        )
        add_overrides(parser)
        add_runs_dir(parser)
        add_data_root(parser)
        parser.add_argument("--retry-failed", action="store_true", help="run trials that failed once more")
        parser.add_argument("--fresh", action="store_true", help="start a new study beside earlier ones")
        parser.add_argument("--json", action="store_true", help="print study.json")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Run the trials that are missing, then print what there is.

        Raises:
            UPSError: the study is in use, or a trial cannot be judged.
            SpecError, UsageError: the spec or the command is wrong.
        """
        document = read_spec(args.spec, args.overrides)
        spec = validate(document)
        space = parse_space(args.params, spec)
        _say_meanings(args.params, spec, console)
        for text in default_kinds(spec, document, [parameter.key for parameter in space]):
            console.say(f"the spec names none, so --set {text}")
            args.overrides.append(text)
            apply_override(document, text)
        spec = validate(document)
        metric = objective_key(spec, args.metric)
        method = choose_method(args.method, space, args.points)
        search = create_search(method, space, args.seed, args.points)
        about = {
            "name": spec.name,
            "spec": str(args.spec),
            "metric": metric,
            "method": method,
            "seed": args.seed,
            "points": args.points,
            "parameters": {parameter.key: parameter.text for parameter in space},
        }
        part, _ = training_part(spec, document, metric)
        searched = {key: value for key, value in about.items() if key != "spec"}
        fingerprint = digest(searched | {"pipeline": part.model_dump(mode="json")})
        directory = run_directory(args.runs_dir, f"tune-{spec.name}", fingerprint, args.fresh)
        experiment = Experiment(document, metric, directory / "trials", data_root(args.data_root))
        experiment.check(space)
        experiment.plan({})  # what is wrong with the spec itself would be wrong with every trial
        total = args.trials or search.limit or TRIALS
        if search.limit is not None and total > search.limit:
            console.say(f"there are {search.limit} combinations, so {search.limit} trials")
            total = search.limit
        study = Study(directory, space, about, command_line(args))
        console.say(f"study {directory}: {method}, minimises {metric}")
        with locked(directory), interrupts.listening():
            study.load()
            changed = StudyLoop(study, search, experiment, console, args.retry_failed).run(total)
            if changed:
                hook = plugins_in_use().manager.hook.ups_study_finished
                call_watchers(console, hook, study=StudyInfo(directory, metric))
            else:
                console.say(f"nothing to do: {total} trials have ended")
        print_json(study.to_dict()) if args.json else print_study(study, metric)
        if study.best is None:
            message = f"all {len(study.trials)} trials failed; the first: {study.trials[0].message}"
            print(f"error: {message}", file=sys.stderr)
            return 1
        return 0


def print_study(study: Study, metric: str) -> None:
    """The trials, best first, and how to use the best."""
    keys = [parameter.key for parameter in study.space]
    rows = [
        (str(trial.number), *(_brief(trial.parameters[key]) for key in keys), _brief(trial.value),
         trial.status, f"{trial.seconds:.0f}", _outcome(trial))
        for trial in study.ranked
    ]  # fmt: skip
    print_table(("trial", *keys, metric, "status", "seconds", "run directory or reason"), rows)
    for line in study.edges():
        print(line)
    if study.best is not None:
        for figure in sorted(study.directory.glob("*.png")):  # drawn by whoever implements the hook
            print(f"figure: {figure}")
        print(f"use the best: {study.use_best()}")


def _say_meanings(texts: list[str], spec: PipelineSpec, console: Console) -> None:
    """Tell which short keys mean which options."""
    for text in texts:
        name = text.partition("=")[0].strip()
        if (key := resolve_key(name, spec)) != name:
            console.say(f"{name} means {key}")


def _brief(value: object) -> str:
    """A value in a table; a number to four digits."""
    if value is None or isinstance(value, float):
        return "-" if value is None else f"{value:.4g}"
    return value_text(value)


def _outcome(trial: Trial) -> str:
    """Where the run is, or why there is no result."""
    return trial.message if trial.status == "failed" else trial.directory


def _at_least(least: int) -> Callable[[str], int]:
    """An argparse type for whole numbers from `least`."""

    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is below {least}")
        return value

    parse.__name__ = "whole number"
    return parse
