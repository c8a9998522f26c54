//! The body of CHECK_CLIENT_CONFIG. Plain value, any core.

use serde::{Deserialize, Serialize};

use super::SubscriptionData;

/// A consumer asks whether its filter will be understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CheckClientRequestBody {
    /// Who asks.
    pub client_id: String,
    /// For which group.
    pub group: String,
    /// The filter.
    pub subscription_data: SubscriptionData,
}
