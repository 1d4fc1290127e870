"""`ups verify` finds a changed digit, byte or file and names it; what follows from stored numbers follows."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finished import finish_step
from ups_core.cli.main import main
from ups_core.finished_step import FinishedStep
from ups_core.reading import UnsoundFile
from ups_core.sealed import read_sealed, write_sealed
from ups_eval.builtin_metrics import METRICS, create_metric
from ups_eval.metrics import TrajectoryMetric, nrmse_per_channel
from ups_eval.page_seal import check_page, sealed_page
from ups_eval.trajectory_statistics import read_statistics, reduce_values, write_statistics
from ups_eval.verify.formulas import ERRORS, FORMULAS

SHAPES = [(3, 4, 1, 16), (2, 3, 2, 9), (3, 2, 1, 8, 10), (2, 1, 2, 6, 5), (2, 2, 1, 4, 6, 5)]


def fields(shape: tuple[int, ...], seed: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    target = generator.normal(size=shape).astype("f4")
    return (target + 0.1 * generator.normal(size=shape)).astype("f4"), target


@settings(max_examples=25, deadline=None)
@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 1000))
def test_the_auditor_s_formulas_are_the_metrics(shape: tuple[int, ...], seed: int) -> None:
    prediction, target = fields(shape, seed)
    pair = torch.from_numpy(prediction), torch.from_numpy(target)
    assert set(METRICS) | {ERRORS} == set(FORMULAS)
    for name in METRICS:
        metric = create_metric(name)
        assert isinstance(metric, TrajectoryMetric)
        values = metric.values(*pair).numpy()
        again = FORMULAS[name](prediction.astype(float), target.astype(float))
        np.testing.assert_allclose(again, values, rtol=1e-9, atol=1e-15, err_msg=name)
        metric.update(*pair)
        expected = float(metric.compute())
        assert reduce_values(values, metric.reduction) == pytest.approx(expected, rel=1e-12, nan_ok=True), (
            name
        )
    curve = FORMULAS[ERRORS](prediction.astype(float), target.astype(float))
    np.testing.assert_allclose(curve, nrmse_per_channel(*pair).numpy(), rtol=1e-12)


def test_formulas_of_a_target_of_zeros() -> None:
    zeros, ones = np.zeros((1, 1, 1, 8)), np.ones((1, 1, 1, 8))
    for name in ("nrmse", "rel_l2"):
        assert FORMULAS[name](zeros, zeros).tolist() == [0.0]
        assert FORMULAS[name](ones, zeros).tolist() == [math.inf]


@pytest.mark.parametrize(
    ("values", "reduction", "expected"),
    [
        ([1.0, 3.0], "mean", 2.0),
        ([[1.0, 4.0], [1.0, 4.0]], "root_mean", 1.5),
        ([[1.0, 4.0], [3.0, 2.0]], "max", 3.5),
        ([1.0, math.inf], "mean", math.inf),
        ([1.0, math.nan], "mean", math.inf),
        (np.zeros((3, 2, 0)), "root_mean", math.nan),
    ],
)
def test_reductions(values: Any, reduction: Any, expected: float) -> None:
    assert reduce_values(np.asarray(values), reduction) == pytest.approx(expected, nan_ok=True)


def test_statistics_survive_the_file_bit_by_bit(tmp_path: Path) -> None:
    arrays = {"a0": np.random.default_rng(0).normal(size=(3, 2)), "a1": np.array([math.inf, 1.0])}
    write_statistics(tmp_path / "one.npz", arrays)
    write_statistics(tmp_path / "two.npz", arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    found = read_statistics(tmp_path / "one.npz")
    assert set(found) == set(arrays)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


@pytest.mark.parametrize("kind", ["pickle", "compressed", "float32", "text", "cut"])
def test_other_archives_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s.npz"
    if kind == "pickle":
        np.savez(path, a0=np.array([{}], dtype=object))
    elif kind == "compressed":
        np.savez_compressed(path, a0=np.zeros(10**6))
    elif kind == "float32":
        np.savez(path, a0=np.zeros(3, "f4"))
    else:
        write_statistics(path, {"a0": np.zeros(9)})
        path.write_bytes(b"text" if kind == "text" else path.read_bytes()[:-30])
    with pytest.raises(UnsoundFile, match=r"s\.npz is not a file of statistics"):
        read_statistics(path)


def verify(run: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    code = main(["verify", str(run), *options])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_a_sound_run(run_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = verify(run_directory, capsys)
    assert code == 0, text
    assert "MISMATCH" not in text
    assert re.search(r"test: numbers +\d+ follow from statistics.npz", text)
    assert re.search(r"predictions of advection1d +\d+ values of 4 trajectories follow", text)
    found = json.loads(verify(run_directory, capsys, "--json")[1])
    assert {finding["outcome"] for finding in found} == {"ok", "note"}


def change_digit(run: Path) -> None:
    path = run / "steps/test/metrics.json"
    path.write_text(re.sub(r'"nrmse": 0', '"nrmse": 1', path.read_text(), count=1))
    path.write_text(re.sub(r"(\d)\n", lambda m: str((int(m[1]) + 1) % 10) + "\n", path.read_text(), count=1))


def change_byte(run: Path) -> None:
    path = run / "steps/test/predictions.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove_file(run: Path) -> None:
    (run / "steps/operator/metrics.jsonl").unlink()


def change_spec(run: Path) -> None:
    with (run / "spec.yaml").open("a") as file:
        file.write("# better\n")


def change_record(run: Path) -> None:
    path = run / "run.json"
    path.write_text(path.read_text().replace("139.0", "13.0"))


CHANGES: dict[Callable[[Path], None], str] = {
    change_digit: "steps/test/metrics.json (does not match its checksum|has .* bytes instead)",
    change_byte: "steps/test/predictions.h5 does not match its checksum \\(expected .{12}, found .{12}\\)",
    remove_file: "steps/operator/metrics.jsonl is missing",
    change_spec: "spec.yaml does not match its checksum",
    change_record: "run.json does not match its checksum",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_is_found_and_named(
    run_directory: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None]
) -> None:
    change(run_directory)
    code, text = verify(run_directory, capsys)
    assert code == 1
    assert re.search(CHANGES[change], text), text


def forge(run: Path, step: str) -> None:
    """Write the sums of a step again, as a forger would who knows how."""
    record = FinishedStep.read(run, step).record.model_dump(mode="json", by_alias=True)
    del record["files"], record["schema"], record["id"], record["fingerprint"]
    finish_step(run, step, "aa", **record)


def better_number(run: Path) -> None:
    path = run / "steps/test/metrics.json"
    content = read_sealed(path)
    content["metrics"]["advection1d/nrmse"] /= 2
    write_sealed(path, content)


def better_curve(run: Path) -> None:
    path = run / "steps/test/metrics.json"
    content = read_sealed(path)
    content["per_sample"]["advection1d"]["latent_operator"][2] /= 2
    write_sealed(path, content)


def better_statistics(run: Path) -> None:
    content = read_sealed(run / "steps/test/metrics.json")
    arrays = read_statistics(run / "steps/test/statistics.npz")
    name = content["values"]["advection1d"]["latent_operator"]["nrmse"]
    arrays[name] = arrays[name] / 2
    content["metrics"]["advection1d/nrmse"] /= 2
    write_statistics(run / "steps/test/statistics.npz", arrays)
    write_sealed(run / "steps/test/metrics.json", content)


def better_predictions(run: Path) -> None:
    with h5py.File(run / "steps/test/predictions.h5", "r+") as file:
        file["darcy2d/prediction/fno"][...] = file["darcy2d/target"]


def other_weights(run: Path) -> None:
    path = run / "steps/test/metrics.json"
    write_sealed(path, read_sealed(path) | {"weights": {"latent_operator": "0" * 64}})


def no_array(run: Path) -> None:
    arrays = read_statistics(run / "steps/test/statistics.npz")
    write_statistics(run / "steps/test/statistics.npz", dict(list(arrays.items())[1:]))


def no_reduction(run: Path) -> None:
    path = run / "steps/test/metrics.json"
    write_sealed(path, read_sealed(path) | {"reductions": {}})


def other_rows(run: Path) -> None:
    with h5py.File(run / "steps/test/predictions.h5", "r+") as file:
        file["darcy2d/position"][0] = 999


FORGERIES: dict[Callable[[Path], None], str] = {
    better_number: r"advection1d/nrmse is \S+ in metrics.json, but statistics.npz gives",
    better_curve: r"advection1d/latent_operator/per_sample\[2\] is \S+ in metrics.json",
    better_statistics: r"advection1d/nrmse is \S+ in metrics.json and \S+ in step.json|nrmse of latent_operator differs",
    better_predictions: "of fno differs from statistics.npz",
    other_weights: "latent_operator.*was scored with weights 000000000000, which no step has",
    no_array: "statistics.npz has no array 'a0'",
    no_reduction: r"its files contradict each other \(KeyError",
    other_rows: r"its files contradict each other \(IndexError",
}


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.__name__)
def test_numbers_that_do_not_follow_are_found_though_all_sums_are_right(
    run_directory: Path, capsys: pytest.CaptureFixture[str], forgery: Callable[[Path], None]
) -> None:
    forgery(run_directory)
    forge(run_directory, "test")
    code, text = verify(run_directory, capsys)
    assert code == 1, text
    assert re.search(FORGERIES[forgery], text), text


def test_foreign_files_in_a_step_are_noted(run_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_directory / "steps/test/notes.txt").write_text("mine")
    code, text = verify(run_directory, capsys)
    assert code == 0
    assert "files that the step did not leave: notes.txt" in text


def test_other_code_is_said(run_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = verify(run_directory, capsys)[1]
    assert "ups-eval 0.1.0 (here" in text
    assert "commit 0123abcd" in text


@pytest.mark.parametrize("place", ["", "nothing", "steps"])
def test_other_places_get_one_line(
    run_directory: Path, capsys: pytest.CaptureFixture[str], place: str, tmp_path: Path
) -> None:
    target = tmp_path if place == "" else run_directory / place
    code, text = verify(target, capsys)
    assert code == 1
    assert (
        text
        == f"error: {target} is not a run directory (run.json), a saved model (config.json), a page or a leaderboard\n"
    )


def test_a_page_that_was_sent_around(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "index.html"
    page.write_text(sealed_page("<html>nRMSE 0.5</html>\n"))
    check_page(page)
    assert verify(page, capsys)[0] == 0
    page.write_text(page.read_text().replace("0.5", "0.4"))
    code, text = verify(page, capsys)
    assert code == 1
    assert "index.html does not match its checksum" in text
    page.write_text("<html></html>")
    assert "has no checksum" in verify(page, capsys)[1]


def test_numbers_are_verified_without_torch(run_directory: Path) -> None:
    script = (
        "import sys\nfrom ups_core.cli.main import main\n"
        f"assert main(['verify', {str(run_directory)!r}]) == 0\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_run_that_was_moved(
    run_directory: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    moved = Path(shutil.move(run_directory, tmp_path / "elsewhere"))
    assert verify(moved, capsys)[0] == 0


def test_control_characters_of_a_foreign_run_are_not_printed(
    run_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_directory / "steps/test/metrics.json"
    write_sealed(path, read_sealed(path) | {"split": "te\x1b[31mst", "model": "latent\x1b]0;x\x07operator"})
    run = read_sealed(run_directory / "run.json")
    write_sealed(run_directory / "run.json", run | {"name": "de\x1b[2Jmo"})
    forge(run_directory, "test")
    for arguments in (["verify"], ["eval", "show"], ["compare"], ["eval", "report"]):
        main([*arguments, str(run_directory)])
        printed = capsys.readouterr()
        assert not set("\x1b\x07") & set(printed.out + printed.err), arguments
