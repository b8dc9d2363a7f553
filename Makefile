# make demo: the main job on built-in data. make test: the tests. make docs: the site. Each makes the environment it needs.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
# As many as there are cores. Tests are handed out in runs, so that a module's fixtures are rarely made twice.
WORKERS ?= -n auto --dist worksteal

# torch first and pinned: a CPU build serves here, where an unpinned torch may bring gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints.txt torch
	$(BIN)/pip install -c constraints.txt -e ".[export,test,quality,docs,release]"
	touch $@

.PHONY: demo test test-slow test-all coverage quality docs examples release gpu-quick
demo: $(VENV)/.installed
	$(BIN)/hf-midropout train --overwrite_output_dir

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(WORKERS)

test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest $(WORKERS) -m slow

test-all: $(VENV)/.installed
	$(BIN)/python -m pytest $(WORKERS) -m "slow or not slow"

# Of the processes that tests start too; slower than `test`.
coverage: $(VENV)/.installed
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(WORKERS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

quality: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, into build/site; the variable silences an advertisement for the generator's successor.
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The notebook in a kernel of its own, which `test` leaves out, and the scripts.
examples: $(VENV)/.installed
	$(BIN)/python -m pytest -m "slow or not slow" tests/test_examples.py

# What needs no GPU of what is for one: the kernel in Triton's interpreter, and a small run of scripts/gpu_checks.sh.
# Triton stays out of the environment, where torch would find it.
$(VENV)/triton: | $(VENV)/.installed
	$(BIN)/pip install --quiet --upgrade --no-deps --target $@ 'triton~=3.7.0'
	touch $@

gpu-quick: $(VENV)/triton
	PYTHONPATH=$(VENV)/triton $(BIN)/python -m pytest tests/information/counting/test_triton_kernel.py
	PYTHON=$(BIN)/python scripts/gpu_checks.sh --quick --seconds 600 --output build/gpu_quick

# Source and wheel, into build/dist; the wheel runs in an environment where nothing else is.
release: $(VENV)/.installed
	rm -rf build/dist build/lib build/bdist.*
	$(BIN)/python -m build --outdir build/dist
	$(BIN)/twine check --strict build/dist/*
	PYTHON=$(PYTHON) scripts/check_wheel.sh build/dist/*.whl
