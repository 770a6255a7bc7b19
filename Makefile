# make run: a mail server of your own on loopback.  make test: the whole hermetic suite.
# Every path is quoted: the checkout may stand below a folder with a space in its name.
PYTHON ?= python3
PY := .venv/bin/python

.PHONY: run test lint types layers clean

run: .venv/.installed
	exec .venv/bin/twistd --pidfile= -n mailappliance

test: .venv/.tested
	$(PY) -m tests.kit.run

lint: .venv/.linted
	.venv/bin/ruff check .

types: .venv/.linted
	.venv/bin/mypy

layers: .venv/.tested
	.venv/bin/trial tests.house

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: setup.cfg pyproject.toml | .venv/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/.tested: .venv/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

.venv/.linted: .venv/.tested
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	touch $@

clean:
	rm -rf .venv build *.egg-info _trial_temp*
