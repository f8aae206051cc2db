# Every command of this repository: `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

TOOLS := .local
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' infra/docker/uv/requirements.txt)
UV := $(CURDIR)/$(TOOLS)/tools/bin/uv
SERVERS := $(CURDIR)/$(TOOLS)/envs/servers
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { $$p -c 'import sys; print(sys.executable)'; break; }; done)

# Each environment has its own lock, and the user's own Python settings are kept out.
export UV_PYTHON := $(PYTHON)
export UV_PYTHON_DOWNLOADS := never
# uv trusts only its own certificates unless it is told to trust the system's, which has those of a proxy that re-signs TLS.
export UV_SYSTEM_CERTS ?= 1
export RETRAIN_STATE ?= $(CURDIR)/.local
unexport PYTHONPATH PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

AIRFLOW_ENV := .venv/.installed
PIPELINE_ENV := pipeline/.venv/.installed
SERVERS_ENV := $(TOOLS)/envs/servers/.installed
MOTO_ENV := $(TOOLS)/envs/moto/.installed
SCANNER_ENV := $(TOOLS)/envs/checkov/.installed
RELEASE_ENV := $(TOOLS)/envs/release/.installed
STACK := $(SERVERS)/bin/python infra/local/stack.py
CONTAINERS = env PYTHONPATH=infra/docker:infra/local $(SERVERS)/bin/python infra/docker/containers.py
RETRAIN = $(STACK) run env PYTHONPATH=plugins AIRFLOW__LOGGING__LOGGING_LEVEL=WARNING .venv/bin/python -m retrain $(if $(JSON),--json) $(if $(PIPELINE),--pipeline "$$PIPELINE")
BY_KEY = $(if $(KEY),--run-key "$$KEY")

.PHONY: help demo try test raw-days test-units test-contract test-adoption adopted-days adopted-schedules adopted-mistakes test-slow test-moto test-pipeline test-infra test-aws test-release test-e2e test-faults report actions base-images release-environment lint format up down status release rollback pin history restore verify replay explain prune rebuild doctor check inputs quality bench bench-requests bench-load alerts-replay screenshots alerts-test pipeline-file-page runbook-pictures compose-up compose-down compose-demo test-compose

help: ## Show this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Run ten real days of March 2020 through the whole stack, and leave it running
	@$(SERVERS)/bin/python infra/local/demo.py

up: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Start Airflow, MLflow, S3, Slack's stand-in, the watch and the Git origin on 127.0.0.1
	@$(STACK) up

down: $(SERVERS_ENV) ## Stop the stack; the data stays
	@$(STACK) down

status: $(SERVERS_ENV) ## Show the stack's processes, addresses, memory and health
	@$(STACK) status

try: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Run one real day without recording it: make try PIPELINE=trip_duration PARTITION=2020-03-10 (REF=main, KEEP=1, JSON=1)
	@: "$${PARTITION:?Which day? make try PIPELINE=trip_duration PARTITION=2020-03-10}"
	$(RETRAIN) try "$$PARTITION" $(if $(REF),--ref="$$REF") $(if $(KEEP),--keep)

# COMMIT and AS count only if the command names them: make itself, and many shells, have an AS that is the assembler.
release: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Make a release live: make release TAG=v1.2.0, or without a tag COMMIT=1a2b3c4d AS=trial-1 (PIPELINE=shop)
	@$(RETRAIN) release $(if $(filter command,$(origin COMMIT)),--commit="$$COMMIT") $(if $(filter command,$(origin AS)),--as="$$AS") $(if $(TAG),-- "$$TAG")

rollback: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Go back to the release that was live before
	@$(RETRAIN) rollback

pin: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Say which release is live
	@$(RETRAIN) pin

history: $(AIRFLOW_ENV) $(SERVERS_ENV) ## List the recorded days (STALE=1: those whose raw data has changed since)
	@$(RETRAIN) history $(if $(STALE),--stale)

restore: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Bring a day back, verified: make restore PARTITION=2020-03-10 DEST=/tmp/day
	@: "$${PARTITION:?Which day? make restore PARTITION=2020-03-10 DEST=/tmp/day}" "$${DEST:?Where to? DEST=/tmp/day}"
	$(RETRAIN) restore "$$PARTITION" "$$DEST" $(BY_KEY) $(if $(NO_ENVIRONMENT),--no-environment) $(if $(NO_INPUTS),--no-inputs)

verify: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Check a day against the bucket: make verify PARTITION=2020-03-10, or ALL=1
	@$(if $(ALL),,: "$${PARTITION:?Which day? make verify PARTITION=2020-03-10, or ALL=1}")
	$(RETRAIN) verify $(if $(ALL),--all,"$$PARTITION" $(BY_KEY))

