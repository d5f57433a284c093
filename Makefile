# Everything that is done often. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

bin := .cache/bin
golangci := $(bin)/golangci-lint

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## start Slipway here: data in ./data, http://localhost:8888
	go build -o $(bin)/slipway ./cmd/slipway
	exec $(bin)/slipway serve

.PHONY: demo
demo: ## start a portal with a year of work in it: data in .cache/demo, http://localhost:8888
	go build -o $(bin)/slipway ./cmd/slipway
	go run ./scripts/demo --data .cache/demo --serve $(bin)/slipway

.PHONY: pictures
pictures: ## take README's pictures from the demo anew, into docs/images
	scripts/e2e-deps.sh
	E2E=1 E2E_PICTURES=$(CURDIR)/docs/images go test -count=1 -run '^TestDemo$$/^pictures$$' ./e2e

# Google's storage library brings 13 MB for a protocol that buckets do not use here.
.PHONY: build
build: ## build the static binary ./slipway
	CGO_ENABLED=0 go build -trimpath -tags=disable_grpc_modules -ldflags='-s -w' -o slipway ./cmd/slipway

.PHONY: generate
generate: ## write *_templ.go from *.templ
	go tool templ generate -path views

.PHONY: check
check: $(golangci) ## formatting, generated files, vet and linters, as CI does
	scripts/check-generated.sh
	scripts/check-gofmt.sh
	go vet ./...
	$(golangci) run ./...

# The race detector watches our code and what it uses, but for SQLite: that is
# C in Go, which would take most of the time and has no race of ours.
race := -race -gcflags=modernc.org/sqlite/lib=-race=false

.PHONY: test
test: ## all tests with the race detector, the browser's included
	scripts/e2e-deps.sh
	scripts/crash-deps.sh
	scripts/docker-deps.sh
	scripts/bucket-deps.sh
	scripts/proxy-deps.sh
	go test -run '^TestMemory' -timeout 20m ./internal/archive ./internal/mount
	E2E=1 go test $(race) -timeout 60m -p 2 ./...

.PHONY: test-airflow
test-airflow: ## run Apache Airflow 3 and 2 against Slipway's mounts, in four to eight minutes
	scripts/airflow-deps.sh
	SLIPWAY_AIRFLOW=1 go test -count=1 -timeout 75m -v ./e2e/airflow
	SLIPWAY_AIRFLOW=1 go test -count=1 -run '^TestExamplesOfAirflow$$' ./internal/pydag

.PHONY: crash
crash: ## crowd the portal, kill it 500 times at work and agents 100 times, and check that nothing is lost
	scripts/crash-deps.sh
	SLIPWAY_CROWD_ROUNDS=$${SLIPWAY_CROWD_ROUNDS:-20} SLIPWAY_CRASH_ROUNDS=$${SLIPWAY_CRASH_ROUNDS:-500} SLIPWAY_CRASH_AGENT_ROUNDS=$${SLIPWAY_CRASH_AGENT_ROUNDS:-100} go test -count=1 -timeout 2h -v -run '^Test(Crash|Order|Crowd$$)' ./e2e/crash

FUZZTIME ?= 10m
.PHONY: fuzz
fuzz: ## ten minutes of damaged archives, manifests, patterns …, for each fuzz target; FUZZTIME=1h for longer
	grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' internal store web views cmd | while IFS=: read -r file target; do \
		go test -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s "./$${file%/*}" </dev/null || exit 1; \
	done

.PHONY: bench
bench: ## measure against the bars of the design and print the table, in a quarter of an hour
	go build -o $(bin)/bench ./scripts/bench
	$(bin)/bench

.PHONY: bench-history
bench-history: ## 2,000 deploys of one Deployment: what they cost at the start and at the end
	go build -o $(bin)/bench-history ./scripts/bench-history
	$(bin)/bench-history

.PHONY: pydag-wasm
pydag-wasm: ## build the Python parser anew from its Rust source, in about five minutes
	internal/pydag/ruff/build.sh

.PHONY: vendor-assets
vendor-assets: ## fetch the vendored scripts and icons anew, checking their hashes
	scripts/vendor-assets.sh

.PHONY: clean
clean: ## remove what was built and cached here, but no data
	rm -rf .cache slipway e2e/artifacts

# Linters are pinned in a module of their own, so that theirs are not our dependencies.
$(golangci): scripts/tools/go.mod scripts/tools/go.sum
	cd scripts/tools && go build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
