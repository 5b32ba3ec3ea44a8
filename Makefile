# make demo   a fresh machine to synthetic cases with pictures, and to reports of what the network finds in three of them
# make aid    the reading room with two drawn patients: builds its page, prints its address and the first passwords
# make web    build the reading room's page alone (needs Node.js 20.19 or later)
# make test   every check of the project
# make fmt    let the formatter and the linter repair what they can
# make clean  remove what the other targets made

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
JOBS ?= 2
DEMO ?= demo
DEMO_READ := Lung/Tumor Liver/Cyst Colon/Tumor
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# NumPy's thread pools only get in each other's way when the tests and workers already fill the cores.
export OMP_NUM_THREADS ?= 1

AID ?= aid-demo
AID_PORT ?= 8470
PAGE := src/panlesion/aid/web/index.html

.PHONY: demo aid web test format lint types imports tests fmt clean

demo: $(VENV)/.model
	$(BIN)/panlesion synth --hosts phantom --types all --per-type 1 --seed 1 --workers $(JOBS) $(DEMO)
	$(BIN)/panlesion show $(DEMO) -o $(DEMO)/pictures
	$(BIN)/panlesion predict $(foreach kind,$(DEMO_READ),$(DEMO)/$(kind)/*/img.nii.gz) $(DEMO)/predicted
	@echo "Open $(DEMO)/gallery.html to scroll through the cases; $(DEMO)/pictures holds one sheet of each."
	@echo "Open $(DEMO)/predicted/*/report.html to read what the network found in three of them."

aid: $(VENV)/.aid $(PAGE)
	$(BIN)/panlesion aid demo --data $(AID) --count 2
	$(BIN)/panlesion aid serve --data $(AID) --port $(AID_PORT)

web: $(PAGE)

$(PAGE): $(shell find web/src web/index.html web/vite.config.ts web/tsconfig.json -type f) web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

web-test: $(PAGE)
	cd web && npm test --silent

test: format lint types imports tests

format: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

tests: $(VENV)/.dev
	$(BIN)/pytest -W error -n $(JOBS) --dist worksteal

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(DEMO) $(AID) web/node_modules src/panlesion/aid/web .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.model: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[model]"
	touch $@

$(VENV)/.aid: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[model,dicom,aid,fast]"
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[model,dev]"
	touch $@ $(VENV)/.model
