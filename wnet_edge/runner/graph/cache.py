"""The folder of what is measured or built on this machine, and may be deleted at any time."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache of wnet-edge, which need not exist yet: ~/.cache/wnet-edge on Linux.

    For a user without a home, in a container say, a folder that can't exist.
    """
    try:
        folder = Path(platformdirs.user_cache_dir("wnet-edge", appauthor=False))
    except RuntimeError:  # of platformdirs 4.14; older ones give ~/.cache as it stands
        folder = Path("wnet-edge")
    return folder if folder.is_absolute() else Path(os.devnull) / folder.name
