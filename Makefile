# make run      set up, then talk to the small model      make test    set up, then the tests
# make check    style, types, format of the C++           make bench   speed, against the peers
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(wildcard native/*) CMakeLists.txt pyproject.toml

.PHONY: setup run test check bench clean
setup: $(VENV)/.installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("moonlet needs Python 3.11 to 3.13; this is %d.%d (set PYTHON=...)" % sys.version_info[:2] if not (3, 11) <= sys.version_info[:2] <= (3, 13) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip

$(VENV)/.installed: $(VENV)/bin/python $(NATIVE)
	$(BIN)/pip install -q "scikit-build-core>=0.10" "nanobind>=2.4" cmake ninja
	$(BIN)/pip install -q --no-build-isolation -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install -q --no-build-isolation -e ".[test]"
	@touch $@

run: setup
	@$(BIN)/moonlet run

test: $(VENV)/.tested
	$(BIN)/pytest

check: $(VENV)/.tested
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror native/*.cpp native/*.h

bench: $(VENV)/.tested
	$(BIN)/python -m bench

clean:
	rm -rf build $(VENV)
