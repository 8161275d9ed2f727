#!/bin/sh
# Measures nyala-resp beside redis-server with redis-benchmark, in turns, and prints the medians.
#
#   ROUNDS=5       turns of each server
#   REQUESTS=100000   of each command without a pipeline, 20 times as many in pipelines of 32
#   THREADS=1      event loops of nyala-resp
set -eu

here=$(cd "$(dirname "$0")" && pwd)
rounds=${ROUNDS:-5}
requests=${REQUESTS:-100000}
threads=${THREADS:-1}

for program in redis-server redis-benchmark redis-cli; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
done
cargo build --quiet --release -p nyala-resp --manifest-path "$here/../../Cargo.toml"
target=${CARGO_TARGET_DIR:-$here/../../target}

# The server on the first core and the client on the second, so that the scheduler does not decide the winner.
on_core() {
    core=$1
    shift
    if command -v taskset >/dev/null; then exec taskset -c "$core" "$@"; else exec "$@"; fi
}

results=$(mktemp)
pids=
finish() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -f "$results"
}
trap finish EXIT
trap 'exit 1' INT TERM

nyala_port=${NYALA_PORT:-7411}
redis_port=${REDIS_PORT:-7412}
(on_core 0 "$target/release/nyala-resp" --port "$nyala_port" --memory 512m --threads "$threads") >/dev/null &
pids="$pids $!"
(on_core 0 redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --loglevel warning) >/dev/null &
pids="$pids $!"

benchmark() {
    port=$1
    shift
    (on_core 1 redis-benchmark -p "$port" -c 50 -r 100000 -d 64 "$@")
}

for port in "$nyala_port" "$redis_port"; do
    tries=0
    until redis-cli -p "$port" ping >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "nobody answers on port $port" >&2; exit 1; }
        sleep 0.1
    done
    benchmark "$port" -t set -n 1000000 -P 32 -q >/dev/null 2>&1
done

round=1
while [ "$round" -le "$rounds" ]; do
    # Who begins changes, so that neither always has the warmer machine.
    if [ $((round % 2)) = 1 ]; then order="nyala redis"; else order="redis nyala"; fi
    for pipeline in 1 32; do
        count=$requests
        [ "$pipeline" = 1 ] || count=$((requests * 20))
        for server in $order; do
            eval "port=\$${server}_port"
            benchmark "$port" -t ping_mbulk,set,get,incr -n "$count" -P "$pipeline" --csv |
                awk -F'"' -v round="$round" -v server="$server" -v pipeline="$pipeline" \
                    'NR > 1 { print round, pipeline, $2, server, $4 }' >>"$results"
        done
    done
    round=$((round + 1))
done

awk '
    function median(values, count,    i, j, swap) {
        for (i = 2; i <= count; i++)
            for (j = i; j > 1 && values[j - 1] > values[j]; j--) {
                swap = values[j]; values[j] = values[j - 1]; values[j - 1] = swap
            }
        return count % 2 ? values[(count + 1) / 2] : (values[count / 2] + values[count / 2 + 1]) / 2
    }
    {
        row = $2 " " $3
        if (!(row in known)) { known[row] = 1; rows[++n] = row }
        rate[row, $4, $1] = $5
        if ($1 > rounds) rounds = $1
    }
    END {
        print "| Pipeline | Command | nyala-resp | redis-server | ratio | of the rounds |"
        print "|---|---|---|---|---|---|"
        for (i = 1; i <= n; i++) {
            row = rows[i]
            for (r = 1; r <= rounds; r++) {
                ours[r] = rate[row, "nyala", r]; theirs[r] = rate[row, "redis", r]
                ratios[r] = ours[r] / theirs[r]
            }
            median(ratios, rounds)
            split(row, part, " ")
            our = median(ours, rounds); their = median(theirs, rounds)
            printf "| %s | %s | %.0f | %.0f | %.2f | %.2f to %.2f |\n", \
                part[1], part[2], our, their, our / their, ratios[1], ratios[rounds]
        }
    }' "$results"
