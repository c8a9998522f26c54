//! Answers: header bytes and ranges into a connection, wherever it lives.

use protocol::header::PullMessageResponse;

use super::*;

/// Bytes read behind a cold answer.
const COLD_AHEAD: usize = 512 << 10;

impl Core {
    /// Answers without body.
    pub fn reply(&mut self, to: &ReplyTo, code: i32, remark: Option<&str>, fields: impl FnOnce(&mut FieldWriter<'_>)) {
        self.reply_body(to, code, remark, fields, &[]);
    }

    /// Answers with a body of bytes.
    pub fn reply_body(
        &mut self,
        to: &ReplyTo,
        code: i32,
        remark: Option<&str>,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
    ) {
        if to.oneway {
            return;
        }
        let head = to.head(code, remark);
        if to.conn.shard() == self.id {
            if let Some(conn) = net::find(to.conn) {
                let mut out = conn.out();
                write_command(&mut out, &head, fields, body.len());
                out.extend_from_slice(body);
            }
            return;
        }
        let mut bytes = Vec::with_capacity(256 + body.len());
        write_command(&mut bytes, &head, fields, body.len());
        bytes.extend_from_slice(body);
        self.send(to.conn.shard(), ToShard::Reply(Reply { conn: to.conn, bytes, ranges: Vec::new() }));
    }

    /// Answers a pull with the messages that lie in segments: `self.ranges`, which is left empty.
    pub fn reply_pull(&mut self, to: &ReplyTo, code: i32, remark: &str, cold: bool, answer: &PullMessageResponse) {
        if to.oneway {
            self.ranges.clear();
            return;
        }
        let len = self.ranges.iter().map(|range| range.len).sum();
        if !cold && to.conn.shard() == self.id {
            match net::find(to.conn) {
                Some(conn) => {
                    answer.write_reply(&mut conn.out(), to.form, to.opaque, code, remark, len);
                    for range in self.ranges.drain(..) {
                        conn.push_file(file_part(range));
                    }
                }
                None => self.ranges.clear(),
            }
            return;
        }
        let mut bytes = Vec::with_capacity(256);
        answer.write_reply(&mut bytes, to.form, to.opaque, code, remark, len);
        let reply = Reply { conn: to.conn, bytes, ranges: std::mem::take(&mut self.ranges) };
        if !cold {
            self.send(to.conn.shard(), ToShard::Reply(reply));
            return;
        }
        ShardCounters::add(&self.counters.get_cold, 1);
        // Pages that are not in memory are read by a thread: the shard never waits for the disk.
        let inbox = self.env.inboxes[to.conn.shard()].clone();
        let accepted = self.env.offload.run(move || {
            for range in &reply.ranges {
                range.warm();
            }
            let next = reply.ranges.last().map(|range| range.next(COLD_AHEAD));
            inbox.post(ToShard::Reply(reply));
            // Whoever reads old messages reads on.
            if let Some(next) = next.filter(|next| !next.is_resident()) {
                next.warm();
            }
        });
        if !accepted {
            let refusal =
                Refusal::new(response::SYSTEM_BUSY, "[OVERLOAD]system busy: too many reads wait for the disk");
            self.refuse(to, 0, &refusal);
        }
    }

    /// Answers with a body that takes long to render: a thread does it.
    pub fn reply_rendered(&mut self, to: &ReplyTo, render: impl FnOnce() -> Vec<u8> + Send + 'static) {
        if to.oneway {
            return;
        }
        let inbox = self.env.inboxes[to.conn.shard()].clone();
        let reply_to = *to;
        let accepted = self.env.offload.run(move || {
            let body = render();
            let mut bytes = Vec::with_capacity(256 + body.len());
            write_command(&mut bytes, &reply_to.head(response::SUCCESS, None), |_| {}, body.len());
            bytes.extend_from_slice(&body);
            inbox.post(ToShard::Reply(Reply { conn: reply_to.conn, bytes, ranges: Vec::new() }));
        });
        if !accepted {
            let refusal =
                Refusal::new(response::SYSTEM_BUSY, "[OVERLOAD]system busy: too many requests wait for a thread");
            self.refuse(to, 0, &refusal);
        }
    }

    /// Answers with a refusal. `code` is the request's, since some answers carry fields even then.
    pub fn refuse(&mut self, to: &ReplyTo, request_code: i32, refusal: &Refusal) {
        if dispatch::is_send(request_code) {
            ShardCounters::add(&self.counters.put_failed, 1);
            let region = self.region.clone();
            self.reply(to, refusal.code, Some(&refusal.remark), |fields| region.write(fields));
        } else {
            self.reply(to, refusal.code, Some(&refusal.remark), |_| {});
        }
    }

    pub(super) fn write_reply(&mut self, reply: Reply) {
        if let Some(conn) = net::find(reply.conn) {
            conn.out().extend_from_slice(&reply.bytes);
            for range in reply.ranges {
                conn.push_file(file_part(range));
            }
        }
    }

    /// Sends a frame of the broker's own to a client, wherever its connection lives.
    pub fn push(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let reply = Reply { conn, bytes, ranges: Vec::new() };
        if conn.shard() == self.id { self.write_reply(reply) } else { self.send(conn.shard(), ToShard::Reply(reply)) }
    }
}

/// A range of a segment as the connection sends it; the segment stays alive until it is sent.
fn file_part(range: LogRange) -> FilePart {
    let (fd, position, len) = (range.segment.raw_fd(), range.position, range.len);
    FilePart::new(range.segment, fd, position, |segment| segment.bytes(position, len))
}
