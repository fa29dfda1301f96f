//! What is asked of one value: ranges and sets in the value's own type, patterns, words, and the arithmetic done before
//! the question. Predicates hold these; evaluation asks them column by column or row by row.

use std::ops::Bound;
use std::sync::Arc;

use regex::Regex;

use super::ast::{ArithmeticOp, CompareOp};
use super::json::JsonValue;
use super::like::Pattern;
use super::number::{Number, NumberRange};
use super::set::IntegerSet;
use super::text_match::WordTest;
use crate::row::Keys;

/// What is asked of a declared column; the variant fits its type.
#[derive(Debug, Clone)]
pub(super) enum ColumnTest {
    /// Integers of any width: both bounds inclusive; `None` matches nothing.
    IntRange(Option<(i64, i64)>),
    IntSet(IntegerSet),
    SingleRange(f32, f32),
    /// Sorted.
    SingleSet(Vec<f32>),
    DoubleRange(f64, f64),
    /// Sorted.
    DoubleSet(Vec<f64>),
    Text(TextTest),
    Bool(BoolTest),
}

/// What is asked of a string.
#[derive(Debug, Clone)]
pub(super) enum TextTest {
    Range(Bound<String>, Bound<String>),
    /// Sorted.
    Set(Vec<String>),
    Like(Pattern),
    Regex(Regex),
    Words(Arc<WordTest>),
}

/// The answers for the two booleans.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoolTest {
    pub(super) on_true: bool,
    pub(super) on_false: bool,
}

/// What is asked of a number of any kind.
#[derive(Debug, Clone)]
pub(super) enum NumberTest {
    Range(NumberRange),
    /// Sorted by [`Number::compare`].
    Set(Vec<Number>),
}

/// What is asked of a JSON value: one part for each type of constant. A value of a type without a part is UNKNOWN.
#[derive(Debug, Clone, Default)]
pub(super) struct ValueTest {
    pub(super) number: Option<NumberTest>,
    pub(super) text: Option<TextTest>,
    pub(super) boolean: Option<BoolTest>,
}

/// A chain of operators with constants, applied to one value from the inside out.
#[derive(Debug, Clone, Default)]
pub(super) struct Arithmetic {
    pub(super) steps: Vec<ArithmeticStep>,
    /// Whether `/` keeps fractions between integers: when any constant of the comparison is a float.
    pub(super) fractional: bool,
    /// Whether each result is rounded to 32 bits: on a Float column.
    pub(super) single: bool,
}

/// One operator and its constant.
#[derive(Debug, Clone)]
pub(super) struct ArithmeticStep {
    pub(super) op: ArithmeticOp,
    pub(super) constant: Number,
    /// Whether the constant stands on the left.
    pub(super) reversed: bool,
}

impl ColumnTest {
    /// How much a row costs, on a scale of its own: the cheap ones run first.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Text(test) => test.cost(),
            _ => 1,
        }
    }

    /// Keys among which every passing value is.
    pub(super) fn named_keys(&self) -> Option<Keys> {
        match self {
            Self::IntRange(None) => Some(Keys::Int(Vec::new())),
            Self::IntRange(Some((low, high))) if low == high => Some(Keys::Int(vec![*low])),
            Self::IntSet(keys) => Some(Keys::Int(keys.as_slice().to_vec())),
            Self::Text(TextTest::Set(keys)) => Some(Keys::Text(keys.clone())),
            Self::Text(TextTest::Range(Bound::Included(low), Bound::Included(high))) if low == high => {
                Some(Keys::Text(vec![low.clone()]))
            }
            _ => None,
        }
    }
}

impl TextTest {
    /// As [`ColumnTest::cost`].
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Range(..) | Self::Set(_) => 3,
            Self::Like(_) => 4,
            Self::Regex(_) => 7,
            Self::Words(_) => 8,
        }
    }

    /// Whether `text` passes. Order is byte order.
    pub(super) fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Range(low, high) => {
                let above = match low {
                    Bound::Unbounded => true,
                    Bound::Included(low) => low.as_str() <= text,
                    Bound::Excluded(low) => low.as_str() < text,
                };
                above
                    && match high {
                        Bound::Unbounded => true,
                        Bound::Included(high) => text <= high.as_str(),
                        Bound::Excluded(high) => text < high.as_str(),
                    }
            }
            Self::Set(texts) => texts.binary_search_by(|t| t.as_str().cmp(text)).is_ok(),
            Self::Like(pattern) => pattern.matches(text),
            Self::Regex(regex) => regex.is_match(text),
            Self::Words(test) => test.accepts(text),
        }
    }
}

impl BoolTest {
    /// The relation of a boolean to `constant`; false orders before true.
    pub(super) fn of(op: CompareOp, constant: bool) -> Self {
        Self { on_true: op.holds(true.cmp(&constant)), on_false: op.holds(false.cmp(&constant)) }
    }

    /// Whether `value` passes.
    pub(super) fn accepts(self, value: bool) -> bool {
        if value { self.on_true } else { self.on_false }
    }
}

impl NumberTest {
    /// Whether `value` passes.
    pub(super) fn accepts(&self, value: Number) -> bool {
        match self {
            Self::Range(range) => range.contains(value),
            Self::Set(numbers) => numbers.binary_search_by(|n| n.compare(value)).is_ok(),
        }
    }
}

impl ValueTest {
    /// Whether `value` passes; `None` is UNKNOWN.
    pub(super) fn accepts(&self, value: &JsonValue<'_>) -> Option<bool> {
        match value {
            JsonValue::Number(number) => self.number.as_ref().map(|test| test.accepts(*number)),
            JsonValue::Text(text) => self.text.as_ref().map(|test| test.accepts(text)),
            JsonValue::Bool(boolean) => self.boolean.map(|test| test.accepts(*boolean)),
            JsonValue::Null | JsonValue::Container => None,
        }
    }
}

impl Arithmetic {
    /// The result on an integer if it, and all before it, are integers of 64 bits; `None` says nothing.
    pub(super) fn apply_small(&self, value: i64) -> Option<i64> {
        self.steps.iter().try_fold(value, |value, step| {
            let Number::Int(constant) = step.constant else { return None };
            let constant = i64::try_from(constant).ok()?;
            let (left, right) = if step.reversed { (constant, value) } else { (value, constant) };
            match step.op {
                ArithmeticOp::Add => left.checked_add(right),
                ArithmeticOp::Subtract => left.checked_sub(right),
                ArithmeticOp::Multiply => left.checked_mul(right),
                ArithmeticOp::Divide if !self.fractional => left.checked_div(right),
                ArithmeticOp::Modulo => left.checked_rem(right),
                ArithmeticOp::BitAnd => Some(left & right),
                ArithmeticOp::BitOr => Some(left | right),
                ArithmeticOp::BitXor => Some(left ^ right),
                _ => None,
            }
        })
    }

    /// The result on `value`; `None` where there is none, which makes the comparison UNKNOWN.
    pub(super) fn apply(&self, value: Number) -> Option<Number> {
        self.steps.iter().try_fold(value, |value, step| {
            let (left, right) = if step.reversed { (step.constant, value) } else { (value, step.constant) };
            let result = left.apply(step.op, right, self.fractional)?;
            Some(if self.single { result.to_single() } else { result })
        })
    }
}
