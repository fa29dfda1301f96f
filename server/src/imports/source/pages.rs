//! The pages of a Parquet file, as their headers describe them: walked before anything is decoded, because the decoder
//! makes room for whatever a header says. A header is a Thrift struct in the compact protocol:
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::Fault;

/// Largest page in bytes, decompressed. Writers cut pages at about 1 MiB.
pub(super) const MAX_PAGE: u64 = 64 << 20;
/// Most bytes that the largest pages of all columns may have together: one of each is held at a time.
const MAX_PAGES_AT_ONCE: u64 = 512 << 20;
/// Deepest nesting of a header; the real ones have three levels.
const MAX_DEPTH: usize = 8;
const BUFFER: usize = 64 << 10;

/// Checks all pages; says how large the largest one of each column is.
///
/// # Errors
/// A page that is too large, or is not what the file's footer says.
pub(super) fn check(file: &File, metadata: &ParquetMetaData) -> Result<Vec<u64>, Fault> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let mut largest = vec![0; columns];
    let file = file.try_clone().map_err(|error| Fault::io(&error))?;
    let mut input = BufReader::with_capacity(BUFFER, file);
    for group in metadata.row_groups() {
        for (chunk, largest) in group.columns().iter().zip(&mut largest) {
            let found = walk(&mut input, chunk)?;
            *largest = (*largest).max(found.largest);
            let (said, rows) = (chunk.num_values(), group.num_rows());
            let flat = chunk.column_descr().max_rep_level() == 0;
            let fits = if flat { said == rows } else { said >= rows };
            if found.values != said as u64 || said < 0 || !fits {
                return Err(Fault::File(format!(
                    "the column {} has {} values in pages, {said} in the footer, for {rows} rows",
                    chunk.column_path(),
                    found.values
                )));
            }
        }
    }
    let together: u64 = largest.iter().sum();
    if together > MAX_PAGES_AT_ONCE {
        return Err(Fault::File(format!("its columns have pages of {together} bytes together: too large")));
    }
    Ok(largest)
}

/// What the pages of a column chunk are.
#[derive(Debug, Default)]
struct Found {
    values: u64,
    largest: u64,
}

fn walk(input: &mut (impl Read + Seek), chunk: &ColumnChunkMetaData) -> Result<Found, Fault> {
    let broken = || Fault::File(format!("the pages of the column {} can't be read", chunk.column_path()));
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let start = u64::try_from(start).map_err(|_| broken())?;
    let len = u64::try_from(chunk.compressed_size()).map_err(|_| broken())?;
    input.seek(SeekFrom::Start(start)).map_err(|error| Fault::io(&error))?;
    let mut found = Found::default();
    let mut left = len;
    while left > 0 {
        let mut thrift = Thrift { input: input.by_ref().take(left) };
        let page = thrift.page().ok_or_else(broken)?;
        let compressed = u64::try_from(page.compressed).map_err(|_| broken())?;
        let size = u64::try_from(page.uncompressed).map_err(|_| broken())?;
        left = thrift.input.limit().checked_sub(compressed).ok_or_else(broken)?;
        if size > MAX_PAGE {
            return Err(Fault::File(format!(
                "a page of the column {} has {size} bytes, more than {MAX_PAGE}",
                chunk.column_path()
            )));
        }
        found.largest = found.largest.max(size);
        found.values = found.values.saturating_add(u64::try_from(page.values).map_err(|_| broken())?);
        let skip = i64::try_from(compressed).map_err(|_| broken())?;
        input.seek_relative(skip).map_err(|error| Fault::io(&error))?;
    }
    Ok(found)
}

/// What matters of a page's header. Only pages of data have values.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    uncompressed: i64,
    compressed: i64,
    values: i64,
}

/// Numbers of the fields of a header.
const UNCOMPRESSED: i64 = 2;
const COMPRESSED: i64 = 3;
const DATA: i64 = 5;
const DATA_V2: i64 = 8;
/// Types of Thrift's compact protocol.
const STOP: u8 = 0;
const STRUCT: u8 = 12;

/// A reader of Thrift's compact protocol; `None` is what it gives for anything that is none.
struct Thrift<R> {
    input: R,
}

impl<R: Read> Thrift<R> {
    fn page(&mut self) -> Option<Page> {
        let mut page = Page::default();
        let mut id = 0;
        loop {
            let kind = self.field(&mut id)?;
            match (kind, id) {
                (STOP, _) => return Some(page),
                (4..=6, UNCOMPRESSED) => page.uncompressed = self.integer()?,
                (4..=6, COMPRESSED) => page.compressed = self.integer()?,
                (STRUCT, DATA | DATA_V2) => page.values = self.values()?,
                _ => self.skip(kind, MAX_DEPTH)?,
            }
        }
    }

    /// The first field of the header of a page of data.
    fn values(&mut self) -> Option<i64> {
        let (mut id, mut values) = (0, 0);
        loop {
            match (self.field(&mut id)?, id) {
                (STOP, _) => return Some(values),
                (4..=6, 1) => values = self.integer()?,
                (kind, _) => self.skip(kind, MAX_DEPTH)?,
            }
        }
    }

    /// The type of the next field; its number goes into `id`.
    fn field(&mut self, id: &mut i64) -> Option<u8> {
        let byte = self.byte()?;
        *id = match byte >> 4 {
            0 if byte != STOP => self.integer()?,
            step => *id + i64::from(step),
        };
        Some(byte & 15)
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte).ok()?;
        Some(byte[0])
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        let passed = std::io::copy(&mut self.input.by_ref().take(bytes), &mut std::io::sink()).ok()?;
        (passed == bytes).then_some(())
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let len = self.varint()?;
                self.pass(len)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let len = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                // In lists a truth value is a byte.
                let element = if matches!(byte & 15, 1 | 2) { 3 } else { byte & 15 };
                (0..len).try_for_each(|_| self.skip(element, depth))
            }
            STRUCT => {
                let mut id = 0;
                loop {
                    match self.field(&mut id)? {
                        STOP => return Some(()),
                        kind => self.skip(kind, depth)?,
                    }
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(bytes: &[u8]) -> Option<Page> {
        Thrift { input: bytes }.page()
    }

    #[test]
    fn headers_are_read_and_what_does_not_matter_is_passed() {
        // type 0, sizes 100 and 50, crc, a data page of 7 values with statistics.
        let header = [
            0x15, 0, 0x15, 200, 1, 0x15, 100, 0x15, 2, 0x1c, 0x15, 14, 0x15, 0, 0x15, 6, 0x15, 6, 0x1c, 0x18,
            2, 9, 9, 0, 0, 0,
        ];
        assert_eq!(page(&header), Some(Page { uncompressed: 100, compressed: 50, values: 7 }));
        for cut in 0..header.len() {
            assert_eq!(page(&header[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn hostile_headers_end() {
        let nested = [0x1c; 1000];
        assert_eq!(page(&nested), None);
        assert_eq!(page(&[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), None);
        assert_eq!(page(&[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f]), None);
        assert_eq!(page(&[0xff; 64]), None);
        assert_eq!(page(&[0x1b, 1, 0x55]), None);
    }
}
