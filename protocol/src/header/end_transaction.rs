//! END_TRANSACTION (37), producer to broker, one-way.
//! A header in place; pure functions, any core.

use std::borrow::Cow;

use crate::header::header;

header! {
    /// The fate of a half message.
    EndTransactionHeader<'a> {
        producer_group: Cow<'a, str> = "producerGroup",
        /// Place in the half queue.
        tran_state_table_offset: i64 = "tranStateTableOffset",
        /// Bytes in the log of the half message.
        commit_log_offset: i64 = "commitLogOffset",
        /// 8 commit, 12 rollback, 0 unknown.
        commit_or_rollback: i32 = "commitOrRollback",
        /// An answer to the broker's question.
        from_transaction_check: bool = "fromTransactionCheck",
        msg_id: Option<Cow<'a, str>> = "msgId",
        transaction_id: Option<Cow<'a, str>> = "transactionId",
    }
}
