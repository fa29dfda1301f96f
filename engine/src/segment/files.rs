//! A sealed segment on disk. Truth: `<id>.vectors` (our container: raw f32 rows), `<id>.columns` (an Arrow IPC file any
//! Arrow reader opens), `<id>.<generation>.deletes` (Roaring bitmap). Derived: `<id>.keys` (key order), rebuilt when
//! it is missing or damaged. `storage/FORMAT.md` says every byte; the manifest names what is alive.

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use elanus_storage::{AtomicFile, Bytes, Container, ContainerWriter, FileKind, StorageError, Vfs};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::keys::KeyIndex;
use super::vectors::VectorColumn;
use super::{Segment, SegmentView, key_column, live_rows, merge_scalars};
use crate::error::{EngineError, Result};
use crate::ipc::guarded;
use crate::schema::{Schema, adapt, added_bytes};

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
    /// Bytes of the files of rows and keys together.
    #[serde(default)]
    pub(crate) bytes: u64,
    /// Which deletes file holds; none: no row is dead.
    pub(crate) deletes: Option<u64>,
    /// How many rows that file marks.
    #[serde(default)]
    pub(crate) deleted: u64,
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

/// Told how many bytes were just written; may slow the writer down, or end it with an error.
pub(crate) type Step<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// Writes the live rows of `views` as the files of one segment; durable when it returns. Vectors go from the old places
/// to the file without a copy of the whole in memory.
pub(crate) fn write_segment(
    vfs: &dyn Vfs,
    dir: &Path,
    id: u64,
    schema: &Arc<Schema>,
    views: &[SegmentView],
    step: Step<'_>,
) -> Result<SegmentEntry> {
    let paths = segment_paths(dir, id);
    let mut bytes = write_vectors(vfs, &paths.vectors, schema, views, step)?;
    let scalars = merge_scalars(schema, views)?;
    let keys = KeyIndex::build(&key_column(schema, &scalars)?)?;
    let (columns_bytes, columns_crc) = write_columns(vfs, &paths.columns, &scalars, step)?;
    bytes += columns_bytes + write_keys(vfs, &paths.keys, &keys)?;
    let rows = scalars.num_rows();
    Ok(SegmentEntry { id, rows, columns_crc, columns_bytes, bytes, deletes: None, deleted: 0 })
}

/// Bytes of vectors written between two steps.
const STEP_BYTES: usize = 1 << 20;

fn write_vectors(
    vfs: &dyn Vfs,
    path: &Path,
    schema: &Schema,
    views: &[SegmentView],
    step: Step<'_>,
) -> Result<u64> {
    let mut writer = ContainerWriter::create(vfs, path, VECTORS)?;
    for field in 0..schema.dense_fields().count() {
        writer.begin_block(block_tag(b'v', field))?;
        for view in views {
            write_live(&mut writer, view, field, VectorColumn::values, step)?;
        }
        writer.begin_block(block_tag(b'n', field))?;
        for view in views {
            write_live(&mut writer, view, field, VectorColumn::inverse_norms, step)?;
        }
    }
    Ok(writer.finish()?)
}

/// Appends the live rows of one matrix of a view. `values` gives the matrix, whose rows are equally wide.
fn write_live(
    writer: &mut ContainerWriter<'_>,
    view: &SegmentView,
    field: usize,
    values: fn(&VectorColumn) -> &[f32],
    step: Step<'_>,
) -> Result<()> {
    let Some(column) = view.segment.vectors(field) else { return Ok(()) };
    let (values, rows) = (values(column), view.segment.rows());
    let width = values.len() / rows.max(1);
    if view.deleted.is_empty() {
        for part in values.chunks(STEP_BYTES / size_of::<f32>()) {
            writer.write(bytemuck::cast_slice(part))?;
            step(size_of_val(part) as u64)?;
        }
        return Ok(());
    }
    let mut since = 0;
    for row in live_rows(view) {
        let row = row as usize * width;
        writer.write(bytemuck::cast_slice(&values[row..row + width]))?;
        since += width * size_of::<f32>();
        if since >= STEP_BYTES {
            step(std::mem::take(&mut since) as u64)?;
        }
    }
    step(since as u64)
}

/// What happens to the file of a key order that is missing or damaged; the order itself is rebuilt in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFile {
    /// Written again.
    Rebuild,
    /// Nothing.
    LeaveAlone,
}

