#!/bin/sh
# Measures Nyala beside its peers and leaves bench-suite/report/latest.jsonl and index.html.
#
#   PROFILE=quick|standard|full|smoke|tiny   how much is measured (quick)
#   TRACE=FILE                 requests for the cache-aside replay (a generated trace)
#   OUT=DIR                    where the results go (bench-suite/report)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
profile=${PROFILE:-quick}
trace=${TRACE:-}
out=${OUT:-$here/report}

case $profile in
    tiny | smoke | quick | standard | full) ;;
    *)
        echo "PROFILE=$profile: allowed are tiny, smoke, quick, standard and full" >&2
        exit 2
        ;;
esac
if [ -n "$trace" ] && [ ! -f "$trace" ]; then
    echo "TRACE=$trace: there is no such file" >&2
    exit 2
fi
# A relative path is the caller's, and cargo runs elsewhere.
if [ -n "$trace" ]; then
    trace=$(cd "$(dirname "$trace")" && pwd)/$(basename "$trace")
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)

# Peers that are no crates: Debian's packages, by name.
missing=
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
rocksdb_is_there() {
    ldconfig=$(command -v ldconfig || echo /sbin/ldconfig)
    "$ldconfig" -p 2>/dev/null | grep -q 'librocksdb\.so\.7'
}
rocksdb_is_there || missing="$missing librocksdb7.8"
# It counts the syncs of stores in files.
command -v strace >/dev/null 2>&1 || missing="$missing strace"

if [ -n "$missing" ]; then
    as_root=
    can=yes
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root=sudo; else can=no; fi
    fi
    command -v apt-get >/dev/null 2>&1 || can=no
    if [ "$can" = yes ]; then
        echo "Installing$missing ..." >&2
        # An update that fails may leave lists that are good enough; the installation decides.
        $as_root apt-get update -qq >"$out/apt.log" 2>&1 || true
        # shellcheck disable=SC2086 # empty or one word; several package names
        if $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends $missing >>"$out/apt.log" 2>&1; then
            rm -f "$out/apt.log"
        else
            echo "Could not install$missing (see $out/apt.log); going on without." >&2
        fi
    else
        echo "Not installed:$missing. \`sudo apt-get install$missing\` brings them; going on without." >&2
    fi
fi

cd "$root"
# The record repeats its command: where the checkout lies is nobody's business.
out=${out#"$root"/}
cargo build --release -p nyala-bench
set -- run --profile "$profile" --out "$out"
if [ -n "$trace" ]; then
    set -- "$@" --trace "$trace"
fi
exec cargo run --quiet --release -p nyala-bench -- "$@"
