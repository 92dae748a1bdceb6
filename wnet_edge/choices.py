"""Names that a user chooses from, each an enumeration's value."""

from enum import Enum
from typing import TypeVar

from wnet_edge.errors import OptionError

Kind = TypeVar("Kind", bound=Enum)


def chosen(kind: type[Kind], name: str, option: str, also: str | None = None) -> Kind:
    """The member of `kind` with this value.

    Args:
        kind: to choose from.
        name: that the user gives.
        option: what it is given for, for the message.
        also: another name that may be given, which the caller has seen to.

    Raises:
        OptionError: if there is none of that name.
    """
    names = [one.value for one in kind]
    if name not in names:
        offered = names if also is None else [also, *names]
        raise OptionError(f"{option} is {name!r}; choose from {', '.join(offered)}")
    return kind(name)
