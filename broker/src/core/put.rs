//! Messages the broker stores for itself, and whom a stored message is acknowledged to.

use super::*;

impl Core {
    /// Stores a message of the broker's own in its queue, wherever that lies.
    pub fn put(&mut self, put: OwnedPut) {
        let owner = engine::owner(&put.topic, put.queue_id, self.env.shards());
        if owner == self.id {
            self.put_here(put);
        } else if self.out_bytes[owner] >= OUT_BYTES_MAX {
            self.not_stored(put.ack, &overloaded(owner));
        } else {
            self.send(owner, ToShard::Put(Box::new(put)));
        }
    }

    pub(super) fn put_here(&mut self, put: OwnedPut) {
        let message = PutMessage {
            topic: &put.topic,
            queue_id: put.queue_id,
            flag: put.flag,
            sys_flag: put.sys_flag,
            born_timestamp: put.born_timestamp,
            born_host: put.born_host,
            store_host: put.store_host,
            reconsume_times: put.reconsume_times,
            prepared_transaction_offset: 0,
            body: &put.body,
            properties: &[&put.properties],
            tags_code: put.tags_code,
        };
        // Not waiting for the flush, as Java's WAIT=false on messages the broker makes.
        if let Err((ack, refused)) = self.store.put(&[message], false, put.ack) {
            self.not_stored(ack, &crate::response_code::refused(&refused));
        }
        self.port.poke();
    }

    pub(super) fn not_stored(&mut self, ack: Ack, refusal: &Refusal) {
        match ack {
            Ack::Send { to, .. } => self.refuse(&to, protocol::code::request::SEND_MESSAGE, refusal),
            Ack::SendBack { to } => self.refuse(&to, 0, refusal),
            Ack::Delayed { shard, level, queue_offset } => {
                self.send(shard, ToShard::Delivered { level, queue_offset, stored: false });
            }
            Ack::Nobody => tracing::warn!(reason = refusal.remark, "a message of the broker's own was not stored"),
        }
    }

    pub(super) fn acknowledge(&mut self, ack: Ack, outcome: PutOutcome) {
        match ack {
            Ack::Send { to, queue_id } => crate::handler::send_message::acknowledge(self, &to, queue_id, &outcome),
            Ack::SendBack { to } if outcome.status == engine::PutStatus::NoRoom => {
                let refusal = self.no_room();
                self.refuse(&to, 0, &refusal);
            }
            Ack::SendBack { to } => match crate::response_code::status(outcome.status) {
                (response::SUCCESS, _) => self.reply(&to, response::SUCCESS, None, |_| {}),
                (_, name) => self.refuse(&to, 0, &Refusal::new(response::SYSTEM_ERROR, name)),
            },
            Ack::Delayed { shard, level, queue_offset } => {
                let stored = crate::response_code::is_stored(outcome.status);
                self.send(shard, ToShard::Delivered { level, queue_offset, stored });
            }
            Ack::Nobody => {}
        }
    }

    /// Why the store has no room, as it says now.
    pub fn no_room(&self) -> Refusal {
        match self.store.is_writable() {
            Err(refused) => crate::response_code::refused(&refused),
            Ok(()) => Refusal::new(
                response::SERVICE_NOT_AVAILABLE,
                "the disk had no room for this message; nothing was stored, send again",
            ),
        }
    }

    /// A queue for a message whose sender leaves the choice to the broker.
    pub fn choose_queue(&mut self, queues: i32) -> i32 {
        self.next_queue = self.next_queue.wrapping_add(1);
        (self.next_queue % queues.max(1) as u32) as i32
    }
}
