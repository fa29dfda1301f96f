//! Appending. Records get rising sequence numbers; [`Wal::sync`] makes all of them durable at once, so that a group of
//! writers pays for one sync. A failed write is undone (a full disk is no tragedy); a failed sync is not: after it
//! nothing is known about the file, and the log is poisoned until it is opened again.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, FRAME_BYTES, HEADER_BYTES, Salt};
use super::recovery::{LogFile, Recovery, Tail, recover};
use super::{MAX_RECORD_BYTES, WalOptions, file_path};
use crate::error::{Result, StorageError};
use crate::vfs::{Vfs, VfsFile};

/// An open log. One writer at a time: the owner serialises access.
pub struct Wal {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    options: WalOptions,
    /// Finished files and, last, the one that is written to.
    files: VecDeque<LogFile>,
    active: Box<dyn VfsFile>,
    salt: Salt,
    next_sequence: u64,
    synced: u64,
    /// The end of a failed write was cut off, which is not durable yet.
    cut: bool,
    buffer: Vec<u8>,
    poisoned: Option<String>,
}

impl std::fmt::Debug for Wal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal")
            .field("dir", &self.dir)
            .field("next", &self.next_sequence)
            .finish_non_exhaustive()
    }
}

impl Wal {
    /// Starts a log in a folder that holds none; durable when it returns.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(vfs: Arc<dyn Vfs>, dir: &Path, options: WalOptions) -> Result<Self> {
        let salt = new_salt(vfs.as_ref());
        let (file, active) = create_file(vfs.as_ref(), dir, 1, salt)?;
        Ok(Self::at(vfs, dir, options, VecDeque::from([file]), active, salt, 1))
    }

    /// Opens the log in `dir` and hands every record after `after_sequence` to `replay`, in order.
    ///
    /// # Errors
    /// `Corrupt` with the offset when acknowledged records are damaged or missing; what `replay` returns; `Io`.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: WalOptions,
        after_sequence: u64,
        replay: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<(Self, Recovery)> {
        vfs.create_dir_all(dir)?;
        let recovered = recover(vfs.as_ref(), dir, after_sequence, Tail::Settle, replay)?;
        let (mut files, recovery) = (VecDeque::from(recovered.files), recovered.recovery);
        let next_sequence = recovery.last_sequence + 1;
        // A log that ends before `after_sequence` lost only what a checkpoint holds; a new file leaves no gap in it.
        let continues = recovered.next_in_last == Some(next_sequence);
        let (active, salt) = if continues {
            let last = files.back().map(|file| file.path.clone()).unwrap_or_default();
            let active = vfs.open_append(&last)?;
            // A killed process may have left the file's name in the system's memory only; recovery has made its
            // content durable. Both must survive: the next frame will say that the records before it were synced.
            vfs.sync_dir(dir)?;
            (active, recovered.salt)
        } else {
            for file in files.drain(..) {
                vfs.remove_file(&file.path)?;
            }
            let salt = new_salt(vfs.as_ref());
            let (file, active) = create_file(vfs.as_ref(), dir, next_sequence, salt)?;
            files.push_back(file);
            (active, salt)
        };
        Ok((Self::at(vfs, dir, options, files, active, salt, next_sequence), recovery))
    }

    /// A log whose records before `next_sequence` are durable.
    fn at(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: WalOptions,
        files: VecDeque<LogFile>,
        active: Box<dyn VfsFile>,
        salt: Salt,
        next_sequence: u64,
    ) -> Self {
        Self {
            vfs,
            dir: dir.to_owned(),
            options,
            files,
            active,
            salt,
            next_sequence,
            synced: next_sequence - 1,
            cut: false,
            buffer: Vec::new(),
            poisoned: None,
        }
    }

    /// Writes records behind the last one; durable after [`Wal::sync`]. Returns their sequence numbers.
    ///
    /// # Errors
    /// `RecordTooLarge`; `Io` with nothing appended; `Poisoned`.
    pub fn append(&mut self, payloads: &[impl Payload]) -> Result<Range<u64>> {
        self.check_poison()?;
        let lens: Vec<usize> =
            payloads.iter().map(|p| p.pieces().iter().map(|piece| piece.len()).sum()).collect();
        if let Some(large) = lens.iter().copied().find(|len| *len > MAX_RECORD_BYTES) {
            return Err(StorageError::RecordTooLarge { bytes: large, limit: MAX_RECORD_BYTES });
        }
        if self.active_len() > self.options.file_bytes {
            self.rotate()?;
        }
        let first = self.next_sequence;
        if let Err(error) = self.write(first, payloads, &lens) {
            let len = self.active_len();
            // Half a frame may lie there now. Without it the log is as it was; if it can't be removed, nothing may follow.
            if let Err(second) = self.active.truncate(len) {
                self.poison(&second);
            }
            self.cut = true;
            return Err(error);
        }
        if let Some(file) = self.files.back_mut() {
            file.len += lens.iter().map(|len| (FRAME_BYTES + len) as u64).sum::<u64>();
        }
        self.next_sequence += payloads.len() as u64;
        Ok(first..self.next_sequence)
    }

    /// Writes frames. Small pieces are collected, large ones are written from where they are.
    fn write(&mut self, first: u64, payloads: &[impl Payload], lens: &[usize]) -> Result<()> {
        self.buffer.clear();
        for ((sequence, payload), &len) in (first..).zip(payloads).zip(lens) {
            let pieces = payload.pieces();
            self.buffer.extend_from_slice(&frame::head(self.salt, sequence, self.synced, pieces, len));
            for piece in pieces {
                if piece.len() < LARGE_PIECE {
                    self.buffer.extend_from_slice(piece);
                } else {
                    self.active.write_all(&self.buffer)?;
                    self.buffer.clear();
                    self.active.write_all(piece)?;
                }
                if self.buffer.len() >= LARGE_PIECE {
                    self.active.write_all(&self.buffer)?;
                    self.buffer.clear();
                }
            }
        }
        if self.buffer.is_empty() { Ok(()) } else { self.active.write_all(&self.buffer) }
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// `Io`; from then on every append and sync gives `Poisoned`.
    pub fn sync(&mut self) -> Result<()> {
        self.check_poison()?;
        if self.synced + 1 == self.next_sequence && !self.cut {
            return Ok(());
        }
        if let Err(error) = self.active.sync() {
            self.poison(&error);
            return Err(error);
        }
        self.synced = self.next_sequence - 1;
        self.cut = false;
        Ok(())
    }

    /// Starts a new file, so that the present ones can be removed by [`Wal::truncate_before`]. An empty file is kept.
    ///
    /// # Errors
    /// `Io`, `Poisoned`.
    pub fn rotate(&mut self) -> Result<()> {
        self.sync()?;
        if self.active_len() == HEADER_BYTES as u64 {
            return Ok(());
        }
        let salt = new_salt(self.vfs.as_ref());
        match create_file(self.vfs.as_ref(), &self.dir, self.next_sequence, salt) {
            Ok((file, active)) => {
                self.files.push_back(file);
                self.active = active;
                self.salt = salt;
                Ok(())
            }
            Err(error) => {
                // The old file goes on; a new one beside it, even one that a crash brings back, would contradict the
                // numbers of its records.
                let path = file_path(&self.dir, self.next_sequence);
                let removed = self.vfs.remove_file(&path).and_then(|()| self.vfs.sync_dir(&self.dir));
                if let Err(second) = removed {
                    self.poison(&second);
                }
                Err(error)
            }
        }
    }

    /// Removes files that hold only records before `sequence`; never the one that is written to.
    ///
    /// # Errors
    /// `Io`.
    pub fn truncate_before(&mut self, sequence: u64) -> Result<()> {
        let mut removed = false;
        while self.files.get(1).is_some_and(|next| next.first_sequence <= sequence) {
            if let Some(file) = self.files.front() {
                self.vfs.remove_file(&file.path)?;
            }
            self.files.pop_front();
            removed = true;
        }
        if removed { self.vfs.sync_dir(&self.dir) } else { Ok(()) }
    }

    /// The files that are not written to any more, oldest first: after a rotation, those of every record so far.
    pub fn finished(&self) -> Vec<PathBuf> {
        self.files.iter().take(self.files.len().saturating_sub(1)).map(|file| file.path.clone()).collect()
    }

    /// Reads the log in `dir` as [`Wal::open`] would, and changes nothing.
    ///
    /// # Errors
    /// As [`Wal::open`].
    pub fn examine(
        vfs: &dyn Vfs,
        dir: &Path,
        after_sequence: u64,
        replay: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<Recovery> {
        recover(vfs, dir, after_sequence, Tail::LeaveAlone, replay).map(|recovered| recovered.recovery)
    }

    /// Number of the last record appended; 0 before the first.
    pub fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    /// Bytes in all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    /// Why nothing is written any more, if so.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    fn active_len(&self) -> u64 {
        self.files.back().map_or(0, |file| file.len)
    }

    fn poison(&mut self, error: &StorageError) {
        self.poisoned = Some(error.to_string());
    }

    fn check_poison(&self) -> Result<()> {
        match &self.poisoned {
            Some(reason) => Err(StorageError::Poisoned { path: self.dir.clone(), reason: reason.clone() }),
            None => Ok(()),
        }
    }
}

/// Pieces from so many bytes on are not copied before they are written.
const LARGE_PIECE: usize = 64 << 10;

/// One record, in pieces that follow each other in the log: what is large need not be copied to stand beside the rest.
pub trait Payload {
    /// The pieces, in order.
    fn pieces(&self) -> &[&[u8]];
}

impl Payload for &[u8] {
    fn pieces(&self) -> &[&[u8]] {
        std::slice::from_ref(self)
    }
}

impl Payload for Vec<&[u8]> {
    fn pieces(&self) -> &[&[u8]] {
        self
    }
}

fn new_salt(vfs: &dyn Vfs) -> Salt {
    Salt(vfs.random() as u32)
}

fn create_file(
    vfs: &dyn Vfs,
    dir: &Path,
    first_sequence: u64,
    salt: Salt,
) -> Result<(LogFile, Box<dyn VfsFile>)> {
    let path = file_path(dir, first_sequence);
    let mut file = vfs.create(&path)?;
    file.write_all(&frame::header(first_sequence, salt))?;
    file.sync()?;
    vfs.sync_dir(dir)?;
    Ok((LogFile { path, first_sequence, len: HEADER_BYTES as u64 }, file))
}
