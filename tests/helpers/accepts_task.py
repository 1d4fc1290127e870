"""What SkyPilot itself says of a task: `python accepts_task.py TASK.yaml`, in an environment that has SkyPilot.

Prints the commands that it would run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jsonschema
import yaml
from sky import Task
from sky.utils import schemas


def main(path: str) -> None:
    task = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    jsonschema.validate(task, schemas.get_task_schema())
    jsonschema.validate(task["resources"], schemas.get_resources_schema())
    print(Task.from_yaml_config(task).run, end="")


if __name__ == "__main__":
    main(sys.argv[1])
