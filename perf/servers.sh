# Sourced by measure.sh and others: starting and ending the two sides, RingMQ's all-in-one and Java's nameserver with its
# broker. RINGMQ_CONF may hold further lines of RingMQ's configuration. Sets PIDS (the processes that count as the
# broker), BROKER (address) and RUN (folder of the side). Only processes started here are ever signalled, by their pid.

# The flags of Java's own start script of the broker (distribution/bin/runbroker.sh), for the nameserver too, with the
# heap of HEAP instead of 8 GiB and DIRECT instead of 15 GiB, without AlwaysPreTouch and GC logging, and what JDK 17
# needs to let 4.9.7 unmap its files.
java_flags() { # HEAP DIRECT
  echo -server "-Xms$1" "-Xmx$1" -XX:+UseG1GC -XX:G1HeapRegionSize=16m -XX:G1ReservePercent=25 \
    -XX:InitiatingHeapOccupancyPercent=30 -XX:SoftRefLRUPolicyMSPerMB=0 -XX:-OmitStackTraceInFastThrow \
    "-XX:MaxDirectMemorySize=$2" -XX:-UseLargePages -XX:+IgnoreUnrecognizedVMOptions -XX:-UseBiasedLocking \
    --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED --add-exports=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/jdk.internal.ref=ALL-UNNAMED
}

# A port P with P-2 .. P+1 and P+10 unused, below the range of outgoing connections.
free_port() {
  local port step
  while :; do
    port=$((12000 + RANDOM % 1900 * 10))
    for step in -2 -1 0 1 5; do (exec 3<> "/dev/tcp/127.0.0.1/$((port + step))") 2> /dev/null && continue 2; done
    echo $port; return
  done
}

conf() { # STORE FLUSH: what both sides read
  cat <<X
brokerClusterName=DefaultCluster
brokerName=broker-a
brokerId=0
namesrvAddr=127.0.0.1:$NS_PORT
brokerIP1=127.0.0.1
brokerRole=ASYNC_MASTER
flushDiskType=$2
deleteWhen=04
fileReservedTime=48
listenPort=$PORT
storePathRootDir=$1
storePathCommitLog=$1/commitlog
X
}

value() { tr ' ' '\n' <<< "$2" | sed -n "s/^$1=//p" | head -1; }

# start SIDE FLUSH: on the data in RUN/data. Prints mqbench's first-ack RESULT: the time from the start of the command.
start() {
  local side=$1 flush=$2 line home
  mkdir -p "$RUN/data"; : > "$RUN/out"; : > "$RUN/namesrv.out"
  if [ "$side" = ringmq ]; then
    { conf "$RUN/data/store" "$flush" | grep -v '^namesrvAddr\|^listenPort'; printf '%s\n' "${RINGMQ_CONF:-}"; } > "$RUN/broker.conf"
    line=$("$MQBENCH" first-ack --broker "127.0.0.1:$PORT" -- bash -c 'exec "$0" "$@" > "'"$RUN/out"'" 2>&1' \
      "$BIN/ringmq" --data "$RUN/data" --namesrv-port "$NS_PORT" --port "$PORT" -c "$RUN/broker.conf") || { tail "$RUN/out" >&2; return 1; }
    PIDS=$(value pid "$line")
  else
    home=$JARS
    conf "$RUN/data/store" "$flush" > "$RUN/broker.conf"
    printf 'listenPort=%s\n' "$NS_PORT" > "$RUN/namesrv.conf"
    "$JAVA" $(java_flags "$NAMESRV_HEAP" 1g) -Duser.home="$RUN" -Drocketmq.home.dir="$home" -cp "$home/lib/*" \
      org.apache.rocketmq.namesrv.NamesrvStartup -c "$RUN/namesrv.conf" > "$RUN/namesrv.out" 2>&1 < /dev/null &
    local namesrv=$!
    until grep -q 'boot success' "$RUN/namesrv.out"; do kill -0 $namesrv || return 1; sleep 0.05; done
    line=$("$MQBENCH" first-ack --broker "127.0.0.1:$PORT" -- bash -c 'exec "$0" "$@" > "'"$RUN/out"'" 2>&1' \
      "$JAVA" $(java_flags "$HEAP" 4g) -Duser.home="$RUN" -Drocketmq.home.dir="$home" -cp "$home/lib/*" \
      org.apache.rocketmq.broker.BrokerStartup -c "$RUN/broker.conf") || { kill $namesrv; tail "$RUN/out" >&2; return 1; }
    PIDS=$(value pid "$line"),$namesrv
  fi
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
