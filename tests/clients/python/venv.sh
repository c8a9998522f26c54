#!/usr/bin/env bash
# venv.sh: a virtual environment with rocketmq 0.4.4 under the cache folder, made once; prints its folder.
set -euo pipefail
CACHE=${RINGMQ_TEST_CACHE:-$HOME/.cache/ringmq-tests}; venv=$CACHE/python-rocketmq
if ! "$venv/bin/python" -c 'import rocketmq' 2>/dev/null; then
  rm -rf "$venv"; mkdir -p "$CACHE"; python3 -m venv "$venv"; "$venv/bin/pip" install -q rocketmq==0.4.4 >&2
fi
echo "$venv"
