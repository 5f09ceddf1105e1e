# Everything a fresh machine needs: Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
RESULTS ?= results
JOBS ?= 2
TORCH := $(shell sed -n 's/^\(torch==.*\)/\1/p' constraints.txt)
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
INSTALLED := $(VENV)/.installed
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
COMPILED := plugins/bench-scanorama
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile
RUN := $(BIN)/bench run --results $(RESULTS) --jobs $(JOBS)

STUDY := PYTHONPATH=docs/study $(BIN)/python -m bench_study
DATA ?=
STUDY_WORK ?= results/study

.PHONY: help demo test slow lint types format install clean study study-ablations study-report

help:
	@echo "make demo    set up and run the main job on embedded real data"
	@echo "make test    set up and run the tests (make slow: the heavy ones)"
	@echo "make lint    ruff; make types: mypy; make format: rewrite"
	@echo "make study   DATA=FOLDER: docs/study.md again, hours of two cores (make study-report: from its records)"

demo: $(INSTALLED)
	$(RUN) --task classification,clustering --model pca,hvg,logreg,scvi --dataset pbmc68k >/dev/null # all tables below
	$(RUN) --task integration --model pca,hvg,scvi --dataset pbmc68k-semisim >/dev/null
	$(BIN)/bench results --results $(RESULTS)
	$(BIN)/bench leaderboard --results $(RESULTS)

test: $(INSTALLED)
	$(PYTEST) -m "not slow and not browser"

slow: $(INSTALLED)
	$(PYTEST) -m "slow or browser"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What is done is not done again: an interrupted study goes on with the same command.
study study-ablations: FILE = docs/study/$(if $(filter study,$@),study,ablations).toml
study study-ablations: $(INSTALLED)
	@test -n "$(DATA)" || { echo "name the folder of the files in docs/study/corpus.tsv: make $@ DATA=FOLDER" >&2; exit 2; }
	$(STUDY) run --study $(FILE) --data $(DATA) --work $(STUDY_WORK)/$(notdir $(basename $(FILE)))
	$(STUDY) keep --study $(FILE) --work $(STUDY_WORK)/$(notdir $(basename $(FILE)))
	$(MAKE) study-report

# The page, its figures and the executed notebook, from the records that are kept.
study-report: $(INSTALLED)
	$(STUDY) report
	$(PIP) --group docs
	$(BIN)/jupyter execute --inplace docs/compare_models.ipynb

install: $(INSTALLED)

# The stamp is written last and, for a new environment, first removed with it: an interrupted installation
# starts from nothing, a changed dependency only adds to what is there.
$(INSTALLED): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "bench needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -e $(INSTALLED) || $(PYTHON) -m venv --clear $(VENV) || { \
	  echo "cannot create $(VENV): on Debian and Ubuntu, apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	$(PIP) --upgrade pip
	@if command -v nvidia-smi >/dev/null 2>&1 || [ "$$(uname)" != Linux ]; then index=""; \
	elif $(BIN)/python -c 'import urllib.request as u; u.urlopen("$(TORCH_CPU_INDEX)/torch/", timeout=3)' 2>/dev/null; then \
	  index="--extra-index-url $(TORCH_CPU_INDEX)"; \
	else index=""; echo "PyTorch's CPU wheels are out of reach: pip takes the build its index offers (it may bring CUDA, some GB)"; fi; \
	$(PIP) $$index "$(TORCH)"
	$(PIP) --build-constraint constraints.txt -e . --group dev
	$(PIP) --build-constraint constraints.txt $(addprefix -e ,$(filter-out $(COMPILED),$(PLUGINS)))
	@for plugin in $(COMPILED); do $(PIP) --build-constraint constraints.txt -e $$plugin >/dev/null 2>&1 || \
	  echo "$$plugin is left out: it could not be installed. One of its dependencies is compiled, which takes a C++ compiler (apt install g++); then: $(BIN)/pip install -c constraints.txt -e $$plugin" >&2; done
	@touch $(INSTALLED)

clean:
	rm -rf $(VENV) results .pytest_cache .ruff_cache .mypy_cache .hypothesis
