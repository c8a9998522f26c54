#!/usr/bin/env bash
# run.sh NAMESERVER: the C program against the C++ client's library out of the Python wheel.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); CACHE=${RINGMQ_TEST_CACHE:-$HOME/.cache/ringmq-tests}
venv=$("$HERE/../python/venv.sh"); library=$(find "$venv" -name librocketmq.so | head -n 1)
gcc -O1 -Wall -Wextra -o "$CACHE/c-scenarios" "$HERE/scenarios.c" "$library" -lpthread -Wl,-rpath,"$(dirname "$library")"
home=$(mktemp -d "${TMPDIR:-/tmp}/ringmq-c.XXXXXX"); trap 'rm -rf "$home"' EXIT
HOME=$home "$CACHE/c-scenarios" "$1" "$(date +%s%N)"
