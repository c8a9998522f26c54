//! A slave's connection to the address where its master serves requests.
//!
//! Owns one connection, opened when something is asked and again when it broke or the master is elsewhere. Used by one
//! ordinary thread at a time, which waits for each answer; never on a shard. Must not know what is asked.

use std::sync::Arc;
use std::time::Duration;

use protocol::FieldWriter;
use protocol::command::HeaderForm;
use remoting::blocking::{Answer, CallError, Channel};

use crate::env::Env;

/// Java's slaves wait as long for each answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// See the module's head.
pub struct MasterChannel {
    env: Arc<Env>,
    open: Option<(String, Channel)>,
    opened: u64,
}

impl MasterChannel {
    /// Nothing is opened yet.
    pub fn new(env: Arc<Env>) -> Self {
        Self { env, open: None, opened: 0 }
    }

    /// Asks the master at `address`, host:port. Waits 3 s for the connection at most, less if `connectTimeoutMillis` is
    /// less, and as long for the answer.
    pub fn ask(
        &mut self,
        address: &str,
        code: i32,
        fields: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Result<Answer, CallError> {
        self.connected(address)?.call(code, HeaderForm::Json, fields, &[], ANSWER_TIMEOUT)
    }

    /// How many connections were opened so far: who was told something over an earlier one may have to hear it again.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// The next question opens a connection anew.
    pub fn close(&mut self) {
        self.open = None;
    }

    fn connected(&mut self, address: &str) -> Result<&mut Channel, CallError> {
        let usable = self.open.take_if(|(known, channel)| known == address && channel.is_alive());
        let open = match usable {
            Some(open) => open,
            None => {
                let timeout = Duration::from_millis(self.env.options.connect_timeout_ms).min(ANSWER_TIMEOUT);
                let channel = Channel::connect(address, timeout)?;
                self.opened += 1;
                (address.to_owned(), channel)
            }
        };
        Ok(&mut self.open.insert(open).1)
    }
}
