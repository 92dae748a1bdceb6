"""Escaping of control characters in text from files and libraries, before it reaches a terminal.

Every line that is shown goes through here: errors, warnings, reports, captions of pictures.
"""

import re

_BREAK = re.compile(r"[ \t]*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")


def one_line(text: str) -> str:
    r"""The text without line breaks, and with non-printable characters escaped, as \x1b."""
    joined = _BREAK.sub(" ", text.rstrip()).replace("\t", " ")
    return "".join(
        character if character.isprintable() else _written_out(character) for character in joined
    )


def _written_out(character: str) -> str:
    """A blank for any Unicode space, else the escape sequence (also of undecodable bytes)."""
    if character.isspace():
        return " "
    return character.encode("unicode_escape").decode("ascii")
