#!/bin/sh
# Measures nyala-resp beside redis-server with redis-benchmark, in turns, and prints the tables of README.md.
#
#   ROUNDS=5          turns of each server
#   REQUESTS=100000   of each command without a pipeline, 20 times as many in pipelines of 32
#   THREADS=1         event loops of nyala-resp
#   WRITE=1           puts the tables into README.md, too
#
# Needs no root and no port of anybody: each server takes a free one, and ends with this script.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
rounds=${ROUNDS:-5}
requests=${REQUESTS:-100000}
threads=${THREADS:-1}

for program in redis-server redis-benchmark redis-cli; do
    command -v "$program" >/dev/null ||
        { echo "$program is not installed; apt-get install redis-server redis-tools brings it" >&2; exit 1; }
done
cargo build --quiet --release -p nyala-resp --manifest-path "$here/../../Cargo.toml"
target=${CARGO_TARGET_DIR:-$here/../../target}

# The server on one core and the client on another, so that the scheduler does not decide the winner.
cores=
if command -v taskset >/dev/null; then
    cores=$(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' |
        awk -F- '{ for (core = $1; core <= (NF > 1 ? $2 : $1); core++) print core }' | head -n 2 | tr '\n' ' ')
fi
server_core=${cores%% *}
client_core=$(echo "$cores" | cut -d ' ' -f 2)
on_core() {
    core=$1
    shift
    if [ -n "$core" ] && [ -n "$client_core" ]; then exec taskset -c "$core" "$@"; else exec "$@"; fi
}

folder=$(mktemp -d)
results=$folder/results
nyala_pid=
redis_pid=
finish() {
    for pid in $nyala_pid $redis_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# Waits until the server of this process answers at this port; another's may have taken it.
is_ready() {
    pid=$1
    port=$2
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do
        answer=$(redis-cli -p "$port" info server 2>/dev/null | tr -d '\r' | sed -n 's/^process_id://p')
        [ -n "$answer" ] && { [ "$answer" = "$pid" ]; return; }
        tries=$((tries + 1))
        sleep 0.1
    done
    return 1
}

# It says itself which free port it took.
(on_core "$server_core" "$target/release/nyala-resp" --port 0 --memory 512m --threads "$threads") >"$folder/nyala" &
nyala_pid=$!
nyala_port=
tries=0
until [ -n "$nyala_port" ]; do
    tries=$((tries + 1))
    { kill -0 "$nyala_pid" 2>/dev/null && [ "$tries" -lt 100 ]; } || { echo "nyala-resp did not start" >&2; exit 1; }
    sleep 0.1
    nyala_port=$(sed -n 's/.* on [^ ]*:\([0-9]*\).*/\1/p' "$folder/nyala")
done
is_ready "$nyala_pid" "$nyala_port" || { echo "nyala-resp does not answer" >&2; exit 1; }

# redis-server takes only a port that it is told, so some are tried.
redis_port=$((20000 + $$ % 20000))
tries=0
while :; do
    (on_core "$server_core" redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no \
        --loglevel warning --dir "$folder") >/dev/null &
    redis_pid=$!
    if is_ready "$redis_pid" "$redis_port"; then break; fi
    kill "$redis_pid" 2>/dev/null || true
    wait "$redis_pid" 2>/dev/null || true
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || { echo "redis-server did not start" >&2; exit 1; }
    redis_port=$((redis_port + 1))
done

benchmark() {
    port=$1
    shift
    (on_core "$client_core" redis-benchmark -p "$port" -c 50 -r 100000 -d 64 "$@")
}

# Ticks of the processor that a process has taken, of which there are `getconf CLK_TCK` in a second.
ticks() {
    sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 12,13 | { read -r user system && echo $((user + system)); }
}
a_second=$(getconf CLK_TCK)

for port in "$nyala_port" "$redis_port"; do
    benchmark "$port" -t set -n 1000000 -P 32 -q >/dev/null 2>&1
done

round=1
while [ "$round" -le "$rounds" ]; do
    # Who begins changes, so that neither always has the warmer machine.
    if [ $((round % 2)) = 1 ]; then order="nyala redis"; else order="redis nyala"; fi
    for pipeline in 1 32; do
        count=$requests
        [ "$pipeline" = 1 ] || count=$((requests * 20))
        for test in ping_mbulk set get incr; do
            for server in $order; do
                eval "port=\$${server}_port pid=\$${server}_pid"
                before=$(ticks "$pid")
                benchmark "$port" -t "$test" -n "$count" -P "$pipeline" --csv >"$folder/csv"
                used=$(($(ticks "$pid") - before))
                awk -F'"' -v round="$round" -v server="$server" -v pipeline="$pipeline" -v used="$used" \
                    -v a_second="$a_second" -v count="$count" \
                    'NR == 2 { print round, pipeline, $2, server, $4, used * 1e6 / a_second / count }' \
                    "$folder/csv" >>"$results"
            done
        done
    done
    round=$((round + 1))
done

{
    cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
    redis=$(redis-server --version | sed 's/.* v=\([^ ]*\).*/\1/')
    printf '%s\n' \
        "By \`ROUNDS=$rounds REQUESTS=$requests THREADS=$threads bench-suite/resp/beside-redis.sh\`: ${cpu:-an unknown processor}, $(nproc) processors," \
        "$(uname -s) $(uname -r), $(rustc --version | cut -d ' ' -f 1,2), redis-server $redis, load average $(cut -d ' ' -f 1 /proc/loadavg) at the end. Medians of $rounds rounds in turns;" \
        "the ratio is of requests a second, with its range over the rounds. The targets are 1.0 without a pipeline and 1.5 in pipelines of 32; PING, where nothing is stored, has none." \
        ""
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
        cost[row, $4, $1] = $6
        if ($1 > rounds) rounds = $1
    }
    END {
        print "| Pipeline | Command | nyala-resp | redis-server | ratio | of the rounds | target | processor time of a request: nyala-resp | redis-server |"
        print "|---|---|---|---|---|---|---|---|---|"
        for (i = 1; i <= n; i++) {
            row = rows[i]
            for (r = 1; r <= rounds; r++) {
                ours[r] = rate[row, "nyala", r]; theirs[r] = rate[row, "redis", r]
                ratios[r] = ours[r] / theirs[r]
                our_cost[r] = cost[row, "nyala", r]; their_cost[r] = cost[row, "redis", r]
            }
            split(row, part, " ")
            our = median(ours, rounds); their = median(theirs, rounds)
            ratio = median(ratios, rounds)
            target = part[1] == 1 ? 1.0 : 1.5
            met = part[2] ~ /^PING/ ? "-" : sprintf("%.1f: %s", target, ratio >= target ? "met" : "missed")
            printf "| %s | %s | %.0f | %.0f | %.2f | %.2f to %.2f | %s | %.2f us | %.2f us |\n", \
                part[1], part[2], our, their, ratio, ratios[1], ratios[rounds], met, \
                median(our_cost, rounds), median(their_cost, rounds)
        }
    }' "$results"
} >"$folder/tables"
cat "$folder/tables"

if [ -n "${WRITE:-}" ]; then
    awk -v tables="$folder/tables" '
        /^<!-- figures -->$/ { print; while ((getline line < tables) > 0) print line; skipping = 1 }
        /^<!-- \/figures -->$/ { skipping = 0 }
        !skipping { print }' "$here/README.md" >"$folder/README.md"
    cat "$folder/README.md" >"$here/README.md"
fi
