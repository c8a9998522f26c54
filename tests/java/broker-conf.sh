#!/usr/bin/env bash
# broker-conf.sh STORE_DIR PORT NAMESRV [KEY=VALUE...]: prints a broker.conf that Java and RingMQ both read.
# The address for clients is 127.0.0.1; the HA port lies far from the VIP port (PORT-2), so neighbours do not collide.
STORE=$1 PORT=$2 NAMESRV=$3; shift 3
cat <<X
brokerClusterName=DefaultCluster
brokerName=broker-a
brokerId=0
namesrvAddr=$NAMESRV
brokerIP1=127.0.0.1
brokerIP2=127.0.0.1
listenPort=$PORT
haListenPort=$((PORT + 1))
brokerRole=ASYNC_MASTER
flushDiskType=ASYNC_FLUSH
deleteWhen=04
fileReservedTime=48
storePathRootDir=$STORE
storePathCommitLog=$STORE/commitlog
autoCreateTopicEnable=true
X
for extra in "$@"; do echo "$extra"; done
