"""The loop of a study: runs the missing trials one after the other and records each."""

from __future__ import annotations

import time

from ups_core.console import Console
from ups_core.errors import SpecError, UPSError
from ups_core.fingerprint import digest
from ups_core.plan import Plan
from ups_core.study.experiment import Experiment
from ups_core.study.search import Search
from ups_core.study.space import assignments
from ups_core.study.study import Study, Trial
from ups_core.study.trial import TrialFailed, known_value, run_trial


class StudyLoop:
    """Runs what is missing of the first `total` trials.

    A trial is missing unless it is on record with the current fingerprint of its plan: changed code or data
    make it run again. A failed trial is run again only on request (`retry`).
    """

    def __init__(
        self, study: Study, search: Search, experiment: Experiment, console: Console, retry: bool = False
    ) -> None:
        self.study = study
        self.search = search
        self.experiment = experiment
        self.console = console
        self.retry = retry

    def run(self, total: int) -> int:
        """Returns how many trials changed.

        Raises:
            UPSError: a trial cannot be judged: it lacks the metric, another process runs it, or its code
                changed.
            Interrupted: stopped; the record says which trial was interrupted.
        """
        changed = 0
        for number in range(1, total + 1):
            if number > len(self.study.trials):
                earlier = [(trial.parameters, self.study.cost(trial)) for trial in self.study.trials]
                self.study.trials.append(Trial(number, dict(self.search.propose(number, earlier))))
            changed += self._settle(self.study.trials[number - 1], total)
        return changed

    def _settle(self, trial: Trial, total: int) -> bool:
        """Run one trial to its end; False if it had ended before."""
        try:
            plan = self.experiment.plan(trial.parameters)
        except SpecError as error:
            return self._refused(trial, total, str(error))
        # Fingerprints of steps include data and code, which the parameters do not.
        fingerprint = digest([step.fingerprint for step in plan.steps])
        if trial.fingerprint == fingerprint:
            if trial.status == "completed" and not plan.todo:
                return False
            if trial.status == "failed" and not self.retry:
                return False
        trial.directory, trial.fingerprint = str(plan.directory), fingerprint
        trial.status, trial.value, trial.message = "running", None, ""
        self._announce(trial, total)
        begin = time.monotonic()
        try:
            trial.value = self._value(trial, plan)
            trial.status = "completed"
        except TrialFailed as error:
            trial.status, trial.message = "failed", str(error)
        finally:
            if trial.status == "running":
                trial.status = "interrupted"
            trial.seconds = round(time.monotonic() - begin, 3)
            self.study.save()
        self._report(trial)
        return True

    def _value(self, trial: Trial, plan: Plan) -> float:
        """The objective: of a finished run, of a trial with the same values, or of a new run."""
        # Random draws of choices repeat; a trial that failed with these values would fail again.
        for other in self.study.trials[: trial.number - 1]:
            if (other.fingerprint, other.status) == (trial.fingerprint, "failed") and not self.retry:
                raise TrialFailed(other.message)
        value = known_value(plan, self.experiment.metric)
        if value is None:
            run_trial(plan, self.study.directory / "logs" / f"{trial.number:04}.log")
            value = known_value(self.experiment.plan(trial.parameters), self.experiment.metric)
        if value is None:
            raise UPSError(
                "code or data changed while the trial ran; rerun the same command to continue with "
                "the current ones"
            )
        return value

    def _refused(self, trial: Trial, total: int, message: str) -> bool:
        """Record values that do not make a valid plan."""
        message = "; ".join(message.splitlines())
        if (trial.status, trial.message) == ("failed", message):
            return False
        trial.status, trial.value, trial.message = "failed", None, message
        trial.directory = trial.fingerprint = ""
        self._announce(trial, total)
        self._report(trial)
        return True

    def _announce(self, trial: Trial, total: int) -> None:
        self.study.save()
        values = "  ".join(assignments(trial.parameters))
        self.console.say(f"trial {trial.number} of {total}: {values}", style="bold")

    def _report(self, trial: Trial) -> None:
        if trial.status == "failed":
            self.console.say(f"  failed after {trial.seconds:.0f} s: {trial.message}", style="yellow")
            return
        best = self.study.best
        assert best is not None  # this trial has a value
        self.console.say(
            f"  {self.experiment.metric} {trial.value:.4g} in {trial.seconds:.0f} s; "
            f"best {best.value:.4g} (trial {best.number})"
        )
