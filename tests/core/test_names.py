"""Names that people give: what is allowed, and keys that no two of them share."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ups_core import SpecError, UPSError
from ups_core.compose import apply_override
from ups_core.names import COMPONENT, FIELD, RUN, STEP, TASK, check_names, decoded, encoded, fits, step_id
from ups_core.plugin_loader import registry_in_use
from ups_core.validate import load_spec

PATTERNS = [RUN, STEP, TASK, FIELD, COMPONENT]


def matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern.removeprefix("^").removesuffix("$"), fullmatch=True)


@given(st.text(), st.text())
def test_keys_differ_where_names_differ(first: str, second: str) -> None:
    assert (encoded(first) == encoded(second)) == (first == second)
    assert decoded(encoded(first)) == first
    assert not {"/", "."} & set(encoded(first))


@pytest.mark.parametrize("pattern", [STEP, TASK])
@given(data=st.data())
def test_names_of_steps_and_tasks_are_keys_as_they_are(pattern: str, data: st.DataObject) -> None:
    name = data.draw(matching(pattern))
    assert encoded(name) == name
    assert PurePosixPath(name).parts == (name,)


@given(matching(COMPONENT).filter(lambda name: fits(COMPONENT, name)))
def test_every_component_gives_a_valid_id(name: str) -> None:
    assert fits(STEP, step_id(name))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    "name", ["", "a\n", "\na", "a b", "a\x00", "..", "../a", "/a", "a/", "a" * 65, "-a", 3, None, "a\u2028b"]
)
def test_names_that_no_pattern_allows(pattern: str, name: object) -> None:
    assert not fits(pattern, name)


def test_names_in_code_are_checked() -> None:
    check_names("channel", ["u", "ν", "v_x", "0"])
    with pytest.raises(UPSError, match=r"channel 'a/b': expected a name of at most 64 letters"):
        check_names("channel", ["u", "a/b"])
    with pytest.raises(UPSError, match=r"channel 'u' is named twice; rename one"):
        check_names("channel", ["u", "v", "u"])


@pytest.mark.parametrize("name", ["a/b", "a.b", "", " a", "-a", "a\tb", "é", "a" * 65, "..", "a b"])
def test_names_of_tasks_are_checked_before_anything_runs(spec_file: Path, name: str) -> None:
    spec_file.write_text(spec_file.read_text().replace("  a: {", f"  {name!r}: {{".replace("\t", "\\t")))
    with pytest.raises(SpecError, match=r"toy.yaml:5:\d+ tasks|a key must be plain text"):
        load_spec(spec_file)


@pytest.mark.parametrize("name", ["keys", "items", "type", "forward", "train", "a_dot_b", "test", "0"])
def test_other_names_of_tasks_are_allowed(spec_file: Path, name: str) -> None:
    spec_file.write_text(spec_file.read_text().replace("  a: {", f"  {name}: {{"))
    assert list(load_spec(spec_file)[0].tasks) == [name]


def test_a_task_is_not_called_as_the_key_of_a_component(spec_file: Path) -> None:
    spec_file.write_text(spec_file.read_text().replace("  a: {", "  kind: {"))
    with pytest.raises(SpecError, match=r"toy.yaml:5:3 tasks.kind: a task cannot be called 'kind'"):
        load_spec(spec_file)


def test_an_id_is_found_before_a_number(spec_file: Path) -> None:
    spec_file.write_text(spec_file.read_text().replace("id: train", "id: '1'"))
    _, document = load_spec(spec_file)
    apply_override(document, "pipeline.1.epochs=9")
    apply_override(document, "pipeline.-1.id=last")
    assert document.data["pipeline"][0]["epochs"] == 9
    assert document.data["pipeline"][2]["id"] == "last"


@pytest.mark.parametrize(
    "name", ["'a b'", "'../a'", "'a/'", "''", "'a\\nb'", "3", "None", "('a',)", "['a']", "'é'", "'a' * 65"]
)
def test_a_component_with_another_name_is_refused_and_others_stay(install, name: str) -> None:  # type: ignore[no-untyped-def]
    install(
        "bad-names",
        "from ups_core import ModelConfig, hookimpl\n"
        "@hookimpl\n"
        "def ups_register_models(register):\n"
        f"    register({name}, 'a:b', config=ModelConfig, summary='a')\n"
        "    register('bad/good', 'a:b', config=ModelConfig, summary='a')\n",
    )
    registry = registry_in_use()
    assert registry.find("models", "bad/good") is not None
    (failure,) = [failure for failure in registry.failures if failure.entry_point == "bad-names"]
    assert "expected a name of" in failure.error or "unhashable" in failure.error
    assert "\n" not in str(failure)
