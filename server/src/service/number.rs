//! Numbers as Milvus's clients send them: as JSON numbers or as text holding one. Integers keep all 64 bits, also when
//! they are written as `1e3` or `5.0`.

use serde_json::value::RawValue;

use crate::error::ApiError;

/// The text of a number: of a JSON number, or within a JSON string. Leading zeros, `+`, blanks, `NaN` are none.
pub(crate) fn text_of(json: &str) -> Option<String> {
    let text = match json.strip_prefix('"') {
        Some(_) => serde_json::from_str::<String>(json).ok()?,
        None => json.to_owned(),
    };
    let starts = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let ends = text.ends_with(|c: char| c.is_ascii_digit());
    // What begins and ends like a number and is valid JSON is a number.
    (starts && ends && serde_json::from_str::<&RawValue>(&text).is_ok()).then_some(text)
}

/// The integer that the text of a JSON number is exactly; none for fractions and beyond 64 bits.
pub(crate) fn integer(number: &str) -> Option<i64> {
    if let Ok(value) = number.parse() {
        return Some(value);
    }
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (number, 0),
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return digits.bytes().all(|b| b == b'0').then_some(0);
    }
    // The number is `significant` followed by this many zeros.
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let zeros = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(i64::try_from(trailing).ok()?)?;
    let zeros = usize::try_from(zeros).ok().filter(|&zeros| zeros < 20)?;
    format!("{sign}{significant}{:0<zeros$}", "").parse().ok()
}

/// A float from a JSON value of a request's parameters.
///
/// # Errors
/// 1100 naming the parameter.
pub(crate) fn float_parameter(name: &str, raw: &RawValue) -> Result<f64, ApiError> {
    let value =
        text_of(raw.get()).and_then(|text| text.parse::<f64>().ok()).filter(|value| value.is_finite());
    value.ok_or_else(|| {
        ApiError::invalid(format!("{name} must be a number, got {}: invalid parameter", raw.get()))
    })
}

/// An integer from a JSON value of a request's parameters.
///
/// # Errors
/// 1100 naming the parameter.
pub(crate) fn integer_parameter(name: &str, raw: &RawValue) -> Result<i64, ApiError> {
    let value = text_of(raw.get()).and_then(|text| integer(&text));
    value.ok_or_else(|| {
        ApiError::invalid(format!("{name} must be an integer, got {}: invalid parameter", raw.get()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_may_be_text_and_nothing_else() {
        for (json, number) in [("1", "1"), ("-1.5e3", "-1.5e3"), ("\"12\"", "12"), ("\"-0.5\"", "-0.5")] {
            assert_eq!(text_of(json).as_deref(), Some(number));
        }
        for json in [
            "\"\"",
            "\" 1\"",
            "\"1 \"",
            "\"007\"",
            "\"+1\"",
            "\"NaN\"",
            "\"1,2\"",
            "true",
            "[1]",
            "{}",
            "\"[1,1]\"",
            "\"0x1\"",
        ] {
            assert_eq!(text_of(json), None, "{json}");
        }
    }

    #[test]
    fn integers_are_exact() {
        for (text, value) in [
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1e3", Some(1000)),
            ("5.0", Some(5)),
            ("1.5", None),
            ("15e-1", None),
            ("150e-1", Some(15)),
            ("922337203685477580.7e1", Some(i64::MAX)),
            ("0.0", Some(0)),
            ("-0", Some(0)),
            ("0e999999999999", Some(0)),
            ("1e19", None),
            ("1e99999999999999999999", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }

    proptest! {
        /// However an integer is spread over mantissa and exponent, it is the same integer.
        #[test]
        fn shifting_the_point_changes_nothing(value in any::<i64>(), shift in 0usize..25) {
            let digits = value.unsigned_abs().to_string();
            let padded = format!("{:0>width$}", digits, width = shift + 1);
            let (whole, fraction) = padded.split_at(padded.len() - shift);
            let sign = if value < 0 { "-" } else { "" };
            let text = if shift == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}e{shift}") };
            prop_assert_eq!(integer(&text), Some(value));
        }
    }
}
