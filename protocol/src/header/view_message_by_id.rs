//! VIEW_MESSAGE_BY_ID (33), tools to broker.
//! A header in place; pure functions, any core.

use crate::header::header;

header! {
    /// One record by its place in the log.
    ViewMessageByIdHeader {
        /// Bytes in the log.
        offset: i64 = "offset",
    }
}
