"""`ups tune`: search options of a spec for the lowest validation error."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ups_core import interrupts
from ups_core.base_configs import CommandConfig
from ups_core.cli.options import add_data_root, add_overrides, add_runs_dir, at_least, data_root, user_path
from ups_core.cli.output import print_json
from ups_core.cli.run import command_line
from ups_core.cli.study_output import print_study
from ups_core.compose import read_spec
from ups_core.console import Console
from ups_core.document import Document
from ups_core.events import StudyInfo
from ups_core.fingerprint import digest
from ups_core.layout import run_directory
from ups_core.lifecycle import call_watchers
from ups_core.lock import locked
from ups_core.plugin_loader import plugins_in_use
from ups_core.spec import PipelineSpec
from ups_core.study.experiment import Experiment
from ups_core.study.loop import StudyLoop
from ups_core.study.objective import higher_is_better, objective_key, training_part
from ups_core.study.parameters import parse_space, resolve_key
from ups_core.study.search import METHODS, Search, choose_method, create_search
from ups_core.study.space import Space
from ups_core.study.study import Study
from ups_core.validate import validate

TRIALS = 20
"""Number of trials where neither the user nor a grid limits it."""

EXAMPLES = f"""\
A KEY is one that ups-run --set accepts. A key that is not a top-level key of the spec, such as optimizer.lr,
means an option of the first training stage. A trial runs the training stages only: no evaluation, no test
data.

examples:
  ups tune SPEC --param optimizer.lr=1e-4:1e-2:log --trials 20
  ups tune SPEC --param optimizer.lr=1e-4:1e-2:log --param model.width=32:128:int
  ups tune SPEC --param optimizer.kind=adamw,muon_hybrid --param batch_size=16,32       every combination
  ups tune SPEC --param optimizer.lr=1e-3:8e-3:log --points 4                           a grid of four rates

The same command again resumes the study; a larger --trials adds trials.

exit codes: 0 done, 1 every trial failed, 2 the spec or the command is wrong, {interrupts.OUT_OF_TIME}
trainer.max_time of a trial has passed, 130/143 interrupted
"""


class TuneCommand:
    """Search options of a spec for the lowest validation error, one ordinary run per trial."""

    help = "search options of a spec for the lowest validation error"

    def __init__(self, config: CommandConfig) -> None:
        self.config = config

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        parser.add_argument("spec", type=user_path, metavar="SPEC", help="a YAML file")
        parser.add_argument(
            "--param",
            action="append",
            required=True,
            metavar="KEY=DOMAIN",
            dest="params",
            help="what to vary: KEY=LOW:HIGH, then :log, :int or both; or KEY=a,b,c; repeatable",
        )
        parser.add_argument(
            "--trials",
            type=at_least(1),
            metavar="N",
            help=f"total number of trials, earlier calls included (default: the grid, else {TRIALS})",
        )
        parser.add_argument(
            "--method",
            choices=METHODS,
            help="default: grid for choices or with --points, else optuna if it is installed, else random",
        )
        parser.add_argument("--points", type=at_least(2), metavar="K", help="values per range of a grid")
        parser.add_argument(
            "--metric",
            metavar="KEY",
            help="what to optimise, in the direction that the metric declares (default: the monitor of the "
            "last training stage, such as operator/val/nrmse); never a test metric",
        )
        parser.add_argument(
            "--seed", type=at_least(0), default=0, metavar="N", help="seed of the search (default: 0)"
        )
        add_overrides(parser)
        add_runs_dir(parser)
        add_data_root(parser)
        parser.add_argument("--retry-failed", action="store_true", help="run failed trials again")
        parser.add_argument("--fresh", action="store_true", help="start a new study beside earlier ones")
        parser.add_argument("--json", action="store_true", help="print study.json")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Run the trials that are missing, then print all.

        Raises:
            UPSError: the study is in use, or a trial cannot be judged.
            SpecError, UsageError: the spec or the command is wrong.
        """
        document = read_spec(args.spec, args.overrides)
        console.redact = document.redacted
        with document.redacting():
            return self._search(args, console, document)

    def _search(self, args: argparse.Namespace, console: Console, document: Document) -> int:
        spec = validate(document)
        space = parse_space(args.params, spec)
        for text in args.params:
            name = text.partition("=")[0].strip()
            if (key := resolve_key(name, spec)) != name:
                console.say(f"{name} means {key}")
        metric = objective_key(spec, args.metric)
        method = choose_method(args.method, space, args.points)
        search = create_search(method, space, args.seed, args.points)
        study = _study(args, spec, document, space, metric, method)
        experiment = Experiment(document, metric, study.directory / "trials", data_root(args.data_root))
        experiment.check(space)
        experiment.plan({})  # a mistake in the spec itself would be one of every trial
        total = _total(args.trials, search, console)
        aim = "maximises" if study.higher_is_better else "minimises"
        console.say(f"study {study.directory}: {method}, {aim} {metric}")
        with locked(study.directory), interrupts.listening():
            study.load()
            changed = StudyLoop(study, search, experiment, console, args.retry_failed).run(total)
            if changed:
                hook = plugins_in_use().manager.hook.ups_study_finished
                call_watchers(console, hook, study=StudyInfo(study.directory, metric))
            else:
                console.say(f"nothing to do: {total} trials have ended")
        print_json(study.to_dict()) if args.json else print_study(study, metric)
        if study.best is None:
            message = f"all {len(study.trials)} trials failed; the first: {study.trials[0].message}"
            print(f"error: {message}", file=sys.stderr)
            return 1
        return 0


def _study(
    args: argparse.Namespace, spec: PipelineSpec, document: Document, space: Space, metric: str, method: str
) -> Study:
    """The study of these arguments; its directory is named by a fingerprint of all that it searches."""
    about: dict[str, Any] = {
        "name": spec.name,
        "spec": str(args.spec),
        "metric": metric,
        "method": method,
        "seed": args.seed,
        "points": args.points,
        "parameters": {parameter.key: parameter.text for parameter in space},
    }
    if higher_is_better(spec, metric):
        about["higher_is_better"] = True
    part, _ = training_part(spec, document, metric)
    searched = {key: value for key, value in about.items() if key != "spec"}
    fingerprint = digest(searched | {"pipeline": part.model_dump(mode="json")})
    directory = run_directory(args.runs_dir, f"tune-{spec.name}", fingerprint, args.fresh)
    return Study(directory, space, about, command_line(args))


def _total(given: int | None, search: Search, console: Console) -> int:
    """The number of trials, limited to the number of different ones."""
    total = given or search.limit or TRIALS
    if search.limit is not None and total > search.limit:
        console.say(f"there are {search.limit} combinations, so {search.limit} trials")
        return search.limit
    return total
