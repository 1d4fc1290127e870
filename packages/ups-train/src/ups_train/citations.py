"""What to cite for stages, optimizers, schedules and strategies."""

from __future__ import annotations

from collections.abc import Iterator

from ups_core import Citation
from ups_eval.citations import FAIR_SCORES, PROPER_SCORES
from ups_models.citations import EDM, FLOW_MATCHING, PDE_REFINER, RECTIFIED_FLOW
from ups_train.engine.config import TrainingConfig
from ups_train.optimizers.config import MuonConfig, MuonHybridConfig
from ups_train.stages.operator_config import OperatorConfig
from ups_train.stages.prior_config import PriorConfig
from ups_train.stages.residual_config import ResidualConfig

ICLR = "International Conference on Learning Representations"
ADAM = Citation(
    key="kingma2015adam",
    kind="inproceedings",
    title="Adam: A Method for Stochastic Optimization",
    author="Kingma, Diederik P. and Ba, Jimmy",
    booktitle=ICLR,
    year="2015",
    eprint="1412.6980",
)
ADAMW = Citation(
    key="loshchilov2019decoupled",
    kind="inproceedings",
    title="Decoupled Weight Decay Regularization",
    author="Loshchilov, Ilya and Hutter, Frank",
    booktitle=ICLR,
    year="2019",
    eprint="1711.05101",
)
MUON = Citation(
    key="jordan2024muon",
    kind="misc",
    title="Muon: An optimizer for hidden layers in neural networks",
    author="Jordan, Keller and Jin, Yuchen and Boza, Vlado and You, Jiacheng and Cesista, Franz and "
    "Newhouse, Laker and Bernstein, Jeremy",
    year="2024",
    url="https://kellerjordan.github.io/posts/muon/",
)
MUON_SCALING = Citation(
    key="liu2025muon",
    kind="misc",
    title="Muon is Scalable for LLM Training",
    author="Liu, Jingyuan and Su, Jianlin and Yao, Xingcheng and others",
    year="2025",
    eprint="2502.16982",
)
COSINE = Citation(
    key="loshchilov2017sgdr",
    kind="inproceedings",
    title="SGDR: Stochastic Gradient Descent with Warm Restarts",
    author="Loshchilov, Ilya and Hutter, Frank",
    booktitle=ICLR,
    year="2017",
    eprint="1608.03983",
)
WSD = Citation(
    key="hu2024minicpm",
    kind="misc",
    title="MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training Strategies",
    author="Hu, Shengding and Tu, Yuge and Han, Xu and others",
    year="2024",
    eprint="2404.06395",
)
WSD_COOLDOWN = Citation(
    key="hagele2024scaling",
    kind="inproceedings",
    title="Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations",
    author="Hägele, Alexander and Bakouch, Elie and Kosson, Atli and Ben Allal, Loubna and "
    "Von Werra, Leandro and Jaggi, Martin",
    booktitle="Advances in Neural Information Processing Systems",
    year="2024",
    eprint="2405.18392",
)
ONE_CYCLE = Citation(
    key="smith2018superconvergence",
    kind="misc",
    title="Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    author="Smith, Leslie N. and Topin, Nicholay",
    year="2018",
    eprint="1708.07120",
)
PUSHFORWARD = Citation(
    key="brandstetter2022message",
    kind="inproceedings",
    title="Message Passing Neural PDE Solvers",
    author="Brandstetter, Johannes and Worrall, Daniel E. and Welling, Max",
    booktitle=ICLR,
    year="2022",
    eprint="2202.03376",
)
ENSEMBLE = Citation(
    key="lang2024aifscrps",
    kind="misc",
    title="AIFS-CRPS: Ensemble forecasting using a model trained with a loss function based on the "
    "Continuous Ranked Probability Score",
    author="Lang, Simon and Alexe, Mihai and Clare, Mariana C. A. and Roberts, Christopher and "
    "Adewoyin, Rilwan and Ben Bouallègue, Zied and others",
    year="2024",
    eprint="2412.15832",
)
RESIDUAL = Citation(
    key="mardani2025residual",
    kind="article",
    title="Residual corrective diffusion modeling for km-scale atmospheric downscaling",
    author="Mardani, Morteza and Brenowitz, Noah and Cohen, Yair and Pathak, Jaideep and Chen, Chieh-Yu and "
    "Liu, Cheng-Chin and Vahdat, Arash and others",
    journal="Communications Earth & Environment",
    volume="6",
    pages="124",
    year="2025",
    doi="10.1038/s43247-025-02042-5",
    eprint="2309.15214",
)
GAPPY_POD = Citation(
    key="everson1995gappy",
    kind="article",
    title="Karhunen-Lo\\`eve procedure for gappy data",
    author="Everson, Richard and Sirovich, Lawrence",
    journal="Journal of the Optical Society of America A",
    volume="12",
    number="8",
    pages="1657--1664",
    year="1995",
    doi="10.1364/JOSAA.12.001657",
)
CLASSIFIER_FREE = Citation(
    key="ho2022classifier",
    kind="misc",
    title="Classifier-Free Diffusion Guidance",
    author="Ho, Jonathan and Salimans, Tim",
    year="2022",
    eprint="2207.12598",
)
POSTERIOR_SAMPLING = Citation(
    key="chung2023diffusion",
    kind="inproceedings",
    title="Diffusion Posterior Sampling for General Noisy Inverse Problems",
    author="Chung, Hyungjin and Kim, Jeongsol and McCann, Michael Thompson and Klasky, Marc Louis and "
    "Ye, Jong Chul",
    booktitle="International Conference on Learning Representations",
    year="2023",
    eprint="2209.14687",
)
REPLACEMENT = Citation(
    key="cheng2024eci",
    kind="misc",
    title="Gradient-Free Generation for Hard-Constrained Systems",
    author="Cheng, Chaoran and Han, Boran and Maddix, Danielle C. and Ansari, Abdul Fatir and "
    "Stuart, Andrew and Mahoney, Michael W. and Wang, Yuyang",
    year="2024",
    eprint="2412.01786",
)
CONSISTENCY = Citation(
    key="song2023consistency",
    kind="inproceedings",
    title="Consistency Models",
    author="Song, Yang and Dhariwal, Prafulla and Chen, Mark and Sutskever, Ilya",
    booktitle="International Conference on Machine Learning",
    year="2023",
    eprint="2303.01469",
)
CONSISTENCY_TRAJECTORY = Citation(
    key="kim2024consistency",
    kind="inproceedings",
    title="Consistency Trajectory Models: Learning Probability Flow ODE Trajectory of Diffusion",
    author="Kim, Dongjun and Lai, Chieh-Hsin and Liao, Wei-Hsiang and Murata, Naoki and Takida, Yuhta and "
    "Uesaka, Toshimitsu and He, Yutong and Mitsufuji, Yuki and Ermon, Stefano",
    booktitle=ICLR,
    year="2024",
    eprint="2310.02279",
)
RECOMPUTE = Citation(
    key="chen2016training",
    kind="misc",
    title="Training Deep Nets with Sublinear Memory Cost",
    author="Chen, Tianqi and Xu, Bing and Zhang, Chiyuan and Guestrin, Carlos",
    year="2016",
    eprint="1604.06174",
)
FSDP = Citation(
    key="zhao2023pytorch",
    kind="misc",
    title="PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel",
    author="Zhao, Yanli and others",
    year="2023",
    eprint="2304.11277",
)
ZERO = Citation(
    key="rajbhandari2020zero",
    kind="misc",
    title="ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
    author="Rajbhandari, Samyam and Rasley, Jeff and Ruwase, Olatunji and He, Yuxiong",
    year="2020",
    eprint="1910.02054",
)


