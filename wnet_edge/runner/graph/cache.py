"""Cache folder for measurements and engines of this machine; may be deleted at any time."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache folder, which need not exist yet: ~/.cache/wnet-edge on Linux.

    For a user without a home folder (in a container), a path that can't exist.
    """
    try:
        folder = Path(platformdirs.user_cache_dir("wnet-edge", appauthor=False))
    except RuntimeError:  # from platformdirs 4.14 on; older versions return ~/.cache unexpanded
        folder = Path("wnet-edge")
    return folder if folder.is_absolute() else Path(os.devnull) / folder.name
