//! Which index files of a directory are to be trusted.
//!
//! Owns the checks at start. Removes what fails them; never changes a file it keeps. Runs where the store is opened.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::active::Active;
use super::file::{Entry, HEADER_SIZE, Header, Layout};
use super::{Sealed, State, name, remove_file};
use crate::tables::failed;

/// Loads `dir`; with `unclean_bound_ms`, files that end later are not trusted and the newest one gets new slots.
pub(super) fn load(dir: &Path, layout: Layout, unclean_bound_ms: Option<i64>) -> io::Result<State> {
    let mut files = Vec::new();
    // Of the first file that is not kept: nothing newer is kept either, so that the follower, which goes on at
    // the end of the newest file, makes up for all of it.
    let mut first_bad: Option<PathBuf> = None;
    for path in paths(dir)? {
        if first_bad.is_some() {
            discard(&path, "follows a file that is built again")?;
            continue;
        }
        match examine(&path, layout)? {
            Ok(header) => files.push((path, header)),
            Err(why) => {
                discard(&path, &why)?;
                first_bad = Some(path);
            }
        }
    }
    // A file without entries is the newest one; elsewhere its header is lost.
    let with_entries = files.iter().rposition(|(_, header)| !header.is_empty()).map_or(0, |i| i + 1);
    if let Some(emptied) = files.iter().take(with_entries).position(|(_, header)| header.is_empty()) {
        for (path, _) in files.drain(emptied..) {
            discard(&path, "has lost its header, or follows such a file")?;
        }
    }
    // Those at the end hold nothing; the follower makes its own.
    while let Some((path, _)) = files.pop_if(|(_, header)| header.is_empty()) {
        remove_file(&path)?;
    }
    // Names follow the clock, which may have been put back; offsets in the log do not.
    files.sort_by_key(|(_, header)| (header.begin_physical, header.end_physical));
    let mut state = State { indexed_through: -1, ..State::default() };
    let mut kept: Vec<(PathBuf, Header)> = Vec::new();
    let mut rest = files.into_iter();
    for (path, header) in rest.by_ref() {
        let trouble = match (kept.last(), unclean_bound_ms) {
            (_, Some(bound)) if header.end_timestamp > bound => Some(format!(
                "ends at {} ms, behind the checkpoint's {bound} ms, after an unclean end",
                header.end_timestamp
            )),
            (Some((previous, before)), _) if header.begin_physical < before.end_physical => {
                Some(format!("overlaps {}", previous.display()))
            }
            _ => None,
        };
        match trouble {
            None => kept.push((path, header)),
            Some(why) => {
                discard(&path, &why)?;
                break;
            }
        }
    }
    for (path, _) in rest {
        discard(&path, "follows a file that is built again")?;
    }
    if let Some((path, header)) = kept.pop() {
        if header.next_entry >= layout.entries {
            kept.push((path, header));
        } else {
            let mut active = Active::reopen(path, layout, header)?;
            if unclean_bound_ms.is_none() || active.rebuild_slots()? {
                state.active = Some(active);
            } else {
                discard(active.path(), "has entries that do not form chains")?;
            }
        }
    }
    state.sealed = kept.into_iter().map(|(path, header)| Arc::new(Sealed { path, header })).collect();
    state.indexed_through = state.newest().map_or(-1, |header| header.end_physical);
    Ok(state)
}

fn discard(path: &Path, why: &str) -> io::Result<()> {
    tracing::warn!("index {} {why}: removed, its range of the log is indexed again", path.display());
    remove_file(path)
}

/// Files named like index files, by name.
fn paths(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(dir, "list it", e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed(dir, "list it", e))?;
        let path = entry.path();
        if entry.file_name().to_str().is_some_and(name::is_name) && path.is_file() {
            paths.push(path);
        } else {
            tracing::warn!("{} is not an index file: left alone", path.display());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The header of a file, or what is wrong with it.
fn examine(path: &Path, layout: Layout) -> io::Result<Result<Header, String>> {
    let mut file = File::open(path).map_err(|e| failed(path, "open it", e))?;
    let size = file.metadata().map_err(|e| failed(path, "look at it", e))?.len();
    if size != layout.file_size() {
        return Ok(Err(format!(
            "has {size} bytes, not the {} of {} slots and {} entries",
            layout.file_size(),
            layout.slots,
            layout.entries
        )));
    }
    let mut bytes = [0; HEADER_SIZE];
    file.read_exact(&mut bytes).map_err(|e| failed(path, "read its header", e))?;
    let header = Header::decode(&bytes);
    let sane = header.next_entry <= layout.entries
        && header.slots_used < header.next_entry.max(1)
        && (0..=header.end_physical).contains(&header.begin_physical)
        && header.begin_timestamp.min(header.end_timestamp) >= 0;
    if !sane {
        return Ok(Err(format!("has a header that cannot be: {header:?}")));
    }
    if !header.is_empty() {
        let read = |number| Entry::read(&file, layout, number).map_err(|e| failed(path, "read its entries", e));
        let (first, last) = (read(1)?, read(header.next_entry - 1)?);
        let offsets_fit = (first.physical_offset, last.physical_offset) == (header.begin_physical, header.end_physical);
        // Java counts the first entry's seconds from the previous file's end, so it says nothing.
        let times_fit = if header.next_entry == 2 {
            header.begin_timestamp == header.end_timestamp
        } else {
            last.seconds == header.seconds_to(header.end_timestamp)
        };
        if !offsets_fit || !times_fit {
            return Ok(Err("has a header that does not fit its first and last entry".to_owned()));
        }
    }
    Ok(Ok(header))
}
