//! What this machine's loopback carries when one thread sends a cached file with sendfile and another reads it.
//!
//! Owns one file and two threads. The ceiling for a broker that answers pulls in chunks of 256 KiB.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;
use std::time::Instant;

const CHUNK: usize = 256 * 1024;
/// Read at once by the receiver.
const READ: usize = 1 << 20;
/// The file sent over and over; larger than the caches of a core.
const FILE: usize = 64 << 20;

/// `mb_s`: megabytes (10^6) a second over `mib` MiB.
pub fn measure(folder: &Path, mib: u64) -> Result<BTreeMap<String, f64>, String> {
    let path = folder.join("loopback-probe");
    let measured = measure_file(&path, mib.clamp(1, 1 << 20) << 20);
    // A file that could not be made cannot be removed either.
    let _ = fs::remove_file(&path);
    let rate = measured.map_err(|error| format!("loopback probe {}: {error}", path.display()))?;
    Ok(BTreeMap::from([("mb_s".into(), rate / 1e6)]))
}

/// Bytes a second.
fn measure_file(path: &Path, bytes: u64) -> io::Result<f64> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0x5a; FILE])?;
    // Not while the disk writes it.
    file.sync_data()?;
    let file = File::open(path)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut receiver = TcpStream::connect(listener.local_addr()?)?;
    let (sender, _) = listener.accept()?;
    let reading = thread::spawn(move || {
        let mut buffer = vec![0u8; READ];
        let mut received = 0u64;
        loop {
            match receiver.read(&mut buffer)? {
                0 => return Ok::<u64, io::Error>(received),
                read => received += read as u64,
            }
        }
    });
    let begun = Instant::now();
    let sent = send(&file, &sender, bytes);
    drop(sender);
    let received = reading.join().map_err(|_| io::Error::other("the reading thread panicked"))??;
    let took = begun.elapsed().as_secs_f64();
    sent?;
    if received != bytes {
        return Err(io::Error::other(format!("{bytes} bytes sent, {received} received")));
    }
    Ok(bytes as f64 / took)
}

fn send(file: &File, socket: &TcpStream, bytes: u64) -> io::Result<()> {
    let mut left = bytes;
    let mut offset: libc::off_t = 0;
    while left > 0 {
        if offset >= FILE as libc::off_t {
            offset = 0;
        }
        let ask = (left.min(CHUNK as u64) as usize).min(FILE - offset as usize);
        // SAFETY: both descriptors are open for the whole call, and offset is a live variable of the kernel's type.
        let sent = unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &mut offset, ask) };
        match sent {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            sent if sent > 0 => left -= sent as u64,
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_arrive_and_nothing_is_left() {
        let folder = std::env::temp_dir().join(format!("mqbench-loopback-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // More than the file holds: it is sent from its beginning again.
        assert!(measure(&folder, 70).unwrap()["mb_s"] > 0.0);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
    }
}
