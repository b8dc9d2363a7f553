# make demo: the main job on built-in data. make test: the tests. Each makes the environment it needs.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin

# torch first and pinned: a CPU build serves here, where an unpinned torch may bring gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints.txt torch
	$(BIN)/pip install -c constraints.txt -e ".[export,test,quality]"
	touch $@

.PHONY: demo test test-all quality
demo: $(VENV)/.installed
	$(BIN)/hf-midropout train --overwrite_output_dir

test: $(VENV)/.installed
	$(BIN)/python -m pytest

test-all: $(VENV)/.installed
	$(BIN)/python -m pytest -m "slow or not slow"

quality: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
