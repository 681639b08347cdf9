# `make demo` and `make test` need Python 3.10 or newer, a C++17 compiler and make.
# All else goes into .venv and build/, once: a second run does only what has changed.

PYTHON ?= python3
PYTHONS ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMPS := $(VENV)/stamps

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-cpp test-cuda test-python test-long cuda-on-host lint types format sanitize bench figures docs wheels charts cuda clean distclean
export PATH := $(abspath $(BIN)):$(PATH)

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMPS)/demo $(STAMPS)/core  ## rank four real networks on real data
	$(BIN)/zoorank demo --store build/demo

test: $(STAMPS)/test $(STAMPS)/core  ## lint, types, C++ tests, Python tests and doctests
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory types
	$(MAKE) --no-print-directory test-cuda
	$(MAKE) --no-print-directory test-cpp
	$(MAKE) --no-print-directory test-python

test-cpp: $(STAMPS)/tools  ## the C++ tests alone, with the consumer of an installed library
	$(call ctest,dev)

# `_cuda` over an emulated device, in an environment of its own that borrows all else; it takes small problems to it.
EMULATED := build/cuda-on-host
PYTEST_EMULATED := $(EMULATED)/bin/python -m pytest -q -p no:cacheprovider -o addopts=--import-mode=importlib -m 'not long'
CUDA_TESTS := $(wildcard tests/engine/test_cuda*.py)
ON_CUDA := $(addprefix tests/engine/test_,batch.py distances.py input.py result.py silhouette.py)
test-cuda: $(STAMPS)/test $(STAMPS)/core  ## the Python tests of the CUDA backend, over an emulated device
ifeq ($(shell uname),Linux)
	$(call emulate)
	$(EMULATED)/bin/python -m mypy.stubtest zoorank._cuda --concise --allowlist tests/stubtest_allowlist.txt
	$(PYTEST_EMULATED) $(CUDA_TESTS)
endif

cuda-on-host: $(STAMPS)/test $(STAMPS)/core  ## those, and the engine's and the rest's with that device: half an hour
	$(call emulate)
	$(PYTEST_EMULATED) $(CUDA_TESTS)
	ZOORANK_DEVICE=cuda ZOORANK_TEST_EXAMPLES=10 $(PYTEST_EMULATED) -k "not instruction_set" $(ON_CUDA) tests/scores \
	  tests/ranking tests/test_cli*.py

test-python: $(STAMPS)/test $(STAMPS)/core  ## the Python tests and doctests alone
	$(BIN)/pytest

test-long: $(STAMPS)/test $(STAMPS)/core  ## the Python tests that take minutes, which `make test` leaves out
	$(BIN)/pytest -m long

lint: $(STAMPS)/test $(STAMPS)/core  ## style, formatting, and which room may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run --Werror $(CPP_FILES)
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github

types: $(STAMPS)/test $(STAMPS)/core  ## mypy --strict, and the stub of the compiled module beside the module
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest zoorank._core --concise --allowlist tests/stubtest_allowlist.txt

format: $(STAMPS)/test  ## rewrite the sources as `make lint` wants them
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CPP_FILES)

sanitize: $(STAMPS)/tools  ## the C++ tests under ASan and UBSan, then under TSan
	$(call ctest,asan)
	$(call ctest,tsan)

# A program ends with 77 where the machine has not what it measures, such as a GPU.
BENCHMARKS ?= $(wildcard benchmarks/[!_]*.py)
bench: $(STAMPS)/test $(STAMPS)/core  ## every program in benchmarks/ that this machine can run
	for program in $(BENCHMARKS); do \
	  status=0; $(BIN)/python "$$program" || status=$$?; \
	  case $$status in 0) ;; 77) echo "skipped: $$program" ;; *) exit $$status ;; esac; \
	done

# In this order: the README quotes the study's evidence.
figures: $(STAMPS)/test $(STAMPS)/core  ## bring the figures in README.md and docs/ in line with what was measured
	$(BIN)/python benchmarks/ucr/study.py --tables-only
	$(BIN)/python benchmarks/figures/write.py

docs: $(STAMPS)/docs $(STAMPS)/core  ## the documentation site, build/docs; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --doctree-dir build/docs/.doctrees docs build/docs

wheels:  ## a wheel for manylinux_2_28 without CUDA in dist, tried in a bare environment; PYTHONS="python3.11 ..."
	tools/wheels/build.sh $(PYTHONS)

