#!/usr/bin/env bash
# namesrv.sh RUN_DIR PORT [VERSION]: starts a Java nameserver; returns when it says that it is up. Its pid is in RUN_DIR/pid.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/env.sh"
RUN=$1 PORT=$2 HOME_DIR=$CACHE/rocketmq-${3:-4.9.7}; mkdir -p "$RUN"; RUN=$(cd "$RUN" && pwd)
printf 'listenPort=%s\n' "$PORT" > "$RUN/namesrv.conf"; : > "$RUN/out"
setsid "$JAVA" $(jvm_options "${HEAP:-128m}" 128m) -Duser.home="$RUN" -Drocketmq.home.dir="$HOME_DIR" ${JAVA_OPT_EXT:-} -cp "$HOME_DIR/lib/*" \
  org.apache.rocketmq.namesrv.NamesrvStartup -c "$RUN/namesrv.conf" > "$RUN/out" 2>&1 < /dev/null &
echo $! > "$RUN/pid"
. "$HERE/../lib.sh"; wait_for_line "$RUN/out" 'boot success' "$(cat "$RUN/pid")" 60
