"""What runs first: `python -m disentangle_pl` and the command `disentangle-pl`."""

import sys
from importlib import import_module

from disentangle_pl.notice import NOTICE

NOTICE.listen()  # the imports of a command line take seconds, and an unheard SIGUSR1 kills


def main() -> None:
    """Run the command line: the one without torch for a study of tables, which it makes wait for a second alone."""
    tables = sys.argv[1:2] == ["gwas"] and import_module("disentangle_pl.verbs_genome").on_tables(sys.argv[2:])
    import_module("disentangle_pl.table_cli" if tables else "disentangle_pl.cli").main()


if __name__ == "__main__":
    main()
