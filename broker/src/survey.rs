//! Questions about queues of several shards: a letter goes from shard to shard, home first, and each adds what it knows
//! of its own queues.
//!
//! Owns the walk and what it gathers; what is asked and how it is answered belongs to the handlers. Nothing waits
//! anywhere for the letter: whoever adds the last part answers. A shard looks at a bounded number of queues a turn; the
//! log is read by a thread. Runs on every shard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::code::response;

use crate::call::{Refusal, ReplyTo};
use crate::core::Core;
use crate::handler::{consume_stats, topic_stats};
use crate::mesh::ToShard;

/// Surveys on their way at a time, over all shards.
const SURVEYS_MAX: usize = 32;
/// Queues of one survey; more do not fit into a frame.
const QUEUES_MAX: usize = 65_536;
/// Queues a shard looks at in one turn.
const QUEUES_PER_TURN: usize = 256;

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// What is kept of a topic's queues.
    Topic,
    /// On which topics a group has progress; then how far it is there.
    TopicsOf {
        group: String,
        topics: BTreeSet<String>,
        /// Every shard has added its topics.
        is_complete: bool,
    },
    /// How far a group is, which consumes so many messages a second.
    Group { group: String, consume_tps: f64 },
}

/// A part of a queue.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Place of the queue's topic in [`Survey::topics`].
    pub topic: usize,
    /// The queue.
    pub queue_id: i32,
    /// Its first queue offset.
    pub begin: i64,
    /// One past its last queue offset.
    pub end: i64,
    /// The message whose store time is asked for.
    pub physical_offset: Option<i64>,
}

/// One of [`SURVEYS_MAX`] places, given back when dropped.
#[derive(Debug)]
pub struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let permit = Permit(taken.clone());
        (taken.fetch_add(1, Ordering::Relaxed) < SURVEYS_MAX).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A question on its way.
#[derive(Debug)]
pub struct Survey {
    /// Where the answer goes.
    pub to: ReplyTo,
    /// What is asked.
    pub question: Question,
    /// Of which topics, and how many queues each has.
    pub topics: Vec<(String, i32)>,
    /// What was found so far.
    pub parts: Vec<Part>,
    /// Where the shard that has it goes on: topic, and queue unless it is that topic's first.
    place: (usize, Option<i32>),
    /// Held until the answer is made.
    _permit: Permit,
}

impl Survey {
    /// Bytes it keeps in memory, roughly.
    pub fn weight(&self) -> usize {
        self.parts.len() * size_of::<Part>()
    }

    /// The topics asked about, from now on.
    pub fn set_topics(&mut self, topics: Vec<(String, i32)>) -> Result<(), Refusal> {
        let queues: usize = topics.iter().map(|(_, queues)| usize::try_from(*queues).unwrap_or(0)).sum();
        if queues > QUEUES_MAX {
            let why =
                format!("{queues} queues of {} topics are more than one answer holds; ask by topic", topics.len());
            return Err(Refusal::new(response::SYSTEM_ERROR, why));
        }
        self.topics = topics;
        Ok(())
    }

    /// The next queue of shard `id` from the survey's place on, which moves behind it.
    fn next(&mut self, id: usize, shards: usize) -> Option<(usize, i32)> {
        while let Some((name, queues)) = self.topics.get(self.place.0) {
            let first = || (0..*queues).take(shards).find(|queue| engine::owner(name, *queue as u32, shards) == id);
            match self.place.1.or_else(first).filter(|queue| queue < queues) {
                Some(queue_id) => {
                    // Consecutive queues of a topic lie on consecutive shards.
                    let step = i32::try_from(shards).unwrap_or(i32::MAX);
                    self.place.1 = Some(queue_id.saturating_add(step));
                    return Some((self.place.0, queue_id));
                }
                None => self.place = (self.place.0 + 1, None),
            }
        }
        None
    }
}

impl Core {
    /// Sends a question on its way; home only.
    pub fn begin_survey(&mut self, to: ReplyTo, question: Question, topics: Vec<(String, i32)>) -> Result<(), Refusal> {
        let Some(permit) = Permit::take(&self.surveys) else {
            let why = format!("[OVERLOAD]system busy: {SURVEYS_MAX} requests for statistics are on their way");
            return Err(Refusal::new(response::SYSTEM_BUSY, why));
        };
        let mut survey =
            Survey { to, question, topics: Vec::new(), parts: Vec::new(), place: (0, None), _permit: permit };
        survey.set_topics(topics)?;
        self.send(self.id, ToShard::Survey(Box::new(survey)));
        Ok(())
    }

