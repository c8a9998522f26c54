#!/usr/bin/env bash
# record.sh [OUT]: records golden/ anew from a Java 4.9.7 nameserver, broker and client, in both header forms (some 5 minutes).
# Also cuts stored records out of the broker's commit log into OUT/store. Ports are free ones of 127.0.0.1.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); TESTS=$(cd "$HERE/../.." && pwd); . "$TESTS/java/env.sh"; . "$TESTS/lib.sh"
OUT=${1:-$TESTS/wire/golden}; mkdir -p "$OUT/store"; "$TESTS/java/fetch.sh" 4.9.7; "$TESTS/java/build.sh" 4.9.7
# Some answers name folders of the server: give it ones that say nothing about the machine.
work=/tmp/ringmq-record; rm -rf "$work"; mkdir "$work"; ln -s "$CACHE" "$work/java"; export RINGMQ_TEST_CACHE=$work/java; CACHE=$RINGMQ_TEST_CACHE
for form in JSON ROCKETMQ; do
  run=$work/$form; mkdir -p "$run"; ns=$(free_base) nsp=$(free_base) broker=$(free_base) brokerp=$(free_base)
  export JAVA_OPT_EXT="-Drocketmq.serialize.type=$form"
  "$TESTS/java/namesrv.sh" "$run/ns" "$ns"
  python3 "$HERE/record.py" "$OUT" "Java 4.9.7 client, broker and nameserver on JDK 17, serialize type $form" "$nsp" "$ns" "$brokerp" "$broker" "$HERE/codes.txt" & proxy=$!
  trap 'kill $proxy 2>/dev/null; "$TESTS/java/stop.sh" "$run/b" "$run/ns"' EXIT
  until (exec 3<>"/dev/tcp/127.0.0.1/$nsp") 2>/dev/null; do sleep 0.1; done
  # forceRegister=false makes the broker ask for its data version (322) before it registers again.
  "$TESTS/java/broker-conf.sh" "$run/store" "$broker" "127.0.0.1:$nsp" forceRegister=false registerNameServerPeriod=10000 \
    transactionTimeOut=3000 transactionCheckInterval=5000 storeMessageIndex=true > "$run/b.conf"
  "$TESTS/java/broker.sh" "$run/b" "$run/b.conf"
  for mode in full plain; do
    smart=true; [ $mode = plain ] && smart=false
    timeout 240 "$JAVA" $(client_options) $JAVA_OPT_EXT -Dorg.apache.rocketmq.client.sendSmartMsg=$smart -Duser.home="$run/home" -Drocketmq.client.logRoot="$run/home" \
      -Dlogback.configurationFile="$TESTS/java/logback-quiet.xml" -cp "$CACHE/classes-4.9.7:$CACHE/rocketmq-4.9.7/lib/*" \
      capture.Provoke "127.0.0.1:$nsp" "127.0.0.1:$brokerp" $mode
  done
  [ $form = JSON ] && python3 "$HERE/cut.py" "$run/store" "$OUT/store"
  "$TESTS/java/stop.sh" "$run/b"; "$TESTS/java/stop.sh" "$run/ns"; kill $proxy; trap - EXIT
done
rm -rf "$work"
