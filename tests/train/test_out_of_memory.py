"""Recovery from running out of memory, as arithmetic: how batches are split, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_train.engine.out_of_memory import (
    FILE,
    OutOfMemory,
    is_out_of_memory,
    read_micro_batches,
    split_further,
    write_micro_batches,
)
from ups_train.parallel.ranks import Ranks

ALONE = Ranks(0, 1)


def test_a_new_training_has_whole_batches(tmp_path: Path) -> None:
    assert read_micro_batches(tmp_path) == 1


@given(batch_size=st.integers(1, 64))
def test_failures_halve_until_a_sample_is_left(
    tmp_path_factory: pytest.TempPathFactory, batch_size: int
) -> None:
    folder = tmp_path_factory.mktemp("memory")
    parts = 1
    while parts < batch_size:
        split_further(folder, parts, batch_size, ALONE)
        assert read_micro_batches(folder) == 2 * parts
        parts *= 2
    with pytest.raises(
        OutOfMemory, match="out of memory with a single sample per micro-batch; use a smaller"
    ):
        split_further(folder, parts, batch_size, ALONE)
    failures = json.loads((folder / FILE).read_text())["failures"] if parts > 1 else []
    assert [failure["micro_batches"] for failure in failures] == [2**n for n in range(len(failures))]


def test_advice_comes_with_the_second_failure(tmp_path: Path) -> None:
    first = split_further(tmp_path, 1, 16, ALONE)
    assert first == "out of memory: batches of 16 are now split into 2 micro-batches, accumulating gradients"
    second = split_further(tmp_path, 2, 16, ALONE)
    assert second.endswith("; recompute: true or batch_size: 4 would avoid the retries")


def test_the_rank_is_named_where_there_are_several(tmp_path: Path) -> None:
    assert split_further(tmp_path, 1, 4, Ranks(3, 4)).startswith("out of memory on rank 3: ")
    assert json.loads((tmp_path / FILE).read_text())["failures"] == [{"rank": 3, "micro_batches": 1}]


def test_a_measured_split_is_on_record_too(tmp_path: Path) -> None:
    write_micro_batches(tmp_path, 4, "measured")
    assert read_micro_batches(tmp_path) == 4
    assert json.loads((tmp_path / FILE).read_text())["reason"] == "measured"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("size mismatch"), False),
        (MemoryError("numpy"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_only_torch_running_out_counts(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_torch_itself_raises_what_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)
