# The targets of CONTRIBUTING.md. They use .venv; `make setup` or ./install.sh --test makes it.

export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
LOCK := uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --custom-compile-command "make lock" pyproject.toml

.PHONY: setup fmt check check-python check-www test test-python test-www e2e cover run bench lock schema

setup:
	./install.sh --no-start
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	npm --prefix www ci --no-audit --no-fund
	git config core.hooksPath .githooks

fmt:
	ruff format .
	ruff check --fix .
	npm --prefix www run --silent fmt

check: check-python check-www

check-python:
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	$(PYTEST) -q tests/lint

check-www:
	npm --prefix www run --silent check

test: check test-python test-www

# Four at a time on two cores: most of them wait for a camera.
test-python:
	$(PYTEST) -n 4 --dist worksteal tests/unit tests/api tests/media

test-www:
	npm --prefix www test --silent

e2e:
	$(PYTEST) -n 3 --dist loadfile tests/e2e tests/chaos

# Floors: every branch of formats and config, 90 % of everything.
cover:
	coverage erase
	$(PYTEST) -q --cov --cov-report= tests/unit tests/api tests/media
	coverage report --include='h5sup/formats/*,h5sup/config/*' --fail-under=100
	coverage report --fail-under=90

run:
	./run.py

bench:
	$(PYTHON) -m tests.bench

# Pinned versions for every platform, from the names in pyproject.toml; what is pinned stays unless
# `make lock UPGRADE=--upgrade` asks for the newest.
lock:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	$(LOCK) --output-file requirements.txt
	$(LOCK) --group dev --constraint requirements.txt --output-file requirements-dev.txt

# What is written from the code: after a change to config/model.py or to a call.
schema:
	$(PYTHON) -c 'import json; from h5sup.config.loading import schema; print(json.dumps(schema(), indent=2))' > config.schema.json
	$(PYTHON) -m h5sup.api.reference > docs/api.md
