"""Damaged files are read right or refused in one line that names them; nothing crashes, hangs or fills memory.

Values that changed into other finite ones cannot be noticed: PDEBench's files have no checksums.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from damaged_reader import FILE, DamagedReader

LONGEST = 1200


@pytest.fixture(scope="module", params=["contiguous", "chunked"])
def reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DamagedReader]:
    reader = DamagedReader(tmp_path_factory.mktemp(request.param), request.param)
    yield reader
    reader.close()


def refused(line: str) -> bool:
    """Whether a message is one line of bearable length with the file in it."""
    return str(FILE) in line and "\n" not in line and len(line) < LONGEST


def test_a_sound_file_is_read(reader: DamagedReader) -> None:
    assert reader.read() == ("same", "")


def test_a_cut_file_is_refused(reader: DamagedReader) -> None:
    for cut in {0, 1, 7, 8, 9, *range(64, reader.size, 97), reader.size - 1}:
        outcome, line = reader.read(cut=cut)
        assert outcome == "refused", (cut, line)
        assert refused(line), (cut, line)


GARBAGE = st.binary(min_size=1, max_size=8) | st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\x7f", b"\x80"])
PLACES = st.integers(0, 2**16)


@settings(max_examples=150)
@example(changes=[(65536, b"\x00\x00\x00C")])  # one value that dwarfs all others
@given(changes=st.lists(st.tuples(PLACES, GARBAGE), min_size=1, max_size=6))
def test_garbage_is_read_or_refused(reader: DamagedReader, changes: list[tuple[int, bytes]]) -> None:
    outcome, line = reader.read([(place % (reader.size - 8), new) for place, new in changes])
    assert outcome in ("same", "other") or (outcome == "refused" and refused(line)), line
