//! Reading a log after any kind of stop. Rules, in order:
//! - Files whose records are all covered by a checkpoint are of no interest.
//! - Files follow each other without a gap; the first starts at or before the first record that is needed.
//! - In a file that is not the last, every byte belongs to a whole frame: such a file was synced before the next began.
//! - In the last file, the first bad frame begins the tail. If behind it a whole frame says that the log was synced
//!   beyond the bad one, acknowledged data is damaged: an error with the offset. Otherwise the tail was never
//!   acknowledged and is cut.
//! - What remains of the last file beyond what it says was synced is written again and synced. Its bytes were read from
//!   the system's cache, and after a failed sync the system may keep bytes there that it will never write (Rebello et
//!   al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::frame::{self, FRAME_BYTES, Frame, HEADER_BYTES, Header, Salt};
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
    /// The last file's.
    pub(super) salt: Salt,
    pub(super) recovery: Recovery,
}

/// What happens to a torn tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// It is cut, and what is before it made durable.
    Settle,
    /// Nothing: somebody only looks.
    LeaveAlone,
}

/// Replays all records after `after`.
pub(super) fn recover(
    vfs: &dyn Vfs,
    dir: &Path,
    after: u64,
    tail: Tail,
    replay: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<Recovered> {
    let mut names: Vec<u64> = vfs.list(dir)?.iter().filter_map(|entry| parse_name(&entry.name)).collect();
    names.sort_unstable();
    drop_covered(vfs, dir, after, tail, &mut names)?;
    let mut recovery = Recovery { last_sequence: after, ..Recovery::default() };
    let mut files = Vec::new();
    let mut expected = None;
    let mut last_salt = Salt(0);
    for (position, &name) in names.iter().enumerate() {
        let path = file_path(dir, name);
        let last = position + 1 == names.len();
        let bytes = vfs.read(&path)?;
        let salt = match frame::read_header(&bytes) {
            Header::Good { first_sequence, salt } if first_sequence == name => salt,
            Header::Version(found) => {
                return Err(StorageError::UnsupportedVersion { path, found, supported: frame::VERSION });
            }
            // A crash while the file was made: its header is synced before the first frame is written.
            _ if last && bytes.len() <= HEADER_BYTES => {
                if tail == Tail::Settle {
                    vfs.remove_file(&path)?;
                    vfs.sync_dir(dir)?;
                }
                recovery.cut_bytes += bytes.len() as u64;
                break;
            }
            _ => return Err(StorageError::corrupt(&path, 0, "the header does not match its checksum")),
        };
        last_salt = salt;
        check_follows(&path, name, expected, after)?;
        let end = scan(&path, &bytes, salt, name, last, &mut |frame| {
            recovery.last_sequence = recovery.last_sequence.max(frame.sequence);
            if frame.sequence <= after {
                return Ok(());
            }
            recovery.records += 1;
            recovery.bytes += frame.bytes() as u64;
            replay(frame.sequence, frame.payload)
        })?;
        expected = Some(end.next_sequence);
        if last {
            if tail == Tail::Settle {
                settle(vfs, &path, &bytes, &end)?;
            }
            recovery.cut_bytes += (bytes.len() - end.offset) as u64;
        }
        files.push(LogFile { path, first_sequence: name, len: end.offset as u64 });
    }
    Ok(Recovered { files, next_in_last: expected, salt: last_salt, recovery })
}

/// Leaves out files whose records are all before those needed. They were being removed when something stopped, and a
/// crash may have kept any of them.
fn drop_covered(vfs: &dyn Vfs, dir: &Path, after: u64, tail: Tail, names: &mut Vec<u64>) -> Result<()> {
    let needed_from = names.iter().rposition(|&first| first <= after.saturating_add(1)).unwrap_or(0);
    for name in names.drain(..needed_from) {
        if tail == Tail::Settle {
            vfs.remove_file(&file_path(dir, name))?;
        }
    }
    Ok(())
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
    /// Where the frames begin that no later frame says were synced.
    unsynced_from: usize,
}

/// Visits the whole frames of a file; returns where they end.
fn scan(
    path: &Path,
    bytes: &[u8],
    salt: Salt,
    first: u64,
    last: bool,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
) -> Result<End> {
    let mut end = End { offset: HEADER_BYTES, next_sequence: first, unsynced_from: HEADER_BYTES };
    let mut unsynced = VecDeque::new();
    while end.offset < bytes.len() {
        let Some(frame) = frame::read(&bytes[end.offset..], salt).filter(|f| f.sequence == end.next_sequence)
        else {
            let acknowledged = !last || synced_beyond(&bytes[end.offset..], salt, end.next_sequence);
            if acknowledged {
                let reason =
                    format!("record {} is damaged, and later ones were acknowledged", end.next_sequence);
                return Err(StorageError::corrupt(path, end.offset as u64, reason));
            }
            break;
        };
        visit(frame)?;
        unsynced.push_back((frame.sequence, end.offset));
        while unsynced.front().is_some_and(|(sequence, _)| *sequence <= frame.synced) {
            unsynced.pop_front();
        }
        end.offset += frame.bytes();
        end.next_sequence += 1;
    }
    end.unsynced_from = unsynced.front().map_or(end.offset, |(_, offset)| *offset);
    Ok(end)
}

/// Whether somewhere in `tail` lies a whole frame written when record `sequence` had been synced already.
fn synced_beyond(tail: &[u8], salt: Salt, sequence: u64) -> bool {
    // Numbers rise by one from frame to frame: this is how far one in `tail` can lie above the first.
    let room = (tail.len() / FRAME_BYTES) as u64;
    let later = |found, synced| synced >= sequence && found > sequence && found - sequence <= room;
    (1..tail.len()).any(|at| frame::read_where(&tail[at..], salt, later).is_some())
}

/// Cuts a torn tail and makes what is before it durable.
fn settle(vfs: &dyn Vfs, path: &Path, bytes: &[u8], end: &End) -> Result<()> {
    let mut file = vfs.open_append(path)?;
    if end.offset < bytes.len() {
        file.truncate(end.offset as u64)?;
    }
    file.rewrite(end.unsynced_from as u64, &bytes[end.unsynced_from..end.offset])?;
    file.sync()
}
