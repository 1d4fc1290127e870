"""`ups cite`: BibTeX of the methods and data that a spec or a run uses."""

from __future__ import annotations

import argparse

from ups_core.citations import citations_of
from ups_core.cli.options import add_overrides, user_path
from ups_core.cli.output import print_json
from ups_core.console import Console
from ups_core.run_file import SPEC
from ups_core.validate import load_spec

EXAMPLES = """\
examples:
  ups cite specs/pdebench_2task.yaml > references.bib
  ups cite runs/smoke-1a2b3c4d                           what a run has used, from its spec.yaml
  ups cite SPEC --set model.kind=fno
  ups cite SPEC --json                                   key, text and BibTeX of each, for programs

Components say what to cite where they are registered, those of plugins too: 'cite' in docs/plugins.md.
"""


class CiteCommand:
    """Print BibTeX of exactly the methods and data that a spec or a run uses, in the order of their use.

    UPS itself comes first. Baselines and metrics count; options that are off do not.
    """

    help = "BibTeX of the methods and data that a spec or a run uses"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EXAMPLES
        parser.add_argument("spec", type=user_path, metavar="SPEC|RUN", help="a YAML file or a run directory")
        add_overrides(parser)
        parser.add_argument("--json", action="store_true", help="print as JSON")

    def run(self, args: argparse.Namespace, console: Console) -> int:
        """Print the references."""
        path = args.spec / SPEC if args.spec.is_dir() else args.spec
        spec, _ = load_spec(path, args.overrides)
        cited = citations_of(spec)
        if args.json:
            print_json([reference._asdict() for reference in cited])
        else:
            print("\n\n".join(reference.bibtex for reference in cited))
        return 0
