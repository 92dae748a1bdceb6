"""What the user typed, to be typed again or recorded; without what is secret in it."""

import shlex
import sys

_SECRET = ("--token",)


def command_line() -> str:
    """The command as it may be typed again; a token is not in it."""
    words = list(sys.argv[1:])
    for at, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if name in _SECRET and equals:
            words[at] = f"{name}=TOKEN"
        elif at and words[at - 1] in _SECRET:
            words[at] = "TOKEN"
    return shlex.join(["wnet-edge", *words])