replay: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Compute a day again without any cache, and compare: make replay PARTITION=2020-03-10
	@: "$${PARTITION:?Which day? make replay PARTITION=2020-03-10}"
	$(RETRAIN) replay "$$PARTITION" $(BY_KEY)

explain: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Say why two days differ: make explain PARTITION=2020-03-10 WITH=2020-03-17
	@: "$${PARTITION:?Which days? make explain PARTITION=2020-03-10 WITH=2020-03-17}" "$${WITH:?With which day? WITH=2020-03-17}"
	$(RETRAIN) explain "$$PARTITION" "$$WITH" $(BY_KEY)

prune: $(AIRFLOW_ENV) $(SERVERS_ENV) ## List the objects that no kept day needs: make prune KEEP_DAYS=400 (REALLY=1 removes them)
	@: "$${KEEP_DAYS:?How many days are kept? make prune KEEP_DAYS=400}"
	$(RETRAIN) prune --keep-days "$$KEEP_DAYS" $(if $(REALLY),--really)

rebuild: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Write runs that MLflow lost again, from ledger and store (PARTITION=, SINCE=; PLAN=1 only lists them)
	@$(RETRAIN) rebuild $(if $(PARTITION),--partition "$$PARTITION") $(if $(SINCE),--since "$$SINCE") $(if $(PLAN),--plan)

doctor: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Check connections, buckets, the origin, Airflow and Slack, and say what to fix (ONLY=slack, JSON=1)
	@$(RETRAIN) doctor $(if $(ONLY),--only "$$ONLY")

check: $(AIRFLOW_ENV) ## Say whether a team's DVC repository runs here: make check REPO=<url or folder> (REF=, WRITE=<name>, JSON=1)
	@: "$${REPO:?Which repository? make check REPO=https://host/team/repository.git}"
	env REF="$${REF:-}" WRITE="$${WRITE:-}" PYTHONPATH=plugins RETRAIN_HOME="$$RETRAIN_STATE/retrain" RETRAIN_UV="$(UV)" .venv/bin/python -m retrain $(if $(JSON),--json) check

alerts-test: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Send a test message to every channel of the alerts; fails if one does not arrive
	@$(STACK) run env PYTHONPATH=plugins .venv/bin/python -m retrain.alerts.watch --test

inputs: $(PIPELINE_ENV) $(SERVERS_ENV) ## Research: write a partition's inputs into this checkout: make inputs PARTITION=2020-03-05
	@: "$${PARTITION:?Which day? make inputs PARTITION=2020-03-05}"
	$(SERVERS)/bin/python infra/local/trips inputs --partition "$$PARTITION"

# Two lanes at once; a lane's parts run one after the other. They are balanced by the times in infra/docs/tests.md.
LANE_1 := part-lint part-test-contract
LANE_2 := part-test-units part-test-e2e part-test-infra part-test-pipeline
part-test-contract: part-lint
part-test-e2e: part-test-units
part-test-infra: part-test-e2e
part-test-pipeline: part-test-infra

# Both lanes need the environments and the raw days: they are made before, once. If a part fails, its lane ends there, and the other goes on.
test: $(AIRFLOW_ENV) $(PIPELINE_ENV) $(SERVERS_ENV) $(RELEASE_ENV) raw-days ## Lint, then every test, in two lanes at once
	@export TEST_PARTS="$$(mktemp)"
	trap 'rm -f "$$TEST_PARTS"' EXIT
	echo "Two lanes at once; the output of a part is shown when it has ended."
	failed=0
	$(MAKE) --jobs=2 --keep-going --output-sync=recurse $(LANE_1) $(LANE_2) || failed=1
	printf '\n%-16s %7s\n' part minutes
	for part in $(patsubst part-%,%,$(LANE_1) $(LANE_2)); do
		grep "^$$part " "$$TEST_PARTS" || printf '%-16s %7s  NOT RUN\n' "$$part" -
	done
	printf '%-16s %4d:%02d\n' 'both lanes' $$((SECONDS / 60)) $$((SECONDS % 60))
	command -v chromedriver >/dev/null || echo "SKIPPED: no page was opened in a browser, because chromedriver is not on the PATH. Debian: apt-get install chromium chromium-driver"
	exit $$failed

.PHONY: $(LANE_1) $(LANE_2)
$(LANE_1) $(LANE_2): part-%:
	@outcome=FAILED
	trap 'printf "%-16s %4d:%02d  %s\n" $* $$((SECONDS / 60)) $$((SECONDS % 60)) "$$outcome" >>"$$TEST_PARTS"' EXIT
	echo "== make $*"
	$(MAKE) $*
	outcome=passed

