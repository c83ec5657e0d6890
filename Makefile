# `make help` lists what stands behind two hashes.
CORES ?= $(shell getconf _NPROCESSORS_ONLN)## how many cores jobs may use (all)
DIR ?=## the folder in which a study has its results/ and report, DIR=studies/mine (this one)
ARGS ?=## what else Snakemake is told, ARGS="--configfile config/mine.yaml -n"
TESTS ?=## which tests, TESTS="tests/plan -k grid" (all)
WORKERS ?= 2## how many processes run tests, whole files at a time (2)
TORCH ?= default## TORCH=cpu takes the smaller CPU build of torch
PYTHON ?= python3## what makes the virtual environment, Python 3.11 or newer (python3)
VENV := .venv
PYTHON_FILES := scripts tests benchmarks workflow
STAMP := $(VENV)/installed-$(TORCH)

UV = PATH="$(CURDIR)/$(VENV)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(VENV)" uv pip
# Compiled here once, packages start in half the time even where Python may not write its bytecode.
# The CPU build of torch has other hashes than the CUDA build on PyPI, so there the pinned versions hold, not the hashes.
INSTALL_default = $(UV) sync --compile-bytecode --require-hashes requirements.txt
INSTALL_cpu = sed -e 's/ *\\$$//' -e '/--hash=/d' requirements.txt > $(VENV)/constraints.txt && $(UV) install --compile-bytecode --torch-backend cpu --constraint $(VENV)/constraints.txt --group dev -r pyproject.toml

export OMP_NUM_THREADS ?= 1

.PHONY: results help test page rulegraph format lint requirements

# Only a whole study has a report: none of a dry run, of a part, or beside a target of one's own.
PARTIAL := -n% -pn% --dry% -t --touch --unlock --until -U --omit-from -O --list% --summary --dag --rulegraph --delete-% --conda-create% results/%

# One line a job, and the time left; a plain `snakemake` speaks for itself. --logger needs an option after it.
results: export PYTHONPATH := $(CURDIR)/workflow/terminal$(if $(PYTHONPATH),:$(PYTHONPATH))
results: $(STAMP)## set everything up, run a study (the default) and write its report
	$(VENV)/bin/snakemake all --logger progress --cores $(CORES) $(if $(DIR),--directory "$(DIR)") $(if $(filter $(PARTIAL),$(ARGS)),,--report results/report.html --report-after-run) $(ARGS)

help: ## this list
	@echo 'make TARGET VARIABLE=value ...'
	@sed -En 's/^([A-Za-z]+)[^#]*## ?(.*)/\1 \2/p' Makefile | awk '{name = $$1; $$1 = ""; printf "  %-14s%s\n", name, $$0}'

# For a debugger, one process: make test TESTS="-n 0 --pdb tests/test_files.py".
test: $(STAMP)## run the tests
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

# Of the finished run of config.yaml or beyond.yaml; ARGS="--other 'seeds 5 to 9' FILE" adds another's summary.
page: $(STAMP)## fill REPRODUCTION.md and README.md from a finished run
	PYTHONPATH=scripts $(VENV)/bin/python -m ils.document.reproduction_page $(or $(ARGS),--run results/summary.json)

rulegraph: $(STAMP)## draw the README's picture of the rules; needs Graphviz
	$(VENV)/bin/snakemake results/table3.tex results/figures/fig13.pdf results/comparisons.csv --cores 1 --rulegraph | sed 's/fontname=sans/fontname="sans-serif"/' | \
	  dot -Tsvg -Grankdir=LR -Granksep=0.2 -Gnodesep=0.2 -Nheight=0.3 -Nwidth=0.2 -o docs/rulegraph.svg

lint: $(STAMP)## check style, types and rules
	$(VENV)/bin/ruff check $(PYTHON_FILES)
	$(VENV)/bin/ruff format --check $(PYTHON_FILES)
	$(VENV)/bin/mypy
	$(VENV)/bin/snakefmt --check workflow
	$(VENV)/bin/snakemake --lint

format: $(STAMP)## format Python and rules
	$(VENV)/bin/ruff check --fix $(PYTHON_FILES)
	$(VENV)/bin/ruff format $(PYTHON_FILES)
	$(VENV)/bin/snakefmt workflow

# Any uv will do; where there is none, the virtual environment gets its own from PyPI.
$(STAMP): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: install Python 3.11 or newer, or pass PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11: pass PYTHON=python3.11"; exit 1; }
	rm -f $(VENV)/installed-*
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; } # half of one would pass for it
	@command -v uv >/dev/null || test -x $(VENV)/bin/uv || $(VENV)/bin/python -m pip install --quiet uv
	$(INSTALL_$(TORCH))
	touch $@

requirements: ## pin the packages of pyproject.toml anew
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  --group dev pyproject.toml --output-file requirements.txt
