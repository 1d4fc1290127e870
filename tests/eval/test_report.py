"""The report: complete, self-contained, honest, and possible from an incomplete run."""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from finished import write_run
from ups_core import UPSError
from ups_core.console import Console
from ups_core.sealed import read_sealed, write_sealed
from ups_data.info import Channel
from ups_eval.command import EvalCommand
from ups_eval.config import OWN_ROWS
from ups_eval.gate.record import Gates, Judgement
from ups_eval.observations.config import Method
from ups_eval.report.animation import rollout_gif
from ups_eval.report.collect import collect, read_log
from ups_eval.report.costs import cost_rows
from ups_eval.report.curves import training_figure
from ups_eval.report.field_figures import sample_figure
from ups_eval.report.lead import sentences
from ups_eval.report.notes import NOTES, notes
from ups_eval.report.render import render, repeat_command, settle, write_report
from ups_eval.report.scores import all_rows, headline_rows, part_rows, physics_rows
from ups_eval.report.style import LIGHT, model_colours
from ups_eval.ttc.config import ITERATIONS, REFINED, ROWS

COLOURS = model_colours(["latent_operator", "persistence", "fno"])


class Balance(HTMLParser):
    """Checks that every element is closed and collects what a page would load."""

    VOID = ("meta", "img", "source", "br", "i")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "srcset", "href", "xlink:href")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_well_formed_and_loads_nothing(run_directory: Path) -> None:
    path = write_report(run_directory)
    assert path == run_directory / "report" / "index.html"
    page = path.read_text()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert all(load.startswith(("data:", "#")) for load in parser.loads)
    assert "<script" not in page
    assert len(page) < 3_000_000
    assert page.count("data:image/gif") == 2, "one for light and one for dark"
    for text in (
        "that is 1.5\N{NO-BREAK SPACE}% of persistence&#39;s",
        "fno with other steps; none was tuned",
        "first 4 frames",
        "ups verify demo-3f9c1a2b",
        "memory of a step",
        "800",
        "ab12cd34ef56",
        "ups-run specs/demo.yaml",
        "version: 1",
        "×0.0153",
        "301,224",
        "Best: trajectory",
        "Worst: trajectory",
        "prefers-color-scheme",
        "torch 2.13.0",
    ):
        assert text in page, text
    assert "/opt/somewhere" not in page, "where a command is installed is nobody's business"
    per_task = 3 + 1 + 2  # samples, bars, spectrum and parity
    assert page.count('role="img"') == 1 + 1 + 2 * per_task, (
        "training, error over time, and those of every task"
    )
    assert page.index("Worst: trajectory") < page.index("Best: trajectory")
    assert all(label for label in re.findall(r'aria-label="([^"]*)"', page))


def test_what_comes_from_a_run_is_escaped(run_directory: Path) -> None:
    run = replace(collect(run_directory), spec="<script>alert(1)</script>", name="a<b", evaluations=[])
    page = render(run)
    assert "<script>alert" not in page
    assert "a&lt;b" in page


def test_the_report_of_its_own_run_says_how_the_run_will_end(run_directory: Path) -> None:
    record = read_sealed(run_directory / "run.json")
    record["status"] = "running"
    own = {"id": "report", "uses": "evaluate: report", "status": "running"}
    record["steps"].append(record["steps"][0] | own)
    write_sealed(run_directory / "run.json", record)
    run = collect(run_directory)
    assert settle(run, None).status == "running"
    assert settle(run, "report").status == "completed"
    record["steps"][0]["status"] = "pending"
    write_sealed(run_directory / "run.json", record)
    assert settle(collect(run_directory), "report").status == "running", "another step is still to come"


def test_stale_numbers_of_a_step_that_has_to_run_again_are_left_out(run_directory: Path) -> None:
    record = read_sealed(run_directory / "run.json")
    record["steps"][2]["status"] = "pending"
    write_sealed(run_directory / "run.json", record)
    assert collect(run_directory).evaluations == []


