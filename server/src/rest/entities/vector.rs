//! Vectors as JSON arrays of numbers, read straight into a matrix.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

/// Appends the numbers of one JSON array. Whether they are as many as wanted, and finite, is for the caller to check.
pub(super) struct Floats<'m>(pub(super) &'m mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Floats<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Floats<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector as an array of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(value) = array.next_element()? {
            self.0.push(value);
        }
        Ok(())
    }
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
        for wrong in ["\"[1]\"", "[null]", "[\"1\"]", "[[1]]", "{}", "[true]", "1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
