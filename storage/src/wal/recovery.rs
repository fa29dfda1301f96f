//! Reading a log after any kind of stop. Rules, in order:
//! - Files follow each other without a gap; the first starts at or before the first record that is needed.
//! - In a file that is not the last, every byte belongs to a whole frame: such a file was synced before the next began.
//! - In the last file, the first bad frame begins the tail. If behind it a whole frame says that the log was synced
//!   beyond the bad one, acknowledged data is damaged: an error with the offset. Otherwise the tail was never
//!   acknowledged and is cut.

use std::path::{Path, PathBuf};

use super::frame::{self, FRAME_BYTES, Frame, HEADER_BYTES, Header};
use super::{file_path, parse_name};
use crate::error::{Result, StorageError};
use crate::vfs::Vfs;

/// What opening a log found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records replayed.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of a torn tail that were cut.
    pub cut_bytes: u64,
    /// Sequence number of the last record, replayed or not.
    pub last_sequence: u64,
}

/// A log file as recovery leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) first_sequence: u64,
    pub(super) len: u64,
}

/// The files that remain, oldest first, and the number that the next record of the last one would have.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) files: Vec<LogFile>,
    pub(super) next_in_last: Option<u64>,
    pub(super) recovery: Recovery,
}

/// Replays all records after `after` and cuts a torn tail.
pub(super) fn recover(
    vfs: &dyn Vfs,
    dir: &Path,
    after: u64,
    replay: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<Recovered> {
    let mut names: Vec<u64> = vfs.list(dir)?.iter().filter_map(|entry| parse_name(&entry.name)).collect();
    names.sort_unstable();
    let mut recovery = Recovery { last_sequence: after, ..Recovery::default() };
    let mut files = Vec::new();
    let mut expected = None;
    for (position, &name) in names.iter().enumerate() {
        let path = file_path(dir, name);
        let last = position + 1 == names.len();
        let bytes = vfs.read(&path)?;
        match frame::read_header(&bytes) {
            Header::Good { first_sequence } if first_sequence == name => {}
            Header::Version(found) => {
                return Err(StorageError::UnsupportedVersion { path, found, supported: frame::VERSION });
            }
            // A crash while the file was made: no record can have been acknowledged from it.
            _ if last && holds_no_frame(&bytes, name) => {
                vfs.remove_file(&path)?;
                vfs.sync_dir(dir)?;
                recovery.cut_bytes += bytes.len() as u64;
                break;
            }
            _ => return Err(StorageError::corrupt(&path, 0, "the header does not match its checksum")),
        }
        check_follows(&path, name, expected, after)?;
        let end = scan(&path, &bytes, name, last, &mut |frame| {
            recovery.last_sequence = recovery.last_sequence.max(frame.sequence);
            if frame.sequence <= after {
                return Ok(());
            }
            recovery.records += 1;
            recovery.bytes += frame.bytes() as u64;
            replay(frame.sequence, frame.payload)
        })?;
        expected = Some(end.next_sequence);
        if end.offset < bytes.len() {
            cut(vfs, &path, end.offset as u64)?;
            recovery.cut_bytes += (bytes.len() - end.offset) as u64;
        }
        files.push(LogFile { path, first_sequence: name, len: end.offset as u64 });
    }
    Ok(Recovered { files, next_in_last: expected, recovery })
}

fn check_follows(path: &Path, first: u64, expected: Option<u64>, after: u64) -> Result<()> {
    match expected {
        Some(expected) if expected != first => Err(StorageError::corrupt(
            path,
            0,
            format!("records {expected} to {first} are missing before this file"),
        )),
        None if first > after + 1 => {
            let reason = format!("records {} to {} are missing before this file", after + 1, first - 1);
            Err(StorageError::corrupt(path, 0, reason))
        }
        _ => Ok(()),
    }
}

struct End {
    offset: usize,
    next_sequence: u64,
}

/// Visits the whole frames of a file; returns where they end.
fn scan(
    path: &Path,
    bytes: &[u8],
    first: u64,
    last: bool,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
) -> Result<End> {
    let mut end = End { offset: HEADER_BYTES, next_sequence: first };
    while end.offset < bytes.len() {
        let Some(frame) = frame::read(&bytes[end.offset..]).filter(|f| f.sequence == end.next_sequence)
        else {
            let acknowledged = !last || synced_beyond(&bytes[end.offset..], end.next_sequence);
            if acknowledged {
                let reason =
                    format!("record {} is damaged, and later ones were acknowledged", end.next_sequence);
                return Err(StorageError::corrupt(path, end.offset as u64, reason));
            }
            break;
        };
        visit(frame)?;
        end.offset += frame.bytes();
        end.next_sequence += 1;
    }
    Ok(end)
}

/// Whether somewhere in `tail` lies a whole frame written when record `sequence` had been synced already.
fn synced_beyond(tail: &[u8], sequence: u64) -> bool {
    let room = frames_that_fit(tail);
    let later = |found, synced| synced >= sequence && found > sequence && found - sequence <= room;
    (1..tail.len()).any(|at| frame::read_where(&tail[at..], later).is_some())
}

/// Whether no frame lies in a file whose first record would have been `first`.
fn holds_no_frame(bytes: &[u8], first: u64) -> bool {
    let room = frames_that_fit(bytes);
    let own = |found, _| found >= first && found - first <= room;
    (0..bytes.len()).all(|at| frame::read_where(&bytes[at..], own).is_none())
}

/// Numbers rise by one from frame to frame, so this is also how far a number in `bytes` can lie above the first.
fn frames_that_fit(bytes: &[u8]) -> u64 {
    (bytes.len() / FRAME_BYTES) as u64
}

fn cut(vfs: &dyn Vfs, path: &Path, len: u64) -> Result<()> {
    let mut file = vfs.open_append(path)?;
    file.truncate(len)?;
    file.sync()
}
