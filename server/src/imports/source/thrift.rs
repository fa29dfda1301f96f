//! A reader of Thrift's compact protocol, in which Parquet files describe themselves:
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.
//!
//! The decoder of the `parquet` crate trusts these descriptions: it ignores the types of fields, cuts numbers off, lets
//! the last of two fields of one number count, recurses as deep as a schema says. This reader comes first and takes only
//! what has one meaning: fields in rising order, of the declared types, within declared bounds. What it lets through the
//! decoder reads the same way.

use std::io::Read;

/// Deepest nesting in fields that no shape declares.
const MAX_DEPTH: usize = 8;
/// Types of values.
const STOP: u8 = 0;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// What a value must be.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    /// Bytes, at most so many.
    Binary(u64),
    /// Elements of one shape, at most so many.
    List(u64, &'static Shape),
    Struct(Fields),
}

/// Fields of a struct by their numbers. Others are passed over.
pub(super) type Fields = &'static [(i16, Shape)];

impl Shape {
    /// The type that stands before such a value.
    fn fits(&self, kind: u8) -> bool {
        match self {
            // The value of a truth is its type.
            Self::Bool => matches!(kind, 1 | 2),
            Self::Byte => kind == 3,
            Self::I16 => kind == 4,
            Self::I32 => kind == 5,
            Self::I64 => kind == 6,
            Self::Double => kind == 7,
            Self::Binary(_) => kind == 8,
            Self::List(..) => kind == LIST,
            Self::Struct(_) => kind == STRUCT,
        }
    }
}

/// Something that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A number or a truth.
    Number(i64),
    /// The end of a struct; in a list, of one of its elements.
    End,
}

/// Why reading ended early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The bytes are not what they should be.
    Broken,
    /// Whoever looked on has seen enough; a sentence.
    Refused(String),
}

/// Who looks on: is told of everything by the numbers of the fields that lead to it.
pub(super) type Visitor<'v> = dyn FnMut(&[i16], Seen) -> Result<(), String> + 'v;

/// The reader.
pub(super) struct Thrift<R> {
    input: R,
    path: Vec<i16>,
}

impl<R: Read> Thrift<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, path: Vec::new() }
    }

    /// What has not been read.
    pub(super) fn into_rest(self) -> R {
        self.input
    }

    /// Reads a struct.
    ///
    /// # Errors
    /// Bytes that are no such struct, are cut off or have more than one meaning; what the visitor refuses.
    pub(super) fn read(&mut self, fields: Fields, visit: &mut Visitor<'_>) -> Result<(), Stopped> {
        let mut last = 0;
        loop {
            let byte = self.byte()?;
            let (step, kind) = (byte >> 4, byte & 15);
            if kind == STOP {
                return visit(&self.path, Seen::End).map_err(Stopped::Refused);
            }
            let id = match step {
                0 => i16::try_from(self.integer()?).map_err(|_| Stopped::Broken)?,
                step => i16::checked_add(last, step.into()).ok_or(Stopped::Broken)?,
            };
            if id <= last {
                return Err(Stopped::Broken);
            }
            last = id;
            match fields.iter().find(|(declared, _)| *declared == id) {
                Some((_, shape)) if shape.fits(kind) => {
                    self.path.push(id);
                    self.value(shape, kind, visit)?;
                    self.path.pop();
                }
                Some(_) => return Err(Stopped::Broken),
                None => self.pass(kind, MAX_DEPTH)?,
            }
        }
    }

    fn value(&mut self, shape: &'static Shape, kind: u8, visit: &mut Visitor<'_>) -> Result<(), Stopped> {
        let number = match shape {
            Shape::Bool => (kind == 1).into(),
            Shape::Byte => self.byte()?.into(),
            Shape::I16 => i16::try_from(self.integer()?).map_err(|_| Stopped::Broken)?.into(),
            Shape::I32 => i32::try_from(self.integer()?).map_err(|_| Stopped::Broken)?.into(),
            Shape::I64 => self.integer()?,
            Shape::Double => return self.skip(8),
            Shape::Binary(most) => {
                let len = self.varint()?;
                return if len <= *most { self.skip(len) } else { Err(Stopped::Broken) };
            }
            Shape::List(most, element) => {
                let (len, kind) = self.list()?;
                // Some writers give empty lists no type.
                if len > *most || (len > 0 && !element.fits(kind)) || matches!(element, Shape::Bool) {
                    return Err(Stopped::Broken);
                }
                return (0..len).try_for_each(|_| self.value(element, kind, visit));
            }
            Shape::Struct(fields) => return self.read(fields, visit),
        };
        visit(&self.path, Seen::Number(number)).map_err(Stopped::Refused)
    }

    /// Passes over a value that no shape declares. Every element of a list takes at least a byte, so this ends with the
    /// input; lists of truths and maps, of which readers have several opinions, are in no Parquet file.
    fn pass(&mut self, kind: u8, depth: usize) -> Result<(), Stopped> {
        let depth = depth.checked_sub(1).ok_or(Stopped::Broken)?;
        match kind {
            1 | 2 => Ok(()),
            3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let len = self.varint()?;
                self.skip(len)
            }
            LIST => match self.list()? {
                (0, _) => Ok(()),
                (_, 1 | 2) => Err(Stopped::Broken),
                (len, element) => (0..len).try_for_each(|_| self.pass(element, depth)),
            },
            STRUCT => loop {
                let byte = self.byte()?;
                if byte & 15 == STOP {
                    return Ok(());
                }
                if byte >> 4 == 0 {
                    self.varint()?;
                }
                self.pass(byte & 15, depth)?;
            },
            _ => Err(Stopped::Broken),
        }
    }

    /// The beginning of a list: how many elements of which type.
    fn list(&mut self) -> Result<(u64, u8), Stopped> {
        let byte = self.byte()?;
        let len = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
        Ok((len, byte & 15))
    }

    fn byte(&mut self) -> Result<u8, Stopped> {
        let mut byte = [0];
        self.input.read_exact(&mut byte).map_err(|_| Stopped::Broken)?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64, Stopped> {
        varint(&mut self.input).ok_or(Stopped::Broken)
    }

    fn integer(&mut self) -> Result<i64, Stopped> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Stopped> {
        let skipped = std::io::copy(&mut self.input.by_ref().take(bytes), &mut std::io::sink());
        if skipped.is_ok_and(|skipped| skipped == bytes) { Ok(()) } else { Err(Stopped::Broken) }
    }
}

