//! The broker's subscription groups: which exist and what they may do.
//!
//! Owns the master table and its DataVersion. Lives on the home shard; the other shards read copies
//! that are sent to them once a change is durable. No I/O: the caller writes subscriptionGroup.json.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::body::{DataVersion, SubscriptionGroupConfig, SubscriptionGroupWrapper};
use protocol::topic as names;

use crate::mesh::TableChange;

/// Auto-creation stops at this many groups.
const AUTO_CREATE_GROUPS_MAX: usize = 200_000;

/// Groups by name.
pub type Groups = BTreeMap<String, Arc<SubscriptionGroupConfig>>;

/// A broker's groups at one moment.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// Every group.
    pub groups: Groups,
    /// The version that belongs to them.
    pub version: DataVersion,
}

/// The master table of subscription groups.
#[derive(Debug)]
pub struct GroupTable {
    auto_create: bool,
    is_slave: bool,
    groups: Groups,
    version: DataVersion,
}

impl GroupTable {
    /// The table with the built-in groups, over which a loaded subscriptionGroup.json is laid. `is_slave`: it follows
    /// a master's.
    pub fn new(auto_create: bool, is_slave: bool, loaded: Option<SubscriptionGroupWrapper>) -> Self {
        let mut groups = BTreeMap::new();
        for name in names::SYSTEM_GROUPS {
            let group = SubscriptionGroupConfig { group_name: name.to_owned(), ..Default::default() };
            groups.insert(name.to_owned(), Arc::new(group));
        }
        let mut version = DataVersion::default();
        if let Some(loaded) = loaded {
            version = loaded.data_version;
            for (name, mut group) in loaded.subscription_group_table {
                group.group_name.clone_from(&name);
                groups.insert(name, Arc::new(group));
            }
        }
        GroupTable { auto_create, is_slave, groups, version }
    }

    /// The group, if it exists.
    pub fn get(&self, name: &str) -> Option<&Arc<SubscriptionGroupConfig>> {
        self.groups.get(name)
    }

    /// The group, made if it may be: `autoCreateSubscriptionGroup`, or a name the system uses.
    pub fn get_or_create(&mut self, now_ms: i64, name: &str) -> Option<(Arc<SubscriptionGroupConfig>, bool)> {
        if let Some(group) = self.groups.get(name) {
            return Some((group.clone(), false));
        }
        let may = self.auto_create || names::is_system_group(name);
        if !may || self.groups.len() >= AUTO_CREATE_GROUPS_MAX {
            return None;
        }
        let group = SubscriptionGroupConfig { group_name: name.to_owned(), ..Default::default() };
        Some((self.put(now_ms, group), true))
    }

    /// Creates or replaces (request 200).
    pub fn put(&mut self, now_ms: i64, group: SubscriptionGroupConfig) -> Arc<SubscriptionGroupConfig> {
        let group = Arc::new(group);
        self.groups.insert(group.group_name.clone(), group.clone());
        self.changed(now_ms);
        group
    }

    /// Removes a group; whether it was there.
    pub fn remove(&mut self, now_ms: i64, name: &str) -> bool {
        let was = self.groups.remove(name).is_some();
        if was {
            self.changed(now_ms);
        }
        was
    }

    /// Takes another broker's table with its version; what differs, or `None` when it is this one already.
    pub fn replace(&mut self, other: GroupSnapshot) -> Option<Vec<TableChange>> {
        if self.version == other.version {
            return None;
        }
        let gone = self.groups.keys().filter(|name| !other.groups.contains_key(*name));
        let mut changes: Vec<_> =
            gone.map(|name| TableChange::GroupRemoved { group: name.clone(), remove_progress: false }).collect();
        let differs = |group: &Arc<SubscriptionGroupConfig>| self.groups.get(&group.group_name) != Some(group);
        changes.extend(other.groups.values().filter(|group| differs(group)).cloned().map(TableChange::Group));
        self.groups = other.groups;
        self.version = other.version;
        Some(changes)
    }

    /// Every group, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SubscriptionGroupConfig>> {
        self.groups.values()
    }

    /// What subscriptionGroup.json and request 201 carry.
    pub fn wrapper(&self) -> SubscriptionGroupWrapper {
        SubscriptionGroupWrapper {
            subscription_group_table: self
                .groups
                .iter()
                .map(|(name, group)| (name.clone(), (**group).clone()))
                .collect(),
            data_version: self.version,
        }
    }

    /// A slave's version is its master's: what the slave adds for its readers has none, or each copy would undo it.
    fn changed(&mut self, now_ms: i64) {
        if self.is_slave {
            return;
        }
        self.version.counter += 1;
        self.version.timestamp = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_to_be_when_they_may() {
        let mut open = GroupTable::new(true, false, None);
        assert!(open.get_or_create(1, "g").unwrap().1);
        assert!(!open.get_or_create(1, "g").unwrap().1, "it was there");
        let mut closed = GroupTable::new(false, false, None);
        assert!(closed.get_or_create(1, "g").is_none());
        assert!(closed.get_or_create(1, "CID_RMQ_SYS_TRANS").is_some());
        assert!(closed.get("TOOLS_CONSUMER").is_some());
    }

    #[test]
    fn a_slave_takes_its_masters_table() {
        let mut master = GroupTable::new(true, false, None);
        master.get_or_create(5, "g");
        let mut slave = GroupTable::new(true, true, None);
        slave.get_or_create(3, "own");
        let snapshot = GroupSnapshot { groups: master.groups.clone(), version: master.version };
        let changes = slave.replace(snapshot.clone()).expect("another version");
        let text = format!("{changes:?}");
        assert!(changes.len() == 2 && text.contains("\"own\"") && text.contains("\"g\""), "{text}");
        assert_eq!((slave.version, &slave.groups), (master.version, &master.groups));
        slave.get_or_create(6, "added");
        assert!(slave.replace(snapshot).is_none(), "the same version: what the slave added stays");
        assert!(slave.get("added").is_some());
    }
}
