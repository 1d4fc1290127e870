"""Continues a finished training: copies its checkpoints and its record into the step that continues it.

From there it is resumed like an interrupted training, so that it is the training that a longer one would have
been, if its schedule does not depend on the length (`constant`, `wsd` before its decay).
"""

from __future__ import annotations

import shutil
import time

from ups_core import StepContext, UPSError
from ups_core.files import replacing
from ups_train.engine.checkpoint_files import saved_steps
from ups_train.engine.config import TrainingConfig
from ups_train.engine.objective import origin_directory
from ups_train.parallel.ranks import Ranks

CHECKPOINTS = "checkpoints"
"""Folder of a training's checkpoints in its step's directory."""
RECORD = "metrics.jsonl"


def continue_from(config: TrainingConfig, context: StepContext, steps: int, ranks: Ranks) -> int | None:
    """Copy what the training that `init` names has left, unless the step has checkpoints of its own.

    Args:
        config: of the training that continues.
        context: of its step.
        steps: optimizer steps of both trainings; -1 for a budget.
        ranks: the first one copies, the others wait for it.

    Returns:
        The step at which the other training ended; None for a training that continues none.

    Raises:
        UPSError: nothing is left to train, or the step has no checkpoint.
    """
    if config.init is None or not config.init.continued:
        return None
    origin = origin_directory(config, context)
    done = max(saved_steps(origin / CHECKPOINTS), default=None)
    if done is None:
        raise UPSError(f"step '{config.init.step}' left no checkpoint to continue from; train it again")
    if 0 <= steps <= done:
        raise UPSError(
            f"step '{config.init.step}' has trained {done} steps, and both trainings together shall have "
            f"{steps}; raise max_steps or epochs"
        )
    own = context.directory / CHECKPOINTS
    if ranks.rank > 0:
        while not own.exists():  # the process group does not exist yet, so ranks meet at a folder
            time.sleep(0.1)
    elif not own.exists():
        with replacing(context.directory / RECORD) as temporary:
            shutil.copyfile(origin / RECORD, temporary)
        copy = context.directory / f".{CHECKPOINTS}"
        shutil.rmtree(copy, ignore_errors=True)  # of an interrupted attempt
        shutil.copytree(origin / CHECKPOINTS, copy)
        copy.rename(own)
    return done
