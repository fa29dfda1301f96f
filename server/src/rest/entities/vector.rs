//! Vectors in requests: JSON arrays of numbers read straight into a matrix, bytes as base64, sparse ones as objects.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use elanus_engine::row::{packed, sparse};
use elanus_engine::schema::DataType;

use crate::rest::float;
use crate::service::json;
use crate::service::number;

/// Appends a dense vector of this type, given as the text of a valid JSON value: an array of numbers, or, for floats of
/// 16 bits, their bytes as base64. Whether they are as many as wanted is for the caller to check.
///
/// # Errors
/// What stands there instead.
pub(super) fn append_dense(data_type: DataType, matrix: &mut Vec<f32>, json: &str) -> Result<(), String> {
    let halves = matches!(data_type, DataType::Float16Vector | DataType::BFloat16Vector);
    if !halves || !json.starts_with('"') {
        return append(matrix, json);
    }
    let bytes = bytes_of(json)?;
    if packed::unpack(data_type, &bytes, matrix) {
        return Ok(());
    }
    Err(format!("{} bytes are no whole number of values of {data_type}", bytes.len()))
}

/// Appends the numbers of an array, given as the text of a valid JSON value. Whether they are as many as wanted is for
/// the caller to check.
///
/// # Errors
/// What stands there instead of an array of finite numbers.
pub(super) fn append(matrix: &mut Vec<f32>, json: &str) -> Result<(), String> {
    let inner = json.trim_ascii().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inner = inner.ok_or_else(|| "expected a vector as an array of numbers".to_owned())?.trim_ascii();
    let mut rest = inner.as_bytes();
    while !rest.is_empty() {
        let told = || String::from_utf8_lossy(&rest[..rest.len().min(SHOWN)]).into_owned();
        let (value, length) =
            float::read(rest).ok_or_else(|| format!("expected a number in a vector, got {}", told()))?;
        if !value.is_finite() {
            return Err(format!("{} is out of range of a float", told()));
        }
        let after = rest[length..].trim_ascii_start();
        rest = match after.first() {
            None => after,
            Some(b',') => after[1..].trim_ascii_start(),
            Some(_) => return Err(format!("expected a number in a vector, got {}", told())),
        };
        // A comma that nothing follows.
        if rest.is_empty() && !after.is_empty() {
            return Err("expected a number in a vector after the last comma".to_owned());
        }
        matrix.push(value);
    }
    Ok(())
}

/// At most so many bytes of a wrong value are repeated to the client.
const SHOWN: usize = 40;

/// The bytes of a binary vector: base64, or an array of numbers from 0 to 255.
///
/// # Errors
/// What stands there instead.
pub(super) fn bits(json: &str) -> Result<Vec<u8>, String> {
    if json.starts_with('"') {
        return bytes_of(json);
    }
    let items = json::elements(json).ok_or_else(|| {
        format!("expected a binary vector as base64 or as an array of bytes, got {}", shortened(json))
    })?;
    let byte = |item: &str| {
        let value = number::integer(item).and_then(|value| u8::try_from(value).ok());
        value.ok_or_else(|| {
            format!("expected a byte from 0 to 255 in a binary vector, got {}", shortened(item))
        })
    };
    items.map(byte).collect()
}

fn bytes_of(json: &str) -> Result<Vec<u8>, String> {
    let text: String = serde_json::from_str(json).map_err(|error| error.to_string())?;
    BASE64_STANDARD.decode(&text).map_err(|error| format!("expected base64: {error}"))
}

/// The bytes of a sparse vector: `{"12":0.5}` or `{"indices":[12],"values":[0.5]}`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn sparse_bytes(json: &str) -> Result<Vec<u8>, String> {
    let members = json::members(json)
        .ok_or_else(|| format!("expected a sparse vector as an object, got {}", shortened(json)))?;
    let (mut pairs, mut indices, mut values) = (Vec::new(), None, None);
    for (key, value) in members {
        match key.as_deref() {
            Some("indices") => indices = Some(numbers(value)?),
            Some("values") => values = Some(numbers(value)?),
            Some(key) => pairs.push((index(key)?, weight(value)?)),
            None => return Err("an index of a sparse vector is no text".to_owned()),
        }
    }
    match (indices, values) {
        (None, None) => {}
        (Some(indices), Some(values)) if pairs.is_empty() && indices.len() == values.len() => {
            for (at, value) in indices.into_iter().zip(values) {
                pairs.push((index(at)?, weight(value)?));
            }
        }
        _ => return Err("indices and values of a sparse vector must be two arrays of one length".to_owned()),
    }
    sparse::encode(pairs)
}

fn numbers(json: &str) -> Result<Vec<&str>, String> {
    Ok(json::elements(json).ok_or("expected an array of numbers in a sparse vector")?.collect())
}

fn index(text: &str) -> Result<u32, String> {
    let value = number::integer(text).and_then(|value| u32::try_from(value).ok());
    value.ok_or_else(|| format!("invalid index in sparse float vector: {}", shortened(text)))
}

fn weight(text: &str) -> Result<f32, String> {
    let value = text.parse::<f32>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| format!("invalid value in sparse float vector: {}", shortened(text)))
}

/// The beginning of a text that somebody else has written.
fn shortened(text: &str) -> &str {
    const MOST: usize = 40;
    let end = text.char_indices().map(|(at, _)| at).nth(MOST).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn read(text: &str) -> Result<Vec<f32>, String> {
        let json: &RawValue = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let mut values = vec![9.0];
        append(&mut values, json.get())?;
        Ok(values)
    }

    #[test]
    fn appends_numbers_and_takes_nothing_else() {
        assert_eq!(read("[1, 2.5,-3e-1]").unwrap(), [9.0, 1.0, 2.5, -0.3]);
        assert_eq!(read("[ 1\n,\t2 ]").unwrap(), [9.0, 1.0, 2.0]);
        assert_eq!(read("[]").unwrap(), [9.0]);
        for wrong in [
            "\"[1]\"",
            "[null]",
            "[\"1\"]",
            "[[1]]",
            "[[1, 2], [3]]",
            "[[]]",
            "{}",
            "[true]",
            "1",
            "[NaN]",
            "[inf]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[+1]",
            "[1.]",
            "[.5]",
            "[01]",
            "[1",
            "[{\"a\":1}]",
            "[\"a,b\"]",
            "[1e39]",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        /// What any client prints for a float is read as that float.
        #[test]
        fn every_float_comes_back(
            values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL, 0..20),
        ) {
            let mut expected = vec![9.0];
            expected.extend(&values);
            prop_assert_eq!(read(&serde_json::to_string(&values).unwrap()).unwrap(), expected);
        }
    }
}
