//! Parquet files that no writer makes, byte by byte: small ones that would have the decoder take all memory or all of its
//! stack, and so end the whole process. Each must be refused with a sentence before the decoder sees what is wrong.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Fault;
use super::parquet::Table;
use super::test_rows::read_all;

/// Numbers of physical types, repetitions, codecs and encodings in the format.
const INT64: i64 = 2;
const FLOAT: i64 = 4;
const BYTE_ARRAY: i64 = 6;
const FIXED: i64 = 7;
const REQUIRED: i64 = 0;
const REPEATED: i64 = 2;
const UNCOMPRESSED: i64 = 0;
const GZIP: i64 = 2;
const LZ4: i64 = 5;
const PLAIN: i64 = 0;
const RLE: i64 = 3;
const DELTA_LENGTH: i64 = 6;
const DELTA_BYTES: i64 = 7;
const DICTIONARY: i64 = 8;

/// A value in Thrift's compact protocol.
enum Value {
    I32(i64),
    I64(i64),
    Text(&'static str),
    /// Elements of a type.
    List(u8, Vec<Vec<u8>>),
    Struct(Vec<u8>),
}
use Value::{I32, I64, List, Struct, Text};

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn zigzag(value: i64) -> Vec<u8> {
    varint((value << 1 ^ value >> 63) as u64)
}

/// A struct.
fn fields(values: Vec<(u8, Value)>) -> Vec<u8> {
    let (mut bytes, mut last) = (Vec::new(), 0);
    for (id, value) in values {
        let step = (id - last) << 4;
        last = id;
        match value {
            I32(value) => bytes.extend([&[step | 5][..], &zigzag(value)].concat()),
            I64(value) => bytes.extend([&[step | 6][..], &zigzag(value)].concat()),
            Text(text) => bytes.extend([&[step | 8, text.len() as u8][..], text.as_bytes()].concat()),
            List(kind, elements) => {
                bytes.extend([&[step | 9, 0xf0 | kind][..], &varint(elements.len() as u64)].concat());
                bytes.extend(elements.concat());
            }
            Struct(fields) => bytes.extend([&[step | 12][..], &fields].concat()),
        }
    }
    bytes.push(0);
    bytes
}

fn group(children: i64) -> Vec<u8> {
    fields(vec![(3, I32(REQUIRED)), (4, Text("g")), (5, I32(children))])
}

fn leaf(name: &'static str, kind: i64, repetition: i64) -> Vec<u8> {
    fields(vec![(1, I32(kind)), (3, I32(repetition)), (4, Text(name))])
}

/// A column of one group of rows.
struct Column {
    node: Vec<u8>,
    codec: i64,
    values: i64,
    dictionary: Vec<u8>,
    data: Vec<u8>,
    /// Bytes that the footer says it has more than it has.
    more: i64,
}

fn column(name: &'static str, kind: i64, values: i64, data: Vec<u8>) -> Column {
    Column {
        node: leaf(name, kind, REQUIRED),
        codec: UNCOMPRESSED,
        values,
        dictionary: Vec::new(),
        data,
        more: 0,
    }
}

/// A page of data, with the size that it says it has when unpacked.
fn data(encoding: i64, values: i64, size: usize, body: &[u8]) -> Vec<u8> {
    let described = vec![(1, I32(values)), (2, I32(encoding)), (3, I32(RLE)), (4, I32(RLE))];
    page(0, size, body, (5, Struct(fields(described))))
}

fn dictionary(values: i64, body: &[u8]) -> Vec<u8> {
    page(2, body.len(), body, (7, Struct(fields(vec![(1, I32(values)), (2, I32(PLAIN))]))))
}

fn page(kind: i64, size: usize, body: &[u8], described: (u8, Value)) -> Vec<u8> {
    let sizes = vec![(1, I32(kind)), (2, I32(size as i64)), (3, I32(body.len() as i64))];
    [fields(sizes.into_iter().chain([described]).collect()), body.to_vec()].concat()
}

/// Levels of so many values: runs of how many have which level.
fn levels(runs: &[(u64, u8)]) -> Vec<u8> {
    let runs: Vec<u8> =
        runs.iter().flat_map(|&(len, level)| [varint(len << 1), vec![level]].concat()).collect();
    [&(runs.len() as u32).to_le_bytes()[..], &runs].concat()
}

/// A whole file of one group of rows.
fn file(rows: i64, columns: Vec<Column>) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    let mut schema = vec![group(columns.len() as i64)];
    let mut chunks = Vec::new();
    for column in columns {
        let start = bytes.len();
        bytes.extend(&column.dictionary);
        let at = bytes.len() as i64;
        bytes.extend(&column.data);
        let size = (bytes.len() - start) as i64 + column.more;
        let mut chunk = vec![
            (1, I32(INT64)),
            (2, List(5, vec![])),
            (3, List(8, vec![])),
            (4, I32(column.codec)),
            (5, I64(column.values)),
            (6, I64(size)),
            (7, I64(size)),
            (9, I64(at)),
        ];
        if !column.dictionary.is_empty() {
            chunk.push((11, I64(start as i64)));
        }
        chunks.push(fields(vec![(2, I64(0)), (3, Struct(fields(chunk)))]));
        schema.push(column.node);
    }
    let group = fields(vec![(1, List(12, chunks)), (2, I64(0)), (3, I64(rows))]);
    with_footer(
        bytes,
        fields(vec![(1, I32(1)), (2, List(12, schema)), (3, I64(rows)), (4, List(12, vec![group]))]),
    )
}

