//! What operators change in the table: write permission of a broker, deletion of a topic.
//!
//! All of it is soft: the next registration whose data version changed, or a restart, undoes it (as in 4.9.7).
//! Runs on the name server's thread.

use super::{How, PERM_READ, PERM_WRITE, RouteTable};

impl RouteTable {
    /// WIPE_WRITE_PERM_OF_BROKER (205): producers stop sending to this broker. Answers how many topics it serves.
    pub fn wipe_write_perm(&mut self, broker_name: &str) -> usize {
        self.set_perm(broker_name, |perm| perm & !PERM_WRITE)
    }

    /// ADD_WRITE_PERM_OF_BROKER (327): sets read and write, and loses the inherit bit, as Java does.
    pub fn add_write_perm(&mut self, broker_name: &str) -> usize {
        self.set_perm(broker_name, |_| PERM_READ | PERM_WRITE)
    }

    fn set_perm(&mut self, broker_name: &str, change: impl Fn(i32) -> i32) -> usize {
        let mut count = 0;
        for brokers in self.topics.values_mut() {
            for (_, queue_data) in brokers.iter_mut().filter(|(name, _)| **name == *broker_name) {
                queue_data.perm = change(queue_data.perm);
                count += 1;
            }
        }
        count
    }

    /// DELETE_TOPIC_IN_NAMESRV (216): from all brokers, or only from those of one cluster. The brokers must drop the
    /// topic first, or it returns with their next changed registration. Answers whether anything was removed.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>, now_ms: i64) -> bool {
        let Some((topic, brokers)) = self.topics.get_key_value(topic) else { return false };
        let topic = topic.clone();
        let Some(last_broker) = brokers.last().map(|(name, _)| name.clone()) else { return false };
        let names = match cluster {
            None => None,
            Some(cluster) => match self.clusters.get(cluster) {
                None => return false,
                Some(names) => Some(names),
            },
        };
        let Some(brokers) = self.topics.get_mut(&topic) else { return false };
        let before = brokers.len();
        brokers.retain(|(name, _)| names.is_some_and(|names| !names.contains(name)));
        let is_removed = brokers.len() < before;
        if brokers.is_empty() {
            self.topics.remove(&topic);
            self.remember(topic, last_broker, How::Deleted, now_ms);
        }
        is_removed
    }
}
