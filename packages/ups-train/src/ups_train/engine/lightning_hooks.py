"""Lightning's loop without the calls that nobody implements.

Per training batch the loop calls about thirty hooks of callbacks, module and strategy, each with a profiler
context, a log record and assignments to the module, whether anybody implements the hook or not. Around a
step of ten milliseconds that is a tenth of the time. The functions below do the same for hooks that are
implemented, and nothing for the others.

They replace private functions of lightning 2.6 while one training runs. A release with other functions is
left alone: `benchmarks/overhead.py` then shows the difference.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import Strategy
from lightning.pytorch.trainer import call

EMPTY_MODULE_HOOKS = {
    "on_train_batch_start",
    "on_train_batch_end",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
}
"""Hooks of a module that do nothing unless they are overridden; others have defaults that matter."""
EMPTY_STRATEGY_HOOKS = {"on_train_batch_start"}
PARAMETERS = {
    "_call_callback_hooks": ["trainer", "hook_name", "args", "monitoring_callbacks", "kwargs"],
    "_call_lightning_module_hook": ["trainer", "hook_name", "args", "pl_module", "kwargs"],
    "_call_strategy_hook": ["trainer", "hook_name", "args", "kwargs"],
}
"""Function of `lightning.pytorch.trainer.call` -> its parameters in lightning 2.6."""


def _implements(instance: object, hook: str, base: type) -> bool:
    """Whether a hook is overridden, in the class or on the instance."""
    return hook in vars(instance) or getattr(type(instance), hook, None) is not getattr(base, hook, None)


class _Hooks:
    """The replacements, for one trainer; calls for another one go to Lightning's own functions."""

    def __init__(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.trainer = trainer
        self.module = module
        self.originals = {name: getattr(call, name) for name in PARAMETERS}
        self.callbacks: dict[str, list[Callable[..., Any]]] = {}
        self.empty = {
            hook for hook in EMPTY_MODULE_HOOKS if not _implements(module, hook, pl.LightningModule)
        }
        self.empty_strategy = {
            hook for hook in EMPTY_STRATEGY_HOOKS if not _implements(trainer.strategy, hook, Strategy)
        }

    def call_callbacks(
        self,
        trainer: pl.Trainer,
        hook_name: str,
        *args: Any,
        monitoring_callbacks: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """As `_call_callback_hooks`."""
        if trainer is not self.trainer or monitoring_callbacks is not None:
            self.originals["_call_callback_hooks"](
                trainer, hook_name, *args, monitoring_callbacks=monitoring_callbacks, **kwargs
            )
            return
        implemented = self.callbacks.get(hook_name)
        if implemented is None:
            implemented = self.callbacks[hook_name] = [
                getattr(callback, hook_name)
                for callback in trainer.callbacks  # type: ignore[attr-defined]
                if _implements(callback, hook_name, Callback)
            ]
        if not implemented:
            return
        module = self.module
        before = module._current_fx_name  # by which `log` knows from where it is called
        module._current_fx_name = hook_name
        for hook in implemented:
            hook(trainer, module, *args, **kwargs)
        module._current_fx_name = before

    def call_module(
        self,
        trainer: pl.Trainer,
        hook_name: str,
        *args: Any,
        pl_module: pl.LightningModule | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `_call_lightning_module_hook`."""
        module = pl_module or self.module
        if trainer is not self.trainer or module is not self.module:
            original = self.originals["_call_lightning_module_hook"]
            return original(trainer, hook_name, *args, pl_module=pl_module, **kwargs)
        if hook_name in self.empty:
            return None
        before = module._current_fx_name
        module._current_fx_name = hook_name
        output = getattr(module, hook_name)(*args, **kwargs)
        module._current_fx_name = before
        return output

    def call_strategy(self, trainer: pl.Trainer, hook_name: str, *args: Any, **kwargs: Any) -> Any:
        """As `_call_strategy_hook`."""
        if trainer is not self.trainer:
            return self.originals["_call_strategy_hook"](trainer, hook_name, *args, **kwargs)
        if hook_name in self.empty_strategy:
            return None
        module = self.module
        before = module._current_fx_name
        module._current_fx_name = hook_name
        output = getattr(trainer.strategy, hook_name)(*args, **kwargs)
        module._current_fx_name = before
        return output


@contextmanager
def lean_hooks(trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[None]:
    """While inside, this trainer calls only hooks that are implemented."""
    profiler = trainer.profiler  # type: ignore[attr-defined]
    if not isinstance(profiler, PassThroughProfiler) or not _known_release():
        yield
        return
    hooks = _Hooks(trainer, module)
    replacements: list[Callable[..., Any]] = [hooks.call_callbacks, hooks.call_module, hooks.call_strategy]
    loop = trainer.fit_loop.epoch_loop
    # Signals are handled by ups_core.interrupts, so ranks need not ask each other for SIGTERM at every batch;
    # and the arguments of `training_step` need not be found out by inspection each time.
    loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    loop._build_kwargs = _training_step_arguments  # type: ignore[method-assign]
    try:
        for name, replacement in zip(PARAMETERS, replacements, strict=True):
            setattr(call, name, replacement)
        yield
    finally:
        for name, original in hooks.originals.items():
            setattr(call, name, original)


def _training_step_arguments(
    kwargs: OrderedDict[str, Any], batch: Any, batch_idx: int
) -> OrderedDict[str, Any]:
    """Lightning's arguments of `training_step`, which takes both."""
    return OrderedDict(kwargs, batch=batch, batch_idx=batch_idx)


def _known_release() -> bool:
    """Whether the functions to replace are those that this module knows."""
    return all(
        list(inspect.signature(getattr(call, name)).parameters) == parameters
        for name, parameters in PARAMETERS.items()
    )
