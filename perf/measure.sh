#!/usr/bin/env bash
# measure.sh [WHAT...]: RingMQ beside Java 4.9.7, on this machine, in the same run, in interleaved rounds.
# WHAT of: produce drain memory start restart (default: all). Writes results/<date>-<name>.md; see README.md.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROUNDS=${ROUNDS:-3} WARM=${WARM:-3} MEASURED=${MEASURED:-8} HEAP=${HEAP:-2g} NAMESRV_HEAP=${NAMESRV_HEAP:-512m}
DRAIN_MESSAGES=${DRAIN_MESSAGES:-500000} RESTART_MIB=${RESTART_MIB:-2048} IDLE_SECONDS=${IDLE_SECONDS:-20}
SIDES=${SIDES:-"ringmq java"} NAME=${NAME:-ringmq-and-java}
TARGET=${CARGO_TARGET_DIR:-$HERE/../target}
BIN=${RINGMQ_BIN_DIR:-$TARGET/release} MQBENCH=${MQBENCH:-$TARGET/release/mqbench}
WORK=${PERF_WORK_DIR:-$HERE/../.cache/perf}; mkdir -p "$WORK"; WORK=$(cd "$WORK" && pwd)
JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
[ $# -gt 0 ] && WHAT="$*" || WHAT="produce drain memory start restart"
COMMAND="ROUNDS=$ROUNDS WARM=$WARM MEASURED=$MEASURED HEAP=$HEAP DRAIN_MESSAGES=$DRAIN_MESSAGES RESTART_MIB=$RESTART_MIB perf/measure.sh $WHAT"
. "$HERE/servers.sh"
. "$HERE/report.sh"

for program in "$BIN/ringmq" "$MQBENCH"; do
  [ -x "$program" ] || { echo "$program is missing: cargo build --release -p ringmq -p bench, or set RINGMQ_BIN_DIR and MQBENCH" >&2; exit 1; }
done
if [[ $SIDES = *java* ]]; then
  . "$HERE/../tests/java/env.sh"
  "$HERE/../tests/java/fetch.sh" 4.9.7 || exit 1
  JARS=$CACHE/rocketmq-4.9.7
fi
ROWS=$WORK/rows.tsv; : > "$ROWS"
PIDS=; trap '[ -n "$PIDS" ] && stop KILL' EXIT

# row WHAT SIDE "key=value ...": one measurement; shown at once, kept for the report.
row() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >> "$ROWS"; echo "$(date +%T) $1 $2 $3"; }
bench() { # with failed requests there are figures too, and bad= says how many
  local what=$1 side=$2 line status; shift 2
  line=$("$MQBENCH" "$@" --broker "$BROKER" --pid "$PIDS"); status=$?
  [ -n "$line" ] && row "$what" "$side" "${line#RESULT }"
  [ $status -eq 0 ] || echo "$what of $side: mqbench ended with $status" >&2
  return $status
}
fresh() { RUN=$WORK/$1; rm -rf "$RUN"; mkdir -p "$RUN"; PORT=$(free_port); NS_PORT=$((PORT + 5)); }
others_idle() { # waits until the page cache is written back, so that one side does not pay for the other
  sync; sleep 1
}

measure_produce() { # SIDE FLUSH
  local mode=${2%_FLUSH}; mode=${mode,,}
  fresh "$1"; start "$1" "$2" || return
  # Java's compiler needs load before it is itself; both get the same.
  "$MQBENCH" produce --broker "$BROKER" --warm 0 --seconds 6 > /dev/null
  bench "produce $mode 4x16 1KiB" "$1" produce --warm "$WARM" --seconds "$MEASURED"
  bench "produce $mode 5000/s 1KiB" "$1" produce --rate 5000 --warm "$WARM" --seconds "$MEASURED"
  row "after $mode load" "$1" "rss_kib=$(memory_kib VmRSS) anon_kib=$(memory_kib RssAnon)"
  stop TERM; rm -rf "$RUN"
}

measure_drain() { # SIDE
  fresh "$1"; start "$1" ASYNC_FLUSH || return
  "$MQBENCH" fill --broker "$BROKER" --topic Drain --messages "$DRAIN_MESSAGES" > /dev/null || return
  "$MQBENCH" drain --broker "$BROKER" --topic Drain --messages 100000 > /dev/null
  bench "drain 1KiB batch 32" "$1" drain --topic Drain
  bench "drain 1KiB batch 32, 4 in flight" "$1" drain --topic Drain --in-flight 4
  stop TERM; rm -rf "$RUN"
}

measure_memory() { # SIDE: the server as it stands there, with its nameserver
  fresh "$1"; start "$1" ASYNC_FLUSH || return
  sleep 5
  local before; before=$(cpu_ms); sleep "$IDLE_SECONDS"
  row "idle" "$1" "rss_kib=$(memory_kib VmRSS) anon_kib=$(memory_kib RssAnon) cpu_ms_a_second=$(awk "BEGIN { print ($(cpu_ms) - $before) / $IDLE_SECONDS }")"
  stop TERM; rm -rf "$RUN"
}

measure_start() { # SIDE
  fresh "$1"; start "$1" ASYNC_FLUSH || return
  row "start, empty store" "$1" "$(sed 's/^RESULT //' "$RUN/first-ack")"
  stop TERM
  start "$1" ASYNC_FLUSH || return
  row "start, after a clean stop" "$1" "$(sed 's/^RESULT //' "$RUN/first-ack")"
  stop TERM; rm -rf "$RUN"
}

measure_restart() { # SIDE: killed under load over RESTART_MIB of messages
  fresh "$1"; start "$1" ASYNC_FLUSH || return
  "$MQBENCH" fill --broker "$BROKER" --topic Restart --queues 4 --messages $((RESTART_MIB * 1024)) > /dev/null || return
  "$MQBENCH" produce --broker "$BROKER" --topic Restart --no-create --warm 0 --seconds 60 > /dev/null 2>&1 &
  local load=$!
  sleep 3; stop KILL; kill $load 2> /dev/null; wait $load 2> /dev/null
  sleep 1
  start "$1" ASYNC_FLUSH || return
  row "restart after kill -9, $RESTART_MIB MiB" "$1" "$(sed 's/^RESULT //' "$RUN/first-ack") store_mib=$(du -sm "$RUN/data" | cut -f1)"
  stop TERM; rm -rf "$RUN"
}

for round in $(seq "$ROUNDS"); do
  # Every other round the other side goes first.
  order=$SIDES; [ $((round % 2)) -eq 0 ] && order=$(tr ' ' '\n' <<< "$SIDES" | tac | tr '\n' ' ')
  for what in $WHAT; do
    for side in $order; do
      others_idle
      case $what in
        produce) measure_produce "$side" ASYNC_FLUSH; others_idle; measure_produce "$side" SYNC_FLUSH ;;
        drain | memory | start | restart) "measure_$what" "$side" ;;
        *) echo "unknown: $what" >&2; exit 1 ;;
      esac || { echo "$what of $side failed in round $round" >&2; [ -n "$PIDS" ] && stop KILL; }
    done
  done
done
mkdir -p "$HERE/results"
OUT=$HERE/results/$(date +%F)-$NAME.md
report > "$OUT"
echo "written: $OUT"
