# make results   sets everything up and runs the default study;  make test   sets everything up and runs the tests.
# CORES=8 and ARGS="--configfile config/other.yaml -n" reach Snakemake; TORCH=cpu takes the smaller CPU build of torch.
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
PYTHON ?= python3
TORCH ?= default
ARGS ?=
TESTS ?=
WORKERS ?= 2
VENV := .venv
PYTHON_FILES := scripts tests benchmarks workflow
STAMP := $(VENV)/installed-$(TORCH)

UV = PATH="$(CURDIR)/$(VENV)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(VENV)" uv pip
# Compiled here once, packages start in half the time even where Python may not write its bytecode.
# The CPU build of torch has other hashes than the CUDA build on PyPI, so there the pinned versions hold, not the hashes.
INSTALL_default = $(UV) sync --compile-bytecode --require-hashes requirements.txt
INSTALL_cpu = sed -e 's/ *\\$$//' -e '/--hash=/d' requirements.txt > $(VENV)/constraints.txt && $(UV) install --compile-bytecode --torch-backend cpu --constraint $(VENV)/constraints.txt --group dev -r pyproject.toml

export OMP_NUM_THREADS ?= 1

.PHONY: results test page format lint requirements

# Only a whole study has a report: none of a dry run, of a part, or beside a target of one's own.
PARTIAL := -n% -pn% --dry% -t --touch --unlock --until -U --omit-from -O --list% --summary --dag --rulegraph --delete-% --conda-create% results/%

# One line a job, and the time left; a plain `snakemake` speaks for itself. --logger needs an option after it.
results: export PYTHONPATH := $(CURDIR)/workflow/terminal$(if $(PYTHONPATH),:$(PYTHONPATH))
results: $(STAMP)
	$(VENV)/bin/snakemake all --logger progress --cores $(CORES) $(if $(filter $(PARTIAL),$(ARGS)),,--report results/report.html --report-after-run) $(ARGS)

# Whole files go to processes side by side. For a debugger in one process: make test TESTS="-n 0 --pdb tests/test_files.py".
test: $(STAMP)
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

# REPRODUCTION.md, of the finished run of config.yaml or beyond.yaml; ARGS="--other 'seeds 5 to 9' FILE" adds another's summary.
page: $(STAMP)
	PYTHONPATH=scripts $(VENV)/bin/python -m ils.document.reproduction_page $(or $(ARGS),--run results/summary.json)

lint: $(STAMP)
	$(VENV)/bin/ruff check $(PYTHON_FILES)
	$(VENV)/bin/ruff format --check $(PYTHON_FILES)
	$(VENV)/bin/mypy
	$(VENV)/bin/snakefmt --check workflow
	$(VENV)/bin/snakemake --lint

format: $(STAMP)
	$(VENV)/bin/ruff check --fix $(PYTHON_FILES)
	$(VENV)/bin/ruff format $(PYTHON_FILES)
	$(VENV)/bin/snakefmt workflow

# Any uv will do; where there is none, the virtual environment gets its own from PyPI.
$(STAMP): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: install Python 3.11 or newer, or pass PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11: pass PYTHON=python3.11"; exit 1; }
	rm -f $(VENV)/installed-*
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null || test -x $(VENV)/bin/uv || $(VENV)/bin/python -m pip install --quiet uv
	$(INSTALL_$(TORCH))
	touch $@

requirements:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  --group dev pyproject.toml --output-file requirements.txt
