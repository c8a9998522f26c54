#!/usr/bin/env bash
# exchange.sh clean|killed SERVER...: SERVER is java or ringmq. The servers run one after the other on one store folder and one
# port; each first has to show everything that those before it acknowledged (StoreCheck), then takes more (StoreFill) and is
# stopped by SIGTERM (clean) or SIGKILL (killed). A last start of the first server checks the whole.
# RINGMQ_BROKER, RINGMQ_NAMESRV: commands that understand -c FILE, e.g. target/release/mqbroker. Without RINGMQ_NAMESRV the
# nameserver is Java's. EXCHANGE_KEEP=DIR keeps the run folder.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/env.sh"; . "$HERE/../lib.sh"
HOW=$1; shift
case " $* " in *" ringmq "*) : "${RINGMQ_BROKER:?the command that starts RingMQ\'s broker}" ;; esac
"$HERE/fetch.sh" 4.9.7; "$HERE/build.sh" 4.9.7
run=${EXCHANGE_KEEP:-$(mktemp -d "${TMPDIR:-/tmp}/ringmq-exchange.XXXXXX")}; mkdir -p "$run"
ns=$(free_base) port=$(free_base)
finish() { status=$?; for d in "$run"/server-*; do stop_run "$d" KILL; done; stop_run "$run/ns" TERM
  if [ $status -ne 0 ]; then echo "run folder kept: $run"; elif [ -z "${EXCHANGE_KEEP:-}" ]; then rm -rf "$run"; fi; }
trap finish EXIT
if [ -n "${RINGMQ_NAMESRV:-}" ]; then
  mkdir -p "$run/ns"; printf 'listenPort=%s\n' "$ns" > "$run/ns/namesrv.conf"
  $RINGMQ_NAMESRV -c "$run/ns/namesrv.conf" > "$run/ns/out" 2>&1 < /dev/null & echo $! > "$run/ns/pid"
  wait_for_line "$run/ns/out" 'boot success' "$(cat "$run/ns/pid")" 90
else
  "$HERE/namesrv.sh" "$run/ns" "$ns"
fi
# Small files, so that the store has several segments and a queue has several files.
"$HERE/broker-conf.sh" "$run/store" "$port" "127.0.0.1:$ns" mappedFileSizeCommitLog=4194304 mappedFileSizeConsumeQueue=60000 \
  maxHashSlotNum=20000 maxIndexNum=80000 flushConsumerOffsetInterval=1000 > "$run/broker.conf"
tool() { timeout 300 "$JAVA" $(client_options) -Duser.home="$run/home" -Drocketmq.client.logRoot="$run/home" \
  -Dlogback.configurationFile="$HERE/logback-quiet.xml" -cp "$CACHE/classes-4.9.7:$CACHE/rocketmq-4.9.7/lib/*" "$@"; }
round=0 before=clean
start() { # SERVER
  dir=$run/server-$round-$1; mkdir -p "$dir"
  if [ "$1" = java ]; then "$HERE/broker.sh" "$dir" "$run/broker.conf"; else
    $RINGMQ_BROKER -c "$run/broker.conf" > "$dir/out" 2>&1 < /dev/null & echo $! > "$dir/pid"
    wait_for_line "$dir/out" 'boot success' "$(cat "$dir/pid")" 90
  fi
}
for server in "$@"; do
  round=$((round + 1)); echo "round $round: $server"; start "$server"
  [ $round -gt 1 ] && tool store.StoreCheck "127.0.0.1:$ns" "$run/list.tsv" $before
  tool store.StoreFill "127.0.0.1:$ns" "$run/list.tsv" $round
  if [ "$HOW" = killed ]; then stop_run "$dir" KILL; before=killed; else stop_run "$dir" TERM; fi
done
round=$((round + 1)); echo "round $round: $1 checks the whole"; start "$1"
tool store.StoreCheck "127.0.0.1:$ns" "$run/list.tsv" $before
stop_run "$dir" TERM
echo "segments: $(ls "$run/store/commitlog" | wc -l), store $(du -sm "$run/store" | cut -f1) MB"
