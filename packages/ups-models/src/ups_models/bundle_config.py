"""`config.json` of a saved simulator, and the checksum of its weights; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ups_core import UPSError
from ups_core.reading import UnsoundFile, load_json
from ups_core.sealed import read_sealed
from ups_core.sums import FileSum, check_sum

SCHEMA = 2
"""Of bundles; since 2 they have checksums."""
CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
OPERATOR = "operator"
"""Folder of a corrected simulator's operator, a bundle of its own."""
Form = Literal["operator", "corrector", "prior"]
"""What the weights of a bundle are: of an operator, of what corrects one, or of a prior."""
ARTIFACT = "simulator"
"""Kind of artifact that a bundle written here is; other kinds have writers of their own."""

SAMPLER, POSTERIOR, LEARNED = "sampler", "posterior", "learned"
"""Keys of a corrected simulator, and two of a prior."""

_KEYS = ("kind", "options", "provider", "version", "tasks", "statistics", "weights")
"""What `config.json` must contain beside the schema."""


def read_bundle_config(directory: Path) -> dict[str, Any]:
    """The bundle's `config.json`.

    Raises:
        UPSError: the file is missing or damaged, of another schema, or of another kind of artifact.
    """
    path = directory / CONFIG
    if not path.exists() and not path.is_symlink():
        raise UPSError(f"{directory} is not a saved model ({CONFIG} missing)")
    raw = load_json(path)
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise UnsoundFile(path, f"has schema {schema!r}; this version reads schema {SCHEMA}")
    config = read_sealed(path)
    missing = next((key for key in _KEYS if key not in config), None)
    artifact = config.get("artifact")
    if artifact != ARTIFACT:
        raise UPSError(
            f"{directory} contains a {artifact}, not a {ARTIFACT}; choose a directory of a {ARTIFACT}"
        )
    if missing is not None:
        raise UnsoundFile(path, f"is damaged ('{missing}' missing); save the model again")
    if not isinstance(config["weights"], dict) or config["weights"].keys() != set(FileSum._fields):
        raise UnsoundFile(path, "has no checksum of the weights; save the model again")
    return config


def form_of(config: Mapping[str, Any]) -> Form:
    """The form of a saved simulator, from its `config.json`."""
    return "prior" if POSTERIOR in config else "corrector" if SAMPLER in config else "operator"


def check_weights(directory: Path, config: Mapping[str, Any]) -> Path:
    """The path of a bundle's weights, whose checksum was compared with that of its `config.json`.

    Raises:
        UnsoundFile: they are missing or have changed.
    """
    path = directory / WEIGHTS
    check_sum(path, FileSum(**config["weights"]))
    return path


def weights_sum(config: Mapping[str, Any]) -> str:
    """SHA-256 of the weights that belong to a `config.json`."""
    return FileSum(**config["weights"]).sha256