fn with_footer(bytes: Vec<u8>, footer: Vec<u8>) -> Vec<u8> {
    [&bytes[..], &footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat()
}

/// A file without rows, of a schema.
fn empty(schema: Vec<Vec<u8>>) -> Vec<u8> {
    let footer = vec![(1, I32(1)), (2, List(12, schema)), (3, I64(0)), (4, List(12, vec![]))];
    with_footer(b"PAR1".to_vec(), fields(footer))
}

fn read(bytes: &[u8]) -> Result<usize, String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    // As little stack as the thread of imports has.
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let reading = thread.spawn(move || match Table::open(file, &|| false) {
        Ok(mut table) => read_all(&mut table),
        Err(Fault::File(reason)) => Err(reason),
        Err(Fault::Row(error)) => Err(error.message),
    });
    reading.unwrap().join().unwrap()
}

#[track_caller]
fn refused(bytes: &[u8], words: &str) {
    let reason = read(bytes).unwrap_err();
    assert!(reason.contains(words), "{reason}");
}

/// Two keys.
fn ids() -> Column {
    let body: Vec<u8> = [7i64, 8].iter().flat_map(|id| id.to_le_bytes()).collect();
    column("id", INT64, 2, data(PLAIN, 2, body.len(), &body))
}

/// Two vectors of two numbers each.
fn vectors() -> Column {
    let numbers: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    let repetition = levels(&[(1, 0), (1, 1), (1, 0), (1, 1)]);
    let body = [repetition, levels(&[(4, 1)]), numbers].concat();
    let data = data(PLAIN, 4, body.len(), &body);
    Column { node: leaf("v", FLOAT, REPEATED), ..column("v", FLOAT, 4, data) }
}

