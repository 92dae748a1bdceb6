"""The folder of what is measured or built on this machine, and may be deleted at any time."""

from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache of wnet-edge, which need not exist yet: ~/.cache/wnet-edge on Linux."""
    return Path(platformdirs.user_cache_dir("wnet-edge", appauthor=False))
