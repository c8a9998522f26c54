# Sourced by scale.sh and cold-reader.sh: starting and ending RingMQ's all-in-one. RINGMQ_CONF may hold further lines of its
# configuration. Sets PIDS (the process), BROKER (address) and RUN (folder). Only processes started here are ever
# signalled, by their pid.

# A port P with P-2 .. P+1 and P+5 unused, below the range of outgoing connections.
free_port() {
  local port step
  while :; do
    port=$((12000 + RANDOM % 1900 * 10))
    for step in -2 -1 0 1 5; do (exec 3<> "/dev/tcp/127.0.0.1/$((port + step))") 2> /dev/null && continue 2; done
    echo $port; return
  done
}

conf() { # STORE FLUSH
  cat <<X
brokerClusterName=DefaultCluster
brokerName=broker-a
brokerId=0
brokerIP1=127.0.0.1
flushDiskType=$2
storePathRootDir=$1
storePathCommitLog=$1/commitlog
X
}

value() { tr ' ' '\n' <<< "$2" | sed -n "s/^$1=//p" | head -1; }

# start FLUSH: on the data in RUN/data. Writes mqbench's first-ack RESULT, the time from the start of the command, to
# RUN/first-ack.
start() {
  local line
  mkdir -p "$RUN/data"; : > "$RUN/out"
  { conf "$RUN/data/store" "$1"; printf '%s\n' "${RINGMQ_CONF:-}"; } > "$RUN/broker.conf"
  line=$("$MQBENCH" first-ack --broker "127.0.0.1:$PORT" -- bash -c 'exec "$0" "$@" > "'"$RUN/out"'" 2>&1' \
    "$BIN/ringmq" --data "$RUN/data" --namesrv-port "$NS_PORT" --port "$PORT" -c "$RUN/broker.conf") || { tail "$RUN/out" >&2; return 1; }
  PIDS=$(value pid "$line")
  BROKER=127.0.0.1:$PORT
  echo "$line" > "$RUN/first-ack"
}

# stop SIGNAL: ends what start started and waits for its end.
stop() {
  local pid tries
  for pid in ${PIDS//,/ }; do kill "-$1" "$pid" 2> /dev/null; done
  for pid in ${PIDS//,/ }; do
    tries=0
    while kill -0 "$pid" 2> /dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status" 2> /dev/null; do
      tries=$((tries + 1)); [ $tries -gt 1200 ] && { echo "process $pid outlives SIG$1" >&2; return 1; }
      sleep 0.05
    done
  done
  PIDS=
}

memory_kib() { # KEY: the sum over PIDS
  local pid sum=0
  for pid in ${PIDS//,/ }; do sum=$((sum + $(awk -v key="$1:" '$1 == key { print $2 }' "/proc/$pid/status"))); done
  echo $sum
}

cpu_ms() { # over PIDS, since their start
  local pid sum=0
  for pid in ${PIDS//,/ }; do sum=$((sum + $(awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat") * 10)); done
  echo $sum
}
