"""Latent consistency: advancing a latent should equal encoding the next frame."""

from __future__ import annotations

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_models.simulator import Simulator, feed_back


def latent_consistency(simulator: Simulator, batch: FieldBatch) -> Tensor:
    """Relative distance between the advanced latent and the encoded next frame, mean over their tensors.

    The codec and the trunk both get its gradient: encode-decode consistency that a frozen or ignored codec
    could not satisfy. The state part repeats the one-step error; the features part is what a rollout inside
    the latent space needs.

    Args:
        batch: an evolution task's, with one target frame or more.

    Raises:
        UPSError: the network has no latent space.
    """
    network, normaliser = simulator.latent_network(), simulator.normaliser(batch.task)
    x = normaliser.network_input(batch)
    advanced = network.advance(network.encode(x), x)
    later = network.encode(normaliser.network_input(feed_back(batch, batch.target[:, :1])))
    return torch.stack(
        [
            (ours - truth).norm() / truth.norm().clamp(min=1e-6)
            for ours, truth in zip(advanced, later, strict=True)
        ]
    ).mean()
