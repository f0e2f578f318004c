"""Where this package keeps files of its own accord."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Return the user's cache folder for this package: below $XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "disentangle_pl"
