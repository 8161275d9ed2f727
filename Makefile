# Targets of the whole project; bare `make` lists them. Each face tests itself by a script beside it.

PROFILE ?= quick
TRACE ?=
PREFIX ?= /usr/local
DESTDIR ?=
TORTURE_SECONDS ?= 1800
FUZZ_SECONDS ?= 60
TSAN_SECONDS ?= 60

# std is not built for the sanitizer, which rustc has to be told to accept.
TSAN_FLAGS = --cfg nyala_tsan -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help compare test check models instructions torture fuzz tsan install clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

compare: ## Measure Nyala beside its peers and write bench-suite/report/ (PROFILE=smoke|quick|standard|full, TRACE=file)
	PROFILE="$(PROFILE)" TRACE="$(TRACE)" sh bench-suite/compare.sh

test: check ## Run everything that guards the project
	cargo test -p nyala --release
	$(MAKE) --no-print-directory models
	$(MAKE) --no-print-directory instructions
	$(MAKE) --no-print-directory tsan TSAN_SECONDS=15
	sh fuzz/run.sh --replay
	sh ffi/test.sh
	sh python/test.sh
	cargo test -p nyala-cli -p nyala-bench -p nyala-resp --profile checked
	PROFILE=smoke OUT=target/smoke sh bench-suite/compare.sh

check: ## Check format, lints and documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc -q --no-deps -p nyala -p nyala-ffi

models: ## Explore the models of the concurrent protocols under loom
	RUSTFLAGS="--cfg loom" cargo test -p nyala --lib --release --target-dir target/loom models -- --nocapture --test-threads 2

instructions: ## Count the instructions of each operation and compare them with core/instructions.txt
	sh core/instructions.sh

torture: ## Stress the store for TORTURE_SECONDS (1800), then the model, histories, kills, crash images and damage at length
	cargo run --release -p nyala --example torture -- stress --seconds $(TORTURE_SECONDS)
	cargo run --release -p nyala --example torture -- model --ops 10000000
	cargo run --release -p nyala --example torture -- histories --count 10000
	cargo run --release -p nyala --example torture -- kills --count 10000
	NYALA_CRASH_IMAGES=1000000 NYALA_CRASH_SEED=$$(date +%s) cargo test -p nyala --release --lib nothing_acknowledged -- --nocapture
	NYALA_SWEEP=full NYALA_DAMAGE=full cargo test -p nyala --release --lib -- sweep damage --nocapture

fuzz: ## Fuzz the core and the C face, each for FUZZ_SECONDS (60)
	FUZZ_SECONDS="$(FUZZ_SECONDS)" sh fuzz/run.sh

tsan: ## Run the stress test under ThreadSanitizer for TSAN_SECONDS (60)
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(TSAN_FLAGS)" TSAN_OPTIONS=halt_on_error=1 \
		cargo run --quiet -p nyala --example torture --target $(HOST) --target-dir target/tsan -- \
		stress --seconds $(TSAN_SECONDS) --burst-ms 1000

install: ## Install the C library, its header and the command nyala below PREFIX (/usr/local)
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh ffi/install.sh

clean: ## Remove what was built
	cargo clean
	rm -rf bench-suite/report
