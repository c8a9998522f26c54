//! The commitlog directory: which files it holds, whether they fit together. Removes only what a crash left half made.

use std::fs;
use std::sync::Arc;

use crate::commitlog::prepare::TMP_SUFFIX;
use crate::commitlog::segment::{Segment, file_name};
use crate::error::OpenError;
use crate::options::StoreOptions;

/// Opens every file, in order. Names must follow one another by the configured size, sizes must be the configured one
/// (Java 4.9.7 refuses to start, too). Directories and names that are not 20 digits are left alone with a word.
pub(super) fn load(options: &StoreOptions) -> Result<Vec<Arc<Segment>>, OpenError> {
    let dir = &options.commitlog_dir;
    let read = |error| OpenError::io("read the directory", dir, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(read)? {
        let entry = entry.map_err(read)?;
        let path = entry.path();
        let metadata = fs::metadata(&path).map_err(|error| OpenError::io("look at", &path, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(TMP_SUFFIX) && metadata.is_file() {
            tracing::info!(path = %path.display(), "a file that was being prepared is removed");
            fs::remove_file(&path).map_err(|error| OpenError::io("remove", &path, error))?;
            continue;
        }
        let base = name.parse::<i64>().ok().filter(|base| *base >= 0 && name == file_name(*base));
        match base {
            Some(base) if metadata.is_file() => files.push((base, path, metadata.len())),
            _ => tracing::warn!(path = %path.display(), "not a commitlog file: left alone"),
        }
    }
    files.sort();
    // Java makes a file before it gives it its size; a crash in between leaves an empty last one.
    if let Some((_, path, 0)) = files.last() {
        tracing::warn!(path = %path.display(), "an empty commitlog file is removed");
        fs::remove_file(path).map_err(|error| OpenError::io("remove", path, error))?;
        files.pop();
    }
    let size = options.segment_size;
    let mut expected: Option<i64> = None;
    let mut segments = Vec::with_capacity(files.len());
    for (base, path, found_bytes) in files {
        if found_bytes != size {
            return Err(OpenError::SegmentSize { path, found_bytes, configured_bytes: size });
        }
        if expected.is_some_and(|expected| expected != base) || !base.cast_unsigned().is_multiple_of(size) {
            let expected = expected.map_or_else(|| "a multiple of the file size".to_string(), file_name);
            let problem = format!("a commitlog file is missing or does not belong here: the name should be {expected}");
            return Err(OpenError::SegmentName { path, problem });
        }
        expected = base.checked_add_unsigned(size);
        let segment = Segment::open(&options.disk, &path, base, size);
        segments.push(Arc::new(segment.map_err(|error| OpenError::io("open", &path, error))?));
    }
    Ok(segments)
}

/// Makes the first file of an empty log. Only its space is taken, so that a new store starts at once.
pub(crate) fn first_segment(options: &StoreOptions, base: i64) -> Result<Arc<Segment>, OpenError> {
    let path = options.commitlog_dir.join(file_name(base));
    let tmp = options.commitlog_dir.join(format!("{}{TMP_SUFFIX}", file_name(base)));
    let disk = &options.disk;
    let made = disk.create(&tmp, false).and_then(|(file, _)| {
        disk.allocate(&file, options.segment_size)?;
        file.sync_data()?;
        fs::rename(&tmp, &path)?;
        disk.sync_dir(&options.commitlog_dir)?;
        Segment::open(disk, &path, base, options.segment_size)
    });
    made.map(Arc::new).map_err(|error| {
        let _ = fs::remove_file(&tmp);
        OpenError::io("make the first commitlog file", &path, error)
    })
}
