//! Requests: run here, passed on to their owner, kept from taking the shard down with them.

use super::*;

impl Core {
    /// Runs a request here and sees it to its next station.
    pub fn run(&mut self, call: &Call<'_>) {
        let handled = dispatch::handle(self, call);
        match handled {
            Ok(Next::Done) => {}
            Ok(Next::Forward(to)) => self.forward(to, Forwarded::of(call)),
            Ok(Next::ForwardTo(to, queue_id)) => {
                let mut forwarded = Forwarded::of(call);
                forwarded.chosen_queue = Some(queue_id);
                self.forward(to, forwarded);
            }
            Ok(Next::Park(ticket)) => {
                let mut forwarded = Forwarded::of(call);
                forwarded.durable = true;
                let parked = self.home.as_mut().is_some_and(|home| home.park(ticket, forwarded).is_ok());
                if !parked {
                    let why = "[OVERLOAD]system busy: too many requests wait for table changes";
                    self.refuse(&call.to, call.command.code, &Refusal::new(response::SYSTEM_BUSY, why));
                }
            }
            Ok(Next::Tell) => match &mut self.home {
                Some(home) => home.await_told(self.now_ms, Forwarded::of(call)),
                None => self.forward(0, Forwarded::of(call)),
            },
            Err(refusal) => self.refuse(&call.to, call.command.code, &refusal),
        }
    }

    /// Runs a request that came from another shard or waited here. A panic in it ends the request, not the shard.
    pub fn run_forwarded(&mut self, forwarded: Forwarded) {
        let (to, code) = (forwarded.to, forwarded.code);
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run_unguarded(forwarded)));
        if ran.is_err() {
            tracing::error!(code, "a request ended in a panic, a mistake of ours");
            self.refuse(
                &to,
                code,
                &Refusal::new(response::SYSTEM_ERROR, "internal error: the request ended in a panic"),
            );
        }
    }

    fn run_unguarded(&mut self, forwarded: Forwarded) {
        let command = match Command::decode_with(&forwarded.frame, net::HEADER_MAX) {
            Ok(command) => command,
            Err(error) => {
                tracing::error!(%error, "a frame that was decoded before does not decode again");
                return;
            }
        };
        let call = Call {
            to: forwarded.to,
            peer: forwarded.peer,
            command: &command,
            frame: &forwarded.frame,
            chosen_queue: forwarded.chosen_queue,
            first: forwarded.first,
            durable: forwarded.durable,
            hops: forwarded.hops,
            told: forwarded.told,
        };
        self.run(&call);
    }

    fn forward(&mut self, to: usize, mut forwarded: Forwarded) {
        forwarded.hops += 1;
        if forwarded.hops > HOPS_MAX || to == self.id {
            tracing::error!(to, hops = forwarded.hops, "a request finds no owner");
            let refusal = Refusal::new(response::SYSTEM_ERROR, "internal error: the request finds no owner shard");
            self.refuse(&forwarded.to, forwarded.code, &refusal);
            return;
        }
        ShardCounters::add(&self.counters.hops, 1);
        if self.out_bytes[to] >= OUT_BYTES_MAX {
            self.refuse(&forwarded.to, forwarded.code, &overloaded(to));
            return;
        }
        self.send(to, ToShard::Request(forwarded));
    }

    /// Leaves a message for a shard; it goes out at the end of this turn at the latest.
    pub fn send(&mut self, to: usize, message: ToShard) {
        if to == self.id {
            self.env.inboxes[to].post(message);
            return;
        }
        let waits = if self.out[to].is_empty() { self.port.send(to, message).err() } else { Some(message) };
        if let Some(message) = waits {
            self.out_bytes[to] += message.weight();
            self.out[to].push_back(message);
        }
    }
}
