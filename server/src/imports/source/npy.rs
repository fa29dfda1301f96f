//! Rows as NumPy arrays: one `.npy` file for each field, named like the field. The format:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Pickled objects are not read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use elanus_engine::row::Value;

use super::element::Element;
use super::header::Header;
use super::{Fault, Source, open, stem};
use crate::rest::RowReader;

/// Bytes read at a time, of each file.
const PIECE: usize = 128 << 10;
/// Largest row of one array in bytes: a vector of 262,144 numbers would be larger than any field.
const MAX_ROW: u64 = 1 << 20;

/// The arrays of all fields.
pub(super) struct Columns {
    columns: Vec<Column>,
    rows: u64,
    next: u64,
    read: u64,
}

/// The array of one field.
struct Column {
    field: String,
    input: BufReader<File>,
    element: Element,
    /// Values of one row; none where each row is a single value.
    width: Option<usize>,
    /// The bytes of one row.
    row: Vec<u8>,
}

impl Columns {
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, Fault> {
        let mut columns = Vec::new();
        let mut rows = None;
        for path in paths {
            let named = |reason: String| Fault::File(format!("{}: {reason}", stem(path)));
            let (column, count) = Column::open(path).map_err(|fault| match fault {
                Fault::File(reason) => named(reason),
                other => other,
            })?;
            match rows {
                Some(rows) if rows != count => {
                    return Err(named(format!("the array has {count} rows, others have {rows}")));
                }
                _ => rows = Some(count),
            }
            columns.push(column);
        }
        Ok(Self { columns, rows: rows.unwrap_or(0), next: 0, read: 0 })
    }
}

impl Column {
    /// Opens an array; also says how many rows it has.
    fn open(path: &Path) -> Result<(Self, u64), Fault> {
        let file = open(path)?;
        let len = file.metadata().map_err(|error| Fault::io(&error))?.len();
        let mut input = BufReader::with_capacity(PIECE, file);
        let (header, start) = Header::read(&mut input)?;
        let element = Element::parse(&header.descr).map_err(Fault::File)?;
        let (rows, width) = match *header.shape.as_slice() {
            [rows] => (rows, None),
            [rows, width] if width > 0 => (rows, Some(width)),
            _ => return Err(Fault::File("expected an array of one or two dimensions".into())),
        };
        if header.fortran && width.is_some_and(|width| width > 1) && rows > 1 {
            return Err(Fault::File(
                "the array is stored by columns (fortran_order): store it by rows".into(),
            ));
        }
        let row = (element.bytes() as u64).checked_mul(width.unwrap_or(1)).filter(|&row| row <= MAX_ROW);
        let row = row.ok_or_else(|| Fault::File(format!("a row is larger than {MAX_ROW} bytes")))?;
        // Of what the header says, nothing is made room for that the file does not have.
        let end = rows.checked_mul(row).and_then(|bytes| bytes.checked_add(start));
        if end.is_none_or(|end| end > len) {
            return Err(Fault::File(format!("the file is cut off: it has no {rows} rows of {row} bytes")));
        }
        // Rows of no bytes at all could be any number.
        if row == 0 && rows > 0 {
            return Err(Fault::File("its values have no bytes".into()));
        }
        let width = width.map(|width| width as usize);
        Ok((Self { field: stem(path), input, element, width, row: vec![0; row as usize] }, rows))
    }

    /// Hands the value of the next row to the reader.
    fn next(&mut self, rows: &mut RowReader<'_>) -> Result<(), Fault> {
        self.input.read_exact(&mut self.row).map_err(|error| Fault::io(&error))?;
        let outcome = match self.width {
            Some(_) if self.element.is_byte() => rows.cell(&self.field, Value::Bytes(&self.row)),
            Some(width) => {
                let texts = self.element.texts(&self.row).map_err(|reason| self.named(reason))?;
                let mut items = Vec::with_capacity(width);
                for (at, bytes) in self.row.chunks_exact(self.element.bytes()).enumerate() {
                    let text = texts.get(at).map(String::as_str);
                    items.push(self.element.value(bytes, text).map_err(|reason| self.named(reason))?);
                }
                rows.cell(&self.field, Value::List(&items))
            }
            None => {
                let texts = self.element.texts(&self.row).map_err(|reason| self.named(reason))?;
                let value = self.element.value(&self.row, texts.first().map(String::as_str));
                rows.cell(&self.field, value.map_err(|reason| self.named(reason))?)
            }
        };
        Ok(outcome?)
    }

    fn named(&self, reason: String) -> Fault {
        Fault::File(format!("{}: {reason}", self.field))
    }
}

impl Source for Columns {
    fn next(&mut self, rows: &mut RowReader<'_>) -> Result<bool, Fault> {
        if self.next >= self.rows {
            return Ok(false);
        }
        for column in &mut self.columns {
            column.next(rows)?;
            self.read += column.row.len() as u64;
        }
        rows.end()?;
        self.next += 1;
        Ok(true)
    }

