//! The pages of a Parquet file, as their headers describe them: walked before anything is decoded, because the decoder
//! makes room for whatever a header says, and for whatever gzip unpacks to. What the fields of a header mean:
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::MultiGzDecoder;
use parquet::basic::{Compression, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::thrift::{Fields, Seen, Shape, Thrift};
use super::{Fault, Stopped};

/// Largest page in bytes, decompressed. Writers cut pages at about 1 MiB.
pub(super) const MAX_PAGE: u64 = 64 << 20;
const BUFFER: usize = 64 << 10;

const NOTHING: Shape = Shape::Struct(&[]);
const DATA: Fields = &[(1, Shape::I32), (2, Shape::I32), (3, Shape::I32), (4, Shape::I32), (5, NOTHING)];
const DICTIONARY: Fields = &[(1, Shape::I32), (2, Shape::I32), (3, Shape::Bool)];
const DATA_V2: Fields = &[
    (1, Shape::I32),
    (2, Shape::I32),
    (3, Shape::I32),
    (4, Shape::I32),
    (5, Shape::I32),
    (6, Shape::I32),
    (7, Shape::Bool),
    (8, NOTHING),
];
const HEADER: Fields = &[
    (1, Shape::I32),
    (2, Shape::I32),
    (3, Shape::I32),
    (4, Shape::I32),
    (5, Shape::Struct(DATA)),
    (6, NOTHING),
    (7, Shape::Struct(DICTIONARY)),
    (8, Shape::Struct(DATA_V2)),
];

/// Checks all pages; says how large the largest one of each column is.
///
/// # Errors
/// A page that is too large, or is not what its header or the file's footer says.
pub(super) fn check(
    file: &File,
    metadata: &ParquetMetaData,
    stopped: Stopped<'_>,
) -> Result<Vec<u64>, Fault> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let mut largest = vec![0; columns];
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let sizes = chunks.map(|chunk| u64::try_from(chunk.compressed_size()).unwrap_or(u64::MAX));
    let len = file.metadata().map_err(|error| Fault::io(&error))?.len();
    // A small file could say so often that the same pages are other ones that reading it never ends.
    if sizes.fold(0, u64::saturating_add) > len {
        return Err(Fault::File("its columns have more bytes together than the file has".to_owned()));
    }
    let file = file.try_clone().map_err(|error| Fault::io(&error))?;
    let mut input = BufReader::with_capacity(BUFFER, file);
    for group in metadata.row_groups() {
        for (chunk, largest) in group.columns().iter().zip(&mut largest) {
            let found = walk(&mut input, chunk, stopped)?;
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
    Ok(largest)
}

/// What the pages of a column chunk are.
#[derive(Debug, Default)]
struct Found {
    values: u64,
    largest: u64,
}

fn walk(
    input: &mut (impl BufRead + Seek),
    chunk: &ColumnChunkMetaData,
    stopped: Stopped<'_>,
) -> Result<Found, Fault> {
    let column = chunk.column_path();
    let broken = || Fault::File(format!("the pages of the column {column} can't be read"));
    if matches!(chunk.compression(), Compression::LZ4) {
        let reason = "is compressed with LZ4 in Hadoop's frames: write LZ4_RAW, SNAPPY, ZSTD or GZIP";
        return Err(Fault::File(format!("the column {column} {reason}")));
    }
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let start = u64::try_from(start).map_err(|_| broken())?;
    let mut left = u64::try_from(chunk.compressed_size()).map_err(|_| broken())?;
    input.seek(SeekFrom::Start(start)).map_err(|error| Fault::io(&error))?;
    let mut found = Found::default();
    while left > 0 {
        Fault::unless(stopped)?;
        let mut thrift = Thrift::new(input.by_ref().take(left));
        let page = Header::read(&mut thrift).ok_or_else(broken)?;
        left = thrift.into_rest().limit().checked_sub(page.compressed).ok_or_else(broken)?;
        let size = page.uncompressed.max(page.compressed);
        if size > MAX_PAGE {
            let reason = format!("a page of the column {column} has {size} bytes, more than {MAX_PAGE}");
            return Err(Fault::File(reason));
        }
        if page.kind == Kind::Dictionary && page.values.saturating_mul(smallest(chunk)) > page.uncompressed {
            return Err(Fault::File(format!("a dictionary of the column {column} is not whole")));
        }
        if page.kind == Kind::Data {
            found.values = found.values.saturating_add(page.values);
        }
        found.largest = found.largest.max(size);
        let mut body = input.by_ref().take(page.compressed);
        if matches!(chunk.compression(), Compression::GZIP(_)) && page.is_compressed {
            unpack(&mut body, &page).ok_or_else(broken)?;
        }
        let skip = i64::try_from(body.limit()).map_err(|_| broken())?;
        input.seek_relative(skip).map_err(|error| Fault::io(&error))?;
    }
    Ok(found)
}

/// The fewest bytes that a value of a dictionary takes.
fn smallest(chunk: &ColumnChunkMetaData) -> u64 {
    match chunk.column_type() {
        Type::BOOLEAN => 1,
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(chunk.column_descr().type_length()).unwrap_or(0).max(1),
    }
}

/// Unpacks a page into nothing, to see that it has the size that its header says: the decoder would go on for as long as
/// something comes out. `None` when it has another.
fn unpack(body: &mut impl BufRead, page: &Header) -> Option<()> {
    // The levels of pages of the second version are never compressed.
    let levels = page.levels;
    let passed = std::io::copy(&mut body.by_ref().take(levels), &mut std::io::sink()).ok()?;
    let expected = page.uncompressed.checked_sub(levels)?;
    if passed < levels {
        return None;
    }
    // A page without values may have nothing compressed at all: the decoder does not look.
    if expected == 0 {
        return Some(());
    }
    let mut unpacked = MultiGzDecoder::new(body).take(expected + 1);
    (std::io::copy(&mut unpacked, &mut std::io::sink()).ok()? == expected).then_some(())
}

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Dictionary,
}

/// What matters of a page's header.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    kind: Kind,
    uncompressed: u64,
    compressed: u64,
    values: u64,
    /// Bytes of levels that stand before everything that is compressed.
    levels: u64,
    /// Whether the rest is compressed, if the column is.
    is_compressed: bool,
}

