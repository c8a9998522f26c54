# The steps of tests/run: how one is run, counted, and said; a pool of several at once. Sourced after lib.sh.
# A step is a function or command with a log of its own. What it counts for is read from its log: lines "PASS name" and
# "FAIL name" of the client programs, "test result:" lines of cargo and of the suites, else the step is one test itself.

LOGS=${RINGMQ_TEST_LOGS:-$(mktemp -d "${TMPDIR:-/tmp}/ringmq-tests.XXXXXX")}; mkdir -p "$LOGS"
RESULTS=$LOGS/results; : > "$RESULTS"

# say LINE...: one whole line at a time, from whichever job.
say() { flock "$RESULTS" echo "$@"; }

# counted LOG STATUS: "passed failed skipped" of a step by its log and its exit status.
counted() {
  awk -v status="$2" '
    /^PASS / { passed++ }
    /^FAIL / { failed++ }
    /^SKIPPED / { skipped++ }
    /^test result:/ {
      for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) passed += $(i - 1)
        if ($i ~ /^failed/) failed += $(i - 1)
        if ($i ~ /^(ignored|skipped)/) skipped += $(i - 1)
      }
    }
    END {
      if (status == 0 && passed + failed + skipped == 0) passed = 1
      if (status != 0 && failed == 0) failed = 1
      if (status == 0 && failed > 0) status = 1
      print passed + 0, failed + 0, skipped + 0
    }' "$1"
}

# How many times the limits below a step may take: they are for a machine of its own, and only there to end what hangs.
PATIENCE=${RINGMQ_TEST_PATIENCE:-3}

# step SECONDS NAME COMMAND...: runs it with a time limit, says PASS or FAIL with counts and log.
step() {
  local limit=$(($1 * PATIENCE)) name=$2 log begin=$SECONDS status passed failed skipped; shift 2
  log=$LOGS/$name.log
  # timeout gives the step a process group of its own and ends all of it; functions come along because they are exported.
  timeout -k 20 "$limit" bash -c 'set -euo pipefail; "$@"' step "$@" > "$log" 2>&1 < /dev/null; status=$?
  [ $status -eq 124 ] && echo "step $name: no end within $limit s" >> "$log"
  read -r passed failed skipped < <(counted "$log" $status)
  if [ "$failed" -gt 0 ]; then
    say "FAIL $name ($passed passed, $failed failed, $skipped skipped, $((SECONDS - begin)) s) $log"
    { grep -E '^(FAIL |error|test .* FAILED|  .*: want |.*panicked at)' "$log" || tail -n 12 "$log"; } | cut -c1-400 | head -n 20 | sed 's/^/    /' | flock "$RESULTS" cat
  else
    say "PASS $name ($passed passed, $skipped skipped, $((SECONDS - begin)) s) $log"
    grep -E '^(test )?[^ ]* ?SKIPPED' "$log" | cut -c1-300 | sed 's/^/    /' | flock "$RESULTS" cat
  fi
  flock "$RESULTS" echo "$name $passed $failed $skipped" >> "$RESULTS"
  [ "$failed" -eq 0 ]
}

# skip NAME WHY: a step that cannot run here, loudly.
skip() { say "SKIPPED $1: $2"; flock "$RESULTS" echo "$1 0 0 1" >> "$RESULTS"; }

# pool WIDTH: waits until fewer than WIDTH background steps of ours run; pool 1 waits for all.
pool() { while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do wait -n 2>/dev/null || true; done; }

# summary: the closing line; its status is that of the whole run.
summary() {
  awk '{ passed += $2; failed += $3; skipped += $4 } END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }' "$RESULTS"
}
