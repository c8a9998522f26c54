#!/usr/bin/env bash
# stop.sh [-9] RUN_DIR...: ends the servers whose pid lies in RUN_DIR/pid and waits for their end. -9 kills at once.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/../lib.sh"
signal=TERM; [ "${1:-}" = -9 ] && { signal=KILL; shift; }
for run in "$@"; do stop_run "$run" "$signal"; done
