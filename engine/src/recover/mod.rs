//! Recovery.
/// What recovery did.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// The abort file was present.
    pub abnormal: bool,
    /// Physical offset where the scan began.
    pub from: i64,
    /// End of the log.
    pub to: i64,
    /// Records read.
    pub records: u64,
    /// Bytes cut off the end.
    pub cut_bytes: u64,
    /// Damage with valid records behind it.
    pub damaged: Vec<DamagedRange>,
    /// Milliseconds it took.
    pub millis: u64,
}
/// Bytes of the log that are no records although records follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// First byte.
    pub from: i64,
    /// One past the last.
    pub to: i64,
}
