//! Decodes literal tokens into values: integers in four bases, floats, strings with C escapes. The tokenizer has
//! already checked their outline; what is left to refuse is range and unknown escapes.

/// Magnitude of `0x..`, `0b..`, `0..` (octal) or decimal digits. Up to 64 bits: the sign is not part of a literal.
pub(super) fn integer(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let (digits, base) = if let Some(hex) = lower.strip_prefix("0x") {
        (hex, 16)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (binary, 2)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (lower.as_str(), 8)
    } else {
        (lower.as_str(), 10)
    };
    u64::from_str_radix(digits, base).map_err(|e| match e.kind() {
        std::num::IntErrorKind::PosOverflow => format!("integer {text} is out of the int64 range"),
        _ => format!("{text} is not a base-{base} integer"),
    })
}

/// A finite float.
pub(super) fn float(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text} is not a float"))?;
    if value.is_finite() { Ok(value) } else { Err(format!("float {text} is out of the double range")) }
}

/// Content of a raw string token, `r"..."`.
pub(super) fn raw_string(token: &str) -> String {
    token.get(2..token.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// Content of a quoted token with its escapes resolved. `\x` and octal escapes give bytes: together they must be UTF-8.
pub(super) fn string(token: &str) -> Result<String, String> {
    let body = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(backslash) = rest.find('\\') {
        let (plain, escape) = rest.split_at(backslash);
        out.extend_from_slice(plain.as_bytes());
        rest = unescape(&escape[1..], &mut out)?;
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).map_err(|_| "the escapes of the string do not make UTF-8".to_owned())
}

/// Resolves one escape, given what follows its backslash; returns what follows the escape.
fn unescape<'a>(text: &'a str, out: &mut Vec<u8>) -> Result<&'a str, String> {
    let mut chars = text.chars();
    let name = chars.next().unwrap_or_default();
    let byte = match name {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'v' => 0x0b,
        '\\' | '"' | '\'' | '?' => name as u8,
        'x' => return code(chars.as_str(), 2, 16, out),
        'u' => return code(chars.as_str(), 4, 16, out),
        'U' => return code(chars.as_str(), 8, 16, out),
        '0'..='7' => return code(text, 3, 8, out),
        other => return Err(format!("invalid escape \\{other} in a string")),
    };
    out.push(byte);
    Ok(chars.as_str())
}

/// An escape of exactly `digits` digits: one byte for two hexadecimal or three octal ones, else a Unicode character.
fn code<'a>(text: &'a str, digits: usize, base: u32, out: &mut Vec<u8>) -> Result<&'a str, String> {
    let invalid = || format!("invalid escape in a string: expected {digits} base-{base} digits");
    let (number, rest) = text.split_at_checked(digits).ok_or_else(invalid)?;
    if !number.chars().all(|c| c.is_digit(base)) {
        return Err(invalid());
    }
    let value = u32::from_str_radix(number, base).map_err(|_| invalid())?;
    if digits < 4 {
        out.push(u8::try_from(value).map_err(|_| invalid())?);
    } else {
        let c = char::from_u32(value).ok_or_else(|| format!("{number} is not a Unicode character"))?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_every_base() {
        let good = [
            ("0", 0),
            ("42", 42),
            ("0x1F", 31),
            ("0XfF", 255),
            ("0b101", 5),
            ("017", 15),
            ("9223372036854775808", 1 << 63),
        ];
        for (text, value) in good {
            assert_eq!(integer(text).unwrap(), value, "{text}");
        }
        assert!(integer("99999999999999999999").unwrap_err().contains("int64 range"));
        assert!(integer("09").unwrap_err().contains("base-8"));
    }

    #[test]
    fn floats_are_finite() {
        for (text, value) in [("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("2.5E-1", 0.25)] {
            assert_eq!(float(text).unwrap(), value, "{text}");
        }
        assert!(float("1e999").is_err());
    }

    #[test]
    fn strings_resolve_escapes() {
        let good = [
            (r#""""#, ""),
            (r#""a\n\t\\\"\'b""#, "a\n\t\\\"'b"),
            (r"'\x41\101\u00e9\U0001F600'", "AA\u{e9}\u{1F600}"),
            (r"'\xc3\xa9'", "\u{e9}"),
            (r"'é\\%'", r"é\%"),
        ];
        for (token, value) in good {
            assert_eq!(string(token).unwrap(), value, "{token}");
        }
        for bad in
            [r"'\q'", r"'\x4'", r"'\xff'", r"'\ud800'", r"'\400'", r"'\xé1'", r"'\8'", r"'\+12'", r"'\x+1'"]
        {
            assert!(string(bad).is_err(), "{bad}");
        }
        assert_eq!(raw_string(r#"r"a\n""#), r"a\n");
    }
}
