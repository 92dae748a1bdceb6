# make demo   the embedded scan to a picture, in a virtual environment of its own (edge install)
# make test   everything CI runs: lint, types, tests, benchmark gates (workshop install)
PYTHON ?= python3
EDGE := .venv-edge
WORKSHOP := .venv
PIP := -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Other people's readers and writers, for the tests, without the programs around them.
PEERS := ptychodus ptylab

.PHONY: demo test lint bench docs clean

demo: $(EDGE)/.installed
	$(EDGE)/bin/wnet-edge demo

test: lint
	$(WORKSHOP)/bin/python -m pytest
	$(WORKSHOP)/bin/python -m pytest benchmarks

lint: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/ruff format --check .
	$(WORKSHOP)/bin/ruff check .
	$(WORKSHOP)/bin/mypy
	$(WORKSHOP)/bin/lint-imports

bench: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/python -m pytest benchmarks --benchmark-json=benchmarks/latest.json

docs: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/python docs/make_commands.py

$(EDGE)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(EDGE)
	$(EDGE)/bin/python $(PIP) --editable .
	touch $@

$(WORKSHOP)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(WORKSHOP)
	$(WORKSHOP)/bin/python $(PIP) --editable '.[train,dev]'
	$(WORKSHOP)/bin/python $(PIP) --no-deps $(PEERS)
	touch $@

clean:
	rm -rf $(EDGE) $(WORKSHOP)
