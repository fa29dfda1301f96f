//! The one format of every immutable file of ours: a header, blocks aligned to 64 bytes, a directory of the blocks and a
//! footer, everything under CRC32C. A container is written beside its place and renamed into it: after
//! [`ContainerWriter::finish`] it is complete and durable, before that it is not there. `FORMAT.md` has every byte.

use std::path::{Path, PathBuf};

use crate::error::{Result, StorageError};
use crate::mmap::{ALIGNMENT, Bytes};
use crate::vfs::{AtomicFile, Vfs};

const MAGIC: [u8; 8] = *b"ELANCONT";
const FOOTER_MAGIC: [u8; 4] = *b"ECEN";
/// Version of the container itself.
pub const CONTAINER_VERSION: u32 = 1;
const HEADER_BYTES: usize = ALIGNMENT;
const ENTRY_BYTES: usize = 24;
const FOOTER_BYTES: usize = 32;
const BUFFER_BYTES: usize = 1 << 20;

/// What a container holds, and in which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKind {
    /// Four letters.
    pub tag: [u8; 4],
    /// Newest version of the content that this program writes and reads.
    pub version: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: [u8; 4],
    crc: u32,
    offset: u64,
    len: u64,
}

/// Writes a container. Dropped before [`ContainerWriter::finish`], it leaves nothing.
pub struct ContainerWriter<'a> {
    file: AtomicFile<'a>,
    buffer: Vec<u8>,
    written: u64,
    entries: Vec<Entry>,
}

impl<'a> ContainerWriter<'a> {
    /// Starts a container that will lie at `path`.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(vfs: &'a dyn Vfs, path: &Path, kind: FileKind) -> Result<Self> {
        let file = AtomicFile::create(vfs, path)?;
        let mut writer =
            Self { file, buffer: Vec::with_capacity(BUFFER_BYTES), written: 0, entries: Vec::new() };
        writer.put(&header(kind))?;
        Ok(writer)
    }

    /// Starts a block; the bytes follow with [`ContainerWriter::write`].
    ///
    /// # Errors
    /// `Io`.
    pub fn begin_block(&mut self, tag: [u8; 4]) -> Result<()> {
        self.pad()?;
        self.entries.push(Entry { tag, crc: 0, offset: self.position(), len: 0 });
        Ok(())
    }

    /// Appends to the current block.
    ///
    /// # Errors
    /// `Io`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(entry) = self.entries.last_mut() {
            entry.crc = crc32c::crc32c_append(entry.crc, bytes);
            entry.len += bytes.len() as u64;
        }
        self.put(bytes)
    }

    /// A whole block at once.
    ///
    /// # Errors
    /// `Io`.
    pub fn block(&mut self, tag: [u8; 4], bytes: &[u8]) -> Result<()> {
        self.begin_block(tag)?;
        self.write(bytes)
    }

    /// Writes directory and footer, syncs, renames into place, syncs the folder. Returns the size.
    ///
    /// # Errors
    /// `Io`; then nothing is at the path that was not there before, unless only the sync of the folder failed: the new
    /// content is there then and may be gone after a crash.
    pub fn finish(mut self) -> Result<u64> {
        self.pad()?;
        let directory_at = self.position();
        let mut directory = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for entry in &self.entries {
            directory.extend_from_slice(&entry.tag);
            directory.extend_from_slice(&entry.crc.to_le_bytes());
            directory.extend_from_slice(&entry.offset.to_le_bytes());
            directory.extend_from_slice(&entry.len.to_le_bytes());
        }
        let total = directory_at + (directory.len() + FOOTER_BYTES) as u64;
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(&directory_at.to_le_bytes());
        footer.extend_from_slice(&total.to_le_bytes());
        footer.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&directory).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
        footer.extend_from_slice(&FOOTER_MAGIC);
        self.put(&directory)?;
        self.put(&footer)?;
        self.flush()?;
        self.file.finish()?;
        Ok(total)
    }

    fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn pad(&mut self) -> Result<()> {
        let over = (self.position() % ALIGNMENT as u64) as usize;
        if over == 0 { Ok(()) } else { self.put(&[0; ALIGNMENT][over..]) }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() < BUFFER_BYTES {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.written += bytes.len() as u64;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        self.written += buffer.len() as u64;
        let written = self.file.write(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        written
    }
}

fn header(kind: FileKind) -> [u8; HEADER_BYTES] {
    let mut header = [0u8; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&CONTAINER_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&kind.tag);
    header[16..20].copy_from_slice(&kind.version.to_le_bytes());
    let crc = crc32c::crc32c(&header[..20]);
    header[20..24].copy_from_slice(&crc.to_le_bytes());
    header
}

/// An open container: header, footer and directory are checked, blocks are mapped and checked on demand.
#[derive(Debug)]
pub struct Container {
    bytes: Bytes,
    path: PathBuf,
    version: u32,
    entries: Vec<Entry>,
}

impl Container {
    /// Maps a container of the given kind, of its version or an older one. Blocks are not read.
    ///
    /// # Errors
    /// `Corrupt`, `UnsupportedVersion`, `Io`.
    pub fn open(vfs: &dyn Vfs, path: &Path, kind: FileKind) -> Result<Self> {
        let bytes = vfs.map(path)?;
        let corrupt = |offset: usize, reason: &str| StorageError::corrupt(path, offset as u64, reason);
        if bytes.len() < HEADER_BYTES + FOOTER_BYTES {
            return Err(corrupt(bytes.len(), "too short for a container"));
        }
        let version = check_header(path, &bytes, kind)?;
        let footer_at = bytes.len() - FOOTER_BYTES;
        let footer = &bytes[footer_at..];
        if footer[28..] != FOOTER_MAGIC || u32_at(footer, 24) != crc32c::crc32c(&footer[..24]) {
            return Err(corrupt(footer_at, "the footer does not match its checksum"));
        }
        let (directory_at, total, count) =
            (u64_at(footer, 0), u64_at(footer, 8), u32_at(footer, 16) as usize);
        let directory_end = (directory_at as usize).checked_add(count * ENTRY_BYTES);
        if total != bytes.len() as u64 || directory_end != Some(footer_at) {
            return Err(corrupt(footer_at, "the footer does not fit the file's length"));
        }
        let directory = &bytes[directory_at as usize..footer_at];
        if u32_at(footer, 20) != crc32c::crc32c(directory) {
            return Err(corrupt(directory_at as usize, "the directory does not match its checksum"));
        }
        let entries: Vec<Entry> = directory.chunks_exact(ENTRY_BYTES).map(read_entry).collect();
        for entry in &entries {
            let end = entry.offset.checked_add(entry.len);
            if entry.offset % ALIGNMENT as u64 != 0 || end.is_none_or(|end| end > directory_at) {
                return Err(corrupt(directory_at as usize, "a block lies outside its place"));
            }
        }
        check_gaps(path, &bytes, &entries, directory_at)?;
        Ok(Self { path: path.to_owned(), version, entries, bytes })
    }

    /// Version of the content.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Tags of all blocks, in order.
    pub fn tags(&self) -> impl Iterator<Item = [u8; 4]> + '_ {
        self.entries.iter().map(|entry| entry.tag)
    }

    /// A block, not checked against its checksum; `None` when there is none of that tag.
    pub fn block(&self, tag: [u8; 4]) -> Option<Bytes> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag)?;
        self.bytes.slice(entry.offset as usize..(entry.offset + entry.len) as usize)
    }

    /// A block that must be there, not checked against its checksum.
    ///
    /// # Errors
    /// `Corrupt` when it is missing.
    pub fn require(&self, tag: [u8; 4]) -> Result<Bytes> {
        self.block(tag).ok_or_else(|| {
            StorageError::corrupt(&self.path, 0, format!("no block {:?}", String::from_utf8_lossy(&tag)))
        })
    }

    /// Reads every block and compares it with its checksum.
    ///
    /// # Errors
    /// `Corrupt` with the offset of the first block that does not match.
    pub fn verify(&self) -> Result<()> {
        self.entries.iter().try_for_each(|entry| self.verify_entry(entry))
    }

    fn verify_entry(&self, entry: &Entry) -> Result<()> {
        let block = &self.bytes[entry.offset as usize..(entry.offset + entry.len) as usize];
        if crc32c::crc32c(block) == entry.crc {
            return Ok(());
        }
        let tag = String::from_utf8_lossy(&entry.tag).into_owned();
        let reason = format!("block {tag:?} does not match its checksum");
        Err(StorageError::corrupt(&self.path, entry.offset, reason))
    }
}

