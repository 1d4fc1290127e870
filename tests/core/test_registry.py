"""Names, kinds and what a component must be to be registered."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ups_core import Config, LossConfig, MetricConfig, ModelConfig, StageConfig, UPSError
from ups_core.entry import Entry, Provider
from ups_core.kinds import KINDS, singular
from ups_core.references import load_object
from ups_core.registry import DuplicateComponent, Failure, Registry

OURS = Provider("ours", "1.0")
THEIRS = Provider("theirs", "2.0")


def entry(kind: str = "models", name: str = "net", **changes: Any) -> Entry:
    options: dict[str, Any] = {
        "factory": dict,
        "config": KINDS[kind].load_base(),
        "summary": "",
        "provider": OURS,
    }
    return Entry(kind, name, **options | changes)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of a plugin that tests fill."""
    made = ModuleType("plugin_module")
    monkeypatch.setitem(sys.modules, "plugin_module", made)
    return made


# References


def test_a_reference_names_an_attribute_at_any_depth() -> None:
    assert load_object("pathlib:Path") is Path
    assert load_object("pathlib:Path.joinpath") is Path.joinpath
    assert load_object(Path) is Path, "other objects are themselves"


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("pathlib", UPSError),
        ("pathlib:", UPSError),
        ("no_such_module:x", ModuleNotFoundError),
        ("pathlib:NoSuch", AttributeError),
    ],
)
def test_a_bad_reference_raises(reference: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        load_object(reference)


# Kinds


def test_there_are_15_kinds_each_with_a_base_a_summary_and_a_usage() -> None:
    assert len(KINDS) == 15
    bases = [kind.load_base() for kind in KINDS.values()]
    assert len(set(bases)) == 15, "each kind has a base of its own"
    for kind, base in zip(KINDS.values(), bases, strict=True):
        assert issubclass(base, Config)
        assert "NAME" in kind.usage
        assert kind.summary
        assert singular(kind.name) == kind.singular
        assert (kind.article == "an") == (kind.singular in ("optimizer", "evaluation"))


def test_every_kind_has_a_hook_and_a_factory_type() -> None:
    from ups_core import factories, hookspecs

    for kind in KINDS.values():
        assert hasattr(hookspecs, f"ups_register_{kind.name}")
        assert hasattr(factories, f"{kind.singular.capitalize()}Factory")
    hooks = {name for name in vars(hookspecs) if name.startswith("ups_register_")}
    assert hooks == {f"ups_register_{name}" for name in KINDS}


def test_the_methods_that_an_object_lacks_are_named() -> None:
    class Half:
        def update(self) -> None: ...

    assert KINDS["metrics"].missing(Half()) == ["compute", "reset"]
    assert KINDS["strategies"].missing(object()) == []


# Registration


@pytest.mark.parametrize("kind", KINDS)
def test_the_options_class_must_be_one_of_the_kind(kind: str) -> None:
    base = KINDS[kind].load_base()
    other = LossConfig if base is not LossConfig else MetricConfig

    class Own(base):  # type: ignore[misc, valid-type]
        pass

    registry = Registry()
    registry.add(entry(kind, "right", config=Own))
    with pytest.raises(UPSError) as refused:
        registry.add(entry(kind, "wrong", config=other))
    step = " cannot be a pipeline step" if kind in ("stages", "evaluations") else ""
    expected = (
        f"{singular(kind)} 'wrong' of ours 1.0{step}: its options class {other.__name__} must subclass "
    )
    assert str(refused.value) == f"{expected}ups_core.{base.__name__}"
    assert registry.find(kind, "right") is not None
    assert registry.find(kind, "wrong") is None


@pytest.mark.parametrize("config", [{}, None, 3, "", ModelConfig()])
def test_an_options_class_must_be_a_class(config: object) -> None:
    with pytest.raises(UPSError, match=r"must subclass ups_core|of the form"):
        entry(config=config).load_config()


def test_a_factory_must_be_callable() -> None:
    with pytest.raises(UPSError, match=re.escape("model 'net' of ours 1.0: its factory 3 is not callable")):
        Registry().add(entry(factory=3))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(
        UPSError, match="unknown component kind 'modells'; kinds: tasks, sources, layouts, models"
    ):
        Registry().add(Entry("modells", "net", dict, ModelConfig, "", OURS))


def test_lazy_references_are_checked_when_they_are_loaded(module: ModuleType) -> None:
    module.config, module.factory, module.number = ModelConfig, dict, 3  # type: ignore[attr-defined]
    good = entry(factory="plugin_module:factory", config="plugin_module:config")
    assert good.load() is dict
    assert good.load_config() is ModelConfig
    with pytest.raises(UPSError, match="its factory 3 is not callable"):
        entry(factory="plugin_module:number").load()
    with pytest.raises(UPSError, match=r"its options class 3 must subclass ups_core\.ModelConfig"):
        entry(config="plugin_module:number").load_config()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("def (", "SyntaxError: "),
        ("raise ValueError('odd')", "ValueError: odd"),
        ("x = 1", "AttributeError: module 'faulty_module' has no attribute 'factory'"),
        ("from ups_core import UPSError\nraise UPSError('no part of it')", "no part of it"),
    ],
)
def test_whatever_a_module_raises_says_whose_it_is(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty_module.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "faulty_module", raising=False)
    with pytest.raises(UPSError) as refused:
        entry(factory="faulty_module:factory").load()
    assert str(refused.value).startswith(f"cannot load model 'net' of ours 1.0: {message}")


