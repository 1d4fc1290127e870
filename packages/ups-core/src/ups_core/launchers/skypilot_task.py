"""A step as a SkyPilot task: what is rented, copied, installed and run."""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import yaml

from ups_core.component import components
from ups_core.errors import UPSError
from ups_core.fingerprint import code_versions, editable_project
from ups_core.launchers.config import SkyPilotConfig
from ups_core.launchers.worker_attempts import worker_module
from ups_core.layout import partial_directory
from ups_core.names import DISTRIBUTION, VERSION, fits
from ups_core.plan import Plan, PlannedStep
from ups_core.worker_report import FAILURE

HOME = "~/ups"
"""Directory of everything on the rented machine."""
GRACE = 60
"""Seconds for the workers to save when the budget is used up."""


def cluster_name(plan: Plan, step: PlannedStep) -> str:
    """SkyPilot's name of the machine, unique for every step of every run."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", f"ups-{plan.directory.name}-{step.id}").rstrip("-").lower()


def remote_partial(plan: Plan, step: PlannedStep) -> str:
    """Where the step writes on the rented machine, relative to the home directory."""
    return str(partial_directory(Path("ups/runs") / plan.directory.name, step.id))


def task_yaml(config: SkyPilotConfig, plan: Plan, step: PlannedStep) -> str:
    """The task file."""
    packages, mounts = _packages(plan)
    run_directory = {f"{HOME}/runs/{plan.directory.name}": str(plan.directory.resolve())}
    task = {
        "name": cluster_name(plan, step),
        "resources": _resources(config, plan),
        "file_mounts": run_directory | _data(plan) | mounts,
        "setup": "\n".join(
            [
                f"mkdir -p {HOME}",
                f"[ -f {HOME}/started ] || date +%s > {HOME}/started",
                *config.setup,
                f"python3 -m pip install {' '.join(packages)}",
            ]
        ),
        "run": _run_script(config, plan, step),
    }
    return yaml.dump(task, Dumper=_Dumper, sort_keys=False, width=1000)


def _resources(config: SkyPilotConfig, plan: Plan) -> dict[str, Any]:
    trainer = plan.spec.trainer
    if config.accelerators is None and trainer.accelerator == "gpu":
        raise UPSError(
            "trainer.accelerator is gpu but launcher.accelerators is not set; set it, e.g. to RTX4090 or H100"
        )
    given = {
        "infra": config.infra,
        "accelerators": config.accelerators and f"{config.accelerators}:{trainer.devices}",
        "use_spot": config.use_spot,
        "disk_size": config.disk_gb,
        "autostop": {"idle_minutes": config.idle_minutes, "down": True},
        **config.resources,
    }
    return {key: value for key, value in given.items() if value is not None}


def _data(plan: Plan) -> dict[str, str]:
    """The files of the spec's tasks only: a data root may contain much more."""
    root = plan.data_root.resolve()
    files = [path.resolve() for data in plan.data.values() for path in data.files]
    outside = next((path for path in files if not path.is_relative_to(root)), None)
    if outside is not None:
        raise UPSError(
            f"{outside} is not below the data root {root}; copy it there or set another --data-root"
        )
    records = [path.resolve() for data in plan.data.values() for path in data.records]
    found = [path for path in records if path.is_file() and path.is_relative_to(root)]
    return {f"{HOME}/data/{path.relative_to(root)}": str(path) for path in [*files, *found]}


def _packages(plan: Plan) -> tuple[list[str], dict[str, str]]:
    """What pip installs: the versions in use, and copies of the folders of editable installs."""
    names = {component.entry.provider.distribution for component in components(plan.spec)}
    names |= {name for step in plan.steps for name in step.providers}
    requirements, mounts = [], {}
    for name, version in code_versions(names).items():
        if not (fits(DISTRIBUTION, name) and fits(VERSION, version)):
            raise UPSError(f"cannot install {name!r} {version!r}: not the name and version of a pip package")
        folder = editable_project(distribution(name))
        if folder is None:
            requirements.append(f"{name}=={version}")
        else:
            mounts[f"{HOME}/packages/{name}"] = str(folder)
            requirements.append(f"-e {HOME}/packages/{name}")
    return requirements, mounts


def _run_script(config: SkyPilotConfig, plan: Plan, step: PlannedStep) -> str:
    """The workers under torchrun, stopped when the budget is used up; the failure is written like theirs."""
    worker = worker_module(f"runs/{plan.directory.name}", step.id, "data")
    failure = partial_directory(Path("runs") / plan.directory.name, step.id) / FAILURE
    seconds = config.budget_seconds
    stopped = {
        "rank": None,
        "attempt": 0,
        "message": f"stopped after {seconds} s, the budget; raise max_hours or max_cost_usd and rerun the "
        "same command to resume from the last checkpoint",
    }
    # The budget counts from the first setup, so that a restarted task does not get it again. SIGTERM lets
    # the workers save; `timeout` kills them if they do not.
    threads = f"OMP_NUM_THREADS={plan.spec.trainer.threads} " if plan.spec.trainer.threads else ""
    torchrun = f"torch.distributed.run --standalone --nproc-per-node={plan.spec.trainer.devices}"
    return "\n".join(
        [
            f"cd {HOME}",
            f"rm -f {failure}",
            f"end=$(( $(cat started) + {seconds} ))",
            "left=$(( end - $(date +%s) ))",
            "[ $left -gt 0 ] || left=1",
            "code=0",
            f"{threads}timeout --signal=TERM --kill-after={GRACE} $left \\",
            f"  python3 -m {torchrun} \\",
            f"  {shlex.join(worker)} || code=$?",
            "if [ $code -ne 0 ] && [ $(date +%s) -ge $end ]; then",
            f"  echo {shlex.quote(json.dumps(stopped))} > {failure}",
            "fi",
            "exit $code",
        ]
    )


class _Dumper(yaml.SafeDumper):
    """Writes scripts as block text, so that users can read them."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
