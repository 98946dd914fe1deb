# The main commands are `make serve` and `make test`; `make help` lists all. Set-up needs Python 3.11+ and access to PyPI.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
CLIENTS := $(VENV)/clients/.installed
MODELS  := segment sentiment digits churn
STORE   := model_store
UV      := $(BIN)/uv pip install -q

# Tests start hundreds of processes. Where the environment forbids bytecode, each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve server test programs contract e2e check lint types reference imports unit export load wheel bench gpu-test site soak chaos lock frontend flaws clean clean-all

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1  \2/p' $(MAKEFILE_LIST) | awk '{name = $$1; $$1 = ""; printf "  make %-10s%s\n", name, $$0}'

# The first model serves while the others are exported; each of those joins the server when it is done. Models that have
# an archive are brought up to date before the start, since a version that a server has is never replaced. -k: a model
# that can't be exported leaves the others serving.
EXPORTED := $(foreach model,$(MODELS),$(if $(wildcard $(STORE)/$(model)-[0-9]*.mar),$(STORE)/.$(model)))

CUSTOMERS := models/churn/store/data/customers.parquet

serve: $(STORE)/.$(firstword $(MODELS)) $(EXPORTED) $(CUSTOMERS) ## install everything, export the models and serve them
	@$(MAKE) -j2 -k --no-print-directory EXPORT='$$(EXPORT_AND_JOIN)' server export

# It depends on nothing, since make would begin an export before it went on with a second step of this.
server:
	$(BIN)/onnxserve serve --features models/churn/store

# The feature server reads it; the export of `churn` writes the same.
$(CUSTOMERS): models/churn/data.py | $(STAMP)
	$(BIN)/python models/churn/data.py

# The server has the terminal, so the export writes to a log. make ends the shell alone, which ends the export with it: a
# shell that waits for a program in the foreground would leave it behind.
define EXPORT_AND_JOIN
@echo "$*: exporting beside the server; the log is logs/export-$*.log"
@mkdir -p logs
@trap 'kill $$!; wait; exit 1' INT TERM; $(EXPORT_ALONE) >logs/export-$*.log 2>&1 & \
  wait $$! || { tail -n 5 logs/export-$*.log; exit 1; }
@$(BIN)/onnxserve release ready --wait 60 >/dev/null && $(BIN)/onnxserve release register $(STORE)/$*-[0-9]*.mar
endef

# The processes of each suite. Unit tests start no servers and keep two cores busy by themselves. Contract and end-to-end
# tests wait for servers half of their time, so both suites run at once; -Otarget prints the output of each in one piece.
# The files keep their order: by default the longest tests would come last, since few files have fewer tests.
PROCESSES ?= 2
SPREAD := -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

test: programs $(STAMP) export ## run all checks and tests
	$(MAKE) -j2 -Otarget --no-print-directory $(CHECKS) $(CLIENTS)
	$(MAKE) -j2 -Otarget --no-print-directory contract e2e

# This check runs before any other work.
programs: ## list missing programs that the tests need, and how to get them
	@tests/programs.sh

# A short folder, since paths of sockets are limited to 107 bytes; it stays where a test fails.
contract e2e: $(STAMP) $(CLIENTS) export
	folder=$$(mktemp -d) && $(BIN)/pytest $(SPREAD) --basetemp $$folder tests/$@ && (rm -rf $$folder; true)

