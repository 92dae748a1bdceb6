"""Writes docs/commands.md: the help of every command, as the program prints it."""

from pathlib import Path

import click

from wnet_edge.cli.main import COMMANDS, group

PAGE = Path(__file__).parent / "commands.md"
SETTINGS = {"terminal_width": 88, "max_content_width": 88, "help_option_names": ["-h", "--help"]}


def page() -> str:
    """The whole page."""
    parts = ["# Commands\n\n`make docs` writes this page from the program's own help.\n"]
    context = click.Context(group, info_name="wnet-edge", **SETTINGS)
    parts.append(f"\n```text\n{group.get_help(context)}\n```\n")
    for name in COMMANDS:
        command = group.get_command(context, name)
        if command is None:
            raise LookupError(name)
        inner = click.Context(command, info_name=name, parent=context, **SETTINGS)
        parts.append(f"\n## {name}\n\n```text\n{command.get_help(inner)}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