    /// Adds this shard's part and passes the survey on, or answers it.
    pub fn survey(&mut self, mut survey: Box<Survey>) {
        let shards = self.env.shards();
        let mut is_done = true;
        match &mut survey.question {
            Question::TopicsOf { is_complete: true, .. } => {
                let to = survey.to;
                match consume_stats::topics_are_known(self, &mut survey) {
                    Ok(()) => self.send(self.id, ToShard::Survey(survey)),
                    Err(refusal) => self.refuse(&to, protocol::code::request::GET_CONSUME_STATS, &refusal),
                }
                return;
            }
            Question::TopicsOf { group, topics, .. } => topics.extend(self.progress.topics(group).map(str::to_owned)),
            Question::Topic | Question::Group { .. } => is_done = self.look(&mut survey),
        }
        if !is_done {
            self.send(self.id, ToShard::Survey(survey));
            return;
        }
        survey.place = (0, None);
        if self.id + 1 < shards {
            self.send(self.id + 1, ToShard::Survey(survey));
            return;
        }
        match &mut survey.question {
            Question::TopicsOf { is_complete, .. } => {
                *is_complete = true;
                self.send(0, ToShard::Survey(survey));
            }
            Question::Topic => topic_stats::answer(self, survey),
            Question::Group { .. } => consume_stats::answer(self, survey),
        }
    }

    /// Looks at some of this shard's queues; whether none is left.
    fn look(&mut self, survey: &mut Survey) -> bool {
        for _ in 0..QUEUES_PER_TURN {
            let Some((topic, queue_id)) = survey.next(self.id, self.env.shards()) else { return true };
            let Some((name, _)) = survey.topics.get(topic) else { return true };
            let slot = u32::try_from(queue_id).ok().and_then(|id| self.store.queue_if_known(name, id));
            let end = slot.map_or(0, |slot| self.store.max_offset(slot));
            // The message whose time counts is the last of the topic's queue, and the last the group consumed.
            let (begin, timed) = match &survey.question {
                Question::Group { group, .. } => {
                    let progress = self.progress.get(group, name, queue_id).unwrap_or(0).max(0);
                    (progress, progress.saturating_sub(1))
                }
                _ => (slot.map_or(0, |slot| self.store.min_offset(slot)), end.saturating_sub(1)),
            };
            let physical_offset = slot
                .filter(|_| timed >= 0)
                .and_then(|slot| self.store.locate(slot, timed))
                .map(|(physical_offset, _)| physical_offset);
            survey.parts.push(Part { topic, queue_id, begin, end, physical_offset });
        }
        false
    }
}

#[cfg(test)]
impl Survey {
    /// What was found, as handlers get it.
    pub fn found(question: Question, topics: &[(&str, i32)], parts: Vec<Part>) -> Self {
        let form = protocol::command::HeaderForm::Json;
        let to = ReplyTo { conn: remoting::net::ConnId(0), opaque: 0, form, oneway: false };
        let topics = topics.iter().map(|(name, queues)| ((*name).to_owned(), *queues)).collect();
        let permit = Permit::take(&Arc::default()).expect("the first");
        Survey { to, question, topics, parts, place: (0, None), _permit: permit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_is_met_once_by_its_owner() {
        let topics = [("T", 5), ("none", 0), ("a longer name", 1), ("%RETRY%g", 17)];
        for shards in [1, 2, 3, 4, 7] {
            let mut survey = Survey::found(Question::Topic, &topics, Vec::new());
            let mut met = BTreeSet::new();
            for id in 0..shards {
                survey.place = (0, None);
                while let Some((topic, queue_id)) = survey.next(id, shards) {
                    assert_eq!(engine::owner(topics[topic].0, queue_id as u32, shards), id);
                    assert!(met.insert((topic, queue_id)), "{topic} {queue_id} twice on {shards}");
                }
            }
            let all = topics.iter().enumerate().flat_map(|(topic, (_, queues))| (0..*queues).map(move |q| (topic, q)));
            assert_eq!(met, all.collect(), "{shards}");
        }
    }

    #[test]
    fn places_and_queues_are_bounded() {
        let taken = Arc::default();
        let mut permits: Vec<Permit> = std::iter::from_fn(|| Permit::take(&taken)).collect();
        assert_eq!(permits.len(), SURVEYS_MAX);
        assert!(Permit::take(&taken).is_none());
        permits.pop();
        assert!(Permit::take(&taken).is_some(), "a place is free again");
        let mut survey = Survey::found(Question::Topic, &[], Vec::new());
        let refusal = survey.set_topics(vec![("A".into(), 65_536), ("B".into(), 1)]).expect_err("too many");
        assert_eq!((refusal.code, refusal.remark.contains("65537 queues of 2 topics")), (1, true), "{refusal:?}");
        assert!(survey.set_topics(vec![("A".into(), 65_536), ("B".into(), -1)]).is_ok());
    }
}
