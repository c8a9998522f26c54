//! From a scenario to the list of brokers to start, in order.
//!
//! Owns sides and their order. Must not start anything; pure, no clock.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};

use crate::matrix::scenario::{Broker, Replication, Scalar, Scenario};

/// Peers that can be started here.
const JAVA_VERSIONS: &[&str] = &["4.9.7", "5.3.3"];

/// Something to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Unique in a report.
    pub name: String,
    pub kind: Kind,
}

/// How a side comes to run.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Started here, with these lines in its configuration.
    Ringmq { settings: BTreeMap<String, Scalar> },
    /// Started here, nameserver and broker, from the jars of this version.
    Java { version: String },
    /// Runs already.
    Running { address: SocketAddr, pids: Vec<u32>, flush: String },
}

impl Side {
    /// Whether it is RingMQ, of whatever configuration.
    pub fn is_ringmq(&self) -> bool {
        matches!(self.kind, Kind::Ringmq { .. })
    }
}

/// One side on one broker of the scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Index into the scenario's brokers.
    pub broker: usize,
    pub flush: String,
    pub replication: Replication,
    pub side: Side,
}

/// `java-4.9.7`.
pub fn peer(name: &str) -> Result<Side, String> {
    let version = name.strip_prefix("java-").filter(|version| JAVA_VERSIONS.contains(version));
    let version = version.ok_or_else(|| {
        let known: Vec<String> = JAVA_VERSIONS.iter().map(|version| format!("java-{version}")).collect();
        format!(
            "--peer {name}: unknown peer; known: {}; for a broker that runs already --peer-address",
            known.join(", ")
        )
    })?;
    Ok(Side { name: name.into(), kind: Kind::Java { version: version.into() } })
}

/// `host:port` or `host:port:pid,pid`.
pub fn running(text: &str, flush: &str) -> Result<Side, String> {
    let wrong = |problem: String| format!("--peer-address {text}: {problem}");
    let mut parts = text.splitn(3, ':');
    let (Some(host), Some(port), pids) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("HOST:PORT or HOST:PORT:PID,PID expected".into()));
    };
    let port: u16 = port.parse().map_err(|_| wrong(format!("{port} is no port")))?;
    let mut addresses = (host, port).to_socket_addrs().map_err(|error| wrong(error.to_string()))?;
    let address = addresses.next().ok_or_else(|| wrong(format!("{host} has no address")))?;
    let pids = pids.unwrap_or_default().split(',').filter(|pid| !pid.is_empty());
    let pids: Vec<u32> =
        pids.map(|pid| pid.parse().map_err(|_| wrong(format!("{pid} is no pid")))).collect::<Result<_, _>>()?;
    Ok(Side { name: address.to_string(), kind: Kind::Running { address, pids, flush: flush.into() } })
}

/// The jobs of one round, in order; odd rounds (from 0) go through the sides backwards.
pub fn round(scenario: &Scenario, peers: &[Side], round: u32) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (index, broker) in scenario.brokers.iter().enumerate() {
        for (flush, replication) in
            broker.flush.iter().flat_map(|flush| scenario.replication.iter().map(move |mode| (flush, *mode)))
        {
            let mut sides = ringmq_sides(scenario, broker);
            sides.extend(peers.iter().filter(|peer| broker.peers && suits(peer, flush, replication, broker)).cloned());
            if round % 2 == 1 {
                sides.reverse();
            }
            let job = |side| Job { broker: index, flush: flush.clone(), replication, side };
            jobs.extend(sides.into_iter().map(job));
        }
    }
    jobs
}

/// A broker that runs already has the flush mode it has and whatever slaves it has, and is not killed.
fn suits(peer: &Side, flush: &str, replication: Replication, broker: &Broker) -> bool {
    use crate::matrix::scenario::Action::{CatchUp, KillAndRestart, Start};
    match &peer.kind {
        Kind::Running { flush: own, .. } => {
            let is_start = |action| matches!(action, Some(Start | KillAndRestart | CatchUp));
            own == flush && replication == Replication::Single && !broker.steps.iter().any(|step| is_start(step.action))
        }
        _ => true,
    }
}

