//! The topics and queues a load goes to.
//!
//! Owns their names and their numbering: neighbours differ in the topic, so that a round goes over all topics before
//! it comes to the next queue. Asks the broker before and after a load, never during it. Main thread.

use client::{Broker, TopicSpec};

/// Most queues of all topics together: each has its template, some 350 bytes, and its offsets.
pub const QUEUES_MAX: usize = 400_000;

/// Topics that are created one after the other, over the connection that is there.
const ONE_BY_ONE: usize = 64;
/// Connections that create the others.
const CREATORS: usize = 64;

/// Queues numbered from 0.
#[derive(Clone, Debug)]
pub struct Queues {
    topics: Vec<String>,
    queues: u32,
}

impl Queues {
    /// `topic`, or with several topics `topic-0`, `topic-1`, ...
    pub fn new(topic: &str, topics: u32, queues: u32) -> Result<Queues, String> {
        if topics as usize * queues as usize > QUEUES_MAX {
            return Err(format!("{topics} topics with {queues} queues each are more than {QUEUES_MAX} queues"));
        }
        let topics = match topics {
            0 | 1 => vec![topic.to_owned()],
            count => (0..count).map(|number| format!("{topic}-{number}")).collect(),
        };
        Ok(Queues { topics, queues: queues.max(1) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.topics.len() * self.queues as usize
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Topic and queue id of a number.
    pub fn name(&self, index: usize) -> (&str, u32) {
        (&self.topics[index % self.topics.len()], (index / self.topics.len()) as u32)
    }

    /// Creates the topics, or changes their number of queues. Many of them are asked for by several connections at
    /// once: a broker answers when the topic is on disk and nameservers know it, and those under way can share that.
    pub fn create(&self, broker: &mut Broker) -> Result<(), String> {
        let (first, rest) = self.topics.split_at(self.topics.len().min(ONE_BY_ONE));
        self.create_these(first, broker)?;
        let peer = broker.peer();
        std::thread::scope(|scope| {
            let at_once: Vec<_> = rest
                .chunks(rest.len().div_ceil(CREATORS).max(1))
                .map(|topics| {
                    scope.spawn(move || {
                        let mut broker =
                            Broker::connect(peer).map_err(|error| format!("connecting to {peer}: {error}"))?;
                        self.create_these(topics, &mut broker)
                    })
                })
                .collect();
            at_once
                .into_iter()
                .try_for_each(|one| one.join().unwrap_or_else(|_| Err("creating topics panicked".into())))
        })
    }

    fn create_these(&self, topics: &[String], broker: &mut Broker) -> Result<(), String> {
        topics.iter().try_for_each(|topic| {
            broker
                .create_topic(&TopicSpec::new(topic, self.queues as i32))
                .map_err(|error| format!("creating topic {topic}: {error}"))
        })
    }

    /// The next offset of each queue.
    pub fn max_offsets(&self, broker: &mut Broker) -> Result<Vec<i64>, String> {
        (0..self.len())
            .map(|index| {
                let (topic, queue) = self.name(index);
                broker
                    .max_offset(topic, queue as i32)
                    .map_err(|error| format!("max offset of queue {queue} of {topic}: {error}"))
            })
            .collect()
    }

    /// The next offsets, added up: rises with every stored message.
    pub fn stored(&self, broker: &mut Broker) -> Result<u64, String> {
        Ok(self.max_offsets(broker)?.into_iter().map(|offset| u64::try_from(offset).unwrap_or(0)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_goes_over_the_topics_first() {
        let queues = Queues::new("T", 2, 2).unwrap();
        let names: Vec<(&str, u32)> = (0..queues.len()).map(|index| queues.name(index)).collect();
        assert_eq!(names, [("T-0", 0), ("T-1", 0), ("T-0", 1), ("T-1", 1)]);
        let queues = Queues::new("T", 1, 3).unwrap();
        assert_eq!((0..3).map(|index| queues.name(index)).collect::<Vec<_>>(), [("T", 0), ("T", 1), ("T", 2)]);
    }

    #[test]
    fn too_many_are_refused() {
        assert!(Queues::new("T", 10_000, 1024).unwrap_err().contains("400000"));
        assert_eq!(Queues::new("T", 100_000, 4).map(|queues| queues.len()), Ok(QUEUES_MAX));
    }
}