raw-days: $(SERVERS_ENV)
	@$(SERVERS)/bin/python infra/local/trips cut >/dev/null

test-units: $(AIRFLOW_ENV)
	@.venv/bin/pytest tests/retrain tests/dags

test-contract: $(AIRFLOW_ENV) $(SERVERS_ENV)
	@.venv/bin/pytest tests/contract -k "not moto" -m "not slow"
	.venv/bin/pytest tests/adoption/days -m "not slow"

# Sessions of their own, two at once: the days take about as long as the schedules and the mistakes one after the other.
test-adoption: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Run other teams' repositories of seventeen shapes, with data that lands, five of them through the scheduler
	@$(MAKE) --jobs=2 --keep-going --output-sync=recurse adopted-days adopted-schedules adopted-mistakes

adopted-days:
	@.venv/bin/pytest tests/adoption/days/test_shapes.py

adopted-mistakes:
	@.venv/bin/pytest tests/adoption/days --ignore tests/adoption/days/test_shapes.py

adopted-schedules:
	@$(SERVERS)/bin/pytest tests/adoption/scheduled

test-slow: $(AIRFLOW_ENV) $(PIPELINE_ENV) $(SERVERS_ENV) ## Run the tests marked slow, which take long and rarely break
	@pipeline/.venv/bin/pytest tests/pipeline -m slow
	.venv/bin/pytest tests/contract -k "not moto" -m slow
	$(SERVERS)/bin/pytest tests/infra -m slow
	$(SERVERS)/bin/pytest tests/aws/test_modules.py

test-moto: $(AIRFLOW_ENV) $(SERVERS_ENV) $(MOTO_ENV) ## Repeat on a second S3 server the tests that must pass on any
	@.venv/bin/pytest tests/contract -k moto

test-pipeline: $(PIPELINE_ENV) $(SERVERS_ENV) $(AIRFLOW_ENV)
	@pipeline/.venv/bin/pytest tests/pipeline -m "not slow"

test-infra: $(AIRFLOW_ENV) $(SERVERS_ENV)
	@$(SERVERS)/bin/pytest tests/infra -m "not slow"

test-aws: $(PIPELINE_ENV) $(SERVERS_ENV) $(MOTO_ENV) $(SCANNER_ENV) $(RELEASE_ENV) ## Apply infra/aws to two stand-ins for an AWS account, try its roles, scan it
	@$(SERVERS)/bin/pytest tests/aws --ignore tests/aws/test_modules.py

test-release: $(AIRFLOW_ENV) $(RELEASE_ENV) $(MOTO_ENV) ## Test the release train against stand-ins for a host, an AWS account and GitHub
	@$(TOOLS)/envs/release/bin/pytest tests/release

test-e2e: $(AIRFLOW_ENV) $(SERVERS_ENV)
	@$(SERVERS)/bin/pytest tests/e2e

test-faults: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Inject twelve faults into a running stack, kill workers, and check the messages in Slack
	@$(SERVERS)/bin/pytest tests/faults

compose-up: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Start the deployment in containers: Celery workers, Postgres, Redis, monitoring (RETRAIN_WORKERS=3)
	@$(CONTAINERS) up

compose-down: $(SERVERS_ENV) ## Stop the containers once their running stages have ended; the data stays
	@$(CONTAINERS) down

compose-demo: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Run the days of `make demo` in containers
	@$(CONTAINERS) demo

test-compose: $(AIRFLOW_ENV) $(SERVERS_ENV) $(MOTO_ENV) $(RELEASE_ENV) ## Run real days and releases in containers, and kill some; starts a Docker engine if none answers
	@timeout --signal=INT --kill-after=60 1980 $(SERVERS)/bin/pytest tests/compose

report: $(PIPELINE_ENV) $(SERVERS_ENV) $(RELEASE_ENV) ## Compare a real day at two commits: make report BASE=main CHANGE=HEAD FOLDER=/tmp/report
	@: "$${BASE:?Against which commit? make report BASE=main CHANGE=HEAD FOLDER=/tmp/report}" "$${CHANGE:?Which commit? CHANGE=HEAD}" "$${FOLDER:?Where to? FOLDER=/tmp/report}"
	$(TOOLS)/envs/release/bin/python infra/release/report.py --base "$$BASE" --change "$$CHANGE" "$$FOLDER"

actions: ## Check that the workflows' actions are pinned to the commits of their tags
	@"$(PYTHON)" infra/release/action_pins.py

base-images: ## Ask the registries whether the pinned base images are still those of their tags (UPDATE=1 pins the new ones)
	@"$(PYTHON)" infra/release/base_images.py $(if $(UPDATE),update,check)

release-environment: $(RELEASE_ENV)

