#!/usr/bin/env bash
# run.sh NAMESERVER: scenarios of the Node client ali-ons. Its modules come from npm once, into the cache folder; no lock file is
# kept, because one would name the registry of whoever wrote it. The topics are made by the Java client's createTopic.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/../../java/env.sh"
modules=$CACHE/node-ali-ons
if [ ! -d "$modules/node_modules/ali-ons" ]; then
  mkdir -p "$modules"; cp "$HERE/package.json" "$modules/"
  (cd "$modules" && npm install --no-package-lock --no-audit --no-fund --loglevel=error >&2)
fi
run=$(date +%s%N)
"$HERE/../java/run.sh" 4.9.7 make-topics ns="$1" names="node_plain_$run,node_tags_$run,node_retry_$run" > /dev/null
home=$(mktemp -d "${TMPDIR:-/tmp}/ringmq-node.XXXXXX"); trap 'rm -rf "$home"' EXIT
HOME=$home RINGMQ_NODE_MODULES=$modules/node_modules node "$HERE/scenarios.js" "$1" "$run"