def test_an_interruption_while_a_module_loads_is_no_fault_of_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stopped_module.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        entry(factory="stopped_module:factory").load()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].methods])
def test_what_a_factory_makes_has_the_methods_of_its_kind(kind: str) -> None:
    methods: dict[str, Callable[..., None]] = {name: lambda self: None for name in KINDS[kind].methods}
    complete = type("Complete", (), methods)
    config = KINDS[kind].load_base().model_construct()
    assert isinstance(entry(kind, factory=lambda config: complete()).create(config), complete)
    for name in methods:
        if name == "__call__":  # a class has one in any case
            continue
        part = type("Part", (), {other: method for other, method in methods.items() if other != name})
        with pytest.raises(UPSError, match=f"of ours 1.0: its Part has no '{name}'"):
            entry(kind, factory=lambda config, part=part: part()).create(config)


def test_dependencies_reach_the_factory() -> None:
    made = entry("strategies", factory=lambda config, **given: given).create(
        KINDS["strategies"].load_base()(), devices=2, parameters=5
    )
    assert made == {"devices": 2, "parameters": 5}


# Names


def test_a_name_of_two_providers_is_usable_from_neither() -> None:
    registry = Registry()
    registry.add(entry())
    with pytest.raises(DuplicateComponent) as refused:
        registry.add(entry(provider=THEIRS))
    message = str(refused.value)
    assert message.startswith("model 'net' is provided by both ours 1.0 and theirs 2.0; rename one")
    assert registry.find("models", "net") is None
    with pytest.raises(UPSError) as missing:
        registry.get("models", "net")
    assert str(missing.value) == message


def test_one_name_may_stand_for_components_of_several_kinds() -> None:
    registry = Registry()
    registry.add(entry())
    registry.add(entry("stages", config=StageConfig))
    assert registry.get("stages", "net").kind == "stages"


def test_entries_are_sorted_by_kind_and_name() -> None:
    registry = Registry()
    for kind, name in (("stages", "a"), ("models", "c"), ("models", "b"), ("tasks", "d")):
        registry.add(entry(kind, name))
    assert [(e.kind, e.name) for e in registry.entries()] == [
        ("tasks", "d"),
        ("models", "b"),
        ("models", "c"),
        ("stages", "a"),
    ]
    assert [e.name for e in registry.entries("models")] == ["b", "c"]


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("models", "nett", "unknown model 'nett'; did you mean 'net'?"),
        ("models", "zzz", "unknown model 'zzz'; known: net, unet"),
        ("models", "train", "unknown model 'train' (it is a stage); known: net, unet"),
        ("stages", "net", "unknown stage 'net' (it is a model); known: train"),
        ("losses", "mse", "unknown loss 'mse'; known: none"),
        ("models", "old", "unknown model 'old'; renamed to 'net' in 0.3"),
        ("models", 3, "expected the name of a model; known: net, unet"),
        ("optimizers", None, "expected the name of an optimizer; known: none"),
        (
            "models",
            "n\u0435t",
            "unknown model 'n\u0435t' (it contains CYRILLIC SMALL LETTER IE); did you mean 'net'?",
        ),
    ],
)
def test_an_unknown_name_gets_a_hint(kind: str, name: object, expected: str) -> None:
    registry = Registry()
    registry.add(entry(former_names={"old": "0.3"}))
    registry.add(entry(name="unet"))
    registry.add(entry("stages", "train"))
    assert registry.explain_missing(kind, name) == expected


def test_plugins_that_failed_are_named_where_a_name_is_unknown() -> None:
    registry = Registry()
    registry.failures.append(Failure("theirs", THEIRS, "ImportError: no torch"))
    expected = "plugin theirs (theirs 2.0) failed: ImportError: no torch (see 'ups plugins')"
    assert registry.explain_missing("models", "net").endswith(expected)