quality: $(PIPELINE_ENV) $(SERVERS_ENV) ## Measure the model on the second half of 2019; fails if it misses its targets
	@pipeline/.venv/bin/python tests/bench/quality.py

bench: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Measure receipts, restores and replays of fourteen real days
	@$(SERVERS)/bin/python infra/local/trips fetch
	$(SERVERS)/bin/python infra/local/trips cut
	RETRAIN_UV="$(UV)" .venv/bin/python tests/bench/ledger.py

bench-requests: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Count the requests of history, verify and prune on a generated ledger of ten pipelines and three years
	.venv/bin/python tests/bench/requests_counted.py

bench-load: $(AIRFLOW_ENV) $(SERVERS_ENV) ## Start sixteen pipelines at once on two Celery workers: all must be green (BEFORE=1: first with Airflow's own limits; HOUR=60)
	@$(SERVERS)/bin/python tests/bench/load.py --hour "$${HOUR:-60}" $(if $(BEFORE),--before)

alerts-replay: $(AIRFLOW_ENV) $(PIPELINE_ENV) $(SERVERS_ENV) ## Apply the alerts' thresholds to every day of 2018 to 2020 (LEDGER=1: to the recorded days; SENSITIVITY=1, CHECK=1)
	@$(if $(LEDGER),,$(SERVERS)/bin/python infra/local/trips cut >/dev/null && days="$$(pipeline/.venv/bin/python tests/bench/day_documents.py)")
	$(if $(LEDGER),$(STACK) run) env PYTHONPATH=plugins .venv/bin/python -m retrain.commands.alerts_replay $(if $(LEDGER),--ledger,--documents "$$days") $(if $(SENSITIVITY),--sensitivity) $(if $(CHECK),--check) $(if $(JSON),--json)

screenshots: $(SERVERS_ENV) ## Take the pictures of pages from a stack on which the demo has run
	@$(SERVERS)/bin/python infra/local/pictures.py

pipeline-file-page: $(AIRFLOW_ENV) ## Write the tables of keys in infra/docs/pipeline-file.md, from the models in plugins/retrain/deployment
	@PYTHONPATH=plugins .venv/bin/python -m retrain.commands.pipeline_file_page

runbook-pictures: $(SERVERS_ENV) ## Take the runbooks' pictures: each kind of alert on a phone
	@$(SERVERS)/bin/python infra/local/runbook_pictures.py

lint: $(AIRFLOW_ENV) $(PIPELINE_ENV) $(SERVERS_ENV) $(RELEASE_ENV) ## Check style, format, types and workflows; changes nothing
	@.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy plugins/retrain plugins/retrain_plugin.py dags infra/local infra/aws/plan_table.py infra/aws/modules/host/files infra/docker infra/dvc infra/release pipeline
	$(TOOLS)/envs/release/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOLS)/envs/release/bin/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(TOOLS)/envs/release/bin/zizmor --quiet --no-progress --offline --persona=auditor .github
	$(TOOLS)/envs/release/bin/shellcheck .ci/run infra/aws/modules/host/files/retrain-*

format: $(AIRFLOW_ENV) ## Format the code, and fix the findings that ruff can fix
	@.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# The environments, each installed from its own lock.
$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found. Install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	command -v git >/dev/null || { echo "git is needed and was not found. Install it."; exit 1; }
	"$(PYTHON)" infra/local/install.py uv "$(UV_VERSION)" "$(TOOLS)/tools" infra/docker/uv/requirements.txt

define install
	@echo "installing $(1) from its lock"
	"$(PYTHON)" infra/local/install.py environment "$(UV)" "$(1)" $(2) $(3)
	touch $@
endef

$(AIRFLOW_ENV): pyproject.toml uv.lock | $(UV)
	$(call install,Airflow's environment,.)

$(PIPELINE_ENV): pipeline/pyproject.toml pipeline/uv.lock | $(UV)
	$(call install,the pipeline's environment,pipeline)

$(SERVERS_ENV): infra/local/pyproject.toml infra/local/uv.lock | $(UV)
	$(call install,the local servers' environment,infra/local,"$(SERVERS)")

$(MOTO_ENV): infra/moto/pyproject.toml infra/moto/uv.lock | $(UV)
	$(call install,the second S3 server's environment,infra/moto,"$(CURDIR)/$(TOOLS)/envs/moto")

$(SCANNER_ENV): infra/aws/pyproject.toml infra/aws/uv.lock | $(UV)
	$(call install,the policy scanner's environment,infra/aws,"$(CURDIR)/$(TOOLS)/envs/checkov")

$(RELEASE_ENV): infra/release/pyproject.toml infra/release/uv.lock | $(UV)
	$(call install,the release's environment,infra/release,"$(CURDIR)/$(TOOLS)/envs/release")
