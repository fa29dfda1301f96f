//! Log records of a collection, to bytes and back. A record is one batch of rows or one list of keys to delete; it is
//! applied whole or not at all. `storage/FORMAT.md` has the layout byte by byte.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;

use crate::error::{EngineError, Result};
use crate::ipc::guarded;
use crate::row::{Chunk, Keys};
use crate::schema::{Schema, adapt};
use crate::segment::Segment;

const INSERT: u8 = 1;
const DELETE: u8 = 2;
const TRUNCATE: u8 = 3;
/// Before each matrix.
const LENGTH_BYTES: usize = 8;

const _: () = assert!(cfg!(target_endian = "little"), "files are mapped as they are, which is little-endian");

/// A decoded log record.
#[derive(Debug)]
pub(crate) enum Record {
    /// Rows to add; rows of the same keys die.
    Insert {
        chunk: Chunk,
        /// The next key to generate after this record.
        next_id: i64,
        /// Keys were generated: none of them can exist yet.
        fresh_keys: bool,
    },
    /// Rows of these keys die.
    Delete(Keys),
    /// All rows die.
    Truncate,
}

impl Record {
    /// Its bytes in the log, but for the matrices of an insert: these are written from where they are.
    pub(crate) fn head(&self) -> Result<Vec<u8>> {
        match self {
            Record::Insert { chunk, next_id, fresh_keys } => {
                let mut out = Vec::with_capacity(chunk.scalars.get_array_memory_size() + 1024);
                out.push(INSERT);
                out.push(u8::from(*fresh_keys));
                out.extend_from_slice(&next_id.to_le_bytes());
                put_batch(&mut out, &chunk.scalars)?;
                Ok(out)
            }
            Record::Truncate => Ok(vec![TRUNCATE]),
            Record::Delete(keys) => {
                let mut out = vec![DELETE];
                let column: arrow_array::ArrayRef = match keys {
                    Keys::Int(keys) => Arc::new(Int64Array::from(keys.clone())),
                    Keys::Text(keys) => Arc::new(StringArray::from_iter_values(keys)),
                };
                let batch =
                    RecordBatch::try_from_iter([("key", column)]).map_err(|e| EngineError::arrow(&e))?;
                put_batch(&mut out, &batch)?;
                Ok(out)
            }
        }
    }

    /// Bytes of what follows that.
    pub(crate) fn matrix_bytes(&self) -> usize {
        let Record::Insert { chunk, .. } = self else { return 0 };
        chunk.vectors.iter().map(|matrix| LENGTH_BYTES + size_of_val(matrix.as_slice())).sum()
    }

    pub(crate) fn decode(bytes: &[u8], schema: &Arc<Schema>) -> Result<Self> {
        let mut rest = bytes;
        match take::<1>(&mut rest)? {
            [INSERT] => {
                let [fresh_keys] = take::<1>(&mut rest)?;
                let next_id = i64::from_le_bytes(take(&mut rest)?);
                let scalars = take_batch(&mut rest)?;
                let scalars = adapt(&scalars, schema)
                    .map_err(|e| damaged(&format!("columns do not fit the schema: {e}")))?;
                let mut vectors = Vec::new();
                for field in schema.dense_fields() {
                    let count = u64::from_le_bytes(take(&mut rest)?);
                    if count != (scalars.num_rows() * field.dim.unwrap_or(0)) as u64 {
                        return Err(damaged("a vector matrix of the wrong size"));
                    }
                    vectors.push(take_floats(&mut rest, count as usize)?);
                }
                if !rest.is_empty() {
                    return Err(damaged("bytes after the last matrix"));
                }
                Ok(Record::Insert { chunk: Chunk { scalars, vectors }, next_id, fresh_keys: fresh_keys != 0 })
            }
            [DELETE] => {
                let batch = take_batch(&mut rest)?;
                let column = batch.columns().first().ok_or_else(|| damaged("a delete without keys"))?;
                if let Some(keys) = column.as_primitive_opt::<Int64Type>() {
                    return Ok(Record::Delete(Keys::Int(keys.values().to_vec())));
                }
                let keys = column.as_string_opt::<i32>().ok_or_else(|| damaged("keys of an unknown type"))?;
                Ok(Record::Delete(Keys::Text(keys.iter().flatten().map(str::to_owned).collect())))
            }
            [TRUNCATE] if rest.is_empty() => Ok(Record::Truncate),
            [kind] => Err(damaged(&format!("unknown kind {kind}"))),
        }
    }
}

/// A record on its way into the log.
pub(crate) struct Encoded {
    head: Vec<u8>,
    /// Of the rows that it adds; none where it adds none.
    segment: Option<Arc<Segment>>,
    /// How many values each matrix has.
    lengths: Vec<[u8; LENGTH_BYTES]>,
}

impl Encoded {
    /// `head` by [`Record::head`], and the segment that holds the matrices of the record.
    pub(crate) fn new(head: Vec<u8>, segment: Option<Arc<Segment>>) -> Self {
        let matrices = segment.iter().flat_map(|segment| segment.matrices());
        let lengths = matrices.map(|matrix| (matrix.values().len() as u64).to_le_bytes()).collect();
        Self { head, segment, lengths }
    }

