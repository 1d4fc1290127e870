"""One registered component: its name, factory, options class and the package that provides it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from ups_core.citation import Citation
from ups_core.config import Config
from ups_core.errors import UPSError, truncated
from ups_core.kinds import KINDS, singular
from ups_core.names import COMPONENT, DESCRIPTIONS, fits
from ups_core.plugin_calls import described, plugin_call
from ups_core.references import load_object


@dataclass(frozen=True)
class Provider:
    """The distribution that registered a component."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Entry:
    """One registered component.

    Attributes:
        kind: the registry's name, e.g. `models`.
        name: what a spec calls the component.
        factory: callable as `factory(config, **dependencies)`, or a lazy `"module:attribute"`.
        config: the options class, or a lazy `"module:attribute"`.
        summary: one line for `ups list`.
        provider: the distribution that registered it.
        former_names: name in earlier versions -> the version that renamed it; using one is an error.
        cite: what to cite when the component is used; lazy references, see :meth:`citations`.
    """

    kind: str
    name: str
    factory: Callable[..., Any] | str
    config: type[Config] | str
    summary: str
    provider: Provider
    former_names: Mapping[str, str] = field(default_factory=dict, compare=False)
    cite: tuple[str, ...] = ()

    def check(self) -> None:
        """Check what can be checked without importing anything.

        Raises:
            UPSError: the name or the summary cannot be shown or used as a key, the factory is not callable,
                or the options class is not one of this kind.
        """
        if not fits(COMPONENT, self.name):
            raise UPSError(
                f"{singular(self.kind)} {truncated(repr(self.name))} of {self.provider}: expected a name of "
                f"{DESCRIPTIONS[COMPONENT]}"
            )
        if not isinstance(self.summary, str):
            raise UPSError(f"{self}: its summary {self.summary!r} is not text")
        if not isinstance(self.cite, tuple) or not all(isinstance(name, str) for name in self.cite):
            raise UPSError(f"{self}: cite is a tuple of 'module:attribute', got {self.cite!r}")
        if not isinstance(self.factory, str):
            self._check_factory(self.factory)
        if not isinstance(self.config, str):
            self._check_config(self.config)

    def load(self) -> Callable[..., Any]:
        """Import and return the factory, which is called as `factory(config, **dependencies)`.

        Raises:
            UPSError: the plugin's module cannot be imported, or the factory is not callable.
        """
        loaded: Callable[..., Any] = self._load(self.factory)
        self._check_factory(loaded)
        return loaded

    def load_config(self) -> type[Config]:
        """Import and return the options class.

        Raises:
            UPSError: the plugin's module cannot be imported, or the class is not one of this kind.
        """
        loaded: type[Config] = self._load(self.config)
        self._check_config(loaded)
        return loaded

    def citations(self, config: Config) -> list[Citation]:
        """What to cite where the component is used with these options.

        A reference `"module:attribute"` names a citation, or a function of the options that returns several.

        Raises:
            UPSError: a reference cannot be imported, or is not a citation.
        """
        found: list[Citation] = []
        for reference in self.cite:
            loaded = self.load_citation(reference)
            if callable(loaded):
                with plugin_call(f"{reference}, the citations of {self},", bugs=True):
                    loaded = list(loaded(config))
            found += loaded if isinstance(loaded, (list, tuple)) else [loaded]
        for citation in found:
            if not isinstance(citation, Citation):
                raise UPSError(f"{self}: {citation!r} is not a ups_core.Citation")
        return found

    def load_citation(self, reference: str) -> Any:
        """Import one of :attr:`cite`: a citation, or a function. Raises :class:`UPSError`."""
        return self._load(reference)

    def create(self, config: Config, **dependencies: Any) -> Any:
        """Call the factory and check that what it makes has the methods of this kind.

        Raises:
            UPSError: the module cannot be imported, or the object lacks a method; the message names it.
        """
        factory = self.load()
        with plugin_call(f"the factory of {self}"):
            made = factory(config, **dependencies)
        missing = KINDS[self.kind].missing(made)
        if missing:
            raise UPSError(f"{self}: its {type(made).__name__} has no '{missing[0]}'")
        return made

    def _check_factory(self, factory: object) -> None:
        if not callable(factory):
            raise UPSError(f"{self}: its factory {factory!r} is not callable")

    def _check_config(self, config: object) -> None:
        base = KINDS[self.kind].load_base()
        if not (isinstance(config, type) and issubclass(config, base)):
            name = config.__name__ if isinstance(config, type) else repr(config)
            step = " cannot be a pipeline step" if self.kind in ("stages", "evaluations") else ""
            raise UPSError(f"{self}{step}: its options class {name} must subclass ups_core.{base.__name__}")

    def _load(self, reference: object) -> Any:
        if not isinstance(reference, str):
            return reference
        try:  # importing runs arbitrary code of the plugin
            with plugin_call("importing it", keyboard=False), redirect_stdout(sys.stderr):
                return load_object(reference)
        except UPSError as error:  # a factory that checks what it is made of, such as a stage's objective
            raise UPSError(f"cannot load {self}: {error}") from error
        except Exception as error:
            raise UPSError(f"cannot load {self}: {described(error)}") from error

    def __str__(self) -> str:
        return f"{singular(self.kind)} '{self.name}' of {self.provider}"
