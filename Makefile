PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := runs
# What is installed: this folder, or a built wheel; with which extras, at which versions.
PACKAGE := .
EXTRAS := adapters,docs,experiments,lint,notebooks,recipes,test
CONSTRAINT :=
EDITABLE := $(if $(filter .,$(PACKAGE)),--editable)
# Two processes: the suite is bound by compilation, which one core does at a time. Files
# stay together, since their tests share fixtures and programs, until a process is idle.
PYTEST := $(BIN)/pytest -n 2 --dist worksteal
# What can differ between versions of Python and JAX, and that is not the mathematics.
RULES := tests/core/test_rules.py tests/battery/test_nesting.py tests/battery/test_sharding.py
PROPERTIES := tests/battery/test_properties.py tests/battery/test_transforms.py

.PHONY: demo test test-thorough test-all test-versions test-rules lint bench \
	bench-accelerator notebooks \
	figures estimators costs distributions results docs clean

demo: $(VENV)/installed
	$(BIN)/jaxdiscrete train configs/digits/rebar.toml --output-dir $(RUNS)/demo --overwrite

test: lint
	$(PYTEST)

# What repeats on every estimator what its mechanism gives.
test-thorough: $(VENV)/installed
	$(PYTEST) -m "thorough and not slow"

test-all: $(VENV)/installed
	$(PYTEST) -m ""

# For other versions: the rules with JAX_CUSTOM_VJP3=1, the properties with each.
test-rules: $(VENV)/installed
	$(PYTEST) $(RULES) -k "not unbiased"

test-versions: $(VENV)/installed
	$(PYTEST) $(PROPERTIES) -k "transformation or precision or float16 or masked or calls"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/pre-commit validate-config .pre-commit-config.yaml

bench: $(VENV)/installed
	$(BIN)/python -m tests.benchmarks.run

# Minutes, on whatever accelerator JAX finds; without one it says so and stops.
bench-accelerator: $(VENV)/installed
	$(BIN)/python -m tests.benchmarks.accelerator

notebooks: $(VENV)/installed
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False notebooks/*.ipynb

# The README's picture: minutes of measurements.
figures: $(VENV)/installed
	$(BIN)/python docs/figures/variance_against_calls.py
	$(BIN)/python docs/figures/diagrams.py

# The page of all estimators and those of the packages, from facts and docstrings.
estimators: $(VENV)/installed
	$(BIN)/python docs/generate_estimators.py
	$(BIN)/python docs/generate_reference.py

# What the column of costs is made of: the compiled programs of all estimators.
costs: $(VENV)/installed
	$(BIN)/python docs/measure_costs.py

# The page of other libraries' distributions, each of which is tried: minutes.
distributions: $(VENV)/installed
	$(BIN)/python docs/generate_distributions.py

# The site, in docs/_build/html. Examples are executed once for each version of the
# library; a warning is an error, links within the site included, and an incremental
# build would not repeat it.
docs: $(VENV)/installed
	$(BIN)/python -m sphinx --builder html --fresh-env --write-all --nitpicky \
		--fail-on-warning --keep-going docs docs/_build/html

# The page of results, from the summaries of short runs.
results: $(VENV)/installed
	$(BIN)/python -m jaxdiscrete.experiments.report configs/results docs/experiments/results.md

clean:
	rm -rf $(VENV) $(RUNS) build dist .jax_cache docs/_build docs/notebooks docs/experiments/figures

# Installed once; again only when the requirements change.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check \
		$(if $(CONSTRAINT),--constraint $(CONSTRAINT)) $(EDITABLE) "$(PACKAGE)[$(EXTRAS)]"
	touch $@
