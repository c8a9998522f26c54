//! The disk seam.
pub mod ring;
/// x
#[derive(Clone)]
pub struct Disk;
impl Disk {
    /** x */
    pub fn system() -> Self {
        Disk
    }
}
/// x
#[derive(Clone)]
pub struct SpaceProbe;
impl SpaceProbe {
    /** x */
    pub fn system() -> Self {
        SpaceProbe
    }
}
/// Bytes of physical memory.
pub fn physical_memory_bytes() -> i64 {
    1 << 32
}
