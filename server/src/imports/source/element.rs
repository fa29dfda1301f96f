//! One value of a NumPy array: its bytes become a value of the engine, by the array's type.

use elanus_engine::row::Value;
use half::f16;

/// Type of the values of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    kind: Kind,
    /// Bytes of one value.
    bytes: usize,
    /// Whether the first byte is the most significant one.
    big: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// Characters of four bytes.
    Wide,
    /// Text in UTF-8.
    Narrow,
}

impl Element {
    /// Reads a type such as `<f4`.
    ///
    /// # Errors
    /// A sentence for a type that no field has.
    pub(super) fn parse(descr: &str) -> Result<Self, String> {
        let refuse = || match descr {
            "|O" => "it holds pickled objects, which are not read: store text as fixed-size text".to_owned(),
            _ => format!("the type {descr} is not supported"),
        };
        let (order, rest) = match descr.strip_prefix(['<', '>', '|', '=']) {
            Some(rest) => (descr.chars().next(), rest),
            None => (None, descr),
        };
        let kind = rest.chars().next().ok_or_else(refuse)?;
        let size: usize =
            rest.get(kind.len_utf8()..).and_then(|size| size.parse().ok()).ok_or_else(refuse)?;
        let (kind, bytes) = match (kind, size) {
            ('b', 1) => (Kind::Bool, 1),
            ('i', 1 | 2 | 4 | 8) => (Kind::Signed, size),
            ('u', 1 | 2 | 4 | 8) => (Kind::Unsigned, size),
            ('f', 2 | 4 | 8) => (Kind::Float, size),
            ('U', _) => (Kind::Wide, size.checked_mul(4).ok_or_else(refuse)?),
            ('S' | 'a', _) => (Kind::Narrow, size),
            _ => return Err(refuse()),
        };
        Ok(Self { kind, bytes, big: order == Some('>') })
    }

    /// Bytes of one value.
    pub(super) fn bytes(self) -> usize {
        self.bytes
    }

    /// Whether values are plain bytes.
    pub(super) fn is_byte(self) -> bool {
        self.kind == Kind::Unsigned && self.bytes == 1
    }

    /// The texts of some values; none where the type is no text.
    ///
    /// # Errors
    /// A sentence when they are no characters.
    pub(super) fn texts(self, row: &[u8]) -> Result<Vec<String>, String> {
        match self.kind {
            Kind::Wide => row.chunks_exact(self.bytes.max(1)).map(|value| self.wide(value)).collect(),
            Kind::Narrow => row.chunks_exact(self.bytes.max(1)).map(narrow).collect(),
            _ => Ok(Vec::new()),
        }
    }

    /// A value of its bytes, or, where it is text, of that.
    ///
    /// # Errors
    /// A sentence when no value of a field can be so large.
    pub(super) fn value<'v>(self, bytes: &[u8], text: Option<&'v str>) -> Result<Value<'v>, String> {
        if let Some(text) = text {
            return Ok(Value::Text(text));
        }
        let bits = self.bits(bytes);
        Ok(match (self.kind, self.bytes) {
            (Kind::Bool, _) => Value::Bool(bits != 0),
            (Kind::Signed, 1) => Value::Int((bits as u8 as i8).into()),
            (Kind::Signed, 2) => Value::Int((bits as u16 as i16).into()),
            (Kind::Signed, 4) => Value::Int((bits as u32 as i32).into()),
            (Kind::Signed, _) => Value::Int(bits as i64),
            (Kind::Unsigned, _) => {
                Value::Int(i64::try_from(bits).map_err(|_| format!("the value {bits} is out of range"))?)
            }
            (Kind::Float, 2) => Value::Float(f16::from_bits(bits as u16).into()),
            (Kind::Float, 4) => Value::Float(f32::from_bits(bits as u32).into()),
            (Kind::Float, _) => Value::Float(f64::from_bits(bits)),
            (Kind::Wide | Kind::Narrow, _) => Value::Null,
        })
    }

    /// The bytes as a number, the rest zero.
    fn bits(self, bytes: &[u8]) -> u64 {
        let fold = |all: u64, byte: &u8| (all << 8) | u64::from(*byte);
        let bytes = bytes.get(..bytes.len().min(8)).unwrap_or_default();
        if self.big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    }

    fn wide(self, value: &[u8]) -> Result<String, String> {
        let mut text = String::new();
        for bytes in value.chunks_exact(4) {
            let code = self.bits(bytes) as u32;
            text.push(char::from_u32(code).ok_or_else(|| format!("{code:#x} is no character"))?);
        }
        // What is shorter than the longest is filled up with zeros.
        text.truncate(text.trim_end_matches('\0').len());
        Ok(text)
    }
}

fn narrow(value: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(value).map_err(|_| "a text is not UTF-8".to_owned())?;
    Ok(text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_bit() {
        let value = |descr: &str, bytes: &[u8]| {
            let element = Element::parse(descr).unwrap();
            format!("{:?}", element.value(bytes, None).unwrap())
        };
        assert_eq!(value("<i8", &i64::MIN.to_le_bytes()), format!("Int({})", i64::MIN));
        assert_eq!(value(">i8", &(i64::MAX - 1).to_be_bytes()), format!("Int({})", i64::MAX - 1));
        assert_eq!(value("<i2", &(-2i16).to_le_bytes()), "Int(-2)");
        assert_eq!(value("|i1", &[0x80]), "Int(-128)");
        assert_eq!(value("|u1", &[0x80]), "Int(128)");
        assert_eq!(value("<f8", &0.1f64.to_le_bytes()), "Float(0.1)");
        assert_eq!(value(">f4", &1.5f32.to_be_bytes()), "Float(1.5)");
        assert_eq!(value("<f2", &[0, 0x3c]), "Float(1.0)");
        assert!(Element::parse("<u8").unwrap().value(&[0xff; 8], None).is_err());
    }

    #[test]
    fn texts_lose_their_filling_only() {
        let wide = Element::parse("<U2").unwrap();
        let bytes: Vec<u8> = ['ü', '\0', 'a', '猫'].iter().flat_map(|&c| (c as u32).to_le_bytes()).collect();
        assert_eq!(wide.texts(&bytes).unwrap(), ["ü", "a猫"]);
        assert!(wide.texts(&[0xff; 8]).is_err());
        assert_eq!(Element::parse("S3").unwrap().texts(b"ab\0").unwrap(), ["ab"]);
        assert!(Element::parse("|O").unwrap_err().contains("pickled"));
    }
}
