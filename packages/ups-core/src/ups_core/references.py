"""Lazy references: `"module:attribute"` names an object that is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import Any

from ups_core.errors import UPSError


def load_object(reference: object) -> Any:
    """Import what a `"module:attribute"` string names; any other object is returned unchanged.

    Raises:
        UPSError: the string has no attribute part.
        ImportError, AttributeError: the module or attribute does not exist.
    """
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    if not attribute:
        raise UPSError(f"'{reference}' is not of the form 'module:attribute'")
    target: Any = importlib.import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    return target
