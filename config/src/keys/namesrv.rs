//! Java's `NamesrvConfig` (4.9.7), fields in order.

use super::*;

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    computed("rocketmqHome", Kind::Path, Formula::RocketmqHome).live("installation directory; named in messages only, nothing is required there"),
    computed("kvConfigPath", Kind::Path, Formula::KvConfigPath).live("file of the key-value table"),
    computed("configStorePath", Kind::Path, Formula::NamesrvProperties).live("file that a changed configuration is written to"),
    text("productEnvName", "center").later("environment for clusterTest", Switch::Never, "looking up unknown topics elsewhere"),
    boolean("clusterTest", false).later("look up unknown topics in another environment", Switch::Value(&["true"]), "looking up unknown topics elsewhere"),
    boolean("orderMessageEnable", false).live("put the order configuration of a topic into its route"),
];