    /// Its bytes, in pieces. What is stored is little-endian, as every machine that this program is built for.
    pub(crate) fn pieces(&self) -> Vec<&[u8]> {
        let matrices = self.segment.iter().flat_map(|segment| segment.matrices());
        let matrices = matrices.map(|matrix| bytemuck::cast_slice(matrix.values()));
        let with_lengths =
            self.lengths.iter().zip(matrices).flat_map(|(length, matrix)| [&length[..], matrix]);
        std::iter::once(self.head.as_slice()).chain(with_lengths).collect()
    }
}

fn damaged(reason: &str) -> EngineError {
    // The frame's checksum has matched: such a record was written by something else than this program.
    EngineError::Internal(format!("log record: {reason}"))
}

fn put_batch(out: &mut Vec<u8>, batch: &RecordBatch) -> Result<()> {
    let length_at = out.len();
    out.extend_from_slice(&[0; 8]);
    let mut writer = StreamWriter::try_new(&mut *out, &batch.schema()).map_err(|e| EngineError::arrow(&e))?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(|e| EngineError::arrow(&e))?;
    drop(writer);
    let length = (out.len() - length_at - 8) as u64;
    out[length_at..length_at + 8].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

fn take_batch(rest: &mut &[u8]) -> Result<RecordBatch> {
    let length = u64::from_le_bytes(take(rest)?);
    let (bytes, after) = usize::try_from(length)
        .ok()
        .and_then(|n| rest.split_at_checked(n))
        .ok_or_else(|| damaged("shorter than its columns"))?;
    *rest = after;
    let read = guarded(|| StreamReader::try_new(Cursor::new(bytes), None)?.next().transpose());
    read.map_err(|e| damaged(&format!("columns: {e}")))?.ok_or_else(|| damaged("no columns"))
}

fn take_floats(rest: &mut &[u8], count: usize) -> Result<Vec<f32>> {
    let (bytes, after) = count
        .checked_mul(4)
        .and_then(|n| rest.split_at_checked(n))
        .ok_or_else(|| damaged("shorter than its vectors"))?;
    *rest = after;
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>().ok_or_else(|| damaged("too short"))?;
    *rest = after;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{BatchBuilder, KeySource, Value};
    use crate::schema::{DataType, Field};

    fn schema() -> Arc<Schema> {
        let fields = vec![
            Field::new("id", DataType::VarChar).max_length(8).primary(false),
            Field::new("v", DataType::FloatVector).dim(2),
            Field::new("n", DataType::Double).nullable(),
        ];
        Arc::new(Schema::new(fields, true, "").unwrap())
    }

    fn record() -> Record {
        let mut b = BatchBuilder::new(&schema(), KeySource::Given);
        for i in 0..3 {
            b.set(0, Value::Text(&format!("k{i}"))).unwrap();
            b.set_vector(1, |m| {
                m.extend([i as f32, -0.5]);
                Ok(())
            })
            .unwrap();
            b.end_row().unwrap();
        }
        Record::Insert { chunk: b.finish().unwrap().into_chunk(0, 0).unwrap(), next_id: 9, fresh_keys: false }
    }

    fn encode(record: Record) -> Vec<u8> {
        let (head, expected) = (record.head().unwrap(), record.matrix_bytes());
        let segment = match record {
            Record::Insert { chunk, .. } => Some(Arc::new(Segment::in_memory(1, &schema(), chunk).unwrap())),
            _ => None,
        };
        let bytes = Encoded::new(head.clone(), segment).pieces().concat();
        assert_eq!(bytes.len(), head.len() + expected);
        bytes
    }

    #[test]
    fn rows_survive() {
        let Record::Insert { chunk, next_id, fresh_keys } = record() else { unreachable!() };
        let bytes = encode(record());
        let Record::Insert { chunk: read, next_id: id, fresh_keys: fresh } =
            Record::decode(&bytes, &schema()).unwrap()
        else {
            panic!("another kind")
        };
        assert_eq!(
            (read.scalars, read.vectors, id, fresh),
            (chunk.scalars, chunk.vectors, next_id, fresh_keys)
        );
    }

    #[test]
    fn keys_survive() {
        for keys in
            [Keys::Int(vec![3, -1, i64::MAX]), Keys::Text(vec!["a".into(), "ü".into()]), Keys::Int(vec![])]
        {
            let bytes = encode(Record::Delete(keys.clone()));
            let Record::Delete(read) = Record::decode(&bytes, &schema()).unwrap() else {
                panic!("another kind")
            };
            assert_eq!(read, keys);
        }
    }

    #[test]
    fn cut_records_are_refused() {
        let bytes = encode(record());
        for end in 0..bytes.len() {
            assert!(Record::decode(&bytes[..end], &schema()).is_err(), "cut at {end}");
        }
    }
}
