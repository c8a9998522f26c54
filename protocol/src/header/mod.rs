//! What the fields of each request and response mean, one file each.
//!
//! Decoding reads the fields once, in place, ignores those it does not know and says which one is missing or cannot be
//! read. Optional ones may be missing, and some that Java calls required too where clients in the field leave them out.
//! Pure functions, any core.

mod add_write_perm;
mod consumer_send_msg_back;
mod delete_kv_config;
mod delete_subscription_group;
mod delete_topic;
mod delete_topic_in_namesrv;
mod end_transaction;
mod get_broker_config;
mod get_consume_stats;
mod get_consumer_connection_list;
mod get_consumer_list_by_group;
mod get_earliest_msg_storetime;
mod get_kv_config;
mod get_kvlist;
mod get_max_offset;
mod get_min_offset;
mod get_producer_connection_list;
mod get_route_info;
mod get_subscription_group_config;
mod get_topic_config;
mod get_topic_stats_info;
mod get_topics_by_cluster;
mod notify_consumer_ids_changed;
mod pull_message;
mod put_kv_config;
mod query_consumer_offset;
mod query_data_version;
mod query_message;
mod query_topic_consume_by_who;
mod register_broker;
mod search_offset_by_timestamp;
mod send_message;
mod unregister_broker;
mod unregister_client;
mod update_and_create_topic;
mod update_consumer_offset;
mod value;
mod view_message_by_id;
mod wipe_write_perm;

pub use add_write_perm::{AddWritePermHeader, AddWritePermResponse};
pub use consumer_send_msg_back::ConsumerSendMsgBackHeader;
pub use delete_kv_config::DeleteKvConfigHeader;
pub use delete_subscription_group::DeleteSubscriptionGroupHeader;
pub use delete_topic::DeleteTopicHeader;
pub use delete_topic_in_namesrv::DeleteTopicInNamesrvHeader;
pub use end_transaction::EndTransactionHeader;
pub use get_broker_config::GetBrokerConfigResponse;
pub use get_consume_stats::GetConsumeStatsHeader;
pub use get_consumer_connection_list::GetConsumerConnectionListHeader;
pub use get_consumer_list_by_group::GetConsumerListByGroupHeader;
pub use get_earliest_msg_storetime::{GetEarliestMsgStoretimeHeader, GetEarliestMsgStoretimeResponse};
pub use get_kv_config::{GetKvConfigHeader, GetKvConfigResponse};
pub use get_kvlist::GetKvlistHeader;
pub use get_max_offset::{GetMaxOffsetHeader, GetMaxOffsetResponse};
pub use get_min_offset::{GetMinOffsetHeader, GetMinOffsetResponse};
pub use get_producer_connection_list::GetProducerConnectionListHeader;
pub use get_route_info::GetRouteInfoHeader;
pub use get_subscription_group_config::GetSubscriptionGroupConfigHeader;
pub use get_topic_config::GetTopicConfigHeader;
pub use get_topic_stats_info::GetTopicStatsInfoHeader;
pub use get_topics_by_cluster::GetTopicsByClusterHeader;
pub use notify_consumer_ids_changed::NotifyConsumerIdsChangedHeader;
pub use pull_message::{PullMessageHeader, PullMessageResponse};
pub use put_kv_config::PutKvConfigHeader;
pub use query_consumer_offset::{QueryConsumerOffsetHeader, QueryConsumerOffsetResponse};
pub use query_data_version::{QueryDataVersionHeader, QueryDataVersionResponse};
pub use query_message::{QueryMessageHeader, QueryMessageResponse};
pub use query_topic_consume_by_who::QueryTopicConsumeByWhoHeader;
pub use register_broker::{RegisterBrokerHeader, RegisterBrokerResponse};
pub use search_offset_by_timestamp::{SearchOffsetByTimestampHeader, SearchOffsetByTimestampResponse};
pub use send_message::{SendMessageHeader, SendMessageResponse};
pub use unregister_broker::UnregisterBrokerHeader;
pub use unregister_client::UnregisterClientHeader;
pub use update_and_create_topic::UpdateAndCreateTopicHeader;
pub use update_consumer_offset::UpdateConsumerOffsetHeader;
pub use value::{HeaderError, Problem};
pub use view_message_by_id::ViewMessageByIdHeader;
pub use wipe_write_perm::{WipeWritePermHeader, WipeWritePermResponse};