/// A number in groups of seven bits, the lowest first; `None` when it is cut off or has more than 64 bits.
pub(super) fn varint(input: &mut impl Read) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        input.read_exact(&mut byte).ok()?;
        let bits = u64::from(byte[0] & 127);
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte[0] < 128 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = &[
        (1, Shape::I32),
        (2, Shape::List(2, &Shape::Struct(&[(1, Shape::I64), (2, Shape::Bool)]))),
        (3, Shape::Binary(2)),
    ];

    fn read(bytes: &[u8]) -> Result<Vec<(Vec<i16>, Seen)>, Stopped> {
        let mut seen = Vec::new();
        Thrift::new(bytes).read(FIELDS, &mut |path, what| {
            seen.push((path.to_vec(), what));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn values_come_with_the_way_to_them() {
        use Seen::{End, Number};
        let bytes = [0x15, 3, 0x19, 0x2c, 0x16, 4, 0x12, 0, 0, 0x18, 2, 9, 9, 0x2c, 0x15, 1, 0, 0];
        let expected: [(&[i16], Seen); 6] = [
            (&[1], Number(-2)),
            (&[2, 1], Number(2)),
            (&[2, 2], Number(0)),
            (&[2], End),
            (&[2], End),
            (&[], End),
        ];
        assert_eq!(read(&bytes).unwrap(), expected.map(|(path, what)| (path.to_vec(), what)));
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), Err(Stopped::Broken), "{cut}");
        }
    }

    #[test]
    fn what_has_two_meanings_is_refused() {
        let long = |id: u64| {
            let mut bytes = vec![0x05];
            let mut left = id << 1;
            while left >= 128 {
                bytes.push(left as u8 | 128);
                left >>= 7;
            }
            bytes.extend([left as u8, 2, 0]);
            bytes
        };
        assert_eq!(read(&long(1)).unwrap()[0], (vec![1], Seen::Number(1)));
        assert_eq!(read(&long(4)).unwrap(), [(vec![], Seen::End)], "not declared");
        for (bytes, why) in [
            (long(65_537), "a number that is 1 when it is cut off"),
            (long(0), "no number"),
            ([&long(2)[..3], &long(1)].concat(), "numbers that fall"),
            ([&long(1)[..3], &long(1)].concat(), "a number that comes twice"),
            (vec![0x16, 2, 0], "a wrong type"),
            (vec![0x15, 0xfe, 0xff, 0xff, 0xff, 0x1f, 0], "more than 32 bits"),
            (vec![0x29, 0x3c, 0, 0, 0, 0], "too many elements"),
            (vec![0x29, 0x16, 0, 0], "elements of a wrong type"),
            (vec![0x38, 3, 9, 9, 9, 0], "too many bytes"),
            (vec![0x49, 0x11, 1, 0], "a list of truths"),
            (vec![0x4b, 1, 0x55, 1, 1, 0], "a map"),
            (vec![0x4c; 1000], "too deep"),
            (vec![0x49, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f], "cut off"),
            (vec![0x48, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "bytes without end"),
        ] {
            assert_eq!(read(&bytes), Err(Stopped::Broken), "{why}");
        }
    }

    #[test]
    fn whoever_looks_on_may_stop_it() {
        let stop = &mut |_: &[i16], _: Seen| Err("enough".to_owned());
        let stopped = Thrift::new(&[0x15, 2, 0][..]).read(FIELDS, stop);
        assert_eq!(stopped, Err(Stopped::Refused("enough".into())));
    }

    #[test]
    fn numbers_have_at_most_64_bits() {
        let read = |bytes: &[u8]| varint(&mut &bytes[..]);
        assert_eq!(read(&[0x80, 1]), Some(128));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some(u64::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
        assert_eq!(read(&[0xff; 12]), None);
        assert_eq!(read(&[0x80]), None);
    }
}
