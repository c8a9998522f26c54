//! Other spellings under which users write a key: names of older versions and frequent slips.

/// How the value of another spelling becomes the value of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    Same,
    /// The value counts consume queue units of 20 bytes.
    ConsumeQueueUnits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias {
    pub name: &'static str,
    /// The key it stands for.
    pub key: &'static str,
    pub conversion: Conversion,
    /// True: no RocketMQ version knows this spelling, so a Java broker ignores it; worth a warning.
    pub slip: bool,
}

const fn older(name: &'static str, key: &'static str) -> Alias {
    Alias { name, key, conversion: Conversion::Same, slip: false }
}

const fn slip(name: &'static str, key: &'static str) -> Alias {
    Alias { name, key, conversion: Conversion::Same, slip: true }
}

pub const ALIASES: &[Alias] = &[
    // Up to 4.4 the file sizes were spelt so.
    older("mapedFileSizeCommitLog", "mappedFileSizeCommitLog"),
    Alias {
        name: "mapedFileSizeConsumeQueue",
        key: "mappedFileSizeConsumeQueue",
        conversion: Conversion::ConsumeQueueUnits,
        slip: false,
    },
    older("mapedFileSizeConsumeQueueExt", "mappedFileSizeConsumeQueueExt"),
    // The setter is named without "is", the field with it.
    older("enableBatchPush", "isEnableBatchPush"),
    // Java never corrected these; who corrects them himself means the same key.
    slip("destroyMappedFileIntervalForcibly", "destroyMapedFileIntervalForcibly"),
    slip("destoryMapedFileIntervalForcibly", "destroyMapedFileIntervalForcibly"),
    slip("destoryMappedFileIntervalForcibly", "destroyMapedFileIntervalForcibly"),
    slip("destoryMaoedFileIntervalForcibly", "destroyMapedFileIntervalForcibly"),
    slip("destroyMaoedFileIntervalForcibly", "destroyMapedFileIntervalForcibly"),
    slip("warmMappedFileEnable", "warmMapedFileEnable"),
    slip("flushLeastPagesWhenWarmMappedFile", "flushLeastPagesWhenWarmMapedFile"),
    slip("enableDLedgerCommitLog", "enableDLegerCommitLog"),
    slip("dLedgerGroup", "dLegerGroup"),
    slip("dLedgerPeers", "dLegerPeers"),
    slip("dLedgerSelfId", "dLegerSelfId"),
    slip("brokerIP", "brokerIP1"),
];

/// The alias spelt exactly so.
pub fn alias(name: &str) -> Option<&'static Alias> {
    ALIASES.iter().find(|alias| alias.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Role, find};

    #[test]
    fn every_alias_names_a_key_and_is_none() {
        for alias in ALIASES {
            assert!(find(Role::AllInOne, alias.key).is_some(), "{}", alias.key);
            assert!(find(Role::AllInOne, alias.name).is_none(), "{}", alias.name);
            assert_eq!(ALIASES.iter().filter(|other| other.name == alias.name).count(), 1, "{}", alias.name);
        }
    }
}
