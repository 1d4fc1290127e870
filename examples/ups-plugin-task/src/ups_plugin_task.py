"""Gray-Scott: u_t = Du lap u - u v^2 + F (1 - u), v_t = Dv lap v + u v^2 - (F + k) v; a task of a plugin."""

import numpy as np

from ups_core import Component, Register, hookimpl
from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.sources.request import DataFile, Generation, Request
from ups_data.stores.base import Fields
from ups_data.tasks.sourced import SourcedConfig, SourcedTask

DIFFUSION, LENGTH, DT, STEPS = np.array([2e-5, 1e-5]), 2.5, 20.0, 20  # as in Pearson (Science, 1993)


def generate(info, parameters, seed, start, stop):
    """Trajectories start..stop-1: diffusion exactly in Fourier space, reaction by the midpoint rule."""
    step, feed, kill = DT / STEPS, parameters["F"], parameters["k"]
    kx, ky = (2 * np.pi * np.fft.fftfreq(cells, LENGTH / cells) for cells in info.shape)
    half = np.exp(-step / 2 * DIFFUSION[:, None, None] * (kx[:, None] ** 2 + ky**2))

    def diffuse(state):
        return np.fft.ifft2(half * np.fft.fft2(state)).real

    def react(state):
        u, v = state[:, 0], state[:, 1]
        return np.stack([feed * (1 - u) - u * v**2, u * v**2 - (feed + kill) * v], axis=1)

    frames = [np.stack([spots(info, np.random.default_rng((seed, n))) for n in range(start, stop)])]
    for _ in range(info.frames - 1):
        state = frames[-1]
        for _ in range(STEPS):
            state = diffuse(state)
            state = diffuse(state + step * react(state + step / 2 * react(state)))
        frames.append(state)
    return Fields(np.stack(frames, axis=1).astype("f4"))


def spots(info, random):
    """u = 1 and v = 0 with five periodic spots of u = 1/2 and v = 1/4."""
    away = np.array(np.meshgrid(*info.axes, indexing="ij")) / LENGTH - random.random((5, 2, 1, 1))
    spot = np.exp(15 * (np.cos(2 * np.pi * away).sum(axis=1) - 2)).max(axis=0)
    return np.stack([1 - spot / 2, spot / 4])


class GrayScottConfig(SourcedConfig):
    """Spots that grow and divide on a periodic square; 21 frames 20 apart."""

    F: list[float] = [0.03]
    """Feed rates; every F and every k have a file together."""
    k: list[float] = [0.06]
    """Kill rates."""
    resolution: int = 64
    """Grid points along each axis."""


class GrayScott(SourcedTask):
    @property
    def info(self):
        F, k = self.config.F, self.config.k
        return TaskInfo(
            self.name, "example/gray_scott", "evolution", equation="Gray-Scott", invariants=(),
            channels=(Channel("u", "1", "state"), Channel("v", "1", "state")),
            parameters=(Parameter("F", "1", min(F), max(F)), Parameter("k", "1", min(k), max(k))),
            domain=((0.0, LENGTH),) * 2, shape=(self.config.resolution,) * 2, boundary="periodic",
            dt=DT, frames=21, history=1, symmetries=("translation", "reflection", "transpose"),
        )  # fmt: skip

    @property
    def request(self):
        pairs = [(F, k) for F in self.config.F for k in self.config.k]
        files = tuple(DataFile(f"F{F}_k{k}.hdf5", {"F": F, "k": k}) for F, k in pairs)
        layout = Component.of("layouts", "pdebench_fields", {"fields": ["u", "v"]})
        made = Generation("ups_plugin_task:generate", version=1)
        return Request("gray_scott", self.info, files, layout, self.config.trajectories, generation=made)


@hookimpl
def ups_register_tasks(register: Register):
    register("example/gray_scott", GrayScott, config=GrayScottConfig, summary="Gray-Scott spots, periodic")