impl Header {
    /// `None` for what is no header, or one of an unknown kind of page, or of two kinds at once.
    fn read(thrift: &mut Thrift<impl Read>) -> Option<Self> {
        let (mut kind, mut uncompressed, mut compressed) = (-1, -1, -1);
        // The number of the field that describes the page.
        let mut described = None;
        let (mut values, mut levels, mut is_compressed) = (-1, 0i64, true);
        let mut visit = |path: &[i16], seen: Seen| {
            match (path, seen) {
                ([1], Seen::Number(number)) => kind = number,
                ([2], Seen::Number(number)) => uncompressed = number,
                ([3], Seen::Number(number)) => compressed = number,
                ([5 | 7 | 8, 1], Seen::Number(number)) => values = number,
                // The decoder adds up before it looks.
                ([8, 5 | 6], Seen::Number(number)) if number < 0 => return Err(String::new()),
                ([8, 5 | 6], Seen::Number(number)) => levels += number,
                ([8, 7], Seen::Number(number)) => is_compressed = number == 1,
                ([field @ 5..=8], Seen::End) if described.replace(*field).is_some() => {
                    return Err(String::new());
                }
                _ => {}
            }
            Ok(())
        };
        thrift.read(HEADER, &mut visit).ok()?;
        let kind = match (kind, described) {
            (0, Some(5)) | (3, Some(8)) => Kind::Data,
            (2, Some(7)) => Kind::Dictionary,
            _ => return None,
        };
        let bytes = |number: i64| u64::try_from(number).ok();
        let (uncompressed, compressed) = (bytes(uncompressed)?, bytes(compressed)?);
        let levels = bytes(levels).filter(|&levels| levels <= uncompressed)?;
        Some(Self { kind, uncompressed, compressed, values: bytes(values)?, levels, is_compressed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> Option<Header> {
        Header::read(&mut Thrift::new(bytes))
    }

    #[test]
    fn headers_are_read_and_what_does_not_matter_is_passed() {
        // type 0, sizes 100 and 50, crc, a data page of 7 values with statistics.
        let bytes = [
            0x15, 0, 0x15, 200, 1, 0x15, 100, 0x15, 2, 0x1c, 0x15, 14, 0x15, 0, 0x15, 6, 0x15, 6, 0x1c, 0x18,
            2, 9, 9, 0, 0, 0,
        ];
        let expected = Header {
            kind: Kind::Data,
            uncompressed: 100,
            compressed: 50,
            values: 7,
            levels: 0,
            is_compressed: true,
        };
        assert_eq!(header(&bytes), Some(expected));
        for cut in 0..bytes.len() {
            assert_eq!(header(&bytes[..cut]), None, "{cut}");
        }
        // The second version: 3 and 4 bytes of levels, not compressed.
        let second = [
            0x15, 6, 0x15, 20, 0x15, 20, 0x5c, 0x15, 14, 0x15, 0, 0x15, 14, 0x15, 0, 0x15, 6, 0x15, 8, 0x12,
            0, 0,
        ];
        let found = header(&second).unwrap();
        assert_eq!((found.kind, found.values, found.levels, found.is_compressed), (Kind::Data, 7, 7, false));
    }

    #[test]
    fn headers_of_two_kinds_or_none_are_refused() {
        let data = [0x2c, 0x15, 14, 0x15, 0, 0x15, 6, 0x15, 6, 0];
        let dictionary = [0x15, 14, 0x15, 0, 0];
        let sizes = |kind: u8| vec![0x15, kind, 0x15, 20, 0x15, 20];
        assert!(header(&[&sizes(0)[..], &data, &[0]].concat()).is_some());
        assert!(header(&[&sizes(4)[..], &[0x4c], &dictionary, &[0]].concat()).is_some());
        assert_eq!(header(&[&sizes(4)[..], &data, &[0]].concat()), None, "a dictionary described as data");
        assert_eq!(header(&[&sizes(0)[..], &data, &[0x2c], &dictionary, &[0]].concat()), None, "both");
        assert_eq!(header(&[&sizes(2)[..], &[0x3c, 0, 0]].concat()), None, "an index");
        assert_eq!(header(&[&sizes(0)[..], &[0]].concat()), None, "nothing");
        assert_eq!(
            header(&[&[0x15, 0, 0x15, 20, 0x15, 1][..], &data, &[0]].concat()),
            None,
            "a negative size"
        );
    }
}