/// The two rows with one column more.
fn beside(other: Column) -> Vec<u8> {
    file(2, vec![ids(), vectors(), other])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_made_here_are_like_those_of_writers() {
    let name =
        |encoding, body: &[u8]| beside(column("name", BYTE_ARRAY, 2, data(encoding, 2, body.len(), body)));
    assert_eq!(read(&name(PLAIN, &[1, 0, 0, 0, b'a', 2, 0, 0, 0, b'b', b'c'])), Ok(2));
    // Blocks of 128 in 4 parts, 2 values, the first is 1, the other ones are 1 more.
    let lengths = [128, 1, 4, 2, 2, 2, 0, 0, 0, 0];
    assert_eq!(read(&name(DELTA_LENGTH, &[&lengths[..], b"abc"].concat())), Ok(2));
    let prefixes = [128, 1, 4, 2, 0, 2, 0, 0, 0, 0];
    assert_eq!(read(&name(DELTA_BYTES, &[&prefixes[..], &lengths, b"abc"].concat())), Ok(2));
    let packed = gzip(&[0, 0, 0, 0, 1, 0, 0, 0, b'a']);
    let packed = Column { codec: GZIP, ..column("name", BYTE_ARRAY, 2, data(PLAIN, 2, 9, &packed)) };
    assert_eq!(read(&beside(packed)), Ok(2));
    let chosen = Column {
        dictionary: dictionary(1, &[1, 0, 0, 0, b'a']),
        ..column("name", BYTE_ARRAY, 2, data(DICTIONARY, 2, 3, &[1, 4, 0]))
    };
    assert_eq!(read(&beside(chosen)), Ok(2));
}

#[test]
fn schemas_that_overflow_the_stack_or_the_memory_are_refused() {
    let nested: Vec<Vec<u8>> = (0..200_000).map(|_| group(1)).chain([leaf("id", INT64, REQUIRED)]).collect();
    refused(&empty(nested), "footer is broken, or is larger");
    let nested: Vec<Vec<u8>> = (0..4_000).map(|_| group(1)).chain([leaf("id", INT64, REQUIRED)]).collect();
    refused(&empty(nested), "levels deep");
    refused(&empty(vec![group(i32::MAX.into()), leaf("id", INT64, REQUIRED)]), "nodes");
    refused(&empty(vec![group(-1), leaf("id", INT64, REQUIRED)]), "nodes");
    refused(&empty(vec![group(2), leaf("id", INT64, REQUIRED)]), "not whole");
    let many = (0..3_000).map(|_| leaf("c", INT64, REQUIRED));
    refused(&empty([group(3_000)].into_iter().chain(many).collect()), "more than 1024 columns");
    let wide = fields(vec![(1, I32(FIXED)), (2, I32(i32::MAX.into())), (3, I32(REQUIRED)), (4, Text("h"))]);
    refused(&empty(vec![group(1), wide]), "values of 2147483647 bytes");
    refused(&with_footer(b"PAR1".to_vec(), vec![0; (4 << 20) + 1]), "longer than 4194304 bytes");
    // The schema behind the type of a number, which the decoder does not look at.
    let mut disguised = empty(vec![group(1), leaf("id", INT64, REQUIRED)]);
    assert_eq!(disguised[6], 0x19);
    disguised[6] = 0x16;
    refused(&disguised, "footer is broken");
}

#[test]
fn lengths_that_are_only_said_are_refused() {
    for encoding in [DELTA_LENGTH, DELTA_BYTES] {
        let many = [&[128, 1, 4][..], &varint(1 << 40), &[0]].concat();
        refused(&beside(column("name", BYTE_ARRAY, 2, data(encoding, 2, many.len(), &many))), "not whole");
    }
    let none = [128, 1, 4, 0, 0];
    let many = [&none[..], &[128, 1, 4], &varint(1 << 40), &[0]].concat();
    refused(&beside(column("name", BYTE_ARRAY, 2, data(DELTA_BYTES, 2, many.len(), &many))), "not whole");
    // As many lengths as there are rows, in one block of a few bytes.
    let rows = 1 << 30;
    let body = [varint(rows as u64), vec![1], varint(rows as u64), vec![0, 0, 0]].concat();
    let name = column("name", BYTE_ARRAY, rows, data(DELTA_LENGTH, rows, body.len(), &body));
    refused(&file(rows, vec![name]), "too large");
}

#[test]
fn pages_that_unpack_to_more_than_they_say_are_refused() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let packed = |codec, body: &[u8]| {
        beside(Column { codec, ..column("name", BYTE_ARRAY, 2, data(PLAIN, 2, 8, body)) })
    };
    refused(&packed(GZIP, &bomb), "the pages of the column \"name\"");
    // Two members, of which the first has the right size.
    refused(&packed(GZIP, &[gzip(&[0; 8]), gzip(&[0; 8])].concat()), "the pages of the column \"name\"");
    refused(&packed(GZIP, &gzip(&[0; 7])), "the pages of the column \"name\"");
    refused(&packed(GZIP, &[0; 20]), "the pages of the column \"name\"");
    refused(&packed(LZ4, &[0; 20]), "Hadoop");
}

#[test]
fn headers_that_say_one_thing_twice_are_refused() {
    let said = [[1, 0, 0, 0, b'a', 0, 0, 0, 0].as_slice()].concat();
    let mut page = data(PLAIN, 2, said.len(), &said);
    // Behind type and sizes: the size once more, as field 65538, which has the number 2 in 16 bits.
    let at = page.iter().position(|&byte| byte == 0x2c).unwrap();
    let again = [&[0x05][..], &zigzag(65_538), &zigzag(i32::MAX.into())].concat();
    page.splice(at..at, again);
    refused(&beside(column("name", BYTE_ARRAY, 2, page)), "the pages of the column \"name\"");
    let many = Column {
        dictionary: dictionary(i32::MAX.into(), &[0; 8]),
        ..column("small", INT64, 2, data(DICTIONARY, 2, 3, &[1, 4, 0]))
    };
    refused(&beside(many), "a dictionary of the column \"small\"");
}

#[test]
fn pages_that_are_of_several_columns_at_once_are_refused() {
    // As many as it takes to have them read the file over and over.
    refused(&file(2, vec![ids(), Column { more: 600, ..vectors() }]), "more bytes together");
}

#[test]
fn a_row_that_is_larger_than_the_memory_for_it_is_refused() {
    let text = [&(1u32 << 20).to_le_bytes()[..], &vec![b'x'; 1 << 20]].concat();
    let body = [levels(&[(1, 0), (999, 1), (1, 0)]), levels(&[(1001, 1)]), vec![1, 0xd2, 0x0f, 0]].concat();
    let long = Column {
        node: leaf("tags", BYTE_ARRAY, REPEATED),
        dictionary: dictionary(1, &text),
        ..column("tags", BYTE_ARRAY, 1001, data(DICTIONARY, 1001, body.len(), &body))
    };
    refused(&beside(long), "its rows are too large");
}
