//! Where connections meet the broker: frames come in, the shard's core handles them.
//!
//! Owns nothing but handles. Runs on every shard that holds connections.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use protocol::command::Command;
use remoting::net::{Connection, Service};
use shard::MeshPort;

use crate::call::{Call, ReplyTo};
use crate::core::Core;
use crate::env::Inbox;
use crate::mesh::ToShard;

/// The broker's service on one shard.
pub struct BrokerService {
    core: Rc<RefCell<Core>>,
    port: Rc<MeshPort<ToShard>>,
    home: Arc<Inbox>,
}

impl BrokerService {
    /// The service that feeds `core`.
    pub fn new(core: Rc<RefCell<Core>>, port: Rc<MeshPort<ToShard>>, home: Arc<Inbox>) -> Self {
        BrokerService { core, port, home }
    }
}

impl Service for BrokerService {
    fn request(&self, conn: &Rc<Connection>, command: Command<'_>, frame: &[u8]) {
        let call = Call {
            to: ReplyTo::of(conn.id, &command),
            peer: conn.peer,
            command: &command,
            frame,
            chosen_queue: None,
            first: true,
            durable: false,
            hops: 0,
            told: false,
        };
        self.core.borrow_mut().run(&call);
        self.port.poke();
    }

    fn response(&self, _conn: &Rc<Connection>, _command: Command<'_>) {
        // The broker asks its clients nothing that they answer, yet.
    }

    fn closed(&self, conn: &Rc<Connection>) {
        // Behind the connection's own requests, so that a heartbeat on its way is not taken in after the farewell.
        let closed = ToShard::ConnectionClosed(conn.id);
        match self.core.try_borrow_mut() {
            Ok(mut core) => {
                core.send(0, closed);
                self.port.poke();
            }
            Err(_) => self.home.post(closed),
        }
    }
}
