# make demo   reconstruct the embedded scan, in its own virtual environment (edge install)
# make live   the same while it is being scanned, on a page in the browser
# make test   everything CI runs: lint, types, tests, benchmark gates (workshop install)
# make reference    test the reference reconstructions with pty-chi as users install it, with
#                   PyTorch for NVIDIA's cards (6 GB)
# make bench        run every gate; results in benchmarks/latest.json, compared with the baseline
# make baseline     measure the throughput baseline again: benchmarks/baseline.json
# make study        train what the study lacks (hours, resumes where it stopped), measure, write
#                   docs/study.md; STUDY=quick: minutes, into runs/quick
# make study-report write docs/study.md from the results in the repository, without training
# make packages     export packages/MODEL.wnet from all shipped weights, and the embedded w3 and ptychonn
# make search-w3    resume the architecture search for W3: minutes of one core per shape
PYTHON ?= python3
EDGE := .venv-edge
WORKSHOP := .venv
REFERENCE := .venv-reference
PIP := -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Other people's readers, writers and engines, for the tests, without the programs around them.
# pty-chi takes one filter of torchvision's: 0.16 is the last that a PyTorch of another build imports.
PEERS := ptychodus ptylab ptychi 'torchvision; python_version < "3.13"'
SPEED := benchmarks/test_cost.py benchmarks/test_latency.py
# What is timed runs alone, the rest file by file on all cores: one thread each, four at most.
TIMED := $(SPEED) benchmarks/test_integers.py benchmarks/test_gates_trip.py
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
ZOO := $(patsubst wnet_edge/zoo/%-cnm26id.safetensors,%,$(wildcard wnet_edge/zoo/*.safetensors))

.PHONY: demo live test lint reference bench baseline study study-report packages search-w3 docs clean

demo: $(EDGE)/.installed
	$(EDGE)/bin/wnet-edge demo

live: $(EDGE)/.live
	$(EDGE)/bin/wnet-edge demo --live

test: lint
	OMP_NUM_THREADS=1 $(WORKSHOP)/bin/python -m pytest $(SIDE_BY_SIDE) \
		tests $(filter-out $(TIMED),$(wildcard benchmarks/test_*.py))
	$(WORKSHOP)/bin/python -m pytest $(TIMED)

lint: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/ruff format --check .
	$(WORKSHOP)/bin/ruff check .
	$(WORKSHOP)/bin/mypy
	$(WORKSHOP)/bin/lint-imports

reference: $(REFERENCE)/.installed
	OMP_NUM_THREADS=1 $(REFERENCE)/bin/python -m pytest tests/reference

bench: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/python -m pytest benchmarks --benchmark-json=benchmarks/latest.json
	$(WORKSHOP)/bin/pytest-benchmark compare benchmarks/baseline.json benchmarks/latest.json

baseline: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/python -m pytest $(SPEED) --benchmark-json=benchmarks/baseline.json

study: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/python -m benchmarks.study

study-report: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/python -m benchmarks.study report

packages: $(WORKSHOP)/.installed
	mkdir -p packages
	for model in $(ZOO); do \
		$(WORKSHOP)/bin/wnet-edge export --model $$model -o packages/$$model.wnet --force || exit 1; \
	done
	cp packages/w3.wnet wnet_edge/packages/w3.wnet
	$(WORKSHOP)/bin/wnet-edge export --model ptychonn --precision fp32 \
		-o wnet_edge/packages/ptychonn.wnet --force

search-w3: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/python -m benchmarks.search_w3

docs: $(WORKSHOP)/.installed
	$(WORKSHOP)/bin/python docs/make_commands.py
	$(WORKSHOP)/bin/python tests/bad_input.py
	$(WORKSHOP)/bin/python tests/live_faults.py

$(EDGE)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(EDGE)
	$(EDGE)/bin/python $(PIP) --editable .
	touch $@

$(EDGE)/.live: $(EDGE)/.installed
	$(EDGE)/bin/python $(PIP) --editable '.[live]'
	touch $@

$(WORKSHOP)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(WORKSHOP)
	$(WORKSHOP)/bin/python $(PIP) --editable '.[train,live,dev]'
	$(WORKSHOP)/bin/python $(PIP) --no-deps $(PEERS)
	touch $@

# Without the versions that were tested: pip finds a PyTorch and a torchvision that belong together.
$(REFERENCE)/.installed: pyproject.toml
	$(PYTHON) -m venv $(REFERENCE)
	$(REFERENCE)/bin/python -m pip --disable-pip-version-check install --quiet --editable \
		'.[reference]' 'torch>=2.14' hypothesis onnx onnxscript pytest pytest-timeout
	touch $@

clean:
	rm -rf $(EDGE) $(WORKSHOP) $(REFERENCE)
