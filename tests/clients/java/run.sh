#!/usr/bin/env bash
# run.sh VERSION SCENARIO[,SCENARIO...]|all ns=HOST:PORT [key=value...]: scenarios of the Java client of that version (see
# Scenario.java). Fetches the jars and compiles at the first use. The client's own log goes to RINGMQ_CLIENT_LOG or a temp dir.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/../../java/env.sh"
VERSION=$1; shift
"$HERE/../../java/fetch.sh" "$VERSION"; "$HERE/../../java/build.sh" "$VERSION"
home=$(mktemp -d "${TMPDIR:-/tmp}/ringmq-client.XXXXXX"); trap 'rm -rf "$home"' EXIT
[ -n "${RINGMQ_CLIENT_LOG:-}" ] && mkdir -p "$RINGMQ_CLIENT_LOG"
# user.home: broadcasting consumers keep their offsets there, and nothing of a run may reach the next.
"$JAVA" $(client_options) -Duser.home="$home" -Drocketmq.client.logRoot="${RINGMQ_CLIENT_LOG:-$home}" ${JAVA_OPT_EXT:-} \
  -Dlogback.configurationFile="$HERE/../../java/logback-quiet.xml" -Drocketmq.client.localOffsetStoreDir="$home/offsets" -cp "$CACHE/classes-$VERSION:$CACHE/rocketmq-$VERSION/lib/*" scenario.Scenario "$@"
