"""`python -m disentangle_pl` is `disentangle-pl`."""

from disentangle_pl.cli import main

main()
