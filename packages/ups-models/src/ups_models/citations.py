"""What to cite for networks, and for flows that correct them."""

from __future__ import annotations

from collections.abc import Iterator

from ups_core import Citation
from ups_models.config import LatentOperatorConfig

UNET = Citation(
    key="ronneberger2015unet",
    kind="inproceedings",
    title="U-Net: Convolutional Networks for Biomedical Image Segmentation",
    author="Ronneberger, Olaf and Fischer, Philipp and Brox, Thomas",
    booktitle="Medical Image Computing and Computer-Assisted Intervention (MICCAI)",
    pages="234--241",
    year="2015",
    doi="10.1007/978-3-319-24574-4_28",
    eprint="1505.04597",
)
CONVNEXT = Citation(
    key="liu2022convnet",
    kind="inproceedings",
    title="A ConvNet for the 2020s",
    author="Liu, Zhuang and Mao, Hanzi and Wu, Chao-Yuan and Feichtenhofer, Christoph and "
    "Darrell, Trevor and Xie, Saining",
    booktitle="IEEE/CVF Conference on Computer Vision and Pattern Recognition",
    year="2022",
    eprint="2201.03545",
)
DIT = Citation(
    key="peebles2023scalable",
    kind="inproceedings",
    title="Scalable Diffusion Models with Transformers",
    author="Peebles, William and Xie, Saining",
    booktitle="IEEE/CVF International Conference on Computer Vision",
    pages="4195--4205",
    year="2023",
    eprint="2212.09748",
)
PDE_TRANSFORMER = Citation(
    key="holzschuh2025pdetransformer",
    kind="inproceedings",
    title="PDE-Transformer: Efficient and Versatile Transformers for Physics Simulations",
    author="Holzschuh, Benjamin and Liu, Qiang and Kohl, Georg and Thuerey, Nils",
    booktitle="International Conference on Machine Learning",
    year="2025",
    eprint="2505.24717",
)
RECTIFIED_FLOW = Citation(
    key="liu2023flow",
    kind="inproceedings",
    title="Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow",
    author="Liu, Xingchao and Gong, Chengyue and Liu, Qiang",
    booktitle="International Conference on Learning Representations",
    year="2023",
    eprint="2209.03003",
)
FLOW_MATCHING = Citation(
    key="lipman2023flow",
    kind="inproceedings",
    title="Flow Matching for Generative Modeling",
    author="Lipman, Yaron and Chen, Ricky T. Q. and Ben-Hamu, Heli and Nickel, Maximilian and Le, Matt",
    booktitle="International Conference on Learning Representations",
    year="2023",
    eprint="2210.02747",
)
EDM = Citation(
    key="karras2022elucidating",
    kind="inproceedings",
    title="Elucidating the Design Space of Diffusion-Based Generative Models",
    author="Karras, Tero and Aittala, Miika and Aila, Timo and Laine, Samuli",
    booktitle="Advances in Neural Information Processing Systems",
    year="2022",
    eprint="2206.00364",
)
PDE_REFINER = Citation(
    key="lippe2023pderefiner",
    kind="inproceedings",
    title="PDE-Refiner: Achieving Accurate Long Rollouts with Neural PDE Solvers",
    author="Lippe, Phillip and Veeling, Bas and Perdikaris, Paris and Turner, Richard and "
    "Brandstetter, Johannes",
    booktitle="Advances in Neural Information Processing Systems",
    volume="36",
    pages="67398--67433",
    year="2023",
    eprint="2308.05732",
)


def latent_operator(config: LatentOperatorConfig) -> Iterator[Citation]:
    """The blocks of the chosen trunk; all are modulated as in DiT."""
    yield CONVNEXT if config.trunk == "multiscale" else PDE_TRANSFORMER
    yield DIT
