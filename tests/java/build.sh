#!/usr/bin/env bash
# build.sh VERSION...: compiles the test programs against each version's jars into $CACHE/classes-VERSION.
# One source tree serves 4.3.1 to 5.5.0; src-lite/ needs the lite pull consumer (4.6 and later), store/ and capture/ the tools
# of 4.9.7. Nothing is compiled again while no source has changed.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/env.sh"
TESTS=$(cd "$HERE/.." && pwd)
[ $# -gt 0 ] || set -- 4.3.1 4.9.7 5.5.0
for version in "$@"; do
  dirs=("$TESTS/clients/java/src")
  case $version in 4.3.*|4.4.*) ;; *) dirs+=("$TESTS/clients/java/src-lite") ;; esac
  case $version in 4.9.*) dirs+=("$TESTS/java/store" "$TESTS/wire/capture") ;; esac
  mapfile -t sources < <(find "${dirs[@]}" -name '*.java' | sort)
  out=$CACHE/classes-$version; stamp=$(cat "${sources[@]}" | sha256sum | cut -d' ' -f1)
  [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ] && continue
  rm -rf "$out"; mkdir -p "$out"
  "$JAVAC" -nowarn -Xlint:none --release 8 -encoding UTF-8 -cp "$CACHE/rocketmq-$version/lib/*" -d "$out" "${sources[@]}" 2>&1 |
    { grep -v -e '^Note:' -e 'bootstrap class path' -e 'release 8\|value 8' -e '^[0-9]* warning' || true; }
  [ "${PIPESTATUS[0]}" = 0 ]
  echo "$stamp" > "$out/.stamp"
done
