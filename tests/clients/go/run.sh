#!/usr/bin/env bash
# run.sh NAMESERVER BROKER [SCENARIO,...]: scenarios of rocketmq-client-go (see main.go); modules come by the Go module proxy once.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); CACHE=${RINGMQ_TEST_CACHE:-$HOME/.cache/ringmq-tests}; mkdir -p "$CACHE"
(cd "$HERE" && GOFLAGS="${GOFLAGS:-} -mod=readonly" go build -o "$CACHE/go-scenarios" .)
home=$(mktemp -d "${TMPDIR:-/tmp}/ringmq-go.XXXXXX"); trap 'rm -rf "$home"' EXIT
HOME=$home ROCKETMQ_GO_LOG_LEVEL=error "$CACHE/go-scenarios" "$@"