charts:  ## bundle the plotting library of report.html anew; needs Node.js
	cd tools/charts && npm ci --no-fund --no-audit && npm run build

cuda: $(STAMPS)/tools  ## the CUDA backend for every device family, wherever nvcc works
	$(BIN)/cmake -G Ninja -S . -B build/cuda -DCMAKE_BUILD_TYPE=Release -DCMAKE_COMPILE_WARNING_AS_ERROR=ON \
	  -DZOORANK_CUDA=ON -DZOORANK_CUDA_ARCHITECTURES=all -DZOORANK_PYTHON=ON -DZOORANK_CUDA_CHECK=ON -DZOORANK_TESTS=OFF \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python -Dpybind11_DIR="$$($(BIN)/python -m pybind11 --cmakedir)"
	$(BIN)/cmake --build build/cuda --target _cuda cuda_check

clean:  ## remove what was built
	rm -rf build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

distclean: clean  ## remove .venv too
	rm -rf $(VENV)

CPP_FILES := $(shell find csrc tests -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.hpp' -o -name '*.inl' -o -name '*.cu' -o -name '*.cuh')

# Of the preset dev alone, whose C++ tests have compiled the backend for the emulator, too.
define emulate
	$(BIN)/cmake --preset dev --log-level=WARNING -DZOORANK_EMULATE_CUDA=ON \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python -Dpybind11_DIR="$$($(BIN)/python -m pybind11 --cmakedir)"
	$(BIN)/cmake --build --preset dev --target _cuda
	$(BIN)/python tests/cpp/cuda_on_host/make_environment.py $(EMULATED) build/dev/csrc/bindings/_cuda*.so
endef

define ctest
	$(BIN)/cmake --preset $(1) --log-level=WARNING
	$(BIN)/cmake --build --preset $(1)
	$(BIN)/ctest --preset $(1)
endef

# Directories are listed too: their time changes when a file comes or goes.
CORE_SOURCES := $(shell find csrc cmake) CMakeLists.txt pyproject.toml

# Warnings stop a build on CI alone: a newer compiler's must not stop a user.
INSTALL = $(PIP) install --no-build-isolation -c constraints.txt \
  -C cmake.define.CMAKE_COMPILE_WARNING_AS_ERROR=$(if $(CI),ON,OFF)

# Where nvcc works the kernels are compiled too: for the devices of this machine or,
# without any, for one family, which shows that they compile. A wheel has them all.
CUDA_ARCHITECTURES ?= $(if $(shell nvidia-smi -L 2>/dev/null),native,90a-real)
# The same for every step, or each would configure anew and compile everything again.
$(STAMPS)/core $(STAMPS)/demo $(STAMPS)/docs $(STAMPS)/test: export ZOORANK_CUDA_ARCHITECTURES ?= $(CUDA_ARCHITECTURES)

# Each group of extras is installed when it, not the code, has changed; a change
# of the C++ code reinstalls the package alone, from objects kept in build/.
$(STAMPS)/demo: EXTRAS := zoo,cli,demo
$(STAMPS)/docs: EXTRAS := docs
$(STAMPS)/test: EXTRAS := zoo,cli,demo,scores,report,ids,timm,torchvision,huggingface,sentence-transformers,keras,onnx,vectors,audio,parquet,test,dev
$(STAMPS)/test: $(wildcard tests/environment/*)
$(STAMPS)/demo $(STAMPS)/docs $(STAMPS)/test: pyproject.toml constraints.txt | $(STAMPS)/core
	$(INSTALL) -e '.[$(EXTRAS)]'
	$(if $(filter %/test,$@),$(PIP) install --no-deps -r tests/environment/without_dependencies.txt)
	$(if $(filter %/test,$@),$(BIN)/python tests/environment/torchvision_operators.py)
	$(if $(filter %/test,$@),$(BIN)/python tests/environment/debian.py)
	touch $@

$(STAMPS)/core: $(CORE_SOURCES) | $(STAMPS)/tools
	$(INSTALL) -e .
	touch $@

$(STAMPS)/tools: pyproject.toml | $(BIN)/python
	sed -n '/^requires = /s/[^"]*"\([^"]*\)"[^"]*/\1\n/gp' pyproject.toml | xargs $(PIP) install cmake ninja
	mkdir -p $(STAMPS)
	touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "zoorank needs Python 3.10 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install 'pip>=23.1'  # of Python 3.10 the own one may be older, and knows no -C
