"""A rank of a sharded training without a plan, which would refuse to offload where there is no GPU.

torchrun --standalone --nproc-per-node 2 sharded_stage.py DATA_ROOT DIRECTORY OFFLOAD
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

from torch.distributed.fsdp import CPUOffloadPolicy

from small_stage import context


def main(data_root: str, directory: str, offload: str) -> None:
    strategy = {"kind": "fsdp2", "offload": offload == "True"}
    stage, given = context(
        Path(data_root),
        Path(directory),
        {"devices": 2, "strategy": strategy},
        "torchrun",
        batch_size=4,
        epochs=None,
        max_steps=8,
        validate_every=2,
    )
    with mock.patch("ups_train.parallel.sharding.CPUOffloadPolicy", wraps=CPUOffloadPolicy) as policy:
        stage.run(given)
    assert policy.called == (offload == "True")


if __name__ == "__main__":
    main(*sys.argv[1:])
