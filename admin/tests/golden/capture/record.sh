#!/usr/bin/env bash
# record.sh [CASE...]: writes CASE/java anew: what Java's own mqadmin prints when its nameservers and brokers give CASE/answers.
# CASE/args holds the version of the tools and the arguments. The addresses are of 127.0.1.x, so that nobody else's are met.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); GOLDEN=$HERE/..; TESTS=$HERE/../../../../tests; . "$TESTS/java/env.sh"
[ $# -gt 0 ] || set -- $(cd "$GOLDEN" && ls -d */ | grep -v capture | tr -d /)
home=$(mktemp -d); trap 'rm -rf "$home"' EXIT
for case in "$@"; do
  { read -r version; read -r arguments; } < "$GOLDEN/$case/args"
  "$TESTS/java/fetch.sh" "$version"
  coproc SERVER { exec python3 "$HERE/server.py" "$GOLDEN/$case"; }
  read -r _ <&"${SERVER[0]}"
  # The answers' order of lines: those that Java prints on standard error are not part of the golden text.
  timeout 60 "$JAVA" $(client_options) -Duser.home="$home" -Duser.timezone=UTC -Drocketmq.client.logRoot="$home" -Drocketmq.home.dir="$CACHE/rocketmq-$version" \
    -Dlogback.configurationFile="$TESTS/java/logback-quiet.xml" -cp "$CACHE/rocketmq-$version/lib/*" \
    org.apache.rocketmq.tools.command.MQAdminStartup $arguments > "$GOLDEN/$case/java" 2> "$home/err" || { cat "$home/err"; exit 1; }
  eval "exec ${SERVER[1]}>&-"; wait "$SERVER_PID" 2>/dev/null || true
  echo "$case: $(wc -l < "$GOLDEN/$case/java") lines, $(wc -l < "$home/err") on standard error"
done
