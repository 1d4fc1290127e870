"""A reference to a paper, a data set or a program, as BibTeX and as text."""

from __future__ import annotations

import re
from dataclasses import dataclass

FIELDS = ("title", "author", "booktitle", "journal", "volume", "number", "pages", "publisher", "year", "doi",
          "eprint", "url", "version")  # fmt: skip
"""Fields of an entry in the order in which they are printed."""


@dataclass(frozen=True)
class Citation:
    """One reference; facts only, and empty where one is not known.

    Attributes:
        key: of the BibTeX entry, such as `li2021fourier`.
        kind: `article`, `inproceedings` or `misc`.
        title: as published.
        author: names as `Last, First`, joined by ` and `; ` and others` at the end where there are more.
        eprint: number on arXiv, such as `2010.08895`.
        version: of a program.
    """

    key: str
    kind: str
    title: str
    author: str
    year: str = ""
    booktitle: str = ""
    journal: str = ""
    volume: str = ""
    number: str = ""
    pages: str = ""
    publisher: str = ""
    doi: str = ""
    eprint: str = ""
    url: str = ""
    version: str = ""

    def bibtex(self) -> str:
        """The BibTeX entry; braces keep the capitals of the title."""
        values = {name: getattr(self, name) for name in FIELDS if getattr(self, name)}
        for name in values.keys() - {"doi", "url"}:
            values[name] = values[name].replace("&", r"\&")
        values["title"] = f"{{{values['title']}}}"
        if self.eprint:
            values["archiveprefix"] = "arXiv"
        lines = [f"  {name} = {{{value}}}," for name, value in values.items()]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])

    def text(self) -> str:
        """One line: authors, title, where it appeared, year, and how it is found."""
        where = self.booktitle or self.journal or self.publisher
        where += f" {self.volume}" * bool(self.volume) + f", {self.pages.replace('--', '–')}" * bool(
            self.pages
        )
        found = f"doi:{self.doi}" if self.doi else f"arXiv:{self.eprint}" if self.eprint else self.url
        version = f"version {self.version}" if self.version else ""
        appeared = ", ".join(filter(None, [where, version, self.year]))
        return " ".join(f"{part}." for part in (_names(self.author), self.title, appeared, found) if part)


def _names(author: str) -> str:
    """`Li, Zongyi and others` -> `Zongyi Li et al`."""
    names = [re.sub(r"^(.*?), (.*)$", r"\2 \1", name.strip("{}")) for name in author.split(" and ")]
    if names[-1] == "others":
        return f"{', '.join(names[:-1])} et al"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
