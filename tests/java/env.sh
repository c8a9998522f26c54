# Sourced by every script here: where the jars lie and how a Java server of RocketMQ is run on JDK 17.
# Nothing is started by sourcing it. RINGMQ_TEST_CACHE moves the folder of fetched things (jars, classes, venv, modules).
CACHE=${RINGMQ_TEST_CACHE:-$HOME/.cache/ringmq-tests}
JAVA=${JAVA_HOME:+$JAVA_HOME/bin/}java
JAVAC=${JAVA_HOME:+$JAVA_HOME/bin/}javac

# jvm_options HEAP DIRECT: RocketMQ's own flags with a small heap. Without the --add-opens a 4.9.7 broker on JDK 17 ends
# silently with code 253 as soon as it has to unmap a file, which is at its second start.
jvm_options() {
  echo "-server -Xms$1 -Xmx$1 -XX:+UseG1GC -XX:MaxDirectMemorySize=$2 -XX:-OmitStackTraceInFastThrow \
    --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED --add-exports=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/jdk.internal.ref=ALL-UNNAMED"
}

# client_options: what the old clients (4.3.1) need of JDK 17; harmless for the newer ones.
client_options() {
  echo "-Xmx768m -XX:+UseSerialGC -XX:TieredStopAtLevel=4 --add-opens=java.base/java.nio=ALL-UNNAMED \
    --add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED -Drocketmq.client.logLevel=WARN \
    -Drocketmq.client.logUseSlf4j=false"
}
