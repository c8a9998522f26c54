#!/usr/bin/env bash
# run.sh NAMESERVER [SCENARIO,...]: scenarios of the Python client (see scenarios.py).
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); venv=$("$HERE/venv.sh")
# The library writes its log below HOME.
home=$(mktemp -d "${TMPDIR:-/tmp}/ringmq-python.XXXXXX"); trap 'rm -rf "$home"' EXIT
HOME=$home "$venv/bin/python" "$HERE/scenarios.py" "$@"
