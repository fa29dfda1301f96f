//! Which JSON is stored: what every reader of it can parse again.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::json;

/// Deepest nesting of a stored JSON value: every reader of it must be able to parse it again, wrapped in an object.
const MAX_DEPTH: usize = 64;

/// Checks that a JSON value can be parsed again by anybody: depth, numbers that a float can hold, whole characters.
pub(crate) fn check_json(json: &str) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let checked = WellFormed { depth: MAX_DEPTH }.deserialize(&mut deserializer);
    checked.map_err(|error| format!("cannot store {}: {error}", shortened(json)))?;
    match lossy_integer(json) {
        Some(number) => {
            Err(format!("cannot store the integer {}: it has more than 64 bits", shortened(number)))
        }
        None => Ok(()),
    }
}

/// The first integer that no reader with 64 bits can hold, if there is one.
fn lossy_integer(json: &str) -> Option<&str> {
    // Fewer digits always fit.
    const SURE_DIGITS: usize = 18;
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = json::string_end(bytes, at),
            b'-' | b'0'..=b'9' => {
                let part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let end = at + bytes[at..].iter().take_while(|b| part(b)).count();
                let number = json.get(at..end)?;
                let whole = !number.contains(['.', 'e', 'E']);
                if whole
                    && number.len() > SURE_DIGITS
                    && number.parse::<u64>().is_err()
                    && number.parse::<i64>().is_err()
                {
                    return Some(number);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

/// At most so many characters of a refused value are repeated to the client.
pub(crate) fn shortened(json: &str) -> String {
    const SHOWN: usize = 40;
    match json.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", json.get(..end).unwrap_or_default()),
        None => json.to_owned(),
    }
}

#[derive(Clone, Copy)]
struct WellFormed {
    depth: usize,
}

impl WellFormed {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let refuse = || E::custom(format!("JSON is nested deeper than {MAX_DEPTH} levels"));
        self.depth.checked_sub(1).map(|depth| Self { depth }).ok_or_else(refuse)
    }
}

impl<'de> DeserializeSeed<'de> for WellFormed {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for WellFormed {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if value.is_finite() { Ok(()) } else { Err(E::custom("a number is out of range")) }
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let inner = self.deeper::<A::Error>()?;
        while array.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper::<A::Error>()?;
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(serde::de::Error::custom(format!("the key {key:?} appears twice")));
            }
            seen.insert(key);
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        check_json(&nested(MAX_DEPTH)).unwrap();
        assert!(check_json(&nested(MAX_DEPTH + 1)).unwrap_err().contains("deeper than 64"));
        assert!(check_json(&nested(100_000)).is_err());
    }
}