/// Maps a sealed segment.
pub(crate) fn open_segment(
    vfs: &dyn Vfs,
    dir: &Path,
    schema: &Arc<Schema>,
    entry: &SegmentEntry,
    key_file: KeyFile,
) -> Result<Segment> {
    let paths = segment_paths(dir, entry.id);
    let columns = vfs.map(&paths.columns)?;
    if columns.len() as u64 != entry.columns_bytes {
        let reason = format!("holds {} bytes, the manifest says {}", columns.len(), entry.columns_bytes);
        return Err(corrupt(&paths.columns, reason));
    }
    if elanus_storage::crc32c(&columns) != entry.columns_crc {
        return Err(corrupt(&paths.columns, "the content does not match its checksum".into()));
    }
    let scalars = decode_columns(&paths.columns, columns)?;
    if scalars.num_rows() != entry.rows {
        return Err(corrupt(&paths.columns, "the number of rows is not that of the manifest".into()));
    }
    // Added fields are in memory: what is merged from the segment is larger by them than its file.
    let added = added_bytes(&scalars.schema(), schema, entry.rows as u64);
    let bytes = usize::try_from(entry.columns_bytes.saturating_add(added)).unwrap_or(usize::MAX);
    let scalars = adapt(&scalars, schema).map_err(|e| corrupt(&paths.columns, e.to_string()))?;
    let container = Container::open(vfs, &paths.vectors, VECTORS)?;
    let mut vectors = Vec::new();
    for (index, field) in schema.dense_fields().enumerate() {
        let values = container.require(block_tag(b'v', index))?;
        let norms = container.require(block_tag(b'n', index))?;
        vectors.push(VectorColumn::mapped(field.dim.unwrap_or(0), entry.rows, values, norms)?);
    }
    let keys = open_keys(vfs, &paths.keys, schema, &scalars, key_file)?;
    Segment::assemble(entry.id, schema, scalars, vectors, keys, Some(bytes))
}

/// Reads all of a segment's truth and compares it with its checksums. Opening has checked the columns' already.
pub(crate) fn verify_vectors(vfs: &dyn Vfs, dir: &Path, id: u64) -> Result<()> {
    Ok(Container::open(vfs, &segment_paths(dir, id).vectors, VECTORS)?.verify()?)
}

/// Why the key order of a segment is not usable, if so.
pub(crate) fn verify_keys(vfs: &dyn Vfs, dir: &Path, segment: &Segment) -> Result<()> {
    let container = Container::open(vfs, &segment_paths(dir, segment.id()).keys, KEYS)?;
    container.verify()?;
    KeyIndex::mapped(container.require(ORDER_BLOCK)?, &segment.key_column).map(drop)
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

fn write_keys(vfs: &dyn Vfs, path: &Path, keys: &KeyIndex) -> Result<u64> {
    let mut writer = ContainerWriter::create(vfs, path, KEYS)?;
    writer.block(ORDER_BLOCK, keys.as_bytes())?;
    Ok(writer.finish()?)
}

fn open_keys(
    vfs: &dyn Vfs,
    path: &Path,
    schema: &Schema,
    scalars: &RecordBatch,
    key_file: KeyFile,
) -> Result<KeyIndex> {
    let column = key_column(schema, scalars)?;
    let opened = Container::open(vfs, path, KEYS)
        .and_then(|c| c.require(ORDER_BLOCK))
        .map_err(EngineError::from)
        .and_then(|bytes| KeyIndex::mapped(bytes, &column));
    match opened {
        Ok(keys) => Ok(keys),
        Err(_) if key_file == KeyFile::LeaveAlone => KeyIndex::build(&column),
        Err(reason) => {
            tracing::warn!(path = %path.display(), %reason, "key index is rebuilt");
            let keys = KeyIndex::build(&column)?;
            // Without its file it is rebuilt at the next start as well: no reason not to serve.
            if let Err(error) = write_keys(vfs, path, &keys) {
                tracing::warn!(path = %path.display(), %error, "the rebuilt key index could not be written");
            }
            Ok(keys)
        }
    }
}

/// Writes an Arrow IPC file beside its place and renames it into it; durable when it returns. Gives back its length and
/// CRC32C.
fn write_columns(vfs: &dyn Vfs, path: &Path, scalars: &RecordBatch, step: Step<'_>) -> Result<(u64, u32)> {
    let mut file = AtomicFile::create(vfs, path)?;
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, arrow_ipc::MetadataVersion::V5)
        .map_err(|e| EngineError::arrow(&e))?;
    let sink = BufWriter::with_capacity(STEP_BYTES, Sink { file: &mut file, step, failure: None });
    let mut writer = FileWriter::try_new_with_options(sink, &scalars.schema(), options)
        .map_err(|e| EngineError::arrow(&e))?;
    let written = writer.write(scalars).and_then(|()| writer.finish());
    if let Some(failure) = writer.get_mut().get_mut().failure.take() {
        return Err(failure);
    }
    written.map_err(|e| EngineError::arrow(&e))?;
    drop(writer);
    Ok(file.finish()?)
}

/// Arrow's way to a file of ours. Arrow's errors are texts: the typed one waits here.
struct Sink<'a, 'b> {
    file: &'a mut AtomicFile<'b>,
    step: Step<'a>,
    failure: Option<EngineError>,
}

impl io::Write for Sink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes).map_err(EngineError::from);
        match written.and_then(|()| (self.step)(bytes.len() as u64)) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.failure = Some(error);
                Err(io::Error::other("see the typed error"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the one record batch of an Arrow IPC file without copying its buffers.
pub(super) fn decode_columns(path: &Path, bytes: Bytes) -> Result<RecordBatch> {
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
    let schema = Arc::new(guarded(|| arrow_ipc::convert::try_fb_to_schema(schema)).map_err(arrow)?);
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
            guarded(|| decoder.read_record_batch(block, &data))
                .map_err(arrow)?
                .ok_or_else(|| corrupt(path, "no rows".into()))
        }
        _ => Err(corrupt(path, "record batch lies outside the file".into())),
    }
}

fn corrupt(path: &Path, reason: String) -> EngineError {
    StorageError::Corrupt { path: path.to_owned(), offset: 0, reason }.into()
}
