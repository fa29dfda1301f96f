//! A sealed segment on disk. Truth: `<id>.vectors` (our container: raw f32 rows), `<id>.columns` (an Arrow IPC file any
//! Arrow reader opens), `<id>.<generation>.deletes` (Roaring bitmap). Derived: `<id>.keys` (key order), rebuilt when
//! it is missing or damaged. `storage/FORMAT.md` says every byte; the manifest names what is alive.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use elanus_storage::{Bytes, Container, ContainerWriter, FileKind, StorageError, Vfs, write_atomic};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::keys::KeyIndex;
use super::vectors::VectorColumn;
use super::{Segment, key_column};
use crate::error::{EngineError, Result};
use crate::schema::Schema;

const VECTORS: FileKind = FileKind { tag: *b"EVEC", version: 1 };
const DELETES: FileKind = FileKind { tag: *b"EDEL", version: 1 };
const KEYS: FileKind = FileKind { tag: *b"EKEY", version: 1 };
const BITMAP_BLOCK: [u8; 4] = *b"rbmp";
const ORDER_BLOCK: [u8; 4] = *b"perm";
/// Alignment of Arrow buffers in the file: that of our own blocks.
const ALIGNMENT: usize = 64;
/// Length of the Arrow footer's own length plus the closing magic.
const ARROW_TRAILER: usize = 10;

/// What the manifest says of a sealed segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SegmentEntry {
    pub(crate) id: u64,
    /// Rows in the files, dead ones included.
    pub(crate) rows: usize,
    /// CRC32C of the Arrow file, which has no checksum of its own.
    pub(crate) columns_crc: u32,
    pub(crate) columns_bytes: u64,
    /// Which deletes file holds; none: no row is dead.
    pub(crate) deletes: Option<u64>,
}

/// Paths of a segment's files below a collection's folder.
#[derive(Debug, Clone)]
pub(crate) struct SegmentPaths {
    pub(crate) vectors: PathBuf,
    pub(crate) columns: PathBuf,
    pub(crate) keys: PathBuf,
    truth: PathBuf,
    id: u64,
}

/// Where the files of segment `id` lie.
pub(crate) fn segment_paths(dir: &Path, id: u64) -> SegmentPaths {
    let truth = dir.join("truth");
    SegmentPaths {
        vectors: truth.join(format!("{id:016x}.vectors")),
        columns: truth.join(format!("{id:016x}.columns")),
        keys: dir.join("derived").join(format!("{id:016x}.keys")),
        truth,
        id,
    }
}

impl SegmentPaths {
    /// The deletes file of one generation.
    pub(crate) fn deletes(&self, generation: u64) -> PathBuf {
        self.truth.join(format!("{:016x}.{generation:016x}.deletes", self.id))
    }
}

fn block_tag(prefix: u8, field: usize) -> [u8; 4] {
    // At most MAX_VECTOR_FIELDS (10) fields: two digits are enough.
    [prefix, b'0', b'0' + (field / 10 % 10) as u8, b'0' + (field % 10) as u8]
}

/// Writes all files of a segment; durable when it returns.
pub(crate) fn write_segment(vfs: &dyn Vfs, dir: &Path, segment: &Segment) -> Result<SegmentEntry> {
    let paths = segment_paths(dir, segment.id());
    let mut vectors = ContainerWriter::create(vfs, &paths.vectors, VECTORS)?;
    for (field, column) in segment.vectors.iter().enumerate() {
        vectors.block(block_tag(b'v', field), bytemuck::cast_slice(column.values()))?;
        vectors.block(block_tag(b'n', field), bytemuck::cast_slice(column.inverse_norms()))?;
    }
    vectors.finish()?;
    let columns = encode_columns(segment.scalars())?;
    write_atomic(vfs, &paths.columns, &columns)?;
    write_keys(vfs, &paths.keys, segment.keys())?;
    Ok(SegmentEntry {
        id: segment.id(),
        rows: segment.rows(),
        columns_crc: elanus_storage::crc32c(&columns),
        columns_bytes: columns.len() as u64,
        deletes: None,
    })
}

/// Maps a sealed segment; a missing or damaged key order is rebuilt and written again.
pub(crate) fn open_segment(
    vfs: &dyn Vfs,
    dir: &Path,
    schema: &Arc<Schema>,
    entry: &SegmentEntry,
) -> Result<Segment> {
    let paths = segment_paths(dir, entry.id);
    let columns = vfs.map(&paths.columns)?;
    if columns.len() as u64 != entry.columns_bytes {
        let reason = format!("holds {} bytes, the manifest says {}", columns.len(), entry.columns_bytes);
        return Err(corrupt(&paths.columns, reason));
    }
    let scalars = decode_columns(&paths.columns, columns)?;
    if scalars.schema() != schema.arrow() || scalars.num_rows() != entry.rows {
        return Err(corrupt(&paths.columns, "columns do not fit the schema or the number of rows".into()));
    }
    let container = Container::open(vfs, &paths.vectors, VECTORS)?;
    let mut vectors = Vec::new();
    for (index, field) in schema.vector_fields().enumerate() {
        let values = container.require(block_tag(b'v', index))?;
        let norms = container.require(block_tag(b'n', index))?;
        vectors.push(VectorColumn::mapped(field.dim.unwrap_or(0), entry.rows, values, norms)?);
    }
    let keys = open_keys(vfs, &paths.keys, schema, &scalars)?;
    Segment::assemble(entry.id, schema, scalars, vectors, keys, true)
}

