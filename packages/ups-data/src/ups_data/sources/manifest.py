"""The manifest of PDEBench's official files: where they are, and the MD5 sums that they have today.

From the manifest of PDEBench's own download scripts (Takamoto et al., "PDEBench Datasets",
doi:10.18419/darus-2986)."""

from __future__ import annotations

import csv
from importlib.resources import files

DATASET = "https://doi.org/10.18419/darus-2986"
"""PDEBench's data."""
DATAFILE = "https://darus.uni-stuttgart.de/api/access/datafile/{}"
"""Where a file is, by its DaRUS number."""
MD5 = {
    255672: "b4be2fc3383f737c76033073e6d2ccfb",
    255671: "d47b52c1be4b6bcaa8748a8df2f5fbb8",
    255674: "d595bbfd2c659df995a93cd40d6ea568",
    255666: "f89030c240a1e90b55649776854a84c2",
    255675: "1fe41923a4123db55bf4e89bea32e142",
    255677: "0e9beff98693089c38e213a1f2b9ac43",
    255676: "a87b03ff425496360e2732921805f47d",
    255664: "72a286ad2fcba574bd20bc045ba82d58",
    268190: "44cb784d5a07aa2b1c864cabdcf625f9",
    268193: "edf1cd13622d151dfde3e4e5af7a95b4",
    268191: "435e1fecb8a64a0b4563bb8d09f81c33",
    281363: "e6d9a4f62baf9a29121a816b919e2770",
    268189: "7c8c717a3a7818145877baa57106b090",
    281362: "16f4c7afaf8c16238be157e54c9297c7",
    268185: "660ba1008d3843bf4e28d2895eb607ce",
    268187: "01d9333254dff2f3cad090b61f5cf695",
    268192: "58327a6107e8f9defb5075677cc42533",
    281365: "9021eba35332d127306f11ef84c1a60f",
    281364: "70fe0c24d9313e70f6059e5212bdb3d7",
    268188: "8af7f70166c00ffad377c80fa477d81f",
    164672: "2fdd00138f1d7abc794fb953021a9f43",
    164668: "45655bd77d006ab539c52b7fbcf099b9",
    135485: "ad22fe08b8abc721179dbb34f2cc8b2a",
    133155: "79857a11ad9a69d77b8cf249a1c72d06",
    133156: "08dffc3d84033c7574a70614703dd753",
    133020: "9d466d1213065619d087319e16d9a938",
    133177: "69a429239778d529cd419ed5888ea835",
    133178: "ff7c724b18e7ebe02e19c179852f48ee",
    133179: "ac907daa7e483d203a5c77567cdea561",
    133180: "fb149e7540d8977af158bb8fec1048a3",
    133181: "bd73c2f3448d03e95e98c3831fc8fa70",
    133182: "a94e65631881a27ddae3ef74caf53093",
    133183: "112c01a76447162bd67c8c1073f58ca2",
    133184: "fa224c9d143de37ac6914d391e70f425",
    133185: "925a7e2c9b9e40ad2dd44b7002ec882b",
    133186: "a3e25a9fb8a99f010352ad3dd1afd596",
    133187: "426353b241acfbc64067acb1bdc80ade",
    133188: "f2890bdac5103a3b78fac5f80e57b760",
    133189: "0ed75b55f61bec11c47d379e34959e54",
    133190: "264c80af0e2a6cc1f70e87275e0f6ac4",
    133191: "f927f5d85f2e9bd97dff31b4dab051ae",
    133192: "c9c26e2b5f2d4bf5bcbbd4ba34fefd5e",
    164687: "5b21dcccaef4d2145ca579a71153c580",
    164688: "b2733888745a1d64e36df813e979910b",
    164689: "ae2552864d0856f58dc74132a2f95d20",
    164690: "21969082d0e9524bcc4708e216148e60",
    164691: "75a34f34a3dcd9bc8ae4b7adf8bf372c",
    164692: "04fcc44c39acea69e2869b84cd653d4a",
    164685: "844555000d342d2947162c6cf46798e7",
    164686: "3f2c7376cde5fb072db0f9814f1c6992",
    133217: "d05c287d4c0b7d3178b0097084238251",
    133218: "294f9a03a4aa16b0e386469ca8b471be",
    133219: "81694ed31306ff2e5f6b76349b0b4389",
    133220: "a7f23cf8011fc211b180828af39b7d1a",
    133221: "7c09f3b1bb097737d3fd52ffb0c6f1c8",
    133017: "b8d0b86064193195ddc30c33be5dc949",
    133021: "75d838c47aa410694bdc912ea7f22282",
    164693: "45892a12d1066d54af74badae55c438e",
    164694: "4f0eacaec5ff000bbd9a31026ea207b8",
}
"""DaRUS number -> MD5 of today's official file."""


def _incompressible() -> list[dict[str, str]]:
    """The rows of `incompressible_flow_files.csv`, which is of the same manifest."""
    table = files("ups_data.sources").joinpath("incompressible_flow_files.csv")
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


NS_INCOMPRESSIBLE = {int(row["seed"]): int(row["datafile"]) for row in _incompressible()}
"""Number in the name of a file of incompressible flow -> DaRUS number."""
MD5 |= {int(row["datafile"]): row["md5"] for row in _incompressible()}
