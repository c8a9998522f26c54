//! The only place where an outcome of the store becomes a code of the protocol.

use engine::{GetStatus, PutRefused, PutStatus};
use protocol::code::response;

use crate::call::Refusal;

/// Code and Java's name of what became of a stored message.
pub fn status(status: PutStatus) -> (i32, &'static str) {
    match status {
        PutStatus::Ok => (response::SUCCESS, "PUT_OK"),
        PutStatus::FlushTimeout => (response::FLUSH_DISK_TIMEOUT, "FLUSH_DISK_TIMEOUT"),
        PutStatus::SlaveNotAvailable => (response::SLAVE_NOT_AVAILABLE, "SLAVE_NOT_AVAILABLE"),
        PutStatus::SlaveTimeout => (response::FLUSH_SLAVE_TIMEOUT, "FLUSH_SLAVE_TIMEOUT"),
        PutStatus::Failed => (response::SYSTEM_ERROR, "UNKNOWN_ERROR"),
        PutStatus::NoRoom => (response::SERVICE_NOT_AVAILABLE, "SERVICE_NOT_AVAILABLE"),
    }
}

/// Whether the message is in the log, whatever else was promised of it.
pub fn is_stored(status: PutStatus) -> bool {
    !matches!(status, PutStatus::Failed | PutStatus::NoRoom)
}

/// Why the store did not take a message.
pub fn refused(refused: &PutRefused) -> Refusal {
    let code = match refused {
        PutRefused::NotWritable(_)
        | PutRefused::DiskFull { .. }
        | PutRefused::ShuttingDown
        | PutRefused::Failed
        | PutRefused::Slave => response::SERVICE_NOT_AVAILABLE,
        PutRefused::BodyTooLarge { .. }
        | PutRefused::TopicTooLong { .. }
        | PutRefused::PropertiesTooLong { .. }
        | PutRefused::Empty => response::MESSAGE_ILLEGAL,
    };
    Refusal::new(code, refused.to_string())
}

/// Code of a pull (reference: Java 4.9.7 PullMessageProcessor).
pub fn pulled(status: GetStatus, queue_offset: i64) -> i32 {
    match status {
        GetStatus::Found => response::SUCCESS,
        GetStatus::MessageWasRemoving | GetStatus::NoMatchedMessage => response::PULL_RETRY_IMMEDIATELY,
        GetStatus::NoMatchedLogicQueue | GetStatus::NoMessageInQueue if queue_offset != 0 => {
            response::PULL_OFFSET_MOVED
        }
        GetStatus::NoMatchedLogicQueue | GetStatus::NoMessageInQueue => response::PULL_NOT_FOUND,
        GetStatus::OffsetFoundNull | GetStatus::OffsetOverflowOne => response::PULL_NOT_FOUND,
        GetStatus::OffsetOverflowBadly | GetStatus::OffsetTooSmall => response::PULL_OFFSET_MOVED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_message_has_javas_code_and_name() {
        for (outcome, code, name, stored) in [
            (PutStatus::Ok, 0, "PUT_OK", true),
            (PutStatus::FlushTimeout, 10, "FLUSH_DISK_TIMEOUT", true),
            (PutStatus::SlaveNotAvailable, 11, "SLAVE_NOT_AVAILABLE", true),
            (PutStatus::SlaveTimeout, 12, "FLUSH_SLAVE_TIMEOUT", true),
            (PutStatus::Failed, 1, "UNKNOWN_ERROR", false),
            (PutStatus::NoRoom, 14, "SERVICE_NOT_AVAILABLE", false),
        ] {
            assert_eq!((status(outcome), is_stored(outcome)), ((code, name), stored));
        }
        assert_eq!(refused(&PutRefused::Slave).code, 14);
    }
}
