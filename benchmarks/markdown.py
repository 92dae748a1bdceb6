"""Rows of Markdown tables, printed as they are measured."""


def show(*cells: object) -> None:
    """A row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)  # noqa: T201


def head(*cells: str) -> None:
    """The first rows of a table."""
    show(*cells)
    show(*["---"] * len(cells))
