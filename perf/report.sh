# Sourced by measure.sh: the rows as a page. Every figure is min / median / max over the rounds.

machine() {
  echo "- machine: $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB"
  echo "- kernel: $(uname -r); file system of the store: $(stat -f -c %T "$WORK") ($(df --output=source "$WORK" | tail -1))"
  [[ $SIDES = *java* ]] && echo "- Java: $("$JAVA" -version 2>&1 | sed -n 's/.*version "\(.*\)".*/\1/p'), broker: heap $HEAP, MaxDirectMemorySize 4g, other flags as in runbroker.sh, but without AlwaysPreTouch and GC logging; nameserver: heap $NAMESRV_HEAP, MaxDirectMemorySize 1g, else the same flags"
  echo "- RingMQ: $("$BIN/ringmq" --version), commit $(git -C "$HERE" rev-parse --short HEAD 2> /dev/null || echo unknown)"
  echo "- loader: mqbench on the same machine, over loopback; its CPU time is no part of the figures"
}

# figures WHAT SIDE KEY DIVISOR DIGITS: "min / median / max"
figures() {
  awk -F '\t' -v what="$1" -v side="$2" '$1 == what && $2 == side { print $3 }' "$ROWS" | tr ' ' '\n' | sed -n "s/^$3=//p" | grep -v '^-$' |
    sort -g | awk -v by="$4" -v digits="$5" '{ v[NR] = $1 / by } END {
      if (!NR) { print "-"; exit }
      f = "%." digits "f"; m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
      printf f " / " f " / " f "\n", v[1], m, v[NR] }'
}

# table TITLE KEY:HEADING:DIVISOR:DIGITS...
table() {
  local title=$1 whats column side what line; shift
  whats=$(cut -f1 "$ROWS" | awk -v re="$PATTERN" '$0 ~ re && !seen[$0]++')
  [ -z "$whats" ] && return
  printf '\n## %s\n\n| what | side |' "$title"
  for column in "$@"; do printf ' %s |' "$(cut -d: -f2 <<< "$column")"; done
  printf '\n|---|---|'; for column in "$@"; do printf -- '---|'; done; echo
  while read -r what; do
    for side in $SIDES; do
      line="| $what | $side |"
      for column in "$@"; do
        line+=" $(figures "$what" "$side" "$(cut -d: -f1 <<< "$column")" "$(cut -d: -f3 <<< "$column")" "$(cut -d: -f4 <<< "$column")") |"
      done
      echo "$line"
    done
  done <<< "$whats"
}

report() {
  echo "# $NAME, $(date +%F)"; echo
  echo "min / median / max over $ROUNDS interleaved rounds. Replication: none (ASYNC_MASTER without a slave). Command:"
  printf '\n    %s\n\n' "$COMMAND"
  machine
  PATTERN='^produce' table "Produce (latency in ms, from the instant a message was due)" "rate:msg/s:1:0" "p50:p50:1000:2" "p99:p99:1000:2" \
    "p999:p99.9:1000:2" "max:max:1000:1" "broker_cpu_us:CPU us/msg:1:1" "bad:not acked:1:0" "others_cpu_pct:others CPU %:1:0"
  PATTERN='^drain' table "Drain of one queue" "rate:msg/s:1:0" "mb_s:MB/s:1:0" "pull_p50:pull p50 ms:1000:2" "pull_p99:pull p99 ms:1000:2" \
    "broker_cpu_us:CPU us/msg:1:2" "others_cpu_pct:others CPU %:1:0"
  PATTERN='^(idle|after)' table "Memory (nameserver and broker together; the rest of the resident memory is mapped store files)" \
    "rss_kib:resident MiB:1024:1" "anon_kib:anonymous MiB:1024:1" "cpu_ms_a_second:CPU ms a second:1:2"
  PATTERN='^(start|restart)' table "Time to the first ack (from the start of the broker's command; Java's nameserver runs already)" "ms:ms:1:0" "store_mib:store MiB:1:0"
  printf '\nRows as measured:\n\n'; sed 's/^/    /' "$ROWS"
}
