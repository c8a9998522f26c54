#!/usr/bin/env bash
# scale.sh [WHAT...]: what RingMQ costs when there is much of something: topics, connections, messages.
# WHAT of: topics connections messages (default: all). Prints one line a figure; ends with 1 as soon as something fails.
# See README.md.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOPICS=${TOPICS:-50000} QUEUES=${QUEUES:-4} CONNECTIONS=${CONNECTIONS:-10000} MESSAGES=${MESSAGES:-10000000} BODY=${BODY:-128}
TARGET=${CARGO_TARGET_DIR:-$HERE/../target}
BIN=${RINGMQ_BIN_DIR:-$TARGET/release} MQBENCH=${MQBENCH:-$TARGET/release/mqbench}
WORK=${PERF_WORK_DIR:-$HERE/../.cache/perf}; mkdir -p "$WORK"; WORK=$(cd "$WORK" && pwd)
. "$HERE/servers.sh"
for program in "$BIN/ringmq" "$MQBENCH"; do
  [ -x "$program" ] || { echo "$program is missing: cargo build --release -p ringmq -p bench, or set RINGMQ_BIN_DIR and MQBENCH" >&2; exit 1; }
done
PIDS= LOAD=
trap '[ -n "$LOAD" ] && kill -KILL "$LOAD" 2> /dev/null; [ -n "$PIDS" ] && stop KILL; rm -rf "$WORK/scale"' EXIT
ulimit -n "$(ulimit -Hn)"

RUN=$WORK/scale
fresh() { rm -rf "$RUN"; mkdir -p "$RUN"; PORT=$(free_port); NS_PORT=$((PORT + 5)); }
say() { echo "$(date +%T) $*"; }
fail() { say "FAILED: $*" >&2; exit 1; }
state() { # NAME: what the process holds now
  kill -0 "$PIDS" 2> /dev/null || fail "$1: the broker has ended: $(tail -n 5 "$RUN/out")"
  say "$1: rss_kib=$(memory_kib VmRSS) anon_kib=$(memory_kib RssAnon) descriptors=$(ls "/proc/$PIDS/fd" | wc -l) mappings=$(wc -l < "/proc/$PIDS/maps")"
}
idle() { local before; before=$(cpu_ms); sleep 10; say "$1: idle cpu_ms_a_second=$(awk "BEGIN { print ($(cpu_ms) - $before) / 10 }")"; }
begin() { start ASYNC_FLUSH || fail "$1: the broker does not start"; }
end() { stop "$1" || fail "the broker does not end"; }
again() { begin "$1"; say "$1: $(tr ' ' '\n' < "$RUN/first-ack" | grep -m 1 '^ms=')"; }
# told NAME KEYS STATUS: of the RESULT line in RUN/load the pairs with exactly these keys; ends all when mqbench failed.
told() {
  local figures
  figures=$(sed -n 's/^RESULT //p' "$RUN/load" | tr ' ' '\n' | grep -E "^($2)=" | tr '\n' ' ')
  [ -n "$figures" ] && say "$1: $figures"
  [ "$3" -eq 0 ] || fail "$1: mqbench ended with $3: $(tail -n 3 "$RUN/problem")"
  [ -n "$figures" ] || fail "$1: mqbench printed no figures: $(tail -n 3 "$RUN/load" "$RUN/problem")"
}
bench() { # NAME KEYS ARGUMENTS...
  local name=$1 keys=$2; shift 2
  "$MQBENCH" "$@" --broker "$BROKER" > "$RUN/load" 2> "$RUN/problem"
  told "$name" "$keys" $?
}
# Bytes the registering connection sent so far; one heartbeat is a registration.
registered() { ss -tinHO state established "dst 127.0.0.1:$NS_PORT" 2> /dev/null | grep -o 'bytes_sent:[0-9]*' | cut -d: -f2 | sort -n | tail -1; }

measure_topics() {
  fresh; begin topics
  state "topics: before"
  bench topics 'messages|bad|rate' produce --topics "$TOPICS" --queues "$QUEUES" --warm 0 --seconds 20
  say "topics: queues_with_messages=$(find "$RUN/data/store/consumequeue" -mindepth 2 -maxdepth 2 -type d ! -path '*/FirstAck/*' | wc -l) of $((TOPICS * QUEUES))"
  sleep 15
  state "topics: $TOPICS x $QUEUES, at rest"
  local before after; before=$(registered); sleep 30; after=$(registered)
  if [ -n "$before" ] && [ -n "$after" ]; then
    say "topics: registration_bytes_in_30_s=$((after - before))"
  else
    say "topics: registration_bytes_in_30_s=- (ss shows no connection to the nameserver)"
  fi
  idle topics
  end TERM; again "topics: start after a clean stop, first ack"; state "topics: after it"
  end KILL; again "topics: start after kill -9, first ack"
  end TERM
}

measure_connections() {
  # Each end of a connection is a descriptor, in this shell's limit for the broker and for the loader.
  [ "$(ulimit -n)" -gt $((CONNECTIONS + 500)) ] || fail "connections: ulimit -n is $(ulimit -n), too few for CONNECTIONS=$CONNECTIONS and the files beside them"
  fresh
  # The broker's own bound is 10000, and beside the senders there is the connection that made the topic.
  RINGMQ_CONF="connectionsMax=$((CONNECTIONS + 100))" begin connections
  state "connections: before"
  "$MQBENCH" produce --broker "$BROKER" --pid "$PIDS" --connections "$CONNECTIONS" --rate 1000 --body 100 --warm 3 --seconds 12 > "$RUN/load" 2> "$RUN/problem" &
  LOAD=$!
  sleep 12
  state "connections: $CONNECTIONS, 1000 messages a second"
  local status; wait "$LOAD"; status=$?; LOAD=
  told connections 'messages|bad|p50|p99|p999|broker_cpu_us|late_p99|late_p999' $status
  sleep 2; state "connections: gone"
  end TERM
}

measure_messages() {
  fresh; begin messages
  bench messages 'messages|rate' fill --topic Scale --queues 4 --messages "$MESSAGES" --body "$BODY"
  sleep 5; state "messages: $MESSAGES, at rest"
  say "messages: store_mib=$(du -sm "$RUN/data/store" | cut -f1)"
  end TERM; again "messages: start after a clean stop, first ack"; state "messages: after it"
  bench "messages: some more" 'messages' fill --topic Scale --queues 4 --messages 100000 --body "$BODY"
  end KILL; again "messages: start after kill -9, first ack"
  end TERM
  rm -f "$RUN/data/store/checkpoint"; touch "$RUN/data/store/abort"
  again "messages: start with nothing to rely on (no checkpoint), first ack"
  end TERM
}

[ $# -gt 0 ] && what="$*" || what="topics connections messages"
for each in $what; do
  case $each in
    topics | connections | messages) "measure_$each" ;;
    *) fail "unknown: $each; known: topics connections messages" ;;
  esac
done
