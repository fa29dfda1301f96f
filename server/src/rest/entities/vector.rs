//! Vectors as JSON arrays of numbers, read straight into a matrix.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error};
use serde_json::value::RawValue;

/// Appends the numbers of one JSON array. Whether they are as many as wanted, and finite, is for the caller to check.
pub(super) struct Floats<'m>(pub(super) &'m mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Floats<'_> {
    type Value = ();

    /// Number by number, serde_json spends most of an insert here: its exact reading of floats is slow. What it only
    /// skips over is valid JSON all the same, and what then stands between commas and reads as a float is a number.
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let inner = json.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inner = inner.ok_or_else(|| Error::custom("expected a vector as an array of numbers"))?;
        if inner.trim_ascii().is_empty() {
            return Ok(());
        }
        for number in inner.split(',') {
            let number = number.trim_ascii();
            let value: f32 = number.parse().map_err(|_| {
                Error::custom(format_args!("expected a number in a vector, got {}", shortened(number)))
            })?;
            if !value.is_finite() {
                return Err(Error::custom(format_args!("{} is out of range of a float", shortened(number))));
            }
            self.0.push(value);
        }
        Ok(())
    }
}

/// The beginning of a text that somebody else has written.
fn shortened(text: &str) -> &str {
    const MOST: usize = 40;
    let end = text.char_indices().map(|(at, _)| at).nth(MOST).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> serde_json::Result<Vec<f32>> {
        let mut values = vec![9.0];
        Floats(&mut values).deserialize(&mut serde_json::Deserializer::from_str(text))?;
        Ok(values)
    }

    #[test]
    fn appends_numbers_and_takes_nothing_else() {
        assert_eq!(read("[1, 2.5,-3e-1]").unwrap(), [9.0, 1.0, 2.5, -0.3]);
        assert_eq!(read("[]").unwrap(), [9.0]);
        assert_eq!(read("[ 1\n,\t2 ]").unwrap(), [9.0, 1.0, 2.0]);
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
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        /// What any client prints for a float is read as that float.
        #[test]
        fn every_float_comes_back(values in proptest::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL, 0..20)) {
            let mut expected = vec![9.0];
            expected.extend(&values);
            proptest::prop_assert_eq!(read(&serde_json::to_string(&values).unwrap()).unwrap(), expected);
        }
    }
}
