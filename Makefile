# Two commands matter: `make demo` and `make test`. Everything they need is made by them. `make` alone tells the rest.

PYTHON ?= python3
PORT ?= 8000
SIMULATOR_PORT ?= 8001
STEPS ?= 10000
MINUTES ?= 3
TESTS ?= tests
ARGS ?=

PY := .venv/bin/python
# A command on a PostgreSQL of its own, which is thrown away afterwards; on DATABASE_URL if that is set.
WITH_DATABASE := $(PY) -m cartsite.dev.postgres -- $(PY)
WORKERS = $$($(PY) -c 'import os; print(min(4, max(2, os.cpu_count() or 2)))')

# What a production server would be given. None of these secrets is one.
PRODUCTION_LIKE := env DEBUG=0 DEMO=0 \
	SECRET_KEY=no-secret-only-for-make-check-0123456789-abcdefghijklmnopqrstuvwxyz \
	ALLOWED_HOSTS=shop.example PUBLIC_URL=https://shop.example TRUSTED_PROXIES=192.0.2.7 \
	DATABASE_URL=postgres://shop:no-secret@database.example/shop \
	CELERY_BROKER_URL=redis://broker.example:6379/0 CACHE_URL=redis://cache.example:6379/1 \
	SUMUP_API_URL=https://api.sumup.com SUMUP_API_KEY=no-secret SUMUP_MERCHANT_CODE=MCODE \
	INTERNAL_API_TOKENS=market:no-secret-only-for-make-check \
	EMAIL_URL=smtp+tls://shop:no-secret@mail.example:587 DEFAULT_FROM_EMAIL=shop@shop.example

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## Start the whole shop on this machine (PORT=8000 SIMULATOR_PORT=8001); Ctrl-C stops it
	@$(PY) -m cartsite.dev.demo --port $(PORT) --simulator-port $(SIMULATOR_PORT)

forget: .venv/installed ## Drop the demo's data, for a fresh start
	@$(PY) -m cartsite.dev.demo --forget

test: .venv/installed ## Run the tests (TESTS=tests/cart ARGS="-k hold" to choose)
	@DEBUG=1 $(WITH_DATABASE) -m pytest -n $(WORKERS) $(TESTS) --ignore=tests/prove --ignore=tests/browser $(ARGS)

prove: .venv/installed ## Run the long proofs (STEPS=10000)
	@DEBUG=1 STEPS=$(STEPS) $(WITH_DATABASE) -m pytest tests/prove $(ARGS)

machine: .venv/installed ## Let shoppers, staff and a broken SumUp act by chance (MINUTES=3, SEED=... to repeat, SHRINK=1 to shorten)
	@DEBUG=1 STEPS=1000000000 MINUTES=$(MINUTES) SHRINK=$${SHRINK:-0} $(WITH_DATABASE) -m pytest tests/prove/test_machine.py $(ARGS)

browser: .venv/installed ## Run the tests that need Chromium
	@for name in chromium chromium-browser google-chrome; do found=$$(command -v $$name) && break; done; \
	if [ -z "$$found" ]; then echo "There is no Chromium on this machine (apt install chromium)."; exit 1; fi; \
	DEBUG=1 CHROMIUM="$$found" $(WITH_DATABASE) -m pytest tests/browser $(ARGS)

production-check: .venv/installed ## Build as the Dockerfile does, run it with DEBUG off, and buy in it
	@$(PY) -m tests.production

RELEASES ?= bookworm trixie
newcomer-check: ## Run both commands of the README in bare trees of Debian (root; RELEASES=trixie TESTS=tests/cart to choose)
	@$(PYTHON) tests/newcomer/check.py $(RELEASES) --mirror "$(MIRROR)" --tests "$(TESTS)"

check: style types layers migrations deployment collect templates ## Look for faults without running the tests (-k: do not stop at one)

style: .venv/installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: .venv/installed
	DEBUG=1 $(PY) -m mypy .

layers: .venv/installed
	.venv/bin/lint-imports --no-cache --no-logo
	DEBUG=1 $(PY) -m pytest -q tests/test_architecture.py

migrations: .venv/installed
	DEBUG=1 $(WITH_DATABASE) manage.py makemigrations --check --dry-run

deployment: .venv/installed
	@echo "$(PY) manage.py check --deploy (on production-like settings)"
	@$(PRODUCTION_LIKE) $(PY) manage.py check --deploy --fail-level WARNING

collect: .venv/installed
	$(PY) -m tests.production.collect

templates: .venv/installed
	find templates -name '*.html' -exec .venv/bin/djade --check --target-version 5.2 {} +
	$(PY) -m djlint templates --lint --quiet

# Not `npm ci`: it refuses a lock file made where the builds for some other systems could not be had.
css: ## Compile the style sheet (needs Node; the result is committed)
	npm install --no-save --no-fund --no-audit
	npx @tailwindcss/cli -i cartsite/styles/site.css -o static/css/site.css --minify

lock: .venv/installed ## Pin what pyproject.toml asks for in requirements.txt and requirements-dev.txt (ARGS=--upgrade for the newest)
	@$(PY) -m uv --version >/dev/null 2>&1 || $(PY) -m pip install --quiet --disable-pip-version-check uv
	@for file in requirements requirements-dev; do \
		asked=$$(sed -n 's/^#  *uv pip compile //p' $$file.txt) && \
		echo "uv pip compile $$asked" && $(PY) -m uv pip compile --quiet $(ARGS) $$asked || exit 1; \
	done

clean: ## Remove what can be made again (but not the demo's data: make forget)
	rm -rf .venv node_modules staticfiles .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The file says that the installation was finished: without it, the folder is made anew.
.venv/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed (make PYTHON=... to say where it is)."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "Python's venv is missing: apt install python3-venv"; exit 1; }
	@echo "Installing what the shop needs into .venv (a minute or two)..."
	@if [ -e $@ ] && $(PY) -c '' 2>/dev/null; then rm $@; else rm -rf .venv && $(PYTHON) -m venv .venv; fi
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# A Python that went away or was replaced leaves a folder that cannot start: it counts as not installed.
ifeq ($(wildcard .venv/installed),.venv/installed)
ifneq ($(shell $(PY) -c 'print("works")' 2>/dev/null),works)
$(shell rm -f .venv/installed)
endif
endif

.PHONY: help demo forget test prove machine browser production-check newcomer-check check style types layers migrations deployment collect templates css lock clean
