//! The header of a `.npy` file: a literal of a Python dict that says type, order and shape of the array.

use std::io::Read;

use super::Fault;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest header: numpy itself reads none of more than 10,000 characters unless told to.
const MAX_HEADER: usize = 64 << 10;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Type of the values, such as `<f4`.
    pub(super) descr: String,
    /// Whether values of one column lie side by side.
    pub(super) fortran: bool,
    /// How many there are, in each dimension.
    pub(super) shape: Vec<u64>,
}

impl Header {
    /// Reads a header; also says how many bytes it takes, in front of the values.
    pub(super) fn read(input: &mut impl Read) -> Result<(Self, u64), Fault> {
        let cut = |_| Fault::File("it is no .npy file".into());
        let mut start = [0; 8];
        input.read_exact(&mut start).map_err(cut)?;
        let [magic @ .., major, _] = &start;
        if magic != MAGIC {
            return Err(Fault::File("it is no .npy file".into()));
        }
        let (len, prefix) = match major {
            1 => {
                let mut len = [0; 2];
                input.read_exact(&mut len).map_err(cut)?;
                (usize::from(u16::from_le_bytes(len)), 10)
            }
            2 | 3 => {
                let mut len = [0; 4];
                input.read_exact(&mut len).map_err(cut)?;
                (u32::from_le_bytes(len) as usize, 12)
            }
            other => return Err(Fault::File(format!("version {other} of .npy files is not known"))),
        };
        if len > MAX_HEADER {
            return Err(Fault::File(format!("its header is longer than {MAX_HEADER} bytes")));
        }
        let mut text = vec![0; len];
        input.read_exact(&mut text).map_err(cut)?;
        let text = String::from_utf8_lossy(&text);
        let header = Self::parse(&text).ok_or_else(|| Fault::File("its header can't be read".into()))?;
        Ok((header, prefix + len as u64))
    }

    fn parse(text: &str) -> Option<Self> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        let mut rest = text.trim().strip_prefix('{')?;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(end) = rest.strip_prefix('}') {
                return (end.trim().is_empty()).then_some(Self {
                    descr: descr?,
                    fortran: fortran?,
                    shape: shape?,
                });
            }
            let (name, after) = quoted(rest)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            rest = match name {
                "descr" => {
                    // A list here describes records, whose fields have no names of ours.
                    let (text, after) = quoted(value)?;
                    descr = Some(text.to_owned());
                    after
                }
                "fortran_order" => {
                    let yes = value.strip_prefix("True").map(|after| (true, after));
                    let (order, after) = yes.or(value.strip_prefix("False").map(|after| (false, after)))?;
                    fortran = Some(order);
                    after
                }
                "shape" => {
                    let (inner, after) = value.strip_prefix('(')?.split_once(')')?;
                    let parts = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
                    shape = Some(parts.map(|part| part.parse().ok()).collect::<Option<_>>()?);
                    after
                }
                _ => return None,
            };
        }
    }
}

/// A text in quotes of either kind, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text.get(1..)?.split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_whatever_their_order_and_quotes() {
        let header = |fortran, shape: &[u64]| Header { descr: "<f4".into(), fortran, shape: shape.to_vec() };
        for (text, read) in [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n", header(false, &[3, 4])),
            ("{\"shape\":(3,),\"descr\":\"<f4\",\"fortran_order\":True}", header(true, &[3])),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", header(false, &[])),
        ] {
            assert_eq!(Header::parse(text), Some(read), "{text}");
        }
        for text in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} import os",
            "{'descr",
        ] {
            assert_eq!(Header::parse(text), None, "{text}");
        }
    }
}
