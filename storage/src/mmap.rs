//! Read-only bytes that are cheap to share: a memory map of a finished file, or aligned heap memory. The only room of
//! this crate that may use `unsafe`. Containers hand these out; the engine reads vectors and Arrow columns through them.
#![allow(unsafe_code, reason = "mapping a file is unsafe: the file could change under the map")]

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::Mmap;

use crate::error::{Result, StorageError};

/// Alignment of blocks in files and of heap memory made here: a cache line, and the widest SIMD register.
pub const ALIGNMENT: usize = 64;

/// Shared read-only bytes. Clones and slices refer to the same memory, whose address never changes.
#[derive(Clone)]
pub struct Bytes {
    memory: Arc<Memory>,
    start: usize,
    len: usize,
}

enum Memory {
    Map(Mmap),
    Heap(Vec<u8>),
}

impl Memory {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Heap(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// Maps a whole file. The caller promises that nobody writes to it any more (it may be unlinked).
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::from_vec_aligned(Vec::new()));
        }
        // SAFETY: files are mapped after they were renamed into place, and this program never writes to such a file
        // again; the lock on the data directory keeps other instances of it away. What remains is a person who edits
        // the data directory while it is in use, against which no mapping program is safe.
        let map = unsafe { Mmap::map(file) }?;
        let len = map.len();
        Ok(Self { memory: Arc::new(Memory::Map(map)), start: 0, len })
    }

    /// Copies bytes to memory aligned to [`ALIGNMENT`].
    pub fn from_vec_aligned(bytes: Vec<u8>) -> Self {
        let mut padded = vec![0u8; bytes.len() + ALIGNMENT];
        let start = padded.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        padded[start..start + bytes.len()].copy_from_slice(&bytes);
        // A `Vec`'s buffer stays where it is when the `Vec` moves: the alignment found above holds.
        Self { memory: Arc::new(Memory::Heap(padded)), start, len: bytes.len() }
    }

    /// A part, sharing the memory. `None` when the range does not lie within.
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        let len = range.end - range.start;
        Some(Self { memory: Arc::clone(&self.memory), start: self.start + range.start, len })
    }

    /// The bytes as values of a plain type.
    ///
    /// # Errors
    /// `Corrupt` when length or alignment do not fit the type.
    pub fn typed<T: Pod>(&self) -> Result<&[T]> {
        bytemuck::try_cast_slice(self).map_err(|error| StorageError::Corrupt {
            path: PathBuf::from("memory map"),
            offset: self.start as u64,
            reason: format!("{} bytes are no whole number of aligned values: {error}", self.len),
        })
    }

    /// Whether they come from a file's map.
    pub fn is_mapped(&self) -> bool {
        matches!(*self.memory, Memory::Map(_))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory.as_slice()[self.start..self.start + self.len]
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bytes").field("len", &self.len).field("mapped", &self.is_mapped()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heap_memory_is_aligned_and_slices_share_it() {
        for len in [0, 1, 63, 64, 65, 1000] {
            let bytes = Bytes::from_vec_aligned((0..len).map(|i| i as u8).collect());
            assert_eq!(bytes.as_ptr() as usize % ALIGNMENT, 0);
            assert_eq!(bytes.len(), len);
        }
        let bytes = Bytes::from_vec_aligned((0u8..16).collect());
        assert_eq!(&bytes.slice(4..8).unwrap()[..], [4, 5, 6, 7]);
        assert!(bytes.slice(8..17).is_none());
        assert_eq!(bytes.typed::<u32>().unwrap().len(), 4);
        assert!(bytes.slice(1..5).unwrap().typed::<u32>().is_err(), "misaligned");
        assert!(bytes.slice(0..5).unwrap().typed::<u32>().is_err(), "odd length");
    }
}