/// RingMQ as a broker of the scenario is started: its configurations times their variations.
pub fn ringmq_sides(scenario: &Scenario, broker: &Broker) -> Vec<Side> {
    let mut sides: Vec<(String, BTreeMap<String, Scalar>)> =
        scenario.sides.iter().map(|side| (side.name.clone(), side.settings.clone())).collect();
    for (key, values) in &broker.vary {
        let with = |(name, settings): &(String, BTreeMap<String, Scalar>), value: &Scalar| {
            let mut settings = settings.clone();
            settings.insert(key.clone(), value.clone());
            (format!("{name} {key}={value}"), settings)
        };
        sides = sides.iter().flat_map(|side| values.iter().map(move |value| with(side, value))).collect();
    }
    sides.into_iter().map(|(name, settings)| Side { name, kind: Kind::Ringmq { settings } }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "name = 'x'\n[[side]]\nname = 'ringmq'\n[[broker]]\nname = 'a'\nflush = ['ASYNC_FLUSH', 'SYNC_FLUSH']\n\
        [[broker.step]]\nname = 's'\nmqbench = 'produce'\n[[broker]]\nname = 'b'\npeers = false\n\
        vary.flushWay = ['ring', 'new']\n[[broker.step]]\nname = 't'\naction = 'memory'\n";

    #[track_caller]
    fn check(peers: &[Side], index: u32, expected: &[&str]) {
        let scenario = Scenario::parse(TWO, "here").unwrap();
        let jobs = round(&scenario, peers, index);
        let told: Vec<String> =
            jobs.iter().map(|job| format!("{} {} {}", job.broker, job.flush, job.side.name)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn sides_alternate_and_variants_are_ringmq_only() {
        let java = [peer("java-4.9.7").unwrap()];
        check(
            &java,
            0,
            &[
                "0 ASYNC_FLUSH ringmq",
                "0 ASYNC_FLUSH java-4.9.7",
                "0 SYNC_FLUSH ringmq",
                "0 SYNC_FLUSH java-4.9.7",
                "1 ASYNC_FLUSH ringmq flushWay=ring",
                "1 ASYNC_FLUSH ringmq flushWay=new",
            ],
        );
        check(
            &java,
            1,
            &[
                "0 ASYNC_FLUSH java-4.9.7",
                "0 ASYNC_FLUSH ringmq",
                "0 SYNC_FLUSH java-4.9.7",
                "0 SYNC_FLUSH ringmq",
                "1 ASYNC_FLUSH ringmq flushWay=new",
                "1 ASYNC_FLUSH ringmq flushWay=ring",
            ],
        );
        let other = [running("127.0.0.1:10911:7,8", "SYNC_FLUSH").unwrap()];
        check(
            &other,
            0,
            &[
                "0 ASYNC_FLUSH ringmq",
                "0 SYNC_FLUSH ringmq",
                "0 SYNC_FLUSH 127.0.0.1:10911",
                "1 ASYNC_FLUSH ringmq flushWay=ring",
                "1 ASYNC_FLUSH ringmq flushWay=new",
            ],
        );
    }

    #[test]
    fn peers_are_named_in_full() {
        let side = running("127.0.0.1:10911:7,8", "ASYNC_FLUSH").unwrap();
        assert!(matches!(side.kind, Kind::Running { ref pids, .. } if *pids == [7, 8]));
        for wrong in ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:1:x", ""] {
            assert!(running(wrong, "ASYNC_FLUSH").unwrap_err().contains("--peer-address"), "{wrong}");
        }
        assert!(peer("java-1.0").unwrap_err().contains("java-4.9.7"));
        assert!(peer("kafka").unwrap_err().contains("unknown peer"));
    }
}
