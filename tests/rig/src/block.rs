//! A block device on a file, by the kernel's loop driver.
//!
//! Owns finding and setting up a free one. It frees itself once nobody has it open or mounted, however we end.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4c82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4c0a;
const FLAG_AUTOCLEAR: u32 = 4;
/// Without it the kernel would keep a cache of its own between the file system and the disk's.
const FLAG_DIRECT_IO: u32 = 16;
/// Others may take the device we were told is free.
const TRIES: usize = 20;

/// `struct loop_config` of the kernel.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// `struct loop_info64` of the kernel.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// A device that lives as long as this or a mount of it.
pub struct Device {
    path: PathBuf,
    _open: File,
}

impl Device {
    /// `/dev/loopN`.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Puts a device on the file.
pub fn attach(file: &Path) -> Result<Device, String> {
    let backing = open(file)?;
    let control = open(Path::new("/dev/loop-control"))?;
    let mut last = String::new();
    for _ in 0..TRIES {
        // SAFETY: this request takes no argument and answers a number.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(format!("no free loop device: {}", io::Error::last_os_error()));
        }
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = open(&path)?;
        match configure(&device, &backing) {
            Ok(()) => return Ok(Device { path, _open: device }),
            Err(error) => last = format!("{}: {error}", path.display()),
        }
    }
    Err(format!("no loop device could be set up; last {last}"))
}

fn configure(device: &File, backing: &File) -> io::Result<()> {
    // SAFETY: plain numbers all over, zero is valid for each.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = u32::try_from(backing.as_raw_fd()).unwrap_or(u32::MAX);
    config.block_size = 512;
    config.info.flags = FLAG_AUTOCLEAR | FLAG_DIRECT_IO;
    // SAFETY: the request reads one loop_config, which has the kernel's layout and outlives the call.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn open(path: &Path) -> Result<File, String> {
    File::options().read(true).write(true).open(path).map_err(|error| format!("{}: {error}", path.display()))
}
