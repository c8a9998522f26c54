# Starting RingMQ for one step: on free ports of 127.0.0.1, with a data folder of its own, ended with the step. Sourced after lib.sh.
# BIN is the folder of the programs. Each function sets NS and BROKER (host:port) for the command that follows.

# with_ringmq NAME COMMAND...: nameserver and broker in one process.
with_ringmq() {
  local name=$1 ns port dir; shift; ns=$(free_base) port=$(free_base); dir=$LOGS/servers/$name; mkdir -p "$dir"
  "$BIN/ringmq" --data "$dir/data" --namesrv-port "$ns" --port "$port" > "$dir/out" 2>&1 < /dev/null & echo $! > "$dir/pid"
  around "$dir" "RingMQ ready" "$ns" "$port" "$@"
}

# with_pair NAME COMMAND...: mqnamesrv and mqbroker as two processes, from configuration files as users write them.
with_pair() {
  local name=$1 ns port dir; shift; ns=$(free_base) port=$(free_base); dir=$LOGS/servers/$name; mkdir -p "$dir/ns"
  printf 'listenPort=%s\nkvConfigPath=%s\n' "$ns" "$dir/ns/kvConfig.json" > "$dir/ns/namesrv.conf"
  "$BIN/mqnamesrv" -c "$dir/ns/namesrv.conf" > "$dir/ns/out" 2>&1 < /dev/null & echo $! > "$dir/ns/pid"
  if ! wait_for_line "$dir/ns/out" 'The Name Server boot success' "$(cat "$dir/ns/pid")" 90; then stop_run "$dir/ns" KILL; return 1; fi
  "$TESTS/java/broker-conf.sh" "$dir/data" "$port" "127.0.0.1:$ns" > "$dir/broker.conf"
  "$BIN/mqbroker" -c "$dir/broker.conf" > "$dir/out" 2>&1 < /dev/null & echo $! > "$dir/pid"
  local status=0
  around "$dir" 'boot success' "$ns" "$port" "$@" || status=$?
  stop_run "$dir/ns" TERM
  return $status
}

# around DIR LINE NS_PORT PORT COMMAND...: waits for the ready line, runs the command, ends the server and looks at how it ended.
around() {
  local dir=$1 line=$2 pid status=0; NS=127.0.0.1:$3 BROKER=127.0.0.1:$4; shift 4; pid=$(cat "$dir/pid")
  # A step that is cut off must not leave its server behind.
  trap 'stop_run "'"$dir"'" KILL; stop_run "'"$dir"'/ns" KILL; exit 143' TERM INT
  if ! wait_for_line "$dir/out" "$line" "$pid" 90; then stop_run "$dir" KILL; return 1; fi
  grep -- "$line" "$dir/out"
  "$@" || status=$?
  if ! kill -0 "$pid" 2>/dev/null; then echo "FAIL server-alive: RingMQ ended during the step; its output ($dir/out):"; tail -n 40 "$dir/out"; status=1; fi
  echo "server at the end: $(grep -E 'VmRSS|VmHWM' /proc/"$pid"/status 2>/dev/null | tr -s '\t ' ' ' | tr '\n' ' ')"
  kill -TERM "$pid" 2>/dev/null; local code=0; wait "$pid" || code=$?; rm -f "$dir/pid"
  if [ $code -ne 0 ]; then echo "FAIL server-stop: RingMQ ended with $code after SIGTERM ($dir/out)"; tail -n 20 "$dir/out"; status=1; fi
  if grep -q 'panicked at' "$dir/out"; then echo "FAIL server-panic: $(grep -m 3 'panicked at' "$dir/out")"; status=1; fi
  trap - TERM INT
  [ $status -eq 0 ] && rm -rf "$dir/data"
  return $status
}
