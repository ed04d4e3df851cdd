PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := runs
# What is installed: this folder, or a built wheel.
PACKAGE := .
EXTRAS := adapters,experiments,lint,notebooks,recipes,test
EDITABLE := $(if $(filter .,$(PACKAGE)),--editable)
# Two processes: the suite is bound by compilation, which one core does at a time.
PYTEST := $(BIN)/pytest -n 2

.PHONY: demo test test-all lint bench notebooks figures estimators results clean

demo: $(VENV)/installed
	$(BIN)/jaxdiscrete train configs/digits/rebar.toml --output-dir $(RUNS)/demo --overwrite

test: lint
	$(PYTEST)

test-all: $(VENV)/installed
	$(PYTEST) -m ""

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/python tests/benchmarks/run.py
	$(BIN)/python tests/benchmarks/trainer.py

notebooks: $(VENV)/installed
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False notebooks/*.ipynb

# The README's picture: minutes of measurements.
figures: $(VENV)/installed
	$(BIN)/python docs/figures/variance_against_calls.py

# The page of all estimators, from the facts of the package.
estimators: $(VENV)/installed
	$(BIN)/python docs/generate_estimators.py

# The README's table of papers, from the summaries of short runs.
results: $(VENV)/installed
	$(BIN)/python -m jaxdiscrete.experiments.report configs/results README.md

clean:
	rm -rf $(VENV) $(RUNS) build dist

# Installed once; again only when the requirements change.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(EDITABLE) "$(PACKAGE)[$(EXTRAS)]"
	touch $@