/// Writes which rows of a segment are dead; durable when it returns.
pub(crate) fn write_deletes(vfs: &dyn Vfs, path: &Path, deleted: &RoaringBitmap) -> Result<()> {
    let mut bytes = Vec::with_capacity(deleted.serialized_size());
    deleted.serialize_into(&mut bytes).map_err(|e| EngineError::Internal(format!("deletes: {e}")))?;
    let mut writer = ContainerWriter::create(vfs, path, DELETES)?;
    writer.block(BITMAP_BLOCK, &bytes)?;
    writer.finish()?;
    Ok(())
}

/// Reads which of `rows` rows are dead.
pub(crate) fn read_deletes(vfs: &dyn Vfs, path: &Path, rows: usize) -> Result<RoaringBitmap> {
    let container = Container::open(vfs, path, DELETES)?;
    container.verify()?;
    let bitmap = RoaringBitmap::deserialize_from(&container.require(BITMAP_BLOCK)?[..])
        .map_err(|e| corrupt(path, format!("bitmap: {e}")))?;
    if bitmap.max().is_some_and(|row| row as usize >= rows) {
        return Err(corrupt(path, format!("marks a row beyond the {rows} of its segment")));
    }
    Ok(bitmap)
}

fn write_keys(vfs: &dyn Vfs, path: &Path, keys: &KeyIndex) -> Result<()> {
    let mut writer = ContainerWriter::create(vfs, path, KEYS)?;
    writer.block(ORDER_BLOCK, keys.as_bytes())?;
    writer.finish()?;
    Ok(())
}

fn open_keys(vfs: &dyn Vfs, path: &Path, schema: &Schema, scalars: &RecordBatch) -> Result<KeyIndex> {
    let column = key_column(schema, scalars)?;
    let opened = Container::open(vfs, path, KEYS)
        .and_then(|c| c.require(ORDER_BLOCK))
        .map_err(EngineError::from)
        .and_then(|bytes| KeyIndex::mapped(bytes, &column));
    match opened {
        Ok(keys) => Ok(keys),
        Err(reason) => {
            tracing::warn!(path = %path.display(), %reason, "key index is rebuilt");
            let keys = KeyIndex::build(&column)?;
            write_keys(vfs, path, &keys)?;
            Ok(keys)
        }
    }
}

fn encode_columns(scalars: &RecordBatch) -> Result<Vec<u8>> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, arrow_ipc::MetadataVersion::V5)
        .map_err(|e| EngineError::arrow(&e))?;
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &scalars.schema(), options)
        .map_err(|e| EngineError::arrow(&e))?;
    writer.write(scalars).map_err(|e| EngineError::arrow(&e))?;
    writer.into_inner().map_err(|e| EngineError::arrow(&e))
}

/// Reads the one record batch of an Arrow IPC file without copying its buffers.
fn decode_columns(path: &Path, bytes: Bytes) -> Result<RecordBatch> {
    let arrow = |e: arrow_schema::ArrowError| corrupt(path, format!("arrow: {e}"));
    let short = || corrupt(path, "too short for an Arrow file".into());
    let buffer = Buffer::from(bytes::Bytes::from_owner(bytes));
    let trailer_start = buffer.len().checked_sub(ARROW_TRAILER).ok_or_else(short)?;
    let trailer = buffer[trailer_start..].try_into().map_err(|_| short())?;
    let footer_bytes = read_footer_length(trailer).map_err(arrow)?;
    let footer_start = trailer_start.checked_sub(footer_bytes).ok_or_else(short)?;
    let footer = arrow_ipc::root_as_footer(&buffer[footer_start..trailer_start])
        .map_err(|e| corrupt(path, format!("arrow footer: {e}")))?;
    let schema = footer.schema().ok_or_else(|| corrupt(path, "arrow footer without a schema".into()))?;
    let schema = Arc::new(arrow_ipc::convert::try_fb_to_schema(schema).map_err(arrow)?);
    let decoder = FileDecoder::new(schema, footer.version());
    let blocks = footer.recordBatches().ok_or_else(|| corrupt(path, "no record batch".into()))?;
    if blocks.len() != 1 {
        return Err(corrupt(path, format!("{} record batches, expected one", blocks.len())));
    }
    let block = blocks.get(0);
    let (start, meta, body) = (block.offset(), i64::from(block.metaDataLength()), block.bodyLength());
    let end = start.checked_add(meta).and_then(|n| n.checked_add(body));
    match (usize::try_from(start), end.and_then(|end| usize::try_from(end).ok())) {
        (Ok(start), Some(end)) if start < end && end <= footer_start => {
            let data = buffer.slice_with_length(start, end - start);
            decoder
                .read_record_batch(block, &data)
                .map_err(arrow)?
                .ok_or_else(|| corrupt(path, "no rows".into()))
        }
        _ => Err(corrupt(path, "record batch lies outside the file".into())),
    }
}

fn corrupt(path: &Path, reason: String) -> EngineError {
    StorageError::Corrupt { path: path.to_owned(), offset: 0, reason }.into()
}
