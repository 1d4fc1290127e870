"""What all HTML pages share: the style, and how templates are found."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from ups_eval.tables import format_number, format_seconds


def environment(folder: str) -> Environment:
    """Templates of a folder of ups_eval, which may include those of this one.

    An unknown name in a template is an error (StrictUndefined), not an empty place on the page.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader("ups_eval", folder), PackageLoader("ups_eval", "pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": format_number, "seconds": format_seconds, "thousands": "{:,}".format}
    return made
