"""What to cite for data and for the metrics of their papers."""

from __future__ import annotations

from ups_core import Citation

PDEBENCH = Citation(
    key="takamoto2022pdebench",
    kind="inproceedings",
    title="PDEBench: An Extensive Benchmark for Scientific Machine Learning",
    author="Takamoto, Makoto and Praditia, Timothy and Leiteritz, Raphael and MacKinlay, Dan and "
    "Alesiani, Francesco and Pflüger, Dirk and Niepert, Mathias",
    booktitle="Advances in Neural Information Processing Systems",
    volume="35",
    pages="1596--1611",
    year="2022",
    eprint="2210.07182",
)
PDEBENCH_DATA = Citation(
    key="takamoto2022data",
    kind="misc",
    title="PDEBench Datasets",
    author=PDEBENCH.author,
    publisher="DaRUS",
    year="2022",
    doi="10.18419/darus-2986",
)
THE_WELL = Citation(
    key="ohana2024well",
    kind="inproceedings",
    title="The Well: a Large-Scale Collection of Diverse Physics Simulations for Machine Learning",
    author="Ohana, Ruben and McCabe, Michael and Meyer, Lucas and Morel, Rudy and Agocs, Fruzsina J. and "
    "Beneitez, Miguel and others",
    booktitle="Advances in Neural Information Processing Systems",
    volume="37",
    pages="44989--45037",
    year="2024",
    eprint="2412.00568",
)
FOURIER_NEURAL_OPERATOR = Citation(
    key="li2021fourier",
    kind="inproceedings",
    title="Fourier Neural Operator for Parametric Partial Differential Equations",
    author="Li, Zongyi and Kovachki, Nikola and Azizzadenesheli, Kamyar and Liu, Burigede and "
    "Bhattacharya, Kaushik and Stuart, Andrew and Anandkumar, Anima",
    booktitle="International Conference on Learning Representations",
    year="2021",
    eprint="2010.08895",
)
"""Of the flow and its data; the model `fno` cites it too."""
KURAMOTO_SIVASHINSKY = Citation(
    key="kuramoto1976persistent",
    kind="article",
    title="Persistent Propagation of Concentration Waves in Dissipative Media Far from Thermal Equilibrium",
    author="Kuramoto, Yoshiki and Tsuzuki, Toshio",
    journal="Progress of Theoretical Physics",
    volume="55",
    number="2",
    pages="356--369",
    year="1976",
    doi="10.1143/PTP.55.356",
)
