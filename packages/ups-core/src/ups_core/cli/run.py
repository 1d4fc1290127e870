"""`ups-run SPEC`: from one YAML file to a trained simulator, honest numbers and a report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ups_core.advice import advice_on
from ups_core.cli.options import (
    RUNS_DIR,
    add_data_root,
    add_overrides,
    add_runs_dir,
    data_root,
    user_path,
)
from ups_core.cli.output import guarded, print_json
from ups_core.cli.plan_output import next_commands, print_plan, print_submissions
from ups_core.cli.seeds import add_seeds, run_seeds
from ups_core.console import Console
from ups_core.context import PROFILE
from ups_core.cpus import share_cores
from ups_core.document import Document
from ups_core.errors import UsageError
from ups_core.launcher import Launcher
from ups_core.page import page_of
from ups_core.plan import Plan, PlannedStep
from ups_core.planner import make_plan
from ups_core.plugin_calls import plugin_call
from ups_core.redaction import redacted_data
from ups_core.reuse import reuse_previous
from ups_core.runner import run_plan
from ups_core.selection import Selection
from ups_core.spec import PipelineSpec
from ups_core.step import FAILED_VERDICT
from ups_core.validate import load_spec
from ups_core.verdicts import negative_verdicts

EXAMPLES = """\
examples:
  ups-run specs/smoke.yaml                      everything once, tiny, in about a minute
  ups-run specs/pdebench_2task.yaml --plan      what would run, what is done already
  ups-run SPEC --dry-run                        what its launcher would start or submit
  ups-run SPEC --set pipeline.operator.epochs=5 --set model.width=64
  ups-run SPEC --from test                      run step 'test' again and all after it
  ups-run SPEC --fresh                          start a new run; earlier ones stay
  ups-run SPEC --seeds 3                        three seeds in turn, with a report on their spread

The same command again resumes what was interrupted and does nothing when all steps are done. After a change
of the spec, steps that it does not affect are kept; --plan shows which.

exit codes:
  0            all steps are done
  1            a step failed
  2            the spec or the command is wrong
  3            all steps are done, but the verdict of one is negative (a gate failed); the reason is printed
  75           trainer.max_time has passed; rerun the same command to resume
  130/138/143  stopped by SIGINT/SIGUSR1/SIGTERM; training saves first, a second signal stops at once
"""


class RunCommand:
    """The command behind both `ups-run` and `ups run`."""

    help = "run a spec: train, evaluate, report"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        parser.add_argument("spec", type=user_path, metavar="SPEC", help="a YAML file")
        add_overrides(parser)
        add_runs_dir(parser)
        add_data_root(parser)
        parser.add_argument(
            "--plan", action="store_true", help="print what would run and what is done; run nothing"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="print what the launcher would start or submit for every step that would run; run nothing",
        )
        parser.add_argument("--only", metavar="STEP", help="run this step only, done or not")
        parser.add_argument("--from", metavar="STEP", dest="start", help="run this step and all after it")
        parser.add_argument("--fresh", action="store_true", help="start a new run beside earlier ones")
        parser.add_argument(
            "--accept-others",
            action="store_true",
            help="use finished steps whose files belong to other users; without it only your own count",
        )
        parser.add_argument(
            "--profile",
            action="store_true",
            help="write profile/trace.json and the ten most expensive operators of every training stage",
        )
        add_seeds(parser)
        parser.add_argument("--json", action="store_true", help="print the record (or the plan) as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Plan the spec, then print the plan or carry it out."""
        if args.only and args.start:
            raise UsageError("--only and --from exclude each other; give one")
        if args.plan and args.dry_run:
            raise UsageError("--plan and --dry-run exclude each other; give one")
        if args.seeds is not None:
            return run_seeds(args, console)
        spec, document = load_spec(args.spec, args.overrides)
        console.redact = document.redacted
        with document.redacting():
            return self._run(args, console, spec, document)

    def _run(self, args: argparse.Namespace, console: Console, spec: PipelineSpec, document: Document) -> int:
        plan = make_plan(
            spec,
            document,
            runs_dir=args.runs_dir,
            data_root=data_root(args.data_root),
            fresh=args.fresh,
            accept_others=args.accept_others,
        )
        if not args.fresh:
            plan = reuse_previous(plan, args.runs_dir, args.accept_others)
        if args.plan:
            if args.json:
                advice = {"advice": advice_on(plan, plan.steps)}
                print_json(redacted_data(plan.to_dict() | advice, document.environment))
            else:
                print_plan(plan)
            return 0
        selection = Selection(args.only, args.start)
        if args.dry_run:
            submissions = describe_steps(plan, selection)
            print_json(submissions) if args.json else print_submissions(submissions)
            return 0
        if args.profile:
            os.environ[PROFILE] = "1"
        for line in advice_on(plan, plan.todo):
            console.say(line, "yellow")
        record = run_plan(plan, selection, console, command_line(args))
        report = page_of(plan.directory)
        if report.exists():
            console.say(f"report: {report}")
        negative = list(negative_verdicts(record))
        if record["status"] == "completed" and not negative and (commands := next_commands(plan)):
            console.say(f"next: {' · '.join(commands)}")
        if args.json:
            print_json(record)
        for line in negative:
            print(document.redacted(line), file=sys.stderr)
        return FAILED_VERDICT if negative else 0


def command_line(args: argparse.Namespace) -> list[str]:
    """The command that repeats this run."""
    command = ["ups-run", str(args.spec)]
    for override in args.overrides:
        command += ["--set", override]
    for option, value in (("--data-root", args.data_root), ("--runs-dir", args.runs_dir)):
        if value is not None and value != RUNS_DIR:
            command += [option, str(value)]
    return command


def describe_steps(plan: Plan, selection: Selection) -> list[dict[str, str]]:
    """What the launcher would start or submit for every selected step."""
    launcher: Launcher = plan.spec.launcher.create()
    return [
        {
            "step": step.id,
            "uses": step.uses,
            "launcher": plan.spec.launcher.kind,
            "submits": plan.document.redacted(_describe(launcher, plan, step)),
        }
        for step in selection.apply(plan)
    ]


def _describe(launcher: Launcher, plan: Plan, step: PlannedStep) -> str:
    with plugin_call(str(plan.spec.launcher.entry), bugs=True):
        return launcher.describe(plan, step)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `ups-run`."""
    share_cores()
    command = RunCommand()
    parser = argparse.ArgumentParser(prog="ups-run", description=__doc__)
    command.add_arguments(parser)
    args = parser.parse_args(arguments)
    return guarded(lambda: command.run(args, Console(quiet=args.json)), args.json)


if __name__ == "__main__":
    sys.exit(main())
