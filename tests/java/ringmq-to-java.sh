#!/usr/bin/env bash
# ringmq-to-java.sh MQBROKER MQNAMESRV [clean|killed]: RingMQ fills a store, Java opens it in place, shows and adds, RingMQ shows all.
set -euo pipefail
export RINGMQ_BROKER=$1 RINGMQ_NAMESRV=$2
exec "$(dirname "${BASH_SOURCE[0]}")/exchange.sh" "${3:-clean}" ringmq java