/// PULL_MESSAGE sys flag: commit `commitOffset` for this queue.
pub const PULL_COMMIT_OFFSET: i32 = 1;
/// PULL_MESSAGE sys flag: the request may be held when there is nothing to send.
pub const PULL_SUSPEND: i32 = 2;
/// PULL_MESSAGE sys flag: the request carries its subscription.
pub const PULL_SUBSCRIPTION: i32 = 4;
/// PULL_MESSAGE sys flag: class filter mode.
pub const PULL_CLASS_FILTER: i32 = 8;
/// PULL_MESSAGE sys flag: a lite pull consumer.
pub const PULL_LITE: i32 = 16;

/// Declares a header: its fields with type, wire name and, behind `or`, what a missing one counts as. A missing
/// `Option` is `None`, a missing `bool` false, anything else missing is an error.
macro_rules! header {
    ($(#[$doc:meta])* $name:ident<$lt:lifetime> { $($body:tt)* }) => {
        crate::header::header! { @struct [$(#[$doc])*] $name [<$lt>] { $($body)* } }
        impl<$lt> $name<$lt> {
            /// Reads the fields.
            pub fn decode(fields: &crate::fields::Fields<$lt>) -> Result<Self, crate::header::HeaderError> {
                crate::header::header! { @decode fields { $($body)* } }
            }

            /// Writes the fields; absent ones are left out.
            pub fn encode(&self, out: &mut crate::field_writer::FieldWriter<'_>) {
                out.open();
                crate::header::header! { @encode self out { $($body)* } }
            }
        }
    };
    ($(#[$doc:meta])* $name:ident { $($body:tt)* }) => {
        crate::header::header! { @struct [$(#[$doc])*] $name [] { $($body)* } }
        impl $name {
            /// Reads the fields.
            pub fn decode(fields: &crate::fields::Fields<'_>) -> Result<Self, crate::header::HeaderError> {
                crate::header::header! { @decode fields { $($body)* } }
            }

            /// Writes the fields; absent ones are left out.
            pub fn encode(&self, out: &mut crate::field_writer::FieldWriter<'_>) {
                out.open();
                crate::header::header! { @encode self out { $($body)* } }
            }
        }
    };
    (@struct [$($doc:tt)*] $name:ident [$($lt:tt)*]
        { $($(#[$fdoc:meta])* $field:ident: $ty:ty = $key:literal $(or $default:expr)?,)* }) => {
        $($doc)*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name $($lt)* {
            $($(#[$fdoc])* pub $field: $ty,)*
        }
    };
    (@decode $fields:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty = $key:literal $(or $default:expr)?,)* }) => {{
        $(let mut $field: Option<$ty> = None;)*
        $fields.try_each(#[inline(always)] |name, text| {
            let name = name.bytes();
            $(if *name == *$key.as_bytes() {
                $field = crate::header::value::read($key, text)?;
                return Ok(());
            })*
            Ok(())
        })?;
        Ok(Self {
            $($field: match $field {
                Some(value) => value,
                None => crate::header::header!(@absent $key $($default)?),
            },)*
        })
    }};
    (@absent $key:literal) => { crate::header::value::absent($key)? };
    (@absent $key:literal $default:expr) => { $default };
    (@encode $self:ident $out:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty = $key:literal $(or $default:expr)?,)* }) => {
        $(crate::header::value::write(&$self.$field, $out, $key);)*
    };
}
pub(crate) use header;

#[cfg(test)]
mod tests;