def test_a_failed_run_without_results_still_has_a_page(tmp_path: Path) -> None:
    write_run(tmp_path, {"operator": "failed"}, status="failed")
    page = write_report(tmp_path).read_text()
    assert "Nothing has been scored" in page
    assert 'class="status failed"' in page
    with pytest.raises(UPSError, match=r"run\.json missing"):
        write_report(tmp_path / "nowhere")


def test_a_torn_log_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 5, "epoch": 0, "train/loss": 1.0, "val/a/nrmse": null}\n[1]\n{"step": 9, "train/loss": 0.5}\n{"st'
    )
    assert read_log("operator", tmp_path / "metrics.jsonl").series == {"train/loss": ([5.0, 9.0], [1.0, 0.5])}


def test_training_curves_show_what_was_logged(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    lines = [
        {
            "step": step,
            "train/a/loss": 1 / step,
            "val/nrmse": 2 / step,
            "train/gradient_cosine": 0.1 * step - 0.2,
        }
        for step in (1, 2, 3)
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    svg = training_figure(read_log("operator", log))
    assert svg is not None
    assert "operator: loss, validation nRMSE, gradient cosine of the tasks against optimizer steps" in svg


def test_the_sentences_say_what_is_better_worse_diverged_and_not_distinguishable(run_directory: Path) -> None:
    run = collect(run_directory)
    (evaluation,) = run.evaluations
    errors = dict(evaluation.statistics)
    names = evaluation.results.errors["advection1d"]
    assert "that is 1.5" in sentences(evaluation, run)[0]
    errors[names["latent_operator"]] = 10 * errors[names["persistence"]]
    errors[names["fno"]] = 9.9 * errors[names["persistence"]] + np.linspace(-1, 1, 6)[:, None, None]
    evaluation.results.metrics |= {"advection1d/nrmse": 14.3, "darcy2d/diverged": 4.0}
    first, second, training = sentences(replace(evaluation, statistics=errors), run)
    assert "10 times persistence's" in first
    assert "these trajectories do not tell it from fno (1" in first
    assert second == "On 6 test trajectories of darcy2d, latent_operator diverges on 4."
    assert training == "fno with other steps; none was tuned."


def test_equal_training_is_said_to_be_equal(run_directory: Path) -> None:
    run = collect(run_directory)
    log = replace(run.training[0], step="fno")
    run = replace(run, training=[*run.training, log])
    assert sentences(run.evaluations[0], run)[-1] == (
        "fno was trained with the same 800 steps and adamw (lr 0.001), untuned."
    )


def test_what_the_metric_or_the_trajectories_cannot_tell_is_not_bold(run_directory: Path) -> None:
    (evaluation,) = collect(run_directory).evaluations
    rows = {row.label: row for row in all_rows(evaluation, "advection1d")}
    assert [cell.best for cell in rows["nrmse"].cells] == [True, False, False]
    assert not any(cell.best for cell in rows["crmse"].cells), "the mean is conserved"
    assert not any(cell.best for cell in rows["spectrum_error"].cells), "persistence has the given spectrum"
    errors = dict(evaluation.statistics)
    array = evaluation.results.errors["advection1d"]
    noise = np.random.default_rng(0).lognormal(0, 0.5, (6, 1, 1))
    errors[array["fno"]] = errors[array["latent_operator"]] * noise
    (row, *_) = headline_rows(replace(evaluation, statistics=errors))
    assert not any(cell.best for cell in row.cells), "these trajectories do not tell them apart"


def test_parts_are_by_horizon_and_parameter_and_say_what_training_never_saw(run_directory: Path) -> None:
    (evaluation,) = collect(run_directory).evaluations
    labels = [row.label for row in part_rows(evaluation, "advection1d")]
    assert labels == [
        "single steps from the truth",
        "the first frame",
        "the first 4 frames",
        "the first 16 frames",
        "all 40 frames",
    ]
    problem = evaluation.results.problems["advection1d"]
    problem.trained = [(0.1, 0.2)]
    params = dict(evaluation.statistics)
    params[problem.params] = np.array([[0.1], [0.1], [0.1], [4.0], [4.0], [4.0]])
    labels = [row.label for row in part_rows(replace(evaluation, statistics=params), "advection1d")]
    assert labels[-2:] == ["beta = 0.1", "beta = 4 (out of distribution: beta = 4, trained on 0.1 to 0.2)"]


def test_the_physics_of_the_truth_is_beside_the_models(run_directory: Path) -> None:
    (evaluation,) = collect(run_directory).evaluations
    (drift, *_) = physics_rows(evaluation, "advection1d")
    assert drift.label == "mean_drift"
    truth, model, persistence, _ = (float(cell.text) for cell in drift.cells)
    assert truth < 1e-6 < model
    assert persistence == 0


def test_costs_name_the_solver_at_equal_error_and_when_training_pays(run_directory: Path) -> None:
    run = collect(run_directory)
    (evaluation,) = run.evaluations
    rows = {row.model: row for row in cost_rows(evaluation, run, "advection1d")}
    # 0.5 s for 6 rollouts are slower than the solver's 0.02 s.
    assert rows["latent_operator"].solver == "20.0 ms on 64"
    assert rows["latent_operator"].pays == "never"
    assert rows["persistence"].solver == "1.00 ms on 16", "a coarse grid is as accurate"
    evaluation.results.seconds["advection1d"]["latent_operator"] = 0.06
    rows = {row.model: row for row in cost_rows(evaluation, run, "advection1d")}
    assert rows["latent_operator"].pays == "7,420 solves", "74.2 s of training at 0.01 s saved per solve"


def test_gates_are_on_the_first_screen_and_in_a_table(run_directory: Path) -> None:
    item = Judgement("nrmse of <flow>", 0.5, 0.4, 0.6, "at most 0.3", False, "out of bounds")
    run = replace(collect(run_directory), gates={"gate": Gates(False, 0.95, [item])})
    page = render(run, animate=False)
    assert page.index("gate failed") < page.index("Results")
    assert "nrmse of &lt;flow&gt;" in page
    assert "0.400 to 0.600" in page


CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
FRAME = """<!doctype html><body style="margin:0"><iframe id="f" style="border:0;width:{width}px;height:800px"></iframe><p id="p"></p>
<script>
const f = document.getElementById("f");
f.onload = () => {{ const d = f.contentDocument.documentElement;
  document.getElementById("p").textContent = "widths " + d.scrollWidth + " " + d.clientWidth + " " + getComputedStyle(f.contentDocument.body).color; }};
f.srcdoc = {page};
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_the_page_never_scrolls_sideways(run_directory: Path, tmp_path: Path, width: int) -> None:
    """Rendered in a browser: wide tables scroll inside their boxes, the page does not."""
    page = render(collect(run_directory), animate=False)
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width, page=json.dumps(page).replace("</", "<\\/")))
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=5000", f"--window-size={width + 40},900", "--dump-dom", frame.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"widths (\d+) (\d+)", shown)
    assert found is not None, shown[-500:]
    scroll, client = map(int, found.groups())
    assert client >= width - 20
    assert scroll <= client


def test_animations_move(run_directory: Path) -> None:
    task = collect(run_directory).evaluations[0].predictions["advection1d"]
    gif = rollout_gif(task, 0, "latent_operator", COLOURS, LIGHT)
    image = Image.open(io.BytesIO(gif))
    assert 35 <= getattr(image, "n_frames", 1) <= 40, "equal neighbours may be merged"
    first = image.convert("RGB").tobytes()
    image.seek(20)
    assert image.convert("RGB").tobytes() != first


@pytest.mark.parametrize("case", ["2d evolution", "1d steady", "3d steady", "two channels", "exploded"])
def test_pictures_of_other_kinds_of_tasks(run_directory: Path, case: str) -> None:
    stored = collect(run_directory).evaluations[0].predictions
    line, plane = stored["advection1d"], stored["darcy2d"]
    if case == "2d evolution":
        info = replace(plane.info, kind="evolution", dt=0.1, history=1, frames=2, channels=line.info.channels)
        task = replace(plane, info=info, state=plane.target)
        assert rollout_gif(task, 0, "fno", COLOURS, LIGHT)[:3] == b"GIF"
    elif case == "1d steady":
        info = replace(plane.info, shape=(64,), domain=((0.0, 1.0),))
        task = replace(
            line,
            info=info,
            target=line.target[:, :1],
            predictions={name: values[:, :1] for name, values in line.predictions.items()},
        )
    elif case == "3d steady":
        info = replace(plane.info, shape=(32, 32, 2), domain=((0.0, 1.0),) * 3)
        task = replace(
            plane,
            info=info,
            target=plane.target[..., None].repeat(2, -1),
            static=plane.static[..., None].repeat(2, -1),
            predictions={name: values[..., None].repeat(2, -1) for name, values in plane.predictions.items()},
        )
    elif case == "two channels":
        info = replace(line.info, channels=(*line.info.channels, Channel("v", "1", "state")))
        task = replace(
            line,
            info=info,
            target=line.target.repeat(2, 2),
            predictions={name: values.repeat(2, 2) for name, values in line.predictions.items()},
        )
    else:
        task = replace(
            line, predictions={"fno": line.target * float("inf")}, nrmse={"fno": line.nrmse["fno"]}
        )
    svg = sample_figure(task, 0, "fno", COLOURS)
    assert svg.startswith('<svg role="img"')
    assert "#010203" not in svg, "ink follows the page"


def run_command(*arguments: str) -> int:
    command = EvalCommand()
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments), Console(quiet=True))


def test_commands(run_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("show", str(run_directory)) == 0
    assert re.search(r"advection1d.*0\.0218 ×0\.0153.*1\.43", capsys.readouterr().out)
    assert run_command("show", str(run_directory), "--json") == 0
    assert json.loads(capsys.readouterr().out)["test"]["metrics"]["darcy2d/nrmse"] == pytest.approx(
        0.0039, rel=0.01
    )
    assert run_command("report", str(run_directory), "--no-animation", "--title", "Our title") == 0
    page = Path(capsys.readouterr().out.strip()).read_text()
    assert "Our title" in page
    assert "image/gif" not in page
    with pytest.raises(UPSError, match="is not a run directory"):
        run_command("show", str(run_directory / "steps"))


def test_the_command_to_repeat_a_run_can_be_pasted(run_directory: Path) -> None:
    run = replace(collect(run_directory), command=["/usr/bin/ups-run", "my specs/a.yaml", "--set", "seed=1"])
    assert repeat_command(run) == "ups-run 'my specs/a.yaml' --set seed=1"


def test_rows_that_steps_add_are_explained() -> None:
    added = {
        *ROWS,
        f"{REFINED}*",
        f"{ITERATIONS}*",
        *get_args(Method),
        *("posterior", "expected", "posterior_solve"),
        *OWN_ROWS,
    }
    assert added <= NOTES.keys() | {"truth"}
    assert notes(["fno", "mean", "choice"]) == (
        "mean: the mean of the training split; choice: of several candidates the one that physics prefers."
    )
    assert notes(["fno"]) == ""
    assert (
        notes(["refined_2", "refined_12"]) == "refined_*: iterations of the discrete equation from no_choice."
    )


def test_each_of_several_evaluations_is_named_on_the_first_screen(run_directory: Path) -> None:
    run = collect(run_directory)
    (evaluation, *_) = run.evaluations
    plain, named = replace(evaluation, predictions={}), f"<b>{evaluation.id}</b>: On "
    assert named not in render(replace(run, evaluations=[plain]))
    header = render(replace(run, evaluations=[plain, replace(plain, id="again")])).partition("</header>")[0]
    assert named in header
    assert "<b>again</b>: On " in header
