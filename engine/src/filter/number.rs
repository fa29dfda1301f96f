//! Numbers of any kind, compared and computed without losing a bit: integers stay integers, and an integer against a
//! float is decided exactly, never through a cast. Binding folds constants with it, evaluation computes rows with it.

use std::cmp::Ordering;
use std::ops::Bound;

use super::ast::{ArithmeticOp, CompareOp};

/// An integer or a float that is not NaN. 128 bits hold any result of one step on 64-bit integers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// Exact order of the two values; -0.0 equals 0.
    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            // NaN never gets here: literals, stored values and results of arithmetic are checked.
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Int(a), Self::Float(b)) => compare_mixed(a, b),
            (Self::Float(a), Self::Int(b)) => compare_mixed(b, a).reverse(),
        }
    }

    /// The nearest float.
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Int(i) => i as f64,
            Self::Float(f) => f,
        }
    }

    /// The nearest 32-bit float, which is what a Float field holds. Beyond its range: infinity.
    pub(super) fn to_single(self) -> Self {
        let single = match self {
            Self::Int(i) => i as f32,
            Self::Float(f) => f as f32,
        };
        Self::Float(single.into())
    }

    /// The 64-bit integer that equals it.
    pub(super) fn to_i64(self) -> Option<i64> {
        match self {
            Self::Int(i) => i64::try_from(i).ok(),
            // The cast saturates; what it changed does not compare as equal.
            Self::Float(f) => Some(f as i64).filter(|&i| Self::Int(i.into()).compare(self).is_eq()),
        }
    }

    /// The 64-bit float that equals it.
    pub(super) fn to_double(self) -> Option<f64> {
        Some(self.to_f64()).filter(|&f| Self::Float(f).compare(self).is_eq())
    }

    /// `self op other`. `fractional`: dividing two integers gives a float, else it truncates towards zero.
    /// `None` where there is no value: division by zero, overflow, a float where the operator wants integers.
    pub(super) fn apply(self, op: ArithmeticOp, other: Self, fractional: bool) -> Option<Self> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => match op {
                ArithmeticOp::Divide if fractional && b != 0 => finite(a as f64 / b as f64),
                ArithmeticOp::Power => power(a, b),
                _ => apply_integers(a, op, b).map(Self::Int),
            },
            _ => apply_floats(self.to_f64(), op, other.to_f64()),
        }
    }
}

fn finite(value: f64) -> Option<Number> {
    value.is_finite().then_some(Number::Float(value))
}

fn compare_mixed(int: i128, float: f64) -> Ordering {
    const LIMIT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0; // 2^127
    if float >= LIMIT {
        return Ordering::Less;
    }
    if float < -LIMIT {
        return Ordering::Greater;
    }
    let floor = float.floor();
    // The cast is exact: `floor` is whole and in range.
    match int.cmp(&(floor as i128)) {
        Ordering::Equal if float > floor => Ordering::Less,
        order => order,
    }
}

fn apply_integers(a: i128, op: ArithmeticOp, b: i128) -> Option<i128> {
    match op {
        ArithmeticOp::Add => a.checked_add(b),
        ArithmeticOp::Subtract => a.checked_sub(b),
        ArithmeticOp::Multiply => a.checked_mul(b),
        // 128-bit division is slow, and nearly all operands are short.
        ArithmeticOp::Divide => match (i64::try_from(a), i64::try_from(b)) {
            (Ok(a), Ok(b)) if b > 0 => Some((a / b).into()),
            _ => a.checked_div(b),
        },
        ArithmeticOp::Modulo => match (i64::try_from(a), i64::try_from(b)) {
            (Ok(a), Ok(b)) if b > 0 => Some((a % b).into()),
            _ => a.checked_rem(b),
        },
        ArithmeticOp::BitAnd => Some(a & b),
        ArithmeticOp::BitOr => Some(a | b),
        ArithmeticOp::BitXor => Some(a ^ b),
        ArithmeticOp::ShiftLeft => shift(b).and_then(|bits| a.checked_mul(1 << bits)),
        ArithmeticOp::ShiftRight => shift(b).map(|bits| a >> bits),
        ArithmeticOp::Power => None,
    }
}

fn shift(bits: i128) -> Option<u32> {
    u32::try_from(bits).ok().filter(|&bits| bits < 64)
}

/// Whole if the result fits 64 bits, else a float: `2 ** -1` is 0.5.
fn power(base: i128, exponent: i128) -> Option<Number> {
    let whole =
        u32::try_from(exponent).ok().and_then(|e| base.checked_pow(e)).filter(|&p| i64::try_from(p).is_ok());
    whole.map(Number::Int).or_else(|| finite((base as f64).powf(exponent as f64)))
}