# mypy takes one core for a minute, so unit tests run beside it; then `test` installs the clients beside them.
CHECKS := lint types imports unit
check: $(STAMP) ## run linters, the spelling check, mypy, import rules and unit tests
	$(MAKE) -j2 -Otarget --no-print-directory $(CHECKS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check -q .
	$(BIN)/hadolint Dockerfile
	$(BIN)/codespell

types: $(STAMP)
	$(BIN)/mypy

reference: $(STAMP) ## regenerate the tables of the references of settings and hooks
	$(BIN)/python -m onnxserve.cli.reference docs/reference/configuration.md docs/reference/handlers.md

imports: $(STAMP)
	PYTHONPATH=torchserve/worker/ts $(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest $(SPREAD) tests/unit

export: $(MODELS:%=$(STORE)/.%) ## export the models that changed

# A model is exported again when its files, the handlers or the exporter change. The demos keep their version numbers, so
# --replace puts the new archive in the old one's place; give a model of your own a new version instead.
EXPORT_ALONE = $(BIN)/onnxserve export --replace models/$*
EXPORT = $(EXPORT_ALONE)
$(STORE)/.%: models/%/model.toml models/%/model.py models/%/golden.jsonl $(shell find handlers export -name "*.py") | $(STAMP)
	$(EXPORT)
	@touch $@

# These models depend on additional files.
$(STORE)/.churn: models/churn/data.py $(wildcard models/churn/store/*.*)
$(STORE)/.sentiment: models/sentiment/bert.py

# The link beside python makes plain `torchserve --start` use the same Java as onnxserve: the machine's if it is 11 or
# newer, otherwise the wheel's. pip installs torch, since a mirror may offer pip its own build; uv installs the rest in a
# tenth of the time. Neither compiles to bytecode, since Python does that with the few modules that are imported.
$(STAMP): pyproject.toml $(wildcard torchserve/batching-plugin/src/onnxserve/*.java)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %s" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --no-compile uv torch==2.13.0
	$(UV) -p $(BIN)/python -e '.[export,sign,gateway,trace,load,tune,batch,ray,features,monitor,drift,bench,dev]'
	rm -f $(BIN)/java
	$(BIN)/python torchserve/batching-plugin/compile_plugin.py
	ln -s "$$($(BIN)/python -c 'from onnxserve.torchserve import find_java; print(find_java().home)')/bin/java" $(BIN)/java
	touch $@

# Clients of other servers, with which tests ask ours. They pin what we don't, so they have an environment of their own.
$(CLIENTS): $(STAMP)
	$(PYTHON) -m venv $(VENV)/clients
	$(UV) -p $(VENV)/clients/bin/python 'kserve==0.21.0' 'tritonclient[http,grpc]==2.73.0'
	touch $@

load: $(STAMP) ## put a running server under load with Locust
	@mkdir -p loadtests/reports
	$(BIN)/locust -f loadtests/locustfile.py --headless --host http://127.0.0.1:8000 \
	  --html loadtests/reports/report.html --csv loadtests/reports/stats $(LOCUST)

# Needs wrk (apt-get install wrk); BENCH passes options, such as BENCH='--models segment --rounds 5'.
bench: $(STAMP) export ## compare onnxserve with other servers (needs wrk)
	$(BIN)/python -m benchmarks $(BENCH)
	$(BIN)/python -m benchmarks.batch

# Needs an NVIDIA GPU. The GPU build of onnxruntime replaces the CPU build, since both provide the same module.
GPU_STORE ?= $(STORE)
gpu-test: $(STAMP) export ## run tests and benchmarks on an NVIDIA GPU
	$(BIN)/pip uninstall -q -y onnxruntime
	$(BIN)/pip install -q 'onnxruntime-gpu[cuda,cudnn]>=1.24'
	GPU_STORE=$(GPU_STORE) $(BIN)/pytest tests/gpu
	$(BIN)/python -m benchmarks.gpu --store $(GPU_STORE)
	$(BIN)/python -m benchmarks.gpu_workers --store $(GPU_STORE)

site: $(STAMP) ## build the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q

# SOAK passes options, such as SOAK='--minutes 600' for a night.
soak: $(STAMP) export ## measure memory during half an hour of mixed load
	$(BIN)/python -m benchmarks.soak $(SOAK)

chaos: $(STAMP) ## cause faults under load and count the answers
	$(BIN)/python -m benchmarks.faults

# The packages that each image variant installs, and those that build the package and its bill of materials.
LOCK := $(BIN)/uv pip compile -q --generate-hashes --no-header --no-emit-index-url --no-annotate \
  --python-version 3.11 --python-platform x86_64-manylinux_2_31
SERVED := pyproject.toml --extra gateway --extra sign --extra trace --extra monitor --extra pull --extra audio
lock: $(STAMP) ## pin the packages of the image
	$(LOCK) $(SERVED) -o deploy/locks/cpu.txt
	$(LOCK) $(SERVED) deploy/locks/cuda.in -c deploy/locks/cpu.txt --no-emit-package onnxruntime -o deploy/locks/cuda.txt
	$(LOCK) deploy/locks/build.in -o deploy/locks/build.txt

# Without a JDK, this prints a message and changes nothing; everything else still works.
frontend: $(STAMP) ## build the batching plugin (needs a JDK)
	$(BIN)/python torchserve/batching-plugin/compile_plugin.py

# Queries api.osv.dev.
flaws: $(STAMP) ## list known flaws of the frontend's libraries that flaws.toml lacks
	$(BIN)/python torchserve/batching-plugin/flaws.py ask

wheel: $(STAMP) frontend ## build the Python package, in dist/
	$(BIN)/python -m build --wheel

# Archives and a server's state take long to rebuild, so only clean-all removes them, after a confirmation.
clean: ## remove the environment and build results
	rm -rf $(VENV) dist site logs .bench

clean-all: ## also remove archives and the state of the server
	@printf 'remove $(STORE)/*.mar and .onnxserve, with keys, roles and logs? [y/N] '; read answer; [ "$$answer" = y ]
	$(MAKE) clean
	git clean -fdxq $(STORE) .onnxserve
