//! What a slave knows of its master: where it serves requests, and where it gives its log away.
//!
//! Owns the last word of each nameserver and the choice among them. Filled by registrars, read by the threads that copy.
//! Any thread; nothing here blocks longer than a short lock, [`MasterPlace::wait`] aside.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where the master is; either may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Master {
    /// Where it serves requests, `host:port`.
    pub address: Option<String>,
    /// Where it gives its log away, `host:port`.
    pub ha_address: Option<String>,
}

/// A nameserver is not believed any more when others have named the master so much later: as long as nameservers
/// themselves believe a broker they do not hear.
const STALE: Duration = Duration::from_secs(120);

/// The word of one nameserver.
#[derive(Default)]
struct Said {
    master: Master,
    /// When it named the master last, whole or in part.
    named: Option<Instant>,
    /// Its last answer named none.
    has_lost: bool,
}

#[derive(Default)]
struct State {
    /// By nameserver.
    said: Vec<Said>,
    stopping: bool,
}

/// See the module's head.
pub struct MasterPlace {
    /// `haMasterAddress`: what nameservers say of it does not count then.
    fixed_ha: Option<String>,
    state: Mutex<State>,
    changed: Condvar,
}

impl MasterPlace {
    /// Nothing known yet but what the configuration says.
    pub fn new(fixed_ha: Option<String>) -> Self {
        MasterPlace { fixed_ha, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes the answer of a nameserver to a registration. A nameserver that has lost sight of the master leaves the last
    /// word standing: it says nothing about where the master will come back. True if the choice changed.
    pub fn said(&self, nameserver: usize, address: Option<&str>, ha_address: Option<&str>) -> bool {
        self.said_at(Instant::now(), nameserver, address, ha_address)
    }

    fn said_at(&self, now: Instant, nameserver: usize, address: Option<&str>, ha_address: Option<&str>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.choose(&state);
        if state.said.len() <= nameserver {
            state.said.resize_with(nameserver + 1, Said::default);
        }
        if let Some(said) = state.said.get_mut(nameserver) {
            said.has_lost = address.is_none() && ha_address.is_none();
            if !said.has_lost {
                said.named = Some(now);
            }
            said.master.address = address.map(str::to_owned).or(said.master.address.take());
            said.master.ha_address = ha_address.map(str::to_owned).or(said.master.ha_address.take());
        }
        let changed = self.choose(&state) != before;
        drop(state);
        if changed {
            self.changed.notify_all();
        }
        changed
    }

    /// Where the master is, as far as known.
    pub fn now(&self) -> Master {
        self.choose(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first nameserver that knows the master is believed, as Java's slaves do; if none knows it any more, the one
    /// that knew it last. One that is gone, or lost sight of the master, must not hide from a slave where it is now.
    /// Without any, a fixed replication address tells the other: its port is always the next above listenPort.
    fn choose(&self, state: &State) -> Master {
        let newest = state.said.iter().filter_map(|said| said.named).max();
        let stands = |said: &&Said| {
            !said.has_lost && said.named.zip(newest).is_some_and(|(at, newest)| newest.duration_since(at) < STALE)
        };
        let known = state.said.iter().find(stands);
        let known = known.or_else(|| state.said.iter().find(|said| said.named.is_some() && said.named == newest));
        let mut master = known.map(|said| said.master.clone()).unwrap_or_default();
        if let Some(fixed) = &self.fixed_ha {
            master.ha_address = Some(fixed.clone());
            if master.address.is_none()
                && let Some((host, port)) = fixed.rsplit_once(':')
                && let Some(port) = port.parse::<u16>().ok().and_then(|port| port.checked_sub(1))
            {
                master.address = Some(format!("{host}:{port}"));
            }
        }
        master
    }

    /// Waits until the choice is another than `known`, or `until` is over. `None` when the broker stops.
    pub fn wait(&self, known: &Master, until: Instant) -> Option<Master> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.stopping {
                return None;
            }
            let master = self.choose(&state);
            let left = until.saturating_duration_since(Instant::now());
            if master != *known || left.is_zero() {
                return Some(master);
            }
            let left = left.min(Duration::from_secs(3600));
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends every wait.
    pub fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = (usize, Option<&'static str>, Option<&'static str>);

    #[track_caller]
    fn check(fixed: Option<&str>, said: &[Said], address: Option<&str>, ha_address: Option<&str>) {
        let place = MasterPlace::new(fixed.map(str::to_owned));
        for (nameserver, address, ha_address) in said {
            place.said(*nameserver, *address, *ha_address);
        }
        let now = place.now();
        assert_eq!((now.address.as_deref(), now.ha_address.as_deref()), (address, ha_address), "{fixed:?} {said:?}");
    }

    #[test]
    fn the_first_nameserver_that_knows_is_believed() {
        let (a, ha) = (Some("m:10911"), Some("m:10912"));
        check(None, &[], None, None);
        check(None, &[(0, a, ha)], a, ha);
        check(None, &[(1, a, ha)], a, ha);
        check(None, &[(1, Some("x:1"), Some("x:2")), (0, a, ha)], a, ha);
        check(None, &[(0, a, ha), (0, None, None)], a, ha);
        check(None, &[(0, a, ha), (0, Some("n:1"), Some("n:2"))], Some("n:1"), Some("n:2"));
        check(Some("f:10912"), &[], Some("f:10911"), Some("f:10912"));
        check(Some("f:10912"), &[(0, a, ha)], a, Some("f:10912"));
        check(Some("[::1]:10912"), &[], Some("[::1]:10911"), Some("[::1]:10912"));
    }

    #[test]
    fn a_nameserver_that_is_gone_or_lost_the_master_hides_nothing() {
        let start = Instant::now();
        let (old, new, none) = (Some("old:1"), Some("new:1"), None);
        let check = |said: &[(u64, usize, Option<&str>)], want: &str| {
            let place = MasterPlace::new(None);
            for (second, nameserver, name) in said {
                place.said_at(start + Duration::from_secs(*second), *nameserver, *name, *name);
            }
            assert_eq!(place.now().address.as_deref(), Some(want), "{said:?}");
        };
        check(&[(0, 0, old), (0, 1, old), (30, 1, new)], "old:1");
        check(&[(0, 0, old), (0, 1, old), (119, 1, new)], "old:1");
        check(&[(0, 0, old), (0, 1, old), (120, 1, new)], "new:1");
        check(&[(0, 0, old), (0, 1, old), (120, 1, new), (130, 0, old)], "old:1");
        check(&[(0, 0, old), (0, 1, old), (10, 0, none), (11, 1, new)], "new:1");
        check(&[(0, 0, old), (5, 1, new), (10, 0, none), (11, 1, none)], "new:1");
        check(&[(0, 0, old), (10, 0, none), (11, 1, none)], "old:1");
    }

    #[test]
    fn who_waits_is_told_of_changes_and_of_the_end() {
        let place = MasterPlace::new(None);
        let never = Instant::now() + Duration::from_secs(3600);
        assert!(place.said(0, Some("m:1"), None));
        assert!(!place.said(0, Some("m:1"), None), "the same again");
        let now = place.wait(&Master::default(), never).expect("not stopping");
        assert_eq!(now.address.as_deref(), Some("m:1"));
        assert_eq!(place.wait(&now, Instant::now()), Some(now.clone()), "its time is over");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| place.wait(&now, never));
            place.stop();
            assert_eq!(waiting.join().ok(), Some(None));
        });
    }
}