fn check_header(path: &Path, bytes: &[u8], kind: FileKind) -> Result<u32> {
    let corrupt = |reason: String| Err(StorageError::corrupt(path, 0, reason));
    if bytes[..8] != MAGIC {
        return corrupt("no container: another magic number".into());
    }
    if u32_at(bytes, 20) != crc32c::crc32c(&bytes[..20]) || bytes[24..HEADER_BYTES].iter().any(|b| *b != 0) {
        return corrupt("the header does not match its checksum".into());
    }
    let unsupported =
        |found, supported| StorageError::UnsupportedVersion { path: path.to_owned(), found, supported };
    if u32_at(bytes, 8) != CONTAINER_VERSION {
        return Err(unsupported(u32_at(bytes, 8), CONTAINER_VERSION));
    }
    if bytes[12..16] != kind.tag {
        return corrupt(format!("holds {:?}", String::from_utf8_lossy(&bytes[12..16])));
    }
    match u32_at(bytes, 16) {
        version if (1..=kind.version).contains(&version) => Ok(version),
        version => Err(unsupported(version, kind.version)),
    }
}

/// Padding between blocks is zero, so that no byte of a container is outside some check.
fn check_gaps(path: &Path, bytes: &[u8], entries: &[Entry], directory_at: u64) -> Result<()> {
    let mut end = HEADER_BYTES as u64;
    for (offset, next_end) in
        entries.iter().map(|e| (e.offset, e.offset + e.len)).chain([(directory_at, directory_at)])
    {
        let gap = bytes.get(end as usize..offset as usize);
        if gap.is_none_or(|gap| gap.len() >= ALIGNMENT || gap.iter().any(|b| *b != 0)) {
            return Err(StorageError::corrupt(path, end, "bytes between blocks"));
        }
        end = next_end;
    }
    Ok(())
}

fn read_entry(bytes: &[u8]) -> Entry {
    Entry {
        tag: [bytes[0], bytes[1], bytes[2], bytes[3]],
        crc: u32_at(bytes, 4),
        offset: u64_at(bytes, 8),
        len: u64_at(bytes, 16),
    }
}

/// Callers have checked that the bytes are there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
