//! The seam against a real file, with and without faults.

use super::*;
use crate::store::testing::TempDir;
use std::os::unix::fs::FileExt;

fn write(disk: &Disk, file: &File, parts: &[&[u8]], position: u64) -> io::Result<()> {
    let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    disk.write_all_at(file, &mut slices, position)
}

#[test]
fn short_writes_are_continued() {
    let dir = TempDir::new("io-short");
    let faults = Arc::new(Faults::default());
    let disk = Disk::with_faults(faults.clone());
    let (file, _) = disk.create(&dir.path().join("f"), false).expect("create");
    faults.short_writes(3);
    write(&disk, &file, &[b"hello", b"", b" ", b"world"], 2).expect("written");
    let mut back = [0u8; 13];
    file.read_exact_at(&mut back, 0).expect("read");
    assert_eq!(&back, b"\0\0hello world");
    assert!(faults.writes() >= 4);
}

#[test]
fn faults_hit_the_call_they_were_set_for() {
    let dir = TempDir::new("io-faults");
    let faults = Arc::new(Faults::default());
    let disk = Disk::with_faults(faults.clone());
    let (file, _) = disk.create(&dir.path().join("f"), false).expect("create");
    faults.fail_writes(1, 1, libc::ENOSPC);
    write(&disk, &file, &[b"a"], 0).expect("the first is let through");
    let error = write(&disk, &file, &[b"b"], 0).expect_err("the second fails");
    assert!(is_out_of_space(&error));
    write(&disk, &file, &[b"c"], 0).expect("the third is let through");
    faults.fail_syncs(0, u64::MAX, libc::EIO);
    for _ in 0..2 {
        assert_eq!(disk.sync_data(&file).map_err(|error| error.raw_os_error()), Err(Some(libc::EIO)));
    }
    faults.fail_allocations(0, 1, libc::ENOSPC);
    assert!(disk.allocate(&file, 8192).is_err());
    disk.allocate(&file, 8192).expect("allocated");
    assert_eq!(file.metadata().expect("metadata").len(), 8192);
}

#[test]
fn aligned_zeros_are_aligned_zeros() {
    let zeros = AlignedZeros::new(3 * PAGE);
    assert_eq!(zeros.get(PAGE).len(), PAGE);
    assert_eq!(zeros.get(usize::MAX).len(), 3 * PAGE);
    assert_eq!(zeros.get(PAGE).as_ptr() as usize % PAGE, 0);
    assert!(zeros.get(3 * PAGE).iter().all(|byte| *byte == 0));
}

#[test]
fn what_was_just_written_is_resident() {
    let dir = TempDir::new("io-resident");
    let disk = Disk::system();
    let (file, _) = disk.create(&dir.path().join("f"), false).expect("create");
    write(&disk, &file, &[&[7u8; 3 * PAGE]], 0).expect("written");
    assert!(residency::resident(&file, 100, 2 * PAGE as u64));
    file.set_len(64 << 20).expect("longer");
    assert!(!residency::resident(&file, 32 << 20, PAGE as u64), "a hole nobody read has no page");
}
