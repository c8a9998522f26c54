#!/usr/bin/env bash
# scale.sh [WHAT...]: what RingMQ costs when there is much of something: topics, connections, messages.
# WHAT of: topics connections messages (default: all). Prints one line a figure; see README.md.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOPICS=${TOPICS:-50000} QUEUES=${QUEUES:-4} CONNECTIONS=${CONNECTIONS:-10000} MESSAGES=${MESSAGES:-10000000} BODY=${BODY:-128}
TARGET=${CARGO_TARGET_DIR:-$HERE/../target}
BIN=${RINGMQ_BIN_DIR:-$TARGET/release} MQBENCH=${MQBENCH:-$TARGET/release/mqbench}
WORK=${PERF_WORK_DIR:-$HERE/../.cache/perf}; mkdir -p "$WORK"; WORK=$(cd "$WORK" && pwd)
. "$HERE/servers.sh"
PIDS=; trap '[ -n "$PIDS" ] && stop KILL; rm -rf "$WORK/scale"' EXIT
ulimit -n "$(ulimit -Hn)"

RUN=$WORK/scale
fresh() { rm -rf "$RUN"; mkdir -p "$RUN"; PORT=$(free_port); NS_PORT=$((PORT + 5)); }
say() { echo "$(date +%T) $*"; }
state() { # NAME: what the process holds now
  say "$1: rss_kib=$(memory_kib VmRSS) anon_kib=$(memory_kib RssAnon) descriptors=$(ls "/proc/$PIDS/fd" | wc -l) mappings=$(wc -l < "/proc/$PIDS/maps")"
}
idle() { local before; before=$(cpu_ms); sleep 10; say "$1: idle cpu_ms_a_second=$(awk "BEGIN { print ($(cpu_ms) - $before) / 10 }")"; }
again() { start ringmq ASYNC_FLUSH && say "$1: $(grep -o 'ms=[^ ]*' "$RUN/first-ack" | head -1)"; }
# Bytes the registering connection sent so far; one heartbeat is a registration.
registered() { ss -tinHO state established "dst 127.0.0.1:$NS_PORT" 2> /dev/null | grep -o 'bytes_sent:[0-9]*' | cut -d: -f2 | sort -n | tail -1; }

measure_topics() {
  fresh; start ringmq ASYNC_FLUSH || return
  state "topics: before"
  say "topics: $("$MQBENCH" produce --broker "$BROKER" --topics "$TOPICS" --queues "$QUEUES" --warm 0 --seconds 20 | grep -oE '(messages|bad|rate)=[^ ]*' | tr '\n' ' ')"
  say "topics: queues_with_messages=$(find "$RUN/data/store/consumequeue" -mindepth 2 -maxdepth 2 -type d | wc -l) of $((TOPICS * QUEUES))"
  sleep 15
  state "topics: $TOPICS x $QUEUES, at rest"
  local sent; sent=$(registered); sleep 30
  say "topics: registration_bytes_in_30_s=$(($(registered) - ${sent:-0}))"
  idle topics
  stop TERM; again "topics: start after a clean stop, first ack"; state "topics: after it"
  stop KILL; again "topics: start after kill -9, first ack"
  stop TERM
}

measure_connections() {
  fresh; start ringmq ASYNC_FLUSH || return
  state "connections: before"
  "$MQBENCH" produce --broker "$BROKER" --connections "$CONNECTIONS" --rate 1000 --body 100 --warm 3 --seconds 12 > "$RUN/load" 2>&1 &
  local load=$!
  sleep 12
  state "connections: $CONNECTIONS, 1000 messages a second"
  wait $load; say "connections: $(grep -oE '(messages|bad|p50|p99|p999|broker_cpu_us)=[^ ]*' "$RUN/load" | tr '\n' ' ')"
  sleep 2; state "connections: gone"
  stop TERM
}

measure_messages() {
  fresh; start ringmq ASYNC_FLUSH || return
  say "messages: $("$MQBENCH" fill --broker "$BROKER" --topic Scale --queues 4 --messages "$MESSAGES" --body "$BODY" | grep -oE '(messages|rate)=[^ ]*' | tr '\n' ' ')"
  sleep 5; state "messages: $MESSAGES, at rest"
  say "messages: store_mib=$(du -sm "$RUN/data/store" | cut -f1)"
  stop TERM; again "messages: start after a clean stop, first ack"; state "messages: after it"
  "$MQBENCH" fill --broker "$BROKER" --topic Scale --queues 4 --messages 100000 --body "$BODY" > /dev/null
  stop KILL; again "messages: start after kill -9, first ack"
  stop TERM
  rm -f "$RUN/data/store/checkpoint"; touch "$RUN/data/store/abort"
  again "messages: start with nothing to rely on (no checkpoint), first ack"
  stop TERM
}

[ $# -gt 0 ] && what="$*" || what="topics connections messages"
for each in $what; do "measure_$each" || say "$each failed"; done
