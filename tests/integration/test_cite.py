"""What the shipped components cite: exactly what a spec uses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands import SPECS
from ups_core import Citation, Component
from ups_core.citations import citations_of
from ups_core.plugin_loader import registry_in_use
from ups_core.validate import load_spec

SPEC = """\
version: 1
name: cited
tasks: {wave: {kind: advection1d}}
model: fno
trainer: {accelerator: cpu}
pipeline:
  - {stage: operator, id: operator, optimizer: adamw, scheduler: constant}
  - {evaluate: rollout, id: test, metrics: [nrmse]}
"""
ALWAYS = ["ups", "takamoto2022pdebench", "li2021fourier", "loshchilov2019decoupled"]
FLOW = "{stage: diffusion_residual, optimizer: adam, scheduler: constant"


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, []),
        ({"advection1d": "the_well, files: x"}, ["ohana2024well"]),  # nRMSE is still that of PDEBench
        ({"kind: advection1d": "kind: advection1d, source: official"}, ["takamoto2022data"]),
        ({"adamw": "muon_hybrid"}, ["jordan2024muon", "liu2025muon"]),
        ({"adamw": "{kind: muon_hybrid, adjust_lr: original}"}, ["jordan2024muon"]),
        ({"constant": "cosine"}, ["loshchilov2017sgdr"]),
        ({"id: operator": "pushforward: 1"}, ["brandstetter2022message"]),
        ({"id: operator": "recompute: true"}, ["chen2016training"]),
        ({"[nrmse]": "[nrmse, vrmse]"}, ["ohana2024well"]),
        ({"[nrmse]": "[nrmse], baselines: [unet]"}, ["ronneberger2015unet", "liu2022convnet"]),
        (
            {"fno": "{kind: latent_operator, width: 64}", "id: operator": "objective: {kind: ensemble}"},
            ["liu2022convnet", "peebles2023scalable", "lang2024aifscrps", "gneiting2007strictly", "ferro2014fair",
             "-li2021fourier"],
        ),
        ({"fno": "{kind: latent_operator, trunk: pdet_unet}"},
         ["holzschuh2025pdetransformer", "peebles2023scalable", "-li2021fourier"]),
        ({"[nrmse]": "[nrmse], members: 4, ensemble_metrics: [crps, spread_skill]"},
         ["gneiting2007strictly", "ferro2014fair", "fortin2014why"]),
        ({"[nrmse]": "[nrmse], ensemble_metrics: []"}, []),
        ({"  - {evaluate": f"  - {FLOW}}}\n  - {{evaluate"},
         ["mardani2025residual", "liu2023flow", "lipman2023flow", "kingma2015adam"]),
        ({"  - {evaluate": f"  - {FLOW}, flow: edm, sampler: {{start: 0.5}}}}\n  - {{evaluate"},
         ["mardani2025residual", "karras2022elucidating", "lippe2023pderefiner", "kingma2015adam"]),
    ],
)  # fmt: skip
def test_exactly_what_is_used_is_cited(changes: dict[str, str], more: list[str], tmp_path: Path) -> None:
    text = SPEC
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    expected = {*ALWAYS, *(key for key in more if not key.startswith("-"))}
    expected -= {key[1:] for key in more if key.startswith("-")}
    found = [cited.key for cited in citations_of(load_spec(path)[0])]
    assert found[0] == "ups"
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_shipped_spec_has_entries_that_bibtex_reads(path: Path) -> None:
    cited = citations_of(load_spec(path)[0])
    assert len(cited) > 3
    for reference in cited:
        head, *fields, end = reference.bibtex.splitlines()
        assert re.fullmatch(rf"@(article|inproceedings|misc)\{{{reference.key},", head)
        assert end == "}"
        for field in fields:
            assert re.fullmatch(r"  [a-z]+ = \{(.*)\},", field)
            assert field.count("{") == field.count("}")
        assert "year = " in reference.bibtex or reference.key == "ups"


def test_keys_belong_to_one_paper_each() -> None:
    """Every component with its default options, and every constant of the modules of citations."""
    found = {}
    for entry in registry_in_use().entries():
        for reference in entry.cite:
            loaded = entry.load_citation(reference)
            module = sys.modules[reference.partition(":")[0]]
            constants = [value for value in vars(module).values() if isinstance(value, Citation)]
            for citation in constants if callable(loaded) else [loaded]:
                assert found.setdefault(citation.key, citation) == citation
    assert len(found) > 20
    numbers = [citation.eprint for citation in found.values() if citation.eprint]
    assert len(numbers) == len(set(numbers)), "no arXiv number twice"
    for citation in found.values():
        assert citation.doi or citation.eprint or citation.url
        assert not citation.eprint or re.fullmatch(r"\d{4}\.\d{4,5}", citation.eprint)


def test_the_numbers_in_docstrings_are_those_of_the_entries() -> None:
    entry = Component.of("models", "fno").entry
    (citation,) = entry.citations(Component.of("models", "fno").config)
    assert citation.eprint in (entry.load_config().__doc__ or "")


def test_no_torch_is_imported() -> None:
    script = (
        "import sys; from ups_core.cli.main import main; "
        f"code = main(['cite', {str(SPECS[0])!r}]); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
