"""What `ups verify` compares in a saved model and in a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ups_eval.page_seal import check_page
from ups_eval.verify.finding import Finding, finding
from ups_models.bundle_config import CONFIG, check_weights, read_bundle_config


def verify_bundle(directory: Path) -> Iterator[Finding]:
    """The description of a saved model and its weights. Raises :class:`UnsoundFile`."""
    config = read_bundle_config(directory)
    writer = f"{config['provider']} {config['version']}"
    yield Finding(CONFIG, "ok", f"{config['kind']} of {writer}, tasks {', '.join(config['tasks'])}")
    yield finding("weights", lambda: f"{check_weights(directory, config)} as recorded")


def verify_page(path: Path) -> Iterator[Finding]:
    """A page that `evaluate: report` wrote."""

    def check() -> str:
        check_page(path)
        return "has its own checksum"

    yield finding(str(path), check)
