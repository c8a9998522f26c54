#!/usr/bin/env bash
# fetch.sh VERSION...: jars of Apache RocketMQ from Maven Central into $CACHE/rocketmq-VERSION/lib, once.
# The 4.9.7 broker ends at once when its conf/logback_*.xml are missing, so these are written too.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); . "$HERE/env.sh"
[ $# -gt 0 ] || set -- 4.3.1 4.9.7 5.5.0
for version in "$@"; do
  home=$CACHE/rocketmq-$version; mkdir -p "$home/conf"
  case $version in 4.9.*) profile=-Pserver; want=rocketmq-broker ;; *) profile=; want=rocketmq-client ;; esac
  if ! compgen -G "$home/lib/$want-*.jar" > /dev/null; then
    rm -rf "$home/lib.tmp" "$home/lib"
    mvn -q -B -f "$HERE/pom.xml" $profile -Drocketmq.version="$version" dependency:copy-dependencies \
      -DoutputDirectory="$home/lib.tmp" -DincludeScope=runtime
    mv "$home/lib.tmp" "$home/lib"
  fi
  for name in broker namesrv tools; do cat > "$home/conf/logback_$name.xml" <<X
<configuration>
  <appender name="F" class="ch.qos.logback.core.FileAppender"><file>\${user.home}/$name.log</file>
    <encoder><pattern>%d{HH:mm:ss.SSS} %p %c{0} %t - %m%n</pattern></encoder></appender>
  <root level="INFO"><appender-ref ref="F"/></root>
</configuration>
X
  done
  # The tools of 5.x print their whole log on the console when no configuration is found.
  cp "$home/conf/logback_tools.xml" "$home/conf/rmq.tools.logback.xml"
done
