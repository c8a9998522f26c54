#!/usr/bin/env bash
# broker.sh RUN_DIR CONF [VERSION]: starts a Java broker with the given file; returns when it says that it is up.
# Its pid is in RUN_DIR/pid, what it printed in RUN_DIR/out, its log in RUN_DIR/broker.log.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/env.sh"
RUN=$1 CONF=$2 HOME_DIR=$CACHE/rocketmq-${3:-4.9.7}; mkdir -p "$RUN"; RUN=$(cd "$RUN" && pwd); : > "$RUN/out"
setsid "$JAVA" $(jvm_options "${HEAP:-512m}" "${DIRECT:-512m}") -Duser.home="$RUN" -Drocketmq.home.dir="$HOME_DIR" ${JAVA_OPT_EXT:-} -cp "$HOME_DIR/lib/*" \
  org.apache.rocketmq.broker.BrokerStartup -c "$CONF" > "$RUN/out" 2>&1 < /dev/null &
echo $! > "$RUN/pid"
. "$HERE/../lib.sh"; wait_for_line "$RUN/out" 'boot success' "$(cat "$RUN/pid")" 120
