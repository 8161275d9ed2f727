# Targets of the whole project; bare `make` lists them. Each face tests itself by a script beside it.

PROFILE ?= quick
TRACE ?=
PREFIX ?= /usr/local
DESTDIR ?=
TORTURE_SECONDS ?= 1800

.PHONY: help compare test check models instructions torture install clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

compare: ## Measure Nyala beside its peers and write bench-suite/report/ (PROFILE=smoke|quick, TRACE=file)
	PROFILE="$(PROFILE)" TRACE="$(TRACE)" sh bench-suite/compare.sh

test: check ## Run everything that guards the project
	cargo test -p nyala --release
	$(MAKE) --no-print-directory models
	$(MAKE) --no-print-directory instructions
	sh ffi/test.sh
	sh python/test.sh
	cargo test -p nyala-bench --release
	PROFILE=smoke OUT=target/smoke sh bench-suite/compare.sh

check: ## Check format, lints and documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc -q --no-deps -p nyala -p nyala-ffi

models: ## Explore the models of the concurrent protocols under loom
	RUSTFLAGS="--cfg loom" cargo test -p nyala --lib --release --target-dir target/loom models -- --nocapture --test-threads 2

instructions: ## Count the instructions of each operation and compare them with core/instructions.txt
	sh core/instructions.sh

torture: ## Stress the store for TORTURE_SECONDS (1800), then run 10 M operations against the model
	cargo run --release -p nyala --example torture -- stress --seconds $(TORTURE_SECONDS)
	cargo run --release -p nyala --example torture -- model --ops 10000000

install: ## Install the C library and header below PREFIX (/usr/local)
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh ffi/install.sh

clean: ## Remove what was built
	cargo clean
	rm -rf bench-suite/report
