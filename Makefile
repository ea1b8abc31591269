# make serve    everything serving needs, then the service on http://localhost:$(PORT)
# make test     everything, then all tests
# make lint     ruff, ruff format, mypy
# make browser    Chromium for the tests of the studio, where it can be had; without one they are skipped
# make bento    a Bento of the service and the models
# make guard    what a request costs in instructions; fails when it has become a fifth dearer
# make bench-peers    other servers, tuned and side by side with ours; make bench-serving: ours and the engine alone
PYTHON ?= python3
PORT ?= 3000
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: serve test lint format browser bento guard bench-peers bench-serving gpu-check gpu-test clean

serve: .venv/serve
	$(BIN)/python -m service --port $(PORT)

test: .venv/dev
	$(BIN)/python -m pytest

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
	    apt-get install -qq --yes --no-install-recommends chromium >/dev/null; } || \
	  echo "no Chromium, and it cannot be installed here: the tests of the studio will be skipped"

bento: .venv/serve
	BENTOML_DO_NOT_TRACK=True $(BIN)/bentoml build

guard: .venv/dev
	$(BIN)/python -m benchmarks guard

bench-peers: .venv/dev
	$(BIN)/python -m benchmarks install
	$(BIN)/python -m benchmarks tune
	$(BIN)/python -m benchmarks peers --write

bench-serving: .venv/dev
	$(BIN)/python -m benchmarks serving --write

# Everything a GPU can be asked: builds engines, compares pixels, measures, writes a report below runs/.
gpu-check: .venv-gpu/check
	.venv-gpu/bin/python -m benchmarks gpu-check

gpu-test: .venv-gpu/test
	.venv-gpu/bin/python -m pytest -m gpu

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit("mintage needs Python 3.11 or newer: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	touch $@

.venv/serve: .venv/python pyproject.toml
	$(PIP) --editable '.[cpu]'
	touch $@

# On a machine without a GPU the README says how to get the small CPU build of torch.
.venv/dev: .venv/python pyproject.toml
	$(PIP) --editable '.[cpu,train,huggingface,bench,dev]'
	touch $@ .venv/serve

# Of its own: onnxruntime for GPUs and for CPUs are installed into the same folder.
.venv-gpu/python:
	$(PYTHON) -m venv .venv-gpu
	touch $@

.venv-gpu/check: .venv-gpu/python pyproject.toml
	.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[gpu,bench]'
	touch $@

.venv-gpu/test: .venv-gpu/python pyproject.toml
	.venv-gpu/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[gpu,train,bench,dev]'
	touch $@ .venv-gpu/check

clean:
	rm -rf .venv .venv-gpu build *.egg-info
