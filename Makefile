# Two commands: `make app` and `make test`. Everything lives in .venv; nothing is installed twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-app
INSTALLED_DEV := $(VENV)/.installed-dev

.PHONY: app test check lint types eval bench bench-page bench-ray hardness audit screenshots build clean

app: $(INSTALLED)  ## install, index seeds/, serve http://127.0.0.1:7860
	$(BIN)/python app.py

test: $(INSTALLED_DEV)  ## the tests
	RAG_LLM=embedded $(BIN)/rag models pull || echo "The language model could not be fetched: its tests will be skipped."
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: lint types test eval  ## what CI runs

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED_DEV)
	$(BIN)/mypy

eval: $(INSTALLED_DEV)  ## answer, citation and refusal figures over the gold questions
	$(BIN)/python -m pytest eval/

# Where the question sets lie: folders with documents.jsonl and questions.jsonl (eval/README.md).
EVALDATA ?= ../shared/evaldata

bench: $(INSTALLED_DEV)  ## how fast we and the peers are, in one run, in turns (BENCH="--full" for all of it: hours)
	$(BIN)/python -m eval.performance $(EVALDATA)/wiki/documents.jsonl $(EVALDATA)/wiki/questions.jsonl $(BENCH)

hardness: $(INSTALLED_DEV)  ## kills, attackers, load: what was tried, survived, lost (hours; PART="kills uploads" for some)
	PYTHONPATH=.:tests $(BIN)/python -m hardness $(PART)

# pip-audit in an environment of its own: what it needs is not what we ship.
audit: $(INSTALLED_DEV) $(VENV)/audit/bin/pip-audit  ## known weaknesses of what is installed (asks a service; tests/hardness/audit.toml)
	PYTHONPATH=.:tests $(BIN)/python -m hardness.audit -- $(VENV)/audit/bin/pip-audit --path \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

$(VENV)/audit/bin/pip-audit: | $(VENV)/bin/python
	$(BIN)/python -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check "pip-audit>=2.7"

bench-page: $(INSTALLED_DEV)  ## from a click on a chip to the marked sentence, in a document of 500 pages
	$(BIN)/python -m eval.performance.page

bench-ray: $(INSTALLED_DEV)  ## the same ingest by one process and on Ray, on this machine, in turns
	$(BIN)/python -m eval.performance.clusters $(EVALDATA)/wiki/documents.jsonl $(BENCH)

screenshots: $(INSTALLED_DEV)  ## docs/screenshots/*.png, of the real page over seeds/ (needs Chromium)
	PYTHONPATH=.:tests/web $(BIN)/python -m screenshots docs/screenshots

build: $(INSTALLED_DEV)  ## dist/*.whl and dist/*.tar.gz
	$(BIN)/python -m build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(INSTALLED_DEV): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@ $(INSTALLED)

clean:
	rm -rf $(VENV) .rag dist build
