//! Vectors as JSON arrays of numbers, read straight into a matrix.

/// Appends the numbers of an array, given as the text of a valid JSON value. Whether they are as many as wanted is for
/// the caller to check.
///
/// # Errors
/// What stands there instead of an array of finite numbers.
pub(super) fn append(matrix: &mut Vec<f32>, json: &str) -> Result<(), String> {
    let inner = json.trim_ascii().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inner = inner.ok_or_else(|| "expected a vector as an array of numbers".to_owned())?.trim_ascii();
    if inner.is_empty() {
        return Ok(());
    }
    for number in inner.split(',') {
        // In valid JSON, what stands between commas and reads as a float is a number: `NaN`, `+1` and `.5` are none.
        let number = number.trim_ascii();
        match number.parse::<f32>() {
            Ok(value) if value.is_finite() => matrix.push(value),
            Ok(_) => return Err(format!("{} is out of range of a float", shortened(number))),
            Err(_) => return Err(format!("expected a number in a vector, got {}", shortened(number))),
        }
    }
    Ok(())
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