def training(config: TrainingConfig) -> Iterator[Citation]:
    """Options that every training has."""
    if config.recompute:
        yield RECOMPUTE


def operator(config: OperatorConfig) -> Iterator[Citation]:
    """Rollouts without gradients, and ensembles."""
    if config.pushforward:
        yield PUSHFORWARD
    if config.objective.kind == "ensemble":
        yield from (ENSEMBLE, PROPER_SCORES, FAIR_SCORES)
    yield from training(config)


def diffusion_residual(config: ResidualConfig) -> Iterator[Citation]:
    """The flow in its parametrisation, and refinement."""
    yield from (RESIDUAL, RECTIFIED_FLOW, FLOW_MATCHING) if config.flow == "rectified" else (RESIDUAL, EDM)
    if config.sampler.start < 1.0:
        yield PDE_REFINER
    yield from training(config)


def distillation(config: TrainingConfig) -> Iterator[Citation]:
    """Discrete flow maps."""
    yield from (CONSISTENCY, CONSISTENCY_TRAJECTORY)
    yield from training(config)


def prior(config: PriorConfig) -> Iterator[Citation]:
    """The flow, the estimate that it starts from, and what its sampler does about observations."""
    yield from (RECTIFIED_FLOW, FLOW_MATCHING, GAPPY_POD)
    if config.unconditional:
        yield CLASSIFIER_FREE
    if config.sampler.misfit_weight:
        yield POSTERIOR_SAMPLING
    if config.sampler.replace:
        yield REPLACEMENT
    yield from training(config)


def muon(config: MuonConfig | MuonHybridConfig) -> Iterator[Citation]:
    """Muon, with the step size of the second paper where it is chosen."""
    yield MUON
    if config.adjust_lr == "match_rms_adamw":
        yield MUON_SCALING
