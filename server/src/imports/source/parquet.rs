//! Rows as columns of a Parquet file. Footer, pages and what is inside of them are checked first; then rows are decoded a
//! few at a time, so few that what they may become in memory is bounded.
//!
//! ```text
//!   thrift ─► footer ─► pages ─► contents ─► the decoder of the `parquet` crate, which trusts all of them
//! ```

use std::fs::File;
use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::contents::Sizes;
use super::{Fault, Source, Stopped, cell, footer, pages};
use crate::rest::RowReader;

/// Bytes that rows decoded at one time may become.
const BUDGET: u64 = 64 << 20;
/// Bytes that one row may become: it can't be decoded in parts.
const MAX_ROW: u64 = 256 << 20;
/// Most rows decoded at one time.
const MAX_BATCH: u64 = 1024;
/// Most bytes that the largest pages of all columns may have together: one of each is held at a time.
const MAX_PAGES_AT_ONCE: u64 = 512 << 20;
/// Most rows of one file.
const MAX_ROWS: u64 = 1 << 32;
/// The index of a pandas table, which is no field.
const PANDAS_INDEX: &str = "__index_level_";

/// The rows of one file.
pub(super) struct Table {
    batches: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    at: usize,
    done: u64,
    rows: u64,
    len: u64,
}

fn broken(error: &impl std::fmt::Display) -> Fault {
    Fault::File(format!("it can't be read as Parquet: {error}"))
}

