#!/bin/sh
# Counts the instructions of each operation and compares them with core/instructions.txt: more than 5 % above what is
# recorded there is a failure. What a compiler costs itself is not ours: only counts of the same one are compared.
#
#   core/instructions.sh            compare
#   core/instructions.sh --record   write the counts of this compiler down
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}/instructions
record=$here/instructions.txt
compiler=$(rustc -vV | awk '/^host:/ { host = $2 } /^release:/ { release = $2 } END { print "rustc", release, host }')

case ${1:-} in
    '' | --record) ;;
    *)
        echo "core/instructions.sh: $1: the only argument is --record" >&2
        exit 2
        ;;
esac

if ! command -v valgrind >/dev/null; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root='sudo -n'
    echo "core/instructions.sh: installing valgrind" >&2
    { $as_root apt-get install -y -q valgrind || { $as_root apt-get update -q && $as_root apt-get install -y -q valgrind; }; } >/dev/null 2>&1 || {
        echo "core/instructions.sh: valgrind could not be installed: install it (Debian: apt-get install valgrind)" >&2
        exit 1
    }
fi

# Every machine counts the same program: for the processor that the compiler takes by default, whatever flags are set.
env -u CARGO_ENCODED_RUSTFLAGS RUSTFLAGS= \
    cargo build --quiet --release -p nyala --example instructions --target-dir "$target"
program=$target/release/examples/instructions

# Prints the instructions of one of so many operations.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=instructions::counted "$program" "$1" 2>"$target/$1.log" || {
        cat "$target/$1.log" >&2
        return 1
    }
    awk -v operations="$2" '/Collected :/ { printf "%.0f\n", $NF / operations }' "$target/$1.log"
}

"$program" >"$target/operations"
: >"$target/counts"
while read -r operation operations; do
    counted=$(count "$operation" "$operations")
    echo "$compiler $operation $counted" >>"$target/counts"
done <"$target/operations"

if [ "${1:-}" = --record ]; then
    { grep -v "^$compiler " "$record" || true; } >"$target/record"
    cat "$target/counts" >>"$target/record"
    cp "$target/record" "$record"
    cat "$target/counts"
    exit
fi

if ! grep -q "^$compiler " "$record"; then
    echo "core/instructions.sh: nothing is recorded of $compiler, nothing was compared ($0 --record does)"
    cat "$target/counts"
    exit
fi

awk -v script="sh core/instructions.sh" '
    /^#/ { next }
    { name = $1 " " $2 " " $3 " " $4 }
    FNR == NR { recorded[name] = $5; next }
    !(name in recorded) {
        printf "FAILED  %s: %d instructions, and no count is recorded\n", $4, $5
        failed = 1
        next
    }
    {
        bad = $5 > 1.05 * recorded[name]
        printf "%s %-13s %5d instructions, %d recorded\n", bad ? "FAILED " : "ok     ", $4, $5, recorded[name]
        failed = failed || bad
    }
    END {
        if (failed)
            print "instructions: more than 5 % above the record. If that is the price of something, say so and record it: " script " --record"
        exit failed
    }
' "$record" "$target/counts"
