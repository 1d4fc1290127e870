"""What a run directory has of a step: a result, a damaged one, a part of one, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

from ups_core.finished_step import RECORD, FinishedStep
from ups_core.layout import partial_directory, step_directory
from ups_core.plan import State
from ups_core.reading import UnsoundFile, read_json


def state_of(run: Path, step_id: str, fingerprint: str, accept_others: bool) -> tuple[State, str]:
    """The state of a step, and what is wrong with its files; of these only the sizes are compared.

    Args:
        run: the run directory.
        step_id: of the step.
        fingerprint: which a result must have.
        accept_others: whether a result may belong to another user.
    """
    directory = step_directory(run, step_id)
    if os.path.lexists(directory):
        try:
            found = FinishedStep.read(run, step_id)
            if found.record.fingerprint != fingerprint:
                return "stale", ""
            found.check(quick=True)
        except UnsoundFile as error:
            return "damaged", str(error)
        others = None if accept_others else found.owned_by_others()
        return ("foreign", others) if others else ("done", "")
    partial = read_json(partial_directory(run, step_id) / RECORD)
    same = isinstance(partial, dict) and partial.get("fingerprint") == fingerprint
    return ("interrupted" if same else "to do"), ""