impl Table {
    pub(super) fn open(file: File, stopped: Stopped<'_>) -> Result<Self, Fault> {
        let len = file.metadata().map_err(|error| Fault::io(&error))?.len();
        let footer = footer::read(&file)?;
        let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(|error| broken(&error))?;
        let metadata = Arc::new(metadata);
        // The types that some writers add are left aside: they say how to hold values in memory, and that is for us.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let loaded = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options);
        let loaded = loaded.map_err(|error| broken(&error))?;
        let rows = metadata.row_groups().iter().try_fold(0u64, |rows, group| {
            u64::try_from(group.num_rows()).ok().and_then(|more| rows.checked_add(more))
        });
        let rows = rows.filter(|&rows| rows <= MAX_ROWS);
        let rows = rows.ok_or_else(|| Fault::File(format!("a file holds at most {MAX_ROWS} rows")))?;
        for field in loaded.schema().fields() {
            cell::check(field.data_type())
                .map_err(|reason| Fault::File(format!("{}: {reason}", field.name())))?;
        }
        let batch =
            batch_rows(&Arc::new(file.try_clone().map_err(|error| Fault::io(&error))?), &metadata, stopped)?;
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, loaded)
            .with_batch_size(batch)
            .build()
            .map_err(|error| broken(&error))?;
        Ok(Self { batches, batch: None, at: 0, done: 0, rows, len })
    }

    /// Makes sure that there is a row at `at`; false when there is none left.
    fn fill(&mut self) -> Result<bool, Fault> {
        while self.batch.as_ref().is_none_or(|batch| self.at >= batch.num_rows()) {
            self.at = 0;
            self.batch = self.batches.next().transpose().map_err(|error| broken(&error))?;
            if self.batch.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// How many rows may be decoded at one time.
fn batch_rows(file: &Arc<File>, metadata: &ParquetMetaData, stopped: Stopped<'_>) -> Result<usize, Fault> {
    let largest = pages::check(file, metadata, stopped)?;
    let (mut row_bytes, mut page_bytes) = (0u64, 0u64);
    for (at, column) in metadata.file_metadata().schema_descr().columns().iter().enumerate() {
        let mut sizes = Sizes::PLAIN;
        if Sizes::matter(column) {
            metadata.row_groups().iter().try_for_each(|group| sizes.grow(file, group, at, stopped))?;
        }
        let width = match column.physical_type() {
            Type::BYTE_ARRAY => sizes.value,
            Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.type_length()).unwrap_or(0),
            Type::INT96 => 12,
            _ => 8,
        };
        // Eight more for offsets and levels.
        row_bytes = row_bytes.saturating_add(sizes.elements.saturating_mul(width.saturating_add(8)));
        let page = largest.get(at).copied().unwrap_or(0);
        page_bytes = page_bytes.saturating_add(page).saturating_add(sizes.lengths);
    }
    if page_bytes > MAX_PAGES_AT_ONCE {
        return Err(Fault::File(format!("its columns have pages of {page_bytes} bytes together: too large")));
    }
    if row_bytes > MAX_ROW {
        let reason = "the longest lists of the longest values of all columns together";
        return Err(Fault::File(format!("its rows are too large: {reason} are more than {MAX_ROW} bytes")));
    }
    Ok((BUDGET / row_bytes.max(1)).clamp(1, MAX_BATCH) as usize)
}

impl Source for Table {
    fn next(&mut self, rows: &mut RowReader<'_>) -> Result<bool, Fault> {
        if !self.fill()? {
            return if self.done == self.rows {
                Ok(false)
            } else {
                Err(Fault::File(format!("it has {} rows where its footer says {}", self.done, self.rows)))
            };
        }
        let Some(batch) = &self.batch else { return Ok(false) };
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if field.name().starts_with(PANDAS_INDEX) {
                continue;
            }
            let mut items = Vec::new();
            let value = cell::value(column.as_ref(), self.at, &mut items);
            let value = value.map_err(|reason| Fault::File(format!("{}: {reason}", field.name())))?;
            rows.cell(field.name(), value)?;
        }
        rows.end()?;
        self.at += 1;
        self.done += 1;
        Ok(true)
    }

    fn position(&self) -> u64 {
        (u128::from(self.len) * u128::from(self.done) / u128::from(self.rows.max(1))) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use arrow_array::builder::{Float32Builder, ListBuilder, UInt8Builder};
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, Encoding, GzipLevel};
    use parquet::file::properties::{WriterProperties, WriterVersion};

    use super::super::test_rows::read_all;
    use super::*;

    fn vectors(rows: usize, dim: usize) -> ArrayRef {
        let mut lists = ListBuilder::new(Float32Builder::new());
        for row in 0..rows {
            (0..dim).for_each(|at| lists.values().append_value((row * at) as f32));
            lists.append(true);
        }
        Arc::new(lists.finish())
    }

    fn ids(rows: usize) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..rows as i64).map(|id| i64::MAX - id)))
    }

    fn written(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    fn plain(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
        written(columns, WriterProperties::new())
    }

    fn read(bytes: &[u8]) -> Result<usize, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        match Table::open(file, &|| false) {
            Ok(mut table) => read_all(&mut table),
            Err(Fault::File(reason)) => Err(reason),
            Err(Fault::Row(error)) => Err(error.message),
        }
    }

    #[test]
    fn columns_become_rows_whatever_the_encoding() {
        let mut bytes = ListBuilder::new(UInt8Builder::new());
        (0..3000).for_each(|_| {
            bytes.values().append_slice(&[0, 0x3c, 0, 0x40]);
            bytes.append(true);
        });
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; 3000])) };
        let columns = || -> Vec<(&str, ArrayRef)> {
            vec![
                ("id", ids(3000)),
                ("v", vectors(3000, 2)),
                ("h", Arc::new(bytes.finish_cloned())),
                ("meta", text(r#"{"a":[1]}"#)),
                ("sparse", text(r#"{"7":0.5}"#)),
                ("$meta", text(r#"{"k":1}"#)),
                ("other", text("undeclared")),
                ("__index_level_0__", ids(3000)),
            ]
        };
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let gzip = Compression::GZIP(GzipLevel::default());
            for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW, gzip] {
                for dictionary in [true, false] {
                    let properties = WriterProperties::builder()
                        .set_writer_version(version)
                        .set_compression(compression)
                        .set_dictionary_enabled(dictionary);
                    assert_eq!(read(&written(columns(), properties.build())), Ok(3000), "{compression}");
                }
            }
        }
        assert_eq!(read(&plain(vec![("id", ids(0)), ("v", vectors(0, 2))])), Ok(0));
    }

    #[test]
    fn texts_with_lengths_in_front_become_rows() {
        let texts = |nulls: bool| -> ArrayRef {
            let text =
                |row: usize| (!nulls || !row.is_multiple_of(3)).then(|| "abcdefgh"[..row * 7 % 9].to_owned());
            Arc::new((0..5000).map(text).collect::<StringArray>())
        };
        for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
            for (version, nulls) in [(WriterVersion::PARQUET_1_0, true), (WriterVersion::PARQUET_2_0, false)]
            {
                let properties = WriterProperties::builder()
                    .set_writer_version(version)
                    .set_dictionary_enabled(false)
                    .set_data_page_size_limit(1000)
                    .set_column_encoding("name".into(), encoding);
                let columns = vec![("id", ids(5000)), ("v", vectors(5000, 2)), ("name", texts(nulls))];
                assert_eq!(read(&written(columns, properties.build())), Ok(5000), "{encoding}");
            }
        }
    }

    #[test]
    fn checks_end_when_somebody_asks_for_it() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&plain(vec![("id", ids(3)), ("v", vectors(3, 2))])).unwrap();
        // At the first page, and at each one after it.
        for pages in 0..4i64 {
            let left = std::cell::Cell::new(pages);
            let stopped = || left.replace(left.get() - 1) == 0;
            let file = file.try_clone().unwrap();
            assert!(matches!(Table::open(file, &stopped), Err(Fault::File(_))), "{pages}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let nested = ListBuilder::new(ListBuilder::new(Float32Builder::new())).finish();
        for columns in [
            vec![("id", ids(2))],
            vec![("id", ids(2)), ("v", vectors(2, 3))],
            vec![("id", vectors(2, 2)), ("v", vectors(2, 2))],
            vec![("id", ids(2)), ("v", ids(2))],
            vec![("id", ids(0)), ("v", Arc::new(nested) as ArrayRef)],
            vec![("id", ids(2)), ("v", vectors(2, 70_000))],
        ] {
            assert!(read(&plain(columns)).is_err());
        }
    }

    #[test]
    fn broken_files_are_refused_and_never_panic() {
        let whole = plain(vec![("id", ids(3)), ("v", vectors(3, 2))]);
        assert_eq!(read(&whole), Ok(3));
        for cut in (0..whole.len()).step_by(7) {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
        let mut long = whole.clone();
        let at = long.len() - 8;
        long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&long).is_err());
        assert!(read(b"PAR1PAR1").is_err());
    }

    #[test]
    fn a_page_that_says_it_is_huge_is_refused() {
        // A page of more than 1 MiB, so that its size takes four bytes, which can say more than the limit.
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_data_page_size_limit(16 << 20)
            .set_data_page_row_count_limit(usize::MAX);
        let mut bytes = written(vec![("id", ids(200_000))], properties.build());
        // Behind the magic number comes the header of the first page: type, then its size as a varint.
        assert_eq!((bytes[4], bytes[6]), (0x15, 0x15));
        assert_eq!(bytes[7..].iter().take_while(|&&byte| byte >= 128).count(), 3);
        bytes[7..11].copy_from_slice(&[0xfe, 0xff, 0xff, 0x7f]);
        let refused = read(&bytes).unwrap_err();
        assert!(refused.contains("more than 67108864"), "{refused}");
    }
}
