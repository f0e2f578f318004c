# Every target makes what it needs. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# On Linux without a GPU: make install PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(PIP_ARGS)
# pip fetches torch, as it is set up here; uv all others, in a third of the time. It does not read pip's settings, of mirrors
# for example: where it fails, pip goes on
PACKAGES = -c constraints.txt -e ".[dev,onnx,survival]"
CONFIG ?= configs/sprites_ada_gvae.yaml
SWEEP ?= sweeps/sprites_beta.yaml
TEST_PROCESSES ?= 4
PYTEST = OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder
# Installed without compiled files: the first process that needs one writes it, also where the environment forbids that, as
# images of containers do. There every start would compile torch and Lightning anew: 13 s instead of 5
export PYTHONDONTWRITEBYTECODE =
# Further flags for the command, e.g. make train ARGS="--model.beta=2 --seed_everything=1"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install train compare test tests coverage lint types bench zoo calibration intervals false-alarms brain downstream variance gallery sweep wandb-sweep sync kills hardship slurm docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: $(VENV)/.installed  ## make .venv with the exact versions of constraints.txt

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt torch uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(PIP_ARGS) $(PACKAGES) || $(PIP) $(PACKAGES)
	touch $@

train: install  ## the main job: Ada-GVAE on pairs of sprites, scores and traversals (CONFIG=, ARGS=)
	$(BIN)/disentangle-pl fit --config $(CONFIG) $(ARGS)

compare: install  ## weak supervision against the VAE (beta = 1) on the same images and steps, 3 seeds each
	$(BIN)/python -m benchmarks.compare $(ARGS)

lint: install  ## style, docstrings, annotations, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install  ## mypy --strict
	$(BIN)/mypy

test: lint  ## all gates: lint, layers, types beside tests, those that train also in bf16-mixed
	$(MAKE) --no-print-directory -j 2 types tests

# Types are one process that leaves the other cores to the tests
tests: install
	$(PYTEST) $(ARGS)

coverage: install  ## the tests again, more slowly, and which lines they reach
	$(PYTEST) --cov --cov-report=term $(ARGS)

bench: install  ## training against a bare PyTorch loop, scores against scikit-learn run the reference's way, masks, brain scans, genomes
	$(BIN)/python -m benchmarks.training $(ARGS)
	$(BIN)/python -m benchmarks.metrics
	$(BIN)/python -m benchmarks.sparsity
	$(BIN)/python -m benchmarks.brain
	$(BIN)/python -m benchmarks.association
	$(BIN)/python -m benchmarks.variance

zoo: install  ## every variant at an equal budget on small sprites, 3 seeds each: about an hour on two cores
	$(BIN)/python -m benchmarks.zoo $(ARGS)

calibration: install  ## which scores see a rotation: docs/calibration.md
	$(BIN)/python -m benchmarks.calibration $(ARGS)

intervals: install  ## do intervals cover, and tests raise no more false alarms than they say? by simulation
	$(BIN)/python -m benchmarks.intervals $(ARGS)

false-alarms: install  ## how often do corrected scores find something in nothing? by simulation
	$(BIN)/python -m benchmarks.false_alarms $(ARGS)

brain: install  ## brain scans from nothing to latents, traversals and counterfactuals: about 30 minutes on two cores
	$(BIN)/python -m benchmarks.brain_study $(ARGS)

downstream: install  ## dementia scores and genome-wide associations of those latents in 1,410 other people: about an hour more
	test -e runs/brain/methods/results.tsv || $(MAKE) brain ARGS=
	$(BIN)/python -m benchmarks.downstream_study $(ARGS)

variance: install  ## does the variance of data decide what is disentangled? 144 models: over an hour on two cores
	$(BIN)/python -m benchmarks.variance_study $(ARGS)

gallery: install  ## small pictures of what the package does: docs/gallery.md, a quarter of an hour on two cores
	$(BIN)/python -m benchmarks.gallery $(ARGS)

sweep: install  ## run a sweep on this machine, or go on with it (SWEEP=sweeps/sprites_beta.yaml, ARGS="--parallel 2")
	$(BIN)/disentangle-pl sweep $(SWEEP) $(ARGS)

wandb-sweep: install  ## register a sweep with W&B (SWEEP=) and print the command of its agents; needs a key
	$(BIN)/disentangle-pl sweep $(SWEEP) --dry_run=true
	$(BIN)/wandb sweep $(SWEEP)

# A run that was resumed has several segments, whose names begin with their times: W&B appends them in this order.
# Clients before 0.30 do so only if told.
sync: install  ## upload the offline W&B runs below runs/, segment by segment, oldest first; needs a key
	@append=$$($(BIN)/wandb sync --help | grep -o -m 1 -e --append || true); \
	find runs -type d -name 'offline-run-*' | awk -F / '{print $$NF "\t" $$0}' | sort | cut -f 2- | { failed=0; \
	while IFS= read -r segment; do echo "$$segment"; $(BIN)/wandb sync $$append "$$segment" </dev/null || failed=1; done; \
	exit $$failed; }

kills: install  ## kill a sweep 24 times at random moments and compare the result with an undisturbed one
	$(BIN)/python -m benchmarks.sweep_kills $(ARGS)

hardship: install  ## damage inputs of every kind, kill every verb, and count what comes of it: half an hour on one core
	OMP_NUM_THREADS=1 WANDB_MODE=disabled $(BIN)/python -m benchmarks.hardship $(ARGS)

slurm: install  ## try the templates of cluster/ on a Slurm of this machine: as root, after apt-get install slurm-wlm munge
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/test_slurm.py $(ARGS)

docs: install  ## tutorials, a page for every model, score, mask, data set and verb, every module: docs/build/index.html
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m sphinx -W --keep-going -n -q docs docs/build

clean:  ## remove caches and builds; runs stay
	rm -rf build dist docs/build docs/generated *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage htmlcov
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
