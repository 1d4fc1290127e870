"""What `ups verify` compares in a run directory, without torch."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from ups_core.finished_step import RECORD, FinishedStep
from ups_core.page import PAGE, page_of
from ups_core.reading import UnsoundFile, load_json
from ups_core.record import DETAILS
from ups_core.run_file import RUN, SPEC, RunFile, RunStep, check_spec, read_run
from ups_core.sums import sum_of
from ups_data.stores.checksums import noted_sum, sum_now
from ups_eval.page_seal import check_page
from ups_eval.results import Results
from ups_eval.verify.finding import Finding, Outcome, finding, guarded
from ups_eval.verify.gates import check_gates
from ups_eval.verify.numbers import check_numbers
from ups_models.bundle_config import CONFIG, check_weights, read_bundle_config

OWN = ("ups-core", "ups-data", "ups-models", "ups-eval", "ups-train")


def verify_run(run: Path, full_data: bool) -> Iterator[Finding]:
    """Everything that follows from the files of a run.

    Args:
        run: the run directory.
        full_data: compare the data files with the record, not only with what is noted beside them.

    Raises:
        UnsoundFile: it is not a run directory, or its record is damaged.
    """
    record = read_run(run)
    outcome: Outcome = "ok" if record.status == "completed" else "note"
    yield Finding(RUN, outcome, f"{record.name}, {record.status}, fingerprint {record.fingerprint[:12]}")
    yield finding(SPEC, lambda: _spec(run, record))
    bundles: dict[str, str] = {}
    for step in record.steps:
        if step.status == "completed":
            yield from guarded(step.id, lambda step=step: _step(run, step, bundles))  # type: ignore[misc]
        else:
            yield Finding(step.id, "note", step.status)
    yield from guarded("report", lambda: _page(run, record))
    yield from _code(record)
    yield from _data(record, full_data)


def _spec(run: Path, record: RunFile) -> str:
    check_spec(run, record.spec)
    return "as recorded"


def _step(run: Path, step: RunStep, bundles: dict[str, str]) -> Iterator[Finding]:
    finished = FinishedStep.read(run, step.id)
    damaged = [name for name in finished.record.files if name not in finished.sound_files()]
    for name in damaged:
        yield finding(f"{step.id}: {name}", lambda name=name: str(finished.file(name)))  # type: ignore[misc]
    extra = _unknown_files(finished)
    if extra:
        yield Finding(step.id, "note", f"files that the step did not leave: {', '.join(extra)}")
    if damaged:
        return
    count = len(finished.record.files)
    size = sum(noted.bytes for noted in finished.record.files.values())
    kept = f", kept from {finished.record.kept_from}" if finished.record.kept_from else ""
    yield Finding(step.id, "ok", f"{count} files, {size / 1e6:.1f} MB{kept}")
    if (step.fingerprint, step.metrics) != (finished.record.fingerprint, finished.record.metrics):
        yield Finding(step.id, "MISMATCH", f"fingerprint or metrics of {RUN} are not those of {RECORD}")
    yield from check_gates(run, finished)
    yield from _bundle(finished, bundles)
    results = Results.read(finished)
    if results is not None:
        yield from _scored(finished, results, bundles)
        yield from check_numbers(finished, results)


def _unknown_files(step: FinishedStep) -> list[str]:
    known = {RECORD, *step.record.files}
    found = (
        path.relative_to(step.directory).as_posix() for path in step.directory.rglob("*") if not path.is_dir()
    )
    return sorted(name for name in found if name not in known)


def _bundle(step: FinishedStep, bundles: dict[str, str]) -> Iterator[Finding]:
    """The model that a step left, and the checkpoint that its weights are of."""
    if f"model/{CONFIG}" not in step.record.files:
        return
    directory = step.directory / "model"
    config = read_bundle_config(directory)
    weights = sum_of(check_weights(directory, config))
    bundles[weights] = step.record.id
    chosen = _details(step).get("checkpoint")
    if not isinstance(chosen, dict):
        return
    name = f"checkpoints/{chosen.get('file')}"
    if name in step.record.files and step.record.files[name].sha256 != chosen.get("sha256"):
        yield Finding(f"{step.record.id}: {name}", "MISMATCH", "is not the checkpoint that was exported")
        return
    where = f"step {chosen.get('step')} ({chosen.get('file')})"
    yield Finding(f"{step.record.id}: model", "ok", f"{config['kind']} of {where}, weights {weights[:12]}")


def _scored(step: FinishedStep, results: Results, bundles: dict[str, str]) -> Iterator[Finding]:
    for model, weights in results.weights.items():
        what = f"{step.record.id}: {model}"
        if weights in bundles:
            yield Finding(what, "ok", f"scored with the weights of step {bundles[weights]}")
        else:
            yield Finding(what, "MISMATCH", f"was scored with weights {weights[:12]}, which no step has")
    for model, weights in results.frozen.items():
        yield Finding(
            f"{step.record.id}: {model}", "note", f"was not trained by this run, weights {weights[:12]}"
        )


def _details(step: FinishedStep) -> dict[str, Any]:
    if DETAILS not in step.record.files:
        return {}
    found = load_json(step.file(DETAILS))
    return found if isinstance(found, dict) else {}


def _page(run: Path, record: RunFile) -> Iterator[Finding]:
    """The copy of the page at `report/`."""
    for step in reversed(record.steps):
        if step.status == "completed":
            finished = FinishedStep.read(run, step.id)
            if PAGE in finished.record.files:
                page = page_of(run)
                if sum_of(page) == finished.record.files[PAGE].sha256:
                    yield Finding(f"report/{PAGE}", "ok", f"the page of step {step.id}")
                else:
                    check_page(page)
                    yield Finding(f"report/{PAGE}", "note", f"not the page of step {step.id}; it is sound")
                return


def _code(record: RunFile) -> Iterator[Finding]:
    recorded = record.environment.get("packages", {})
    changed = []
    for name in OWN:
        try:
            here = metadata.version(name)
        except metadata.PackageNotFoundError:
            here = "not installed"
        if recorded.get(name) != here:
            changed.append(f"{name} {recorded.get(name)} (here {here})")
    commit = (record.environment.get("git") or {}).get("commit")
    known = f"commit {commit[:12]}" if isinstance(commit, str) else "no commit recorded"
    yield Finding("code", "note", f"{'; '.join(changed) or 'versions as recorded'}; {known}")


def _data(record: RunFile, full: bool) -> Iterator[Finding]:
    for task, data in record.data.items():
        for name, expected in zip(data.get("files", ()), data.get("sums", ()), strict=False):
            path = Path(str(name))
            if not path.exists():
                yield Finding(f"data {task}", "MISMATCH" if full else "note", f"{path} is not here")
                continue

            def compare(path: Path = path, expected: str = str(expected)) -> str:
                noted = None if full else noted_sum(path)
                found = sum_now(path) if noted is None else noted
                if found.full != expected:
                    raise UnsoundFile.changed(path, expected, found.full)
                return f"{path}: " + ("as recorded" if noted is None else "its noted checksum is as recorded")

            yield finding(f"data {task}", compare)
