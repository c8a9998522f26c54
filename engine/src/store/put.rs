//! Taking messages: checks, encoding into the shard's batch, and whether there is room for them.
//!
//! Part of [`ShardStore`], on its thread. A refused put leaves nothing behind.

use protocol::message::{self, EncodeError, NewRecord, layout, properties, sys_flag};

use super::ShardStore;
use super::queue_table::is_directory_name;
use super::shard_store::{BatchMessage, BatchUnit};
use super::types::PutMessage;
use crate::commitlog::tail::{BLANK_LEN, end_after};
use crate::error::PutRefused;
use crate::options::StoreRole;

fn refusal(error: &EncodeError) -> PutRefused {
    match *error {
        EncodeError::TopicTooLong(size) => PutRefused::TopicTooLong { size, max: layout::TOPIC_LEN_MAX },
        EncodeError::PropertiesTooLong(size) => PutRefused::PropertiesTooLong { size, max: layout::PROPERTIES_LEN_MAX },
        EncodeError::RecordTooLong(size) => PutRefused::BodyTooLarge { size, max: i32::MAX as usize },
    }
}

/// Properties that end with a zero get the separator Java up to 4.9.0 writes behind the last one: recovery takes a
/// record that ends with zeros for a torn one. No sane client sends such, so the list is copied only then.
fn end_properties<'a, 'm: 'a>(properties: &'m [&'m [u8]], ended: &'a mut Vec<&'m [u8]>) -> &'a [&'m [u8]] {
    let last = properties.iter().rev().find_map(|piece| piece.last());
    if last != Some(&0) {
        return properties;
    }
    ended.clear();
    ended.extend_from_slice(properties);
    ended.push(&[properties::PROPERTY_SEPARATOR]);
    ended
}

fn has_unit(flag: i32) -> bool {
    !matches!(sys_flag::transaction(flag), sys_flag::TRANSACTION_PREPARED | sys_flag::TRANSACTION_ROLLBACK)
}

impl<A> ShardStore<A> {
    /// Takes messages of one queue that this shard owns: one message, or a batch that gets consecutive queue offsets
    /// and lies in one file. Under SYNC_FLUSH `wait` says whether the ack waits for the flush. On a refusal nothing was
    /// taken and the ack comes back.
    pub fn put(&mut self, messages: &[PutMessage<'_>], wait: bool, ack: A) -> Result<(), (A, PutRefused)> {
        match self.take(messages) {
            Ok((count, size)) => {
                self.batch.units.push(BatchUnit { messages: count, size, wait, ack });
                Ok(())
            }
            Err(refused) => Err((ack, refused)),
        }
    }

    fn take(&mut self, messages: &[PutMessage<'_>]) -> Result<(usize, i64), PutRefused> {
        self.is_writable()?;
        let Some(first) = messages.first() else { return Err(PutRefused::Empty) };
        if messages.iter().any(|message| message.topic != first.topic || message.queue_id != first.queue_id) {
            return Err(PutRefused::NotWritable("a batch holds messages of one queue only".to_string()));
        }
        let Ok(queue_id) = i32::try_from(first.queue_id) else {
            return Err(PutRefused::NotWritable(format!("queue id {} does not fit into a record", first.queue_id)));
        };
        let body = messages.iter().fold(0usize, |sum, message| sum.saturating_add(message.body.len()));
        if body > self.core.options.max_body_size {
            return Err(PutRefused::BodyTooLarge { size: body, max: self.core.options.max_body_size });
        }
        let bytes_before = self.batch.bytes.len();
        let messages_before = self.batch.messages.len();
        let result = self.encode(messages, queue_id).and_then(|()| {
            let size = self.batch.bytes.len() - bytes_before;
            self.check_room(size).map(|()| (messages.len(), i64::try_from(size).unwrap_or(i64::MAX)))
        });
        if result.is_err() {
            self.batch.bytes.truncate(bytes_before);
            self.batch.messages.truncate(messages_before);
        }
        result
    }

    fn encode(&mut self, messages: &[PutMessage<'_>], queue_id: i32) -> Result<(), PutRefused> {
        let Some(first) = messages.first() else { return Err(PutRefused::Empty) };
        if first.topic.len() > layout::TOPIC_LEN_MAX {
            return Err(PutRefused::TopicTooLong { size: first.topic.len(), max: layout::TOPIC_LEN_MAX });
        }
        if !is_directory_name(first.topic) {
            return Err(PutRefused::NotWritable(format!("the topic {:?} cannot name a directory", first.topic)));
        }
        let slot = self.queue(first.topic, first.queue_id);
        let mut ended = Vec::new();
        for message in messages {
            let record = NewRecord {
                topic: message.topic,
                queue_id,
                flag: message.flag,
                sys_flag: message.sys_flag,
                born_timestamp: message.born_timestamp,
                born_host: message.born_host,
                store_host: message.store_host,
                reconsume_times: message.reconsume_times,
                prepared_transaction_offset: message.prepared_transaction_offset,
                body: message.body,
                properties: end_properties(message.properties, &mut ended),
            };
            let size = message::encode(&record, &mut self.batch.bytes).map_err(|error| refusal(&error))?;
            self.batch.messages.push(BatchMessage {
                slot,
                size: u32::try_from(size).unwrap_or(u32::MAX),
                tags_code: message.tags_code,
                has_unit: has_unit(message.sys_flag),
                physical: 0,
                queue_offset: 0,
            });
        }
        let queue = self.queues.get_mut(slot).ok_or(PutRefused::Empty)?;
        if queue.units.is_none() {
            queue.open(&self.core.options).map_err(|error| {
                tracing::error!(topic = first.topic, queue_id, %error, "a consume queue cannot be opened");
                PutRefused::NotWritable(format!("the consume queue cannot be opened: {error}"))
            })?;
        }
        Ok(())
    }

    /// Whether a unit of `size` bytes, now the last of the batch, fits into a file and into the files there are or can
    /// be made. Other shards may take the room before `commit` does; then the put fails there.
    fn check_room(&mut self, size: usize) -> Result<(), PutRefused> {
        let segment_size = self.core.segments.size();
        let unit = i64::try_from(size).unwrap_or(i64::MAX);
        if unit.saturating_add(BLANK_LEN) > segment_size {
            let max = usize::try_from(segment_size.saturating_sub(BLANK_LEN)).unwrap_or(0);
            return Err(PutRefused::BodyTooLarge { size, max });
        }
        let batch = i64::try_from(self.batch.bytes.len()).unwrap_or(i64::MAX);
        let from = self.core.tail.next();
        let room_end = self.core.segments.room_end();
        // Cheap and nearly always true: all of it fits into the file at the end of the log.
        let left = segment_size.saturating_sub(from.rem_euclid(segment_size));
        if from < room_end && left >= batch.saturating_add(BLANK_LEN) {
            return Ok(());
        }
        let units = self.batch.units.iter().map(|unit| unit.size).chain([unit]);
        let end = end_after(from, segment_size, units);
        if end <= room_end { Ok(()) } else { self.core.room_for(end) }
    }

    /// Whether a put would be taken.
    pub fn is_writable(&self) -> Result<(), PutRefused> {
        if self.closed {
            return Err(PutRefused::ShuttingDown);
        }
        if self.core.options.role == StoreRole::Slave {
            return Err(PutRefused::Slave);
        }
        if let Some(refused) = self.core.progress.refused() {
            return Err(refused);
        }
        if self.batch.write_again.is_some() {
            // The batch has its place in the log already and takes no more.
            return Err(self.core.disk_full("storePathCommitLog"));
        }
        Ok(())
    }
}
