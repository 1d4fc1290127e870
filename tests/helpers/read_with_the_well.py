"""Reads an exported folder with The Well's own dataset class: DIR OUT, in an environment that has it."""

from __future__ import annotations

import sys

import numpy as np
from the_well.data.datasets import WellDataset
from the_well.data.normalization import ZScoreNormalization


def main(folder: str, out: str) -> None:
    """All windows of three frames of the test split, plain and normalised."""
    options = {"path": folder, "well_split_name": "test", "n_steps_input": 1, "n_steps_output": 2}
    plain = WellDataset(**options)
    normalised = WellDataset(**options, use_normalization=True, normalization_type=ZScoreNormalization)

    def windows(dataset: WellDataset) -> np.ndarray:
        samples = [dataset[index] for index in range(len(dataset))]
        return np.stack(
            [np.concatenate([sample["input_fields"], sample["output_fields"]]) for sample in samples]
        )

    samples = [plain[index] for index in range(len(plain))]
    np.savez(
        out,
        windows=windows(plain),
        normalised=windows(normalised),
        parameters=np.stack([sample["constant_scalars"] for sample in samples]),
        boundary=np.stack([sample["boundary_conditions"] for sample in samples]),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
