//! The broker's ends of replication: a master's server for slaves, a slave's link to its master.
//!
//! Owns whichever of the two its role has, and what it is asked for: settings in, state out. The links themselves are
//! the `replication` crate's, on threads of their own. Nothing here blocks a shard longer than a short lock.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::body::{Body, KvTable};
use protocol::code::request;
use protocol::header::ViewMessageByIdHeader;
use replication::ha::store::{StoreSink, StoreSource};
use replication::ha::{
    InitialSync, LinkState, LogExtent, MasterFacts, MasterOptions, MasterServer, Resync, SlaveClient, SlaveOptions,
    SlavePhase, SlaveState,
};

use crate::env::Env;
use crate::master_channel::MasterChannel;
use crate::options::BrokerOptions;

/// How long a master that stops lets its slaves catch up.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

enum End {
    Master(MasterServer),
    Slave(SlaveClient),
}

/// See the module's head.
#[derive(Default)]
pub struct Replicas {
    end: Mutex<Option<End>>,
}

/// What the other end of a link looks like from here.
pub enum View {
    /// A master's slaves.
    Master(Vec<LinkState>),
    /// A slave's link.
    Slave(SlaveState),
}

impl Replicas {
    /// Begins to serve slaves.
    pub fn start_master(&self, options: &BrokerOptions, store: &Arc<engine::Shared>) -> std::io::Result<()> {
        let keys = &options.replication;
        // Under a feature of the crate there are more fields.
        #[allow(clippy::needless_update)]
        let links = MasterOptions {
            heartbeat: Duration::from_millis(keys.heartbeat_interval_ms),
            housekeeping: Duration::from_millis(keys.housekeeping_ms),
            batch: u32::try_from(keys.batch_size).unwrap_or(u32::MAX),
            links_max: keys.slaves_max,
            ..MasterOptions::default()
        };
        let server = MasterServer::start(options.ha_listen, links, Arc::new(StoreSource::new(store.clone())))?;
        tracing::info!("slaves are served at {}", server.address());
        self.keep(End::Master(server));
        Ok(())
    }

    /// Begins to copy, as soon as [`Replicas::set_master`] says from where.
    pub fn start_slave(&self, env: &Arc<Env>) -> std::io::Result<()> {
        let keys = &env.options.replication;
        let link = SlaveOptions {
            heartbeat: Duration::from_millis(keys.heartbeat_interval_ms),
            housekeeping: Duration::from_millis(keys.housekeeping_ms),
            initial: match keys.initial_sync {
                config::InitialSync::All => InitialSync::All,
                config::InitialSync::LastFile => InitialSync::LastFile,
            },
            resync: match keys.resync {
                config::Resync::Never => Resync::Never,
                config::Resync::Aside => Resync::Aside,
            },
            connect_timeout: Duration::from_millis(env.options.connect_timeout_ms),
            ..SlaveOptions::default()
        };
        let receiver = env
            .store
            .receiver()
            .ok_or_else(|| std::io::Error::other("the store was not opened as a slave's, or is copied into already"))?;
        let facts = Facts { env: env.clone(), master: MasterChannel::new(env.clone()) };
        let client = SlaveClient::start(link, Box::new(StoreSink::new(receiver)), Box::new(facts), None)?;
        self.keep(End::Slave(client));
        Ok(())
    }

    fn keep(&self, end: End) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// Where a slave's master is now. The error says why an address leads nowhere.
    pub fn set_master(&self, ha_address: &str) -> Result<(), String> {
        let found = ha_address
            .to_socket_addrs()
            .map_err(|error| format!("the master's replication address {ha_address} cannot be resolved: {error}"))?;
        let found: Vec<SocketAddr> = found.collect();
        if found.is_empty() {
            return Err(format!("the master's replication address {ha_address} has no address"));
        }
        if let Some(End::Slave(client)) = &*self.end.lock().unwrap_or_else(PoisonError::into_inner) {
            let SlaveState { master, phase, .. } = client.state();
            client.set_master(choose(found, master, matches!(phase, SlavePhase::Lost { .. })));
        }
        Ok(())
    }

    /// Where a slave's master ends, as it says beside the link.
    pub fn master_ends_at(&self, offset: i64) {
        if let Some(End::Slave(client)) = &*self.end.lock().unwrap_or_else(PoisonError::into_inner) {
            client.master_ends_at(offset);
        }
    }

