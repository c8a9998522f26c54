//! Random stories against a model that is too slow to be wrong: nested maps, everything recomputed by loops.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const ADDRESSES: [&str; 5] = ["h1", "h2", "h3", "h4", "h5"];
const TOPICS: [&str; 4] = ["T", "U", "V", "W"];
const EXPIRY_MS: i64 = 100;

#[derive(Default)]
struct Model {
    /// name -> (id -> address, topics)
    brokers: BTreeMap<&'static str, (BTreeMap<i64, &'static str>, BTreeSet<&'static str>)>,
    /// address -> (last registration, connection)
    live: BTreeMap<&'static str, (i64, u64)>,
}

impl Model {
    fn register(&mut self, name: &'static str, id: i64, address: &'static str, topics: &[&'static str]) {
        let (addresses, served) = self.brokers.entry(name).or_default();
        addresses.retain(|other, known| *other == id || *known != address);
        addresses.insert(id, address);
        if id == MASTER_ID {
            served.extend(topics);
        }
    }

    fn leave(&mut self, address: &'static str) {
        self.live.remove(address);
        // One address serves one broker name in these stories (see `Random::address`).
        for (addresses, _) in self.brokers.values_mut() {
            addresses.retain(|_, known| *known != address);
        }
        self.brokers.retain(|_, (addresses, _)| !addresses.is_empty());
    }

    fn route(&self, topic: &str) -> Vec<(&'static str, Vec<(i64, &'static str)>)> {
        let serving = self.brokers.iter().filter(|(_, (_, topics))| topics.contains(topic));
        serving.map(|(name, (addresses, _))| (*name, addresses.iter().map(|(id, a)| (*id, *a)).collect())).collect()
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// Addresses of `name` only: 1 or 2 of them, so that ids change hands.
    fn address(&mut self, name: usize) -> &'static str {
        ADDRESSES[name + self.below(2) * usize::from(name < 2) * 3]
    }
}

fn play(seed: u64) {
    let mut random = Random(seed);
    let (mut table, mut model) = (RouteTable::with_bounds(0, 10, 10, EXPIRY_MS), Model::default());
    let mut now_ms = 0;
    for step in 0..400 {
        now_ms += random.below(20) as i64;
        let name = random.below(NAMES.len());
        let address = random.address(name);
        let connection = random.below(4) as u64;
        match random.below(8) {
            0..=3 => {
                let id = random.below(3) as i64;
                let topics: Vec<_> = TOPICS.into_iter().filter(|_| random.below(2) == 0).collect();
                let parsed: Vec<_> = topics
                    .iter()
                    .map(|topic| {
                        let queue_data =
                            QueueData { read_queue_nums: 1, write_queue_nums: 1, perm: 6, topic_sys_flag: 0 };
                        (topic.to_string(), queue_data)
                    })
                    .collect();
                let registration = Registration {
                    cluster: "C",
                    broker_name: NAMES[name],
                    broker_address: address,
                    broker_id: id,
                    ha_server_address: "",
                    connection,
                    version: DataVersion { timestamp: 0, counter: step, state_version: 0 },
                    topics: &parsed,
                    filter_servers: None,
                };
                table.register(&registration, now_ms).unwrap();
                model.register(NAMES[name], id, address, &topics);
                model.live.insert(address, (now_ms, connection));
            }
            4 => {
                let id = random.below(3) as i64;
                let holds = model.brokers.get(NAMES[name]).is_some_and(|(held, _)| held.get(&id) == Some(&address));
                let is_known = model.live.contains_key(address) || holds;
                assert_eq!(table.unregister(NAMES[name], address, id, now_ms).is_some(), is_known, "seed {seed}");
                if is_known {
                    model.leave(address);
                }
            }
            5 => {
                table.connection_lost(connection, now_ms);
                let gone: Vec<_> =
                    model.live.iter().filter(|(_, live)| live.1 == connection).map(|(a, _)| *a).collect();
                gone.into_iter().for_each(|address| model.leave(address));
            }
            _ => {
                table.scan(now_ms);
                let gone: Vec<_> =
                    model.live.iter().filter(|(_, live)| now_ms - live.0 > EXPIRY_MS).map(|(a, _)| *a).collect();
                gone.into_iter().for_each(|address| model.leave(address));
            }
        }
        for topic in TOPICS {
            let found = table.route(topic).map_or_else(
                |_| Vec::new(),
                |route| {
                    let flat = |broker: BrokerRoute<'_>| {
                        let addresses = broker.addresses.iter().map(|(id, a)| (*id, a.to_string())).collect::<Vec<_>>();
                        (broker.broker_name.to_string(), addresses)
                    };
                    route.brokers.into_iter().map(flat).collect::<Vec<_>>()
                },
            );
            let expected: Vec<_> = model
                .route(topic)
                .into_iter()
                .map(|(name, addresses)| {
                    (name.to_string(), addresses.into_iter().map(|(id, a)| (id, a.to_string())).collect::<Vec<_>>())
                })
                .collect();
            assert_eq!(found, expected, "seed {seed}, step {step}, topic {topic}");
        }
        assert_eq!(table.broker_count(), model.live.len(), "seed {seed}, step {step}");
    }
}

#[test]
fn the_table_agrees_with_the_model() {
    for seed in 1..=300 {
        play(seed);
    }
}
