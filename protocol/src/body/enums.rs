//! Enumerations inside bodies. Written by name; read by name or, as the C++ client sends some, by ordinal. Plain
//! values, any core.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! java_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* } default $default:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($variant,)* }

        impl $name {
            const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name as Java spells it.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The value of a name.
            pub fn from_name(name: &str) -> Option<$name> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::$default
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct NameOrOrdinal;

                impl Visitor<'_> for NameOrOrdinal {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a name of ", stringify!($name)))
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        $name::from_name(text).ok_or_else(|| E::custom(format_args!("{text:?} is no {}", stringify!($name))))
                    }

                    fn visit_i64<E: Error>(self, ordinal: i64) -> Result<$name, E> {
                        let known = usize::try_from(ordinal).ok().and_then(|place| $name::ALL.get(place)).copied();
                        known.ok_or_else(|| E::custom(format_args!("{ordinal} is no {}", stringify!($name))))
                    }

                    fn visit_u64<E: Error>(self, ordinal: u64) -> Result<$name, E> {
                        self.visit_i64(i64::try_from(ordinal).unwrap_or(-1))
                    }
                }

                deserializer.deserialize_any(NameOrOrdinal)
            }
        }
    };
}

java_enum! {
    /// Who moves first, broker or consumer, in the consumer's own view.
    ConsumeType {
        Actively = "CONSUME_ACTIVELY",
        Passively = "CONSUME_PASSIVELY",
    } default Passively
}

java_enum! {
    /// Whether the members of a group share the messages or all get them.
    MessageModel {
        Broadcasting = "BROADCASTING",
        Clustering = "CLUSTERING",
    } default Clustering
}

java_enum! {
    /// Where a new group begins.
    ConsumeFromWhere {
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        LastOffsetAndFromMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    } default LastOffset
}

java_enum! {
    /// Kind of a topic; both are hashed alike.
    TopicFilterType {
        SingleTag = "SINGLE_TAG",
        MultiTag = "MULTI_TAG",
    } default SingleTag
}