fn apply_floats(a: f64, op: ArithmeticOp, b: f64) -> Option<Number> {
    finite(match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Subtract => a - b,
        ArithmeticOp::Multiply => a * b,
        ArithmeticOp::Divide => a / b,
        ArithmeticOp::Power => a.powf(b),
        _ => return None,
    })
}

/// All numbers between two bounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NumberRange {
    pub(super) low: Bound<Number>,
    pub(super) high: Bound<Number>,
}

impl NumberRange {
    /// The numbers that stand in this relation to `constant`. There is no range for `!=`: it is read as `==`, and the
    /// caller negates.
    pub(super) fn of(op: CompareOp, constant: Number) -> Self {
        let (low, high) = match op {
            CompareOp::Equal | CompareOp::NotEqual => (Bound::Included(constant), Bound::Included(constant)),
            CompareOp::Less => (Bound::Unbounded, Bound::Excluded(constant)),
            CompareOp::LessEqual => (Bound::Unbounded, Bound::Included(constant)),
            CompareOp::Greater => (Bound::Excluded(constant), Bound::Unbounded),
            CompareOp::GreaterEqual => (Bound::Included(constant), Bound::Unbounded),
        };
        Self { low, high }
    }

    /// Whether it holds `value`.
    pub(super) fn contains(&self, value: Number) -> bool {
        let above = match self.low {
            Bound::Unbounded => true,
            Bound::Included(low) => low.compare(value).is_le(),
            Bound::Excluded(low) => low.compare(value).is_lt(),
        };
        above
            && match self.high {
                Bound::Unbounded => true,
                Bound::Included(high) => value.compare(high).is_le(),
                Bound::Excluded(high) => value.compare(high).is_lt(),
            }
    }

    /// The smallest and largest 64-bit integer in it; `None` if it holds none.
    pub(super) fn integers(&self) -> Option<(i64, i64)> {
        // Casts of floats saturate; +-1 cannot overflow because constants are far from the ends of 128 bits or,
        // if they saturated, are clamped back below.
        let low = match self.low {
            Bound::Unbounded => i128::MIN,
            Bound::Included(Number::Int(i)) => i,
            Bound::Excluded(Number::Int(i)) => i.saturating_add(1),
            Bound::Included(Number::Float(f)) => f.ceil() as i128,
            Bound::Excluded(Number::Float(f)) => (f.floor() as i128).saturating_add(1),
        };
        let high = match self.high {
            Bound::Unbounded => i128::MAX,
            Bound::Included(Number::Int(i)) => i,
            Bound::Excluded(Number::Int(i)) => i.saturating_sub(1),
            Bound::Included(Number::Float(f)) => f.floor() as i128,
            Bound::Excluded(Number::Float(f)) => (f.ceil() as i128).saturating_sub(1),
        };
        let (low, high) = (low.max(i64::MIN.into()), high.min(i64::MAX.into()));
        // After clamping only an empty range can leave 64 bits.
        if low <= high { i64::try_from(low).ok().zip(i64::try_from(high).ok()) } else { None }
    }

    /// The smallest and largest 64-bit float in it, both inclusive; crossed if it holds none.
    pub(super) fn doubles(&self) -> (f64, f64) {
        let low = match self.low {
            Bound::Unbounded => f64::NEG_INFINITY,
            Bound::Included(n) => least(n, n.to_f64(), Ordering::is_ge, f64::next_up),
            Bound::Excluded(n) => least(n, n.to_f64(), Ordering::is_gt, f64::next_up),
        };
        let high = match self.high {
            Bound::Unbounded => f64::INFINITY,
            Bound::Included(n) => least(n, n.to_f64(), Ordering::is_le, f64::next_down),
            Bound::Excluded(n) => least(n, n.to_f64(), Ordering::is_lt, f64::next_down),
        };
        (low, high)
    }

    /// As [`NumberRange::doubles`], for 32-bit floats. The constants must have gone through [`Number::to_single`].
    pub(super) fn singles(&self) -> (f32, f32) {
        let low = match self.low {
            Bound::Unbounded => f32::NEG_INFINITY,
            Bound::Included(n) => n.to_f64() as f32,
            Bound::Excluded(n) => (n.to_f64() as f32).next_up(),
        };
        let high = match self.high {
            Bound::Unbounded => f32::INFINITY,
            Bound::Included(n) => n.to_f64() as f32,
            Bound::Excluded(n) => (n.to_f64() as f32).next_down(),
        };
        (low, high)
    }
}

/// The float nearest to `bound` that stands in the wanted order to it: `guess`, or its neighbour.
fn least(bound: Number, guess: f64, wanted: fn(Ordering) -> bool, step: fn(f64) -> f64) -> f64 {
    if wanted(Number::Float(guess).compare(bound)) { guess } else { step(guess) }
}

#[cfg(test)]
mod tests;
