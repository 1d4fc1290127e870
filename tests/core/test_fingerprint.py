"""Hashes of data and of the code that computes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core import fingerprint
from ups_core.fingerprint import code_versions, digest

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), plain, max_size=5))
def test_a_digest_does_not_depend_on_the_order_of_keys(data: dict[str, Any]) -> None:
    assert digest(data) == digest(dict(reversed(list(data.items()))))
    assert len(digest(data)) == 64


@given(plain, plain)
def test_different_data_have_different_digests(a: Any, b: Any) -> None:
    assert (digest(a) == digest(b)) == (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))


def test_a_digest_is_the_sha_256_of_compact_json() -> None:
    """Another one would make all finished runs stale."""
    compact = b'{"a":[1,2.5,null],"b":{"c":true}}'
    assert digest({"b": {"c": True}, "a": [1, 2.5, None]}) == hashlib.sha256(compact).hexdigest()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Versions are looked up once per process; tests change them."""
    fingerprint._version.cache_clear()
    yield
    fingerprint._version.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    return site


def distribution(
    site: Path,
    name: str,
    version: str = "1.0",
    requires: tuple[str, ...] = (),
    plugin: bool = True,
    source: Path | None = None,
) -> None:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    if plugin:
        (info / "entry_points.txt").write_text(f"[ups]\n{name} = {name.replace('-', '_')}\n")
    if source is not None:
        origin = {"url": source.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(origin))


def test_plugins_that_a_distribution_requires_count_too(site: Path) -> None:
    distribution(
        site, "first-plugin", requires=("second.plugin>=1", "numbers-library", "third; extra == 'more'")
    )
    distribution(site, "second-plugin", "2.0", requires=("first_plugin",))
    distribution(site, "numbers-library", plugin=False)
    distribution(site, "third")
    assert code_versions(["First_Plugin"]) == {"first-plugin": "1.0", "second-plugin": "2.0"}
    assert list(code_versions(["third", "first-plugin"])) == ["first-plugin", "second-plugin", "third"]


def test_a_distribution_that_is_not_installed_is_unknown(site: Path) -> None:
    distribution(site, "first-plugin", requires=("not-there",))
    assert code_versions(["nobody", "first-plugin"]) == {"first-plugin": "1.0", "nobody": "unknown"}


@pytest.mark.parametrize("layout", ["src", "flat"])
def test_an_editable_install_has_a_hash_of_its_sources(layout: str, site: Path, tmp_path: Path) -> None:
    project = tmp_path / "a project"
    sources = project / "src" / "edited" if layout == "src" else project / "edited"
    sources.mkdir(parents=True)
    (sources / "__init__.py").write_text("x = 1\n")
    distribution(site, "edited", source=project)

    def version() -> str:
        fingerprint._version.cache_clear()
        return code_versions(["edited"])["edited"]

    first = version()
    assert first.startswith("1.0+")
    assert len(first) == len("1.0+") + 12
    assert version() == first
    (sources / "__init__.py").write_text("x = 2\n")
    second = version()
    assert second != first
    (sources / "page.j2").write_text("<html>")
    third = version()
    assert third != second, "templates are sources"
    (sources / "page.j2").rename(sources / "other.j2")
    assert version() != third, "names count"


def test_files_that_are_no_sources_do_not_count(site: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "a.py").write_text("x = 1\n")
    distribution(site, "edited", source=project)
    before = code_versions(["edited"])
    for path in ("src/notes.md", "src/.hidden/b.py", "src/.c.py", "tests/test_a.py"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("y = 1\n")
    fingerprint._version.cache_clear()
    assert code_versions(["edited"]) == before


def test_an_install_from_a_folder_that_is_not_editable(site: Path, tmp_path: Path) -> None:
    distribution(site, "copied", source=tmp_path)
    info = next(site.glob("copied*")) / "direct_url.json"
    info.write_text(json.dumps({"url": tmp_path.as_uri(), "dir_info": {}}))
    assert code_versions(["copied"]) == {"copied": "1.0"}
