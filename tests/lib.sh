# Shell functions that the test scripts share: free ports, waiting for a line, ending what was started.
# Sourced; starts nothing by itself. Only processes whose pid file we wrote are ever signalled.

# wait_for_line FILE PATTERN PID SECONDS: until FILE holds the pattern; fails when the process ends first or time is up.
wait_for_line() {
  local file=$1 pattern=$2 pid=$3 deadline=$((SECONDS + $4))
  while ! grep -q -- "$pattern" "$file" 2>/dev/null; do
    if ! kill -0 "$pid" 2>/dev/null; then
      echo "process $pid ended before it printed \"$pattern\"; its output ($file):" >&2; tail -n 30 "$file" >&2; return 1
    fi
    if [ $SECONDS -ge $deadline ]; then
      echo "no \"$pattern\" within $4 s from process $pid; its output ($file):" >&2; tail -n 30 "$file" >&2; return 1
    fi
    sleep 0.05
  done
}

# stop_run RUN_DIR SIGNAL: signals the process of RUN_DIR/pid and waits for its end; kills it after 60 s.
stop_run() {
  local pid tries=0; pid=$(cat "$1/pid" 2>/dev/null) || return 0
  kill "-${2:-TERM}" "$pid" 2>/dev/null
  while kill -0 "$pid" 2>/dev/null; do
    tries=$((tries + 1))
    if [ $tries -eq 1200 ]; then echo "process $pid of $1 did not end within 60 s after SIG${2:-TERM}; killed" >&2; kill -KILL "$pid" 2>/dev/null; fi
    sleep 0.05
  done
  rm -f "$1/pid"
}

# free_base: a port P below the range the kernel hands out by itself, with P-2..P+2 unused at this moment.
# Two scripts may ask at once, so a port once given is remembered for an hour in a lock file.
free_base() {
  local port step taken dir=${TMPDIR:-/tmp}/ringmq-ports; mkdir -p "$dir"; find "$dir" -mmin +60 -delete 2>/dev/null; mkdir -p "$dir"
  while :; do
    port=$((12000 + (RANDOM % 1900) * 10)); taken=
    for step in -2 -1 0 1 2; do (exec 3<>"/dev/tcp/127.0.0.1/$((port + step))") 2>/dev/null && taken=1; done
    [ -z "$taken" ] && mkdir "$dir/$port" 2>/dev/null && { echo $port; return; }
  done
}