    fn position(&self) -> u64 {
        self.read
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_rows::read_all;
    use super::*;

    /// The bytes of an array as numpy writes them.
    fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + text.len() + 1) % 64 != 0 {
            text.push(' ');
        }
        text.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn group(files: &[(&str, Vec<u8>)]) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = files
            .iter()
            .map(|(name, bytes)| {
                let path = folder.path().join(format!("{name}.npy"));
                std::fs::write(&path, bytes).unwrap();
                path
            })
            .collect();
        match Columns::open(&paths) {
            Ok(mut columns) => read_all(&mut columns),
            Err(Fault::File(reason)) => Err(reason),
            Err(Fault::Row(error)) => Err(error.message),
        }
    }

    fn of<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        values.into_iter().flatten().collect()
    }

    fn two() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("id", array("<i8", "(2,)", &of([1i64, i64::MAX].map(i64::to_le_bytes)))),
            ("v", array("<f4", "(2, 2)", &of([1f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes)))),
        ]
    }

    #[test]
    fn every_type_of_array_finds_its_field() {
        let name: Vec<u8> = of("ab\0ü\0\0".chars().map(|c| (c as u32).to_le_bytes()));
        let meta: Vec<u8> = b"{\"a\":1}[1]\0\0\0\0".to_vec();
        let more = [
            ("name", array("<U3", "(2,)", &name)),
            ("meta", array("|S7", "(2,)", &meta)),
            ("small", array("|i1", "(2,)", &[0xff, 1])),
            ("flag", array("|b1", "(2,)", &[0, 1])),
            ("ratio", array(">f8", "(2,)", &of([0.1f64, 1e300].map(f64::to_be_bytes)))),
            ("b", array("|u1", "(2, 2)", &[1, 2, 3, 4])),
            ("h", array("<f2", "(2, 2)", &[0, 0x3c, 0, 0x3c, 0, 0, 0, 0])),
            ("tags", array("<i2", "(2, 1)", &[1, 0, 2, 0])),
            ("undeclared", array("<u2", "(2,)", &[1, 0, 2, 0])),
        ];
        let all: Vec<_> = two().into_iter().chain(more).collect();
        assert_eq!(group(&all), Ok(2));
        assert_eq!(group(&[("id", array("<i8", "(0,)", &[])), ("v", array("<f4", "(0, 2)", &[]))]), Ok(0));
    }

    #[test]
    fn hostile_and_broken_files_are_refused() {
        let eight = &[0u8; 8][..];
        for (descr, shape) in [
            ("<i8", "(1000000000000,)"),
            ("<i8", "(18446744073709551615,)"),
            ("<i8", "(99999999999999999999999,)"),
            ("<i8", "(4294967296, 4294967296)"),
            ("<i8", "(1, 0)"),
            ("<i8", "()"),
            ("<i8", "(1, 1, 1)"),
            ("<i8", "(-1,)"),
            ("<i8", "1"),
            ("<U0", "(1000000000000,)"),
            ("<U999999999999999999", "(1,)"),
            ("|O", "(1,)"),
            ("<c8", "(1,)"),
            ("<M8[s]", "(1,)"),
            ("<V8", "(1,)"),
            ("<i3", "(1,)"),
            ("", "(1,)"),
        ] {
            assert!(group(&[("id", array(descr, shape, eight))]).is_err(), "{descr} {shape}");
        }
        let whole = array("<i8", "(1,)", eight);
        for cut in 0..whole.len() {
            assert!(group(&[("id", whole[..cut].to_vec())]).is_err(), "{cut}");
        }
        let mut huge = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
        huge.extend(b"{'descr': '<i8'");
        assert!(group(&[("id", huge)]).is_err());
        assert!(group(&[("id", b"PK\x03\x04 an npz".to_vec())]).is_err());
    }

    #[test]
    fn arrays_must_fit_each_other_and_the_fields() {
        let three = array("<i8", "(3,)", &[0; 24]);
        let refused = group(&[("id", three), two().remove(1)]).unwrap_err();
        assert!(refused.contains("2 rows, others have 3"), "{refused}");
        for (name, wrong) in [
            ("v", array("<f4", "(2,)", &[0; 8])),
            ("v", array("<f4", "(2, 3)", &[0; 24])),
            ("id", array("<f8", "(2,)", &[0; 16])),
            ("id", array("<u8", "(2,)", &[0xff; 16])),
            ("name", array("<U1", "(2,)", &[0xff; 8])),
            ("small", array("<i4", "(2,)", &[0xff, 0, 0, 0, 0, 1, 0, 0])),
        ] {
            let mut files: Vec<_> = two().into_iter().filter(|(other, _)| *other != name).collect();
            files.push((name, wrong));
            assert!(group(&files).is_err(), "{name}");
        }
    }
}
