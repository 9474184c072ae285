# Everything a developer or CI does is a target of this file; `make` lists them.
#
# What a target needs beyond Go, make and git it installs itself: the tools into
# .tools (from the pinned modules under tools/), the C compiler that the race
# detector needs and the databases that tests start from the distribution.

SHELL         := /bin/bash
.SHELLFLAGS   := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION  := $(shell git describe --always --dirty 2>/dev/null || echo dev)
TOOLS    := $(CURDIR)/.tools
LINTER   := $(TOOLS)/golangci-lint
BUF      := $(TOOLS)/buf
S3SERVER := $(TOOLS)/versitygw
CONSUL   := $(TOOLS)/consul
MYSQL    := $(TOOLS)/mysql/mysqld

ARGS     ?=
FUZZTIME ?= 20s

# The version is stamped by the linker; asking git a second time would only fail
# in a clone that belongs to another user.
GOBUILD  := go build -trimpath -buildvcs=false

# The race detector leaves out what was translated from C, SQLite, which has locks of its
# own: the tests of its JobDB take three times as long with it.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false

# How long a process with the race detector stays for the reports of others, which is a
# second by default: tests have many processes.
export GORACE ?= atexit_sleep_ms=50

##@ Use

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

# Without cgo the binary is static and resolves names the same way everywhere.
.PHONY: build
build: ## Build bin/centrifuge
	CGO_ENABLED=0 $(GOBUILD) -ldflags '-X main.version=$(VERSION)' -o bin/centrifuge ./cmd/centrifuge

.PHONY: run
run: build ## Build, then run every role in one process (ARGS="--listen …")
	exec bin/centrifuge serve $(ARGS)

.PHONY: demo
demo: build ## Build, then show it at work against failing endpoints on loopback
	exec bin/centrifuge demo $(ARGS)

.PHONY: bench
bench: build peers mariadb $(CONSUL) ## Measure throughput, latency and memory; prints a table, or JSON (ARGS="-json")
	go run ./bench $(ARGS)

##@ Check

.PHONY: test
test: tools cc mariadb chromium strace lint proto vet unit ## Everything CI runs, cheapest first

.PHONY: lint
lint: $(LINTER) ## Formatting, linters and import rules
	$(LINTER) run
	cd bench/peers && $(LINTER) run
	@sleepers=$$(grep -rlF --include='*_test.go' 'time.Sleep(' . | xargs -r grep -L '"testing/synctest"' || true); \
	if [ -n "$$sleepers" ]; then \
		echo "time.Sleep in a test without testing/synctest is a race waiting to happen:"; \
		echo "$$sleepers"; \
		exit 1; \
	fi

.PHONY: proto
proto: $(BUF) ## Lint the schema; check that gen/ is what it generates
	$(BUF) lint
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(BUF) generate --output "$$fresh"; \
	diff -ruN gen "$$fresh/gen" || { echo "gen/ is stale: run make generate" >&2; exit 1; }

.PHONY: vet
vet: ## go vet
	go vet ./...
	cd bench/peers && go vet ./...

.PHONY: unit
unit: cc mariadb chromium strace $(S3SERVER) $(CONSUL) ## All tests, with the race detector, in random order (ARGS="-run …")
	go test $(RACE) -shuffle=on -timeout=15m $(ARGS) ./...

# What is tested on MariaDB, on MySQL. It is no part of `make test`, because which
# MySQL is to be had, and with which libraries, changes from day to day.
.PHONY: mysql
mysql: cc $(MYSQL) $(S3SERVER) $(CONSUL) ## Test what stands on MariaDB on MySQL (ARGS="-run …")
	MYSQLD=$(MYSQL) go test $(RACE) -shuffle=on -timeout=30m $(ARGS) \
		./jobdb/mysql/... ./visibility/... ./cmd/centrifuge ./internal/e2e/...

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (20s) each
	@go test -list '^Fuzz' ./... \
		| awk '/^Fuzz/ { targets[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, targets[i]; n = 0 }' \
		| while read -r package target; do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
		done

##@ Maintain

.PHONY: fmt
fmt: $(LINTER) ## Format the Go code
	$(LINTER) fmt

.PHONY: generate
generate: $(BUF) ## Format the schema and write gen/ from it
	$(BUF) format --write
	$(BUF) generate

.PHONY: screenshots
screenshots: chromium ## Take the screenshots in docs/images anew
	go test ./internal/browser -count=1 -run '^TestScreenshots$$' -screenshots '$(CURDIR)/docs/images'

.PHONY: tools
tools: $(LINTER) $(BUF) $(S3SERVER) $(CONSUL) ## Build the pinned tools into .tools

.PHONY: clean
clean: ## Remove what was built (never ./data: it holds jobs)
	rm -rf bin .tools

# A tool is rebuilt only when its module changes; touch, because go leaves a
# binary alone that is already what it would write.
$(TOOLS)/%: tools/%/go.mod tools/%/go.sum
	cd tools/$* && CGO_ENABLED=0 $(GOBUILD) -o $@ tool
	touch $@

$(CONSUL): tools/consul/main.go

$(MYSQL): tools/mysql.sh
	tools/mysql.sh $(@D)

.PHONY: cc
cc:
	@if ! echo '#include <stdlib.h>' | $$(go env CC) -E - >/dev/null 2>&1; then \
		echo "installing a C compiler for the race detector"; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends gcc libc6-dev; \
	fi

# The programs alone: no service is set up, and none is started.
.PHONY: mariadb
mariadb:
	@export PATH="$$PATH:/usr/sbin"; \
	if ! { command -v mariadbd && command -v mariadb-install-db; } >/dev/null; then \
		echo "installing a MariaDB server for the tests to start"; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends mariadb-server-core mariadb-client-core; \
	fi

# The browser that looks at the dashboard, and a font for it to write with.
.PHONY: chromium
chromium:
	@if ! command -v chromium >/dev/null; then \
		echo "installing Chromium for the tests of the dashboard"; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; \
	fi

# What tells which writes were synced, for the tests of a loss of power.
.PHONY: strace
strace:
	@if ! command -v strace >/dev/null; then \
		echo "installing strace for the tests of a loss of power"; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends strace; \
	fi

# What the other job queues of the benchmark stand on.
.PHONY: peers
peers:
	@if ! { command -v redis-server && [ -x /usr/lib/postgresql/15/bin/initdb ]; } >/dev/null; then \
		echo "installing Redis and PostgreSQL for the benchmark to start"; \
		sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq; \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends redis-server postgresql-15; \
	fi
