"""Components that a spec leaves at their default although a parameter is an option of them.

`--set pipeline.operator.optimizer.lr=…` needs an optimizer of a named kind to go into; where the spec names
none, its default must be written out first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ups_core.document import Document
from ups_core.spec import PipelineSpec


def default_kinds(spec: PipelineSpec, document: Document, keys: Sequence[str]) -> list[str]:
    """`COMPONENT.kind=NAME` for every component that a key goes into and the document does not mention."""
    found = dict.fromkeys(text for key in keys for text in _unwritten(spec, document, key))
    return [text for text in found if text.partition("=")[0] not in keys]


def _unwritten(spec: PipelineSpec, document: Document, key: str) -> Iterator[str]:
    """Walk down the document and the resolved spec side by side."""
    written: Any = document.data
    resolved: Any = spec.model_dump(mode="json")
    parents = key.split(".")[:-1]
    for depth, part in enumerate(parents, start=1):
        place = _place(resolved, part)
        written, resolved = _get(written, place), _get(resolved, place)
        if written is None and isinstance(resolved, dict) and "kind" in resolved:
            yield f"{'.'.join(parents[:depth])}.kind={resolved['kind']}"


def _place(resolved: Any, part: str) -> str | int:
    """The key, or in the pipeline the number of the step with this id."""
    if not isinstance(resolved, list):
        return part
    ids = [entry.get("id") if isinstance(entry, dict) else None for entry in resolved]
    return ids.index(part) if part in ids else part


def _get(data: Any, place: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(place)
    return data[place] if isinstance(data, list) and isinstance(place, int) else None
