//! One file of the commitlog: descriptor and shared read mapping.
use std::os::fd::RawFd;
use std::sync::Arc;
/// A commitlog file.
#[derive(Debug)]
pub struct Segment {}
impl Segment {
    /// For sendfile.
    pub fn raw_fd(&self) -> RawFd {
        todo!()
    }
    /// Bytes of the read mapping.
    pub fn bytes(&self, _position: u64, _len: usize) -> &[u8] {
        todo!()
    }
}
/// Bytes of a segment, kept alive.
#[derive(Clone, Debug)]
pub struct LogRange {
    /// The file.
    pub segment: Arc<Segment>,
    /// Byte within the file.
    pub position: u64,
    /// Bytes.
    pub len: usize,
}
impl LogRange {
    /// The bytes, through the mapping.
    pub fn bytes(&self) -> &[u8] {
        self.segment.bytes(self.position, self.len)
    }
}
