"""Lightning's own counters, for exact resume: the only module that touches Lightning's private state.

Written for lightning 2.6. `tests/train/test_resume.py` kills training runs everywhere and compares bits, so
a release of Lightning that counts differently is noticed.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl


def is_accumulating(trainer: pl.Trainer) -> bool:
    """Whether gradients of this batch wait for more batches.

    Why private: Lightning decides it from its batch counters in this method and exposes it nowhere.
    """
    return trainer.fit_loop.epoch_loop._should_accumulate()


def accumulation_factor(trainer: pl.Trainer, batch_idx: int) -> float:
    """The factor that makes an update the mean over its micro-batches; 1 unless the epoch ends before.

    Why: Lightning divides every loss by `accumulate_grad_batches`, but the last update of an epoch has only
    the micro-batches that are left.
    """
    full = trainer.accumulate_grad_batches
    begin = batch_idx - batch_idx % full
    return full / min(full, trainer.num_training_batches - begin)


def training_has_ended(trainer: pl.Trainer) -> bool:
    """Whether no training batch follows."""
    return trainer.should_stop or trainer.fit_loop.done


def store_position(checkpoint: dict[str, Any], trainer: pl.Trainer, micro_batches: int) -> None:
    """Set the counters in a checkpoint to the batches that were trained on, not those that were fetched.

    Why: Lightning fetches a batch ahead and increments `ready` and `started` before a batch is trained on;
    resumed from these counts, it would skip that batch. The loader counts batches, Lightning counts
    micro-batches.
    """
    fit = checkpoint["loops"]["fit_loop"]
    batches = fit["epoch_loop.batch_progress"]
    for counts in (batches["total"], batches["current"]):
        counts |= dict.fromkeys(counts, counts["completed"])
    done = batches["current"]["completed"]
    batches["is_last_batch"] = done == trainer.num_training_batches
    for loader in fit["state_dict"]["combined_loader"]:
        loader["position"] = done // micro_batches


def restore_position(checkpoint: dict[str, Any], micro_batches: int) -> None:
    """Count the batches of a checkpoint's epoch in the micro-batches that they are split into now.

    Why: after running out of memory a batch comes in more micro-batches than the checkpoint counted.
    """
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for counts in (batches["total"], batches["current"]):
        for name, count in counts.items():
            counts[name] = count * micro_batches // checkpoint["micro_batches"]


def store_validation(checkpoint: dict[str, Any], interrupted: bool) -> None:
    """Count an interrupted validation as one that has just started its first batch.

    Why: by these counts Lightning decides on resume whether to repeat the validation, and it continues
    counting from them, so that those of complete validations have to be corrected too.
    """
    counts = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
    for count in (counts["total"], counts["current"]):
        done = 0 if interrupted else count["completed"]
        started = done + interrupted
        count |= {"ready": started, "started": started, "processed": done, "completed": done}
