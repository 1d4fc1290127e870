"""The source `auto`: official files if they are complete, otherwise generated ones if there are any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ups_core import DataPlan
from ups_core.console import Console
from ups_data.sources.config import AutoConfig, GenerateConfig, OfficialConfig
from ups_data.sources.generated import Generate
from ups_data.sources.official import Official, find_official
from ups_data.sources.request import Request


class Auto:
    """All files official or all generated, never a mixture: their numerical errors differ."""

    def __init__(self, config: AutoConfig) -> None:
        self._official = Official(OfficialConfig())
        self._generate = Generate(GenerateConfig(seed=config.seed))

    def plan(self, request: Request, data_root: Path) -> DataPlan:
        """See :class:`~ups_data.sources.base.Source`."""
        absent = [file for file in request.files if find_official(file, data_root) is None]
        if not absent or request.generation is None:
            return self._official.plan(request, data_root)
        plan = self._generate.plan(request, data_root)
        if len(absent) == len(request.files):
            return plan
        names = ", ".join(file.name for file in absent)
        verb = "is" if len(absent) == 1 else "are"
        return replace(plan, note=f"{plan.note}; official files are not used because {names} {verb} missing")

    def provide(self, request: Request, plan: DataPlan, console: Console) -> int:
        """See :class:`~ups_data.sources.base.Source`."""
        source = self._generate if plan.source == "generated" else self._official
        return source.provide(request, plan, console)
