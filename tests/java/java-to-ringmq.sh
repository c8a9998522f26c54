#!/usr/bin/env bash
# java-to-ringmq.sh MQBROKER MQNAMESRV [clean|killed]: Java fills a store, RingMQ opens it in place, shows and adds, Java shows all.
set -euo pipefail
export RINGMQ_BROKER=$1 RINGMQ_NAMESRV=$2
exec "$(dirname "${BASH_SOURCE[0]}")/exchange.sh" "${3:-clean}" java ringmq
