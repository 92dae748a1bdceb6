"""docs/architecture.md tells of the rooms that are there, on the floors that are enforced."""

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    pytest.skip("tomllib came with Python 3.11", allow_module_level=True)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]
FLOORS = {
    contract["containers"][0]: [floor.split(" | ") for floor in contract["layers"]]
    for contract in CONTRACTS
    if contract["type"] == "layers"
}


def test_the_table_is_the_contract():
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", PAGE, flags=re.M)
    table: dict[int, set[str]] = {}
    for floor, rooms in rows:
        table.setdefault(int(floor), set()).update(re.findall(r"`(\w+)`", rooms))
    assert [table[n] for n in sorted(table)] == [set(floor) for floor in FLOORS["wnet_edge"]]


@pytest.mark.parametrize("container", ["wnet_edge.runner", "wnet_edge.io"])
def test_inner_floors_are_told_in_order(container):
    name = container.rpartition(".")[2]
    told = re.split(rf"Within\s+`{name}`:", PAGE)[1]
    places = [told.index(f"`{room}`") for floor in FLOORS[container] for room in floor]
    assert places == sorted(places)


def test_every_module_that_is_named_is_there():
    names = set(re.findall(r"`((?:\w+\.)+\w+)`", PAGE)) - {"pyproject.toml"}
    assert len(names) > 25
    for name in names:
        *module, last = name.split(".")
        above = import_module(".".join(["wnet_edge", *module]))
        assert hasattr(above, last) or find_spec(f"wnet_edge.{name}"), name


def test_every_room_is_named():
    rooms = {path.parent.name for path in (ROOT / "wnet_edge").rglob("__init__.py")}
    rooms |= {path.parent.name for path in (ROOT / "export").rglob("__init__.py")}
    told = {part for name in re.findall(r"`([\w.]+)`", PAGE) for part in name.split(".")}
    assert rooms - {"wnet_edge"} <= told
