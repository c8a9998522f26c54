#!/usr/bin/env bash
# cold-reader.sh: what a consumer of an old backlog, whose pages are no longer in memory, does to a producer's tail.
# Needs root (drops the page cache). Prints the producer's line alone and beside the reader, in turns. The reader goes
# over the backlog again, dropped from memory anew, until the producer has ended. Ends with 1 when something fails.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DROP=/proc/sys/vm/drop_caches
fail() { echo "cold-reader.sh: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "needs root: it writes $DROP"
[ -w "$DROP" ] || fail "$DROP cannot be written here (a container without the right to?)"
ROUNDS=${ROUNDS:-3} MESSAGES=${MESSAGES:-2000000} RATE=${RATE:-5000}
TARGET=${CARGO_TARGET_DIR:-$HERE/../target}
BIN=${RINGMQ_BIN_DIR:-$TARGET/release} MQBENCH=${MQBENCH:-$TARGET/release/mqbench}
WORK=${PERF_WORK_DIR:-$HERE/../.cache/perf}; mkdir -p "$WORK"; WORK=$(cd "$WORK" && pwd)
. "$HERE/servers.sh"
PIDS= READER=
RUN=$WORK/cold
# Without its flag and its broker the reader ends too.
trap 'rm -f "$RUN/reading"; [ -n "$PIDS" ] && stop KILL; [ -n "$READER" ] && wait "$READER"; rm -rf "$RUN"' EXIT
rm -rf "$RUN"; mkdir -p "$RUN"; PORT=$(free_port); NS_PORT=$((PORT + 5))
start ASYNC_FLUSH || fail "the broker does not start"
"$MQBENCH" fill --broker "$BROKER" --topic Old --messages "$MESSAGES" > "$RUN/fill" 2>&1 || fail "filling: $(tail -n 3 "$RUN/fill")"

pick() { sed -n 's/^RESULT //p' "$2" | tr ' ' '\n' | grep -E "^($1)=" | tr '\n' ' '; } # KEYS FILE
produce() { # NAME
  "$MQBENCH" produce --broker "$BROKER" --rate "$RATE" --warm 1 --seconds 6 > "$RUN/produce" 2>&1 || fail "$1: $(tail -n 3 "$RUN/produce")"
  echo "$1 $(pick 'rate|p50|p99|p999|max|bad|late_p999' "$RUN/produce")"
}
read_on() { # while RUN/reading is there, and the begun pass to its end
  local pass
  for pass in $(seq 1000); do
    # Only pages that are mapped or not yet written stay.
    echo 1 > "$DROP" || return 1
    echo "$pass" > "$RUN/passes"
    "$MQBENCH" drain --broker "$BROKER" --topic Old --batch 32 --in-flight 2 > "$RUN/drain" 2>&1 || return 1
    [ -e "$RUN/reading" ] || return 0
  done
  echo "1000 passes were over before the producer: more MESSAGES are needed" > "$RUN/drain"
  return 1
}

for round in $(seq "$ROUNDS"); do
  produce "round $round, alone: "
  sync
  touch "$RUN/reading"
  read_on &
  READER=$!
  produce "round $round, beside:"
  kill -0 "$READER" 2> /dev/null || fail "the reader ended before the producer: $(tail -n 3 "$RUN/drain")"
  rm "$RUN/reading"
  wait "$READER" || fail "the reader: $(tail -n 3 "$RUN/drain")"
  READER=
  echo "round $round, reader: passes=$(cat "$RUN/passes"), the last: $(pick 'messages|rate|mb_s' "$RUN/drain")"
done
stop TERM || fail "the broker does not end"
