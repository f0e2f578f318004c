"""What runs first: `python -m disentangle_pl` and the command `disentangle-pl`."""

from disentangle_pl.notice import NOTICE

NOTICE.listen()  # the imports below take seconds, and an unheard SIGUSR1 kills

from disentangle_pl.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
