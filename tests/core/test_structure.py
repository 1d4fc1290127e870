"""How the core is built: no import leads in a circle, none needs torch, and each module is small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ups_core

ROOT = Path(ups_core.__file__).parent
FILES = {
    ".".join(("ups_core", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}


def imports(name: str) -> Iterator[str]:
    """Modules of the core that a module imports anywhere: also in functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ups_core":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in FILES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "ups_core")


GRAPH = {name: set(imports(name)) for name in FILES}


def test_no_import_leads_in_a_circle() -> None:
    finished: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in finished:
            for other in sorted(GRAPH[name]):
                visit(other, (*trail, name))
            finished.add(name)

    for name in FILES:
        visit(name, ())
    assert finished == set(FILES)


def test_no_module_imports_the_package_itself() -> None:
    """It imports all others, so that would be a circle of a kind that layers do not see."""
    assert [name for name, others in GRAPH.items() if "ups_core" in others] == []


def test_a_plan_is_made_without_torch_and_without_arrays(spec_file: Path) -> None:
    script = (
        "import sys\nfrom ups_core.cli.run import main\n"
        f"assert main([{str(spec_file)!r}, '--plan']) == 0\n"
        "heavy = {'torch', 'numpy', 'lightning', 'h5py', 'optuna', 'submitit'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_module_says_what_it_is_for_and_is_small(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a docstring"
    assert len(text.splitlines()) <= 200
    assert "from __future__ import annotations" in text or len(text.splitlines()) < 70


def test_what_plugins_import_is_at_the_top_of_the_package() -> None:
    assert sorted(ups_core.__all__) == ups_core.__all__
    for name in ups_core.__all__:
        assert hasattr(ups_core, name)
