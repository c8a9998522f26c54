//! What the disk itself takes for one durable 4 KiB write, in the folder where the stores lie.
//!
//! Owns one file, written full of zeros first, so that only data is written in the measured time and no metadata of new
//! blocks. Runs on the caller's thread, one write at a time.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

const BLOCK: usize = 4096;
/// No write takes longer; were one to, it counts as this.
const LONGEST_NS: u64 = 60_000_000_000;

#[repr(C, align(4096))]
struct Aligned([u8; BLOCK]);

/// `odsync_…` (O_DIRECT|O_DSYNC) and `fdatasync_…` (pwrite, then fdatasync), p50 and p99 in microseconds. Where the file
/// system has no O_DIRECT the first is missing.
pub fn measure(folder: &Path, writes: u64) -> Result<BTreeMap<String, f64>, String> {
    let path = folder.join("disk-probe");
    let measured = measure_file(&path, writes.clamp(1, 1_000_000));
    // A file that could not be made cannot be removed either.
    let _ = fs::remove_file(&path);
    measured.map_err(|error| format!("disk probe {}: {error}", path.display()))
}

fn measure_file(path: &Path, writes: u64) -> std::io::Result<BTreeMap<String, f64>> {
    let mut file = File::create(path)?;
    let zeros = vec![0u8; 1 << 20];
    let mut left = writes * BLOCK as u64;
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        file.write_all(&zeros[..part as usize])?;
        left -= part;
    }
    file.sync_all()?;
    let block = Aligned([0x5a; BLOCK]);
    let mut figures = BTreeMap::new();
    let buffered = timed(writes, |offset| {
        file.write_all_at(&block.0, offset)?;
        file.sync_data()
    })?;
    put(&mut figures, "fdatasync", &buffered);
    match OpenOptions::new().write(true).custom_flags(libc::O_DIRECT | libc::O_DSYNC).open(path) {
        Ok(direct) => put(&mut figures, "odsync", &timed(writes, |offset| direct.write_all_at(&block.0, offset))?),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        Err(error) => return Err(error),
    }
    Ok(figures)
}

fn timed(writes: u64, mut write: impl FnMut(u64) -> std::io::Result<()>) -> std::io::Result<Histogram<u64>> {
    let mut histogram = Histogram::<u64>::new_with_max(LONGEST_NS, 3).map_err(std::io::Error::other)?;
    for index in 0..writes {
        let begun = Instant::now();
        write(index * BLOCK as u64)?;
        histogram.saturating_record(nanoseconds(begun.elapsed()));
    }
    Ok(histogram)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn put(figures: &mut BTreeMap<String, f64>, way: &str, histogram: &Histogram<u64>) {
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        figures.insert(format!("{way}_{name}_us"), histogram.value_at_quantile(quantile) as f64 / 1e3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_measured_and_nothing_is_left() {
        let folder = std::env::temp_dir().join(format!("mqbench-disk-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let figures = measure(&folder, 5).unwrap();
        // No system call is done in a tenth of a microsecond.
        assert!(figures["fdatasync_p50_us"] > 0.1 && figures["fdatasync_p99_us"] >= figures["fdatasync_p50_us"]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
        assert!(measure(&folder, 5).unwrap_err().contains("disk-probe"));
    }
}
