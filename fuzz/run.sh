#!/bin/sh
# Fuzzes the core and the C face.
#
#   fuzz/run.sh                 each target for FUZZ_SECONDS (60)
#   fuzz/run.sh TARGET...       these targets
#   fuzz/run.sh --replay        the inputs in fuzz/seeds once, without instrumentation
#
# Needs a C++ compiler for libFuzzer, which comes with the crate libfuzzer-sys, and nothing else: the flags are those of
# cargo-fuzz, which stable Rust takes with RUSTC_BOOTSTRAP=1. Corpus, failures and what was run are kept in target/fuzz; the
# seeds are random bytes, a file for each shape of a store, and some inputs that the fuzzer found.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
cd "$root"
work=${CARGO_TARGET_DIR:-$root/target}/fuzz
seconds=${FUZZ_SECONDS:-60}
all="operations c_arguments"
host=$(rustc -vV | sed -n 's/^host: //p')

if [ "${1:-}" = --replay ]; then
    cargo build --quiet -p nyala-fuzz
    for target in $all; do
        "$(dirname -- "$work")/debug/$target" "$here/seeds/$target"/* > "$work.replay" 2>&1 || {
            cat "$work.replay"
            exit 1
        }
        echo "$target: $(ls "$here/seeds/$target" | wc -l) seeds, no failure"
    done
    exit 0
fi

# Edge coverage for libFuzzer; AddressSanitizer for what the unsafe blocks do. Comparisons are not traced: inputs have
# no magic numbers to guess, and tracing each compare of the engine took more than half of the time.
flags="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
# With --target, so that build scripts are built without them.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" CARGO_TARGET_DIR="$work" \
    cargo build --quiet -p nyala-fuzz --profile fuzz --target "$host"

status=0
for target in ${*:-$all}; do
    binary=$work/$host/fuzz/$target
    mkdir -p "$work/corpus/$target" "$work/failures"
    log=$work/$target.log
    if ("$binary" "$work/corpus/$target" "$here/seeds/$target" -max_total_time="$seconds" -max_len=2048 \
        -len_control=0 -timeout=60 -artifact_prefix="$work/failures/$target-" > "$log" 2>&1 && times > "$log.times"); then
        # Done 12345 runs in 61 second(s); and of the processor, in user and system mode: 0m59.10s 0m1.50s
        runs=$(sed -n 's/^Done \([0-9]*\) runs in .*/\1/p' "$log")
        awk -v runs="$runs" -F '[ms ]+' 'NR == 2 { printf "%d %.0f\n", runs, 60 * $1 + $2 + 60 * $3 + $4 }' \
            "$log.times" >> "$work/$target.runs"
        awk -v target="$target" '{ runs = $1; took = $2; all += $1; hours += $2 / 3600 } END {
            printf "%s: %d executions in %d s of the processor, no failure; %d in %.2f h in all\n", target, runs, took, all, hours
        }' "$work/$target.runs"
    else
        status=1
        sed -n '/panicked at/,/stack backtrace/p; /ERROR: /,/SUMMARY: /p' "$log" | grep -v '^ *#[0-9]* .*libfuzzer'
        failed=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        echo "$target failed; again: $binary $failed"
        echo "smaller: $binary -minimize_crash=1 -max_total_time=60 $failed"
    fi
done
exit $status
