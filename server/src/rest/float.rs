//! Reading 32-bit floats from JSON, where most of what a client sends is numbers. Nearly every number takes the short
//! way: its digits as an integer times a power of ten, in 64 bits, which is off by less than a few units in the last
//! place; wherever that could change the nearest 32-bit float the standard library decides. The result is always the
//! one that it gives.

/// Powers of ten that a 64-bit float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Digits that always fit 64 bits.
const MOST_DIGITS: usize = 19;

/// Reads a JSON number at the start of `text`; gives back the float that is nearest and the length of the number. `None`
/// when no number starts there; infinity when it is too large.
pub(super) fn read(text: &[u8]) -> Option<(f32, usize)> {
    let length = Number::scan(text)?;
    let value = length.short().or_else(|| {
        let digits = std::str::from_utf8(text.get(..length.end)?).ok()?;
        digits.parse().ok()
    })?;
    Some((value, length.end))
}

/// A number taken apart: its value is `digits` × 10^`exponent`, unless there were too many digits.
struct Number {
    negative: bool,
    digits: u64,
    exponent: i32,
    exact: bool,
    end: usize,
}

impl Number {
    fn scan(text: &[u8]) -> Option<Self> {
        let negative = text.first() == Some(&b'-');
        let start = usize::from(negative);
        let (whole, at) = digits(text, start, 0);
        // JSON has no number without a digit before the point, and none with a leading zero.
        if at == start || text.get(start) == Some(&b'0') && at > start + 1 {
            return None;
        }
        let mut number = Self { negative, digits: whole, exponent: 0, exact: true, end: at };
        let mut count = at - start;
        if text.get(at) == Some(&b'.') {
            let (all, end) = digits(text, at + 1, whole);
            let fraction = end - at - 1;
            if fraction == 0 {
                return None;
            }
            number.digits = all;
            number.exponent = -i32::try_from(fraction).ok()?;
            number.end = end;
            count += fraction;
        }
        number.exact = count <= MOST_DIGITS;
        if matches!(text.get(number.end), Some(b'e' | b'E')) {
            number.scan_exponent(text)?;
        }
        Some(number)
    }

    fn scan_exponent(&mut self, text: &[u8]) -> Option<()> {
        let sign = self.end + 1;
        let negative = text.get(sign) == Some(&b'-');
        let start = sign + usize::from(matches!(text.get(sign), Some(b'-' | b'+')));
        let (value, end) = digits(text, start, 0);
        if end == start {
            return None;
        }
        // One that does not fit is left to the standard library, which knows what it amounts to.
        self.exact &= end - start <= 4;
        let value = i32::try_from(value.min(99_999)).unwrap_or(99_999);
        self.exponent = self.exponent.saturating_add(if negative { -value } else { value });
        self.end = end;
        Some(())
    }

    /// The float, if it is certainly the nearest one.
    fn short(&self) -> Option<f32> {
        if !self.exact {
            return None;
        }
        let magnitude = self.digits as f64;
        let power = POWERS.get(self.exponent.unsigned_abs() as usize)?;
        let value = if self.exponent < 0 { magnitude / power } else { magnitude * power };
        // Halfway between two floats of 32 bits the last 29 bits are 1 and then zeros. The two roundings that `value` has
        // gone through move it by less than 4 units. Small numbers have fewer bits as a 32-bit float.
        const TAIL: u64 = (1 << 29) - 1;
        let from_half = (value.to_bits() & TAIL).abs_diff(1 << 28);
        let plain = value == 0.0 && self.digits == 0 || value >= f64::from(f32::MIN_POSITIVE);
        if from_half < 4 || !plain {
            return None;
        }
        let value = value as f32;
        Some(if self.negative { -value } else { value })
    }
}

/// Adds decimal digits from `at` on to `value`; gives back the sum, which wraps around, and where they end.
fn digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(chunk) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        if !all_digits(word) {
            break;
        }
        value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(word));
        at += 8;
    }
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(digit.into());
        at += 1;
    }
    (value, at)
}

/// Whether all eight bytes are decimal digits.
fn all_digits(word: u64) -> bool {
    let above = word.wrapping_add(0x4646_4646_4646_4646);
    let below = word.wrapping_sub(0x3030_3030_3030_3030);
    (above | below) & 0x8080_8080_8080_8080 == 0
}

/// The value of eight decimal digits, first byte first (D. Lemire, "Number parsing at a gigabyte per second", 2021).
fn eight_digits(word: u64) -> u64 {
    const MASK: u64 = 0x0000_00ff_0000_00ff;
    let digits = word - 0x3030_3030_3030_3030;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & MASK).wrapping_mul(0x000f_4240_0000_0064);
    let high = (pairs >> 16 & MASK).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(text: &str) {
        let wanted: f32 = text.parse().unwrap();
        let (found, end) = read(text.as_bytes()).unwrap();
        assert_eq!((found.to_bits(), end), (wanted.to_bits(), text.len()), "{text}");
    }

    #[test]
    fn forms_of_json_numbers() {
        for text in [
            "0",
            "-0",
            "1",
            "-1.5",
            "0.1",
            "1e10",
            "1E-10",
            "1e+5",
            "123456789012345678901234567890",
            "1e-50",
            "3.4028235e38",
            "1.1754944e-38",
            "1e-45",
            "0.000000000000000000000000000001",
            "16777217",
            "16777217.0000001",
            "1e400",
            "-1e400",
            "0e999999999999",
            "1e-99999999999",
            "12345678.12345678",
        ] {
            same(text);
        }
        for text in ["", "-", ".5", "1.", "01", "1e", "1e+", "+1", "NaN", "inf", "-.1", "--1"] {
            let read_all = read(text.as_bytes()).is_some_and(|(_, end)| end == text.len());
            assert!(!read_all, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(text in "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?") {
            same(&text);
        }

        #[test]
        fn agrees_near_halves(bits in any::<u32>(), nudge in -3i64..4) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite() && value != 0.0);
            // Between a float and the next, as closely as 64 bits can tell, and as Python and others print it.
            let half = (f64::from(value) + f64::from(f32::from_bits(bits ^ 1))) / 2.0;
            let near = f64::from_bits(half.to_bits().wrapping_add_signed(nudge));
            same(&format!("{near:e}"));
            if near.abs() > 1e-30 && near.abs() < 1e30 {
                same(&format!("{near}"));
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            read(&bytes);
        }
    }
}
