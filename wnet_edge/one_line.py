"""Text that no terminal obeys: names in files, and what libraries say, come from anybody.

Every line that is shown goes through here: errors, warnings, reports, captions of pictures.
"""

import re

_BREAK = re.compile(r"[ \t]*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")


def one_line(text: str) -> str:
    r"""The text without line breaks, and with what can't be seen written out, as \x1b."""
    joined = _BREAK.sub(" ", text.rstrip()).replace("\t", " ")
    return "".join(
        character if character.isprintable() else _written_out(character) for character in joined
    )


def _written_out(character: str) -> str:
    """A blank of another width as a blank, a surrogate (a byte of a name) as it is."""
    if character.isspace():
        return " "
    return character.encode("unicode_escape").decode("ascii")