    /// How it stands; `None` before the start and after the stop.
    pub fn view(&self) -> Option<View> {
        match self.end.lock().unwrap_or_else(PoisonError::into_inner).as_ref()? {
            End::Master(server) => Some(View::Master(server.links())),
            End::Slave(client) => Some(View::Slave(client.state())),
        }
    }

    /// A slave copies no more. Before its shards end, for the receiver waits for them.
    pub fn stop_slave(&self) {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take_if(|end| matches!(end, End::Slave(_)));
        // Not under the lock: it may wait for an answer of the master.
        if let Some(End::Slave(mut client)) = end {
            client.stop();
        }
    }

    /// A master serves no more. After its shards have ended: slaves get what was stored last, for a bounded time.
    pub fn stop_master(&self) {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        let lag = || match self.view() {
            Some(View::Master(links)) => links.iter().filter(|link| link.is_up).map(|link| link.lag).max().unwrap_or(0),
            _ => 0,
        };
        while lag() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if lag() > 0 {
            tracing::warn!(lag = lag(), "stopping although a slave lags; it gets the rest when this broker is back");
        }
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take_if(|end| matches!(end, End::Master(_)));
        if let Some(End::Master(mut server)) = end {
            server.stop();
        }
    }
}

/// Of the addresses a name has now: the one in use, wherever it stands among them, as long as it leads to the master; else
/// the next one. IPv4 first, where our masters listen unless they are told otherwise.
fn choose(mut found: Vec<SocketAddr>, current: Option<SocketAddr>, is_lost: bool) -> Option<SocketAddr> {
    found.sort_unstable();
    let at = current.and_then(|current| found.iter().position(|address| *address == current));
    let next = at.map_or(0, |at| if is_lost { (at + 1) % found.len() } else { at });
    found.get(next).copied()
}

/// What a slave asks its master by ordinary requests.
struct Facts {
    env: Arc<Env>,
    master: MasterChannel,
}

impl Facts {
    fn ask(&mut self, code: i32, fields: impl FnOnce(&mut protocol::FieldWriter<'_>)) -> Result<Vec<u8>, String> {
        let address = self.env.master.now().address.ok_or("it is not known where the master serves requests")?;
        let answer = self.master.ask(&address, code, fields).map_err(|error| error.to_string())?;
        answer.body("the master").map(<[u8]>::to_vec).map_err(|error| format!("asked by request {code}, {error}"))
    }
}

impl MasterFacts for Facts {
    fn extent(&mut self) -> Result<LogExtent, String> {
        let body = self.ask(request::GET_BROKER_RUNTIME_INFO, |_| {})?;
        let table = KvTable::from_json(&body).map_err(|error| error.to_string())?.table;
        let offset = |key: &str| {
            let text = table.get(key).ok_or_else(|| format!("the master does not say its {key}"))?;
            text.parse::<i64>().map_err(|_| format!("the master says {key}={text:?}, which is no offset"))
        };
        // A Java master without a file says -1.
        Ok(LogExtent { min: offset("commitLogMinOffset")?.max(0), max: offset("commitLogMaxOffset")?.max(0) })
    }

    fn record_at(&mut self, offset: i64) -> Result<Vec<u8>, String> {
        self.ask(request::VIEW_MESSAGE_BY_ID, |fields| ViewMessageByIdHeader { offset }.encode(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_several_addresses_is_tried_through_and_kept_where_it_leads_to_the_master() {
        let check = |found: &[&str], current: Option<&str>, is_lost: bool, want: &str| {
            let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
            let chosen = choose(found.iter().map(|text| address(text)).collect(), current.map(address), is_lost);
            assert_eq!(chosen, Some(address(want)), "{found:?} {current:?} {is_lost}");
        };
        let (one, two, six) = ("10.0.0.1:10912", "10.0.0.2:10912", "[::1]:10912");
        check(&[six, two, one], None, false, one);
        for found in [[one, two, six], [six, two, one], [two, six, one]] {
            check(&found, Some(two), false, two);
            check(&found, Some(two), true, six);
            check(&found, Some(six), true, one);
        }
        check(&[one], Some(one), true, one);
        check(&[two], Some(one), false, two);
        check(&[two], Some(one), true, two);
    }
}
