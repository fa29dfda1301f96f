//! A bound expression: every name is a column, every constant has the column's type, every comparison is a range or a
//! set. Binding builds it, evaluation walks it, and the planner asks it which primary keys can match.

use std::ops::Bound;

use super::ast::{ArithmeticOp, CompareOp, Step};
use super::json::JsonValue;
use super::like::Pattern;
use super::number::{Number, NumberRange};
use crate::row::Keys;

/// A condition on rows. Columns are positions in `Schema::arrow`.
#[derive(Debug)]
pub(super) enum Predicate {
    /// The same for every row.
    Constant(bool),
    Not(Box<Predicate>),
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    /// A declared column against constants.
    Column {
        column: usize,
        test: ColumnTest,
    },
    /// Arithmetic on a declared numeric column against constants.
    Computed {
        column: usize,
        arithmetic: Arithmetic,
        range: NumberRange,
    },
    /// A value inside a JSON column, perhaps with arithmetic on it, against constants.
    Json {
        column: usize,
        path: Vec<Step>,
        arithmetic: Option<Arithmetic>,
        test: ValueTest,
    },
    /// Two declared columns of comparable types.
    Pair {
        left: usize,
        op: CompareOp,
        right: usize,
    },
    IsNull {
        column: usize,
    },
    /// The JSON path leads to something that is neither null nor empty.
    Exists {
        column: usize,
        path: Vec<Step>,
    },
}

/// What is asked of a declared column; the variant fits its type.
#[derive(Debug)]
pub(super) enum ColumnTest {
    /// Integers of any width: both bounds inclusive; `None` matches nothing.
    IntRange(Option<(i64, i64)>),
    /// Sorted.
    IntSet(Vec<i64>),
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
#[derive(Debug)]
pub(super) enum TextTest {
    Range(Bound<String>, Bound<String>),
    /// Sorted.
    Set(Vec<String>),
    Like(Pattern),
}

/// The answers for the two booleans.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoolTest {
    pub(super) on_true: bool,
    pub(super) on_false: bool,
}

/// What is asked of a number of any kind.
#[derive(Debug)]
pub(super) enum NumberTest {
    Range(NumberRange),
    /// Sorted by [`Number::compare`].
    Set(Vec<Number>),
}

/// What is asked of a JSON value: one part for each type of constant. A value of a type without a part is UNKNOWN.
#[derive(Debug, Default)]
pub(super) struct ValueTest {
    pub(super) number: Option<NumberTest>,
    pub(super) text: Option<TextTest>,
    pub(super) boolean: Option<BoolTest>,
}

/// A chain of operators with constants, applied to one value from the inside out.
#[derive(Debug, Default)]
pub(super) struct Arithmetic {
    pub(super) steps: Vec<ArithmeticStep>,
    /// Whether `/` keeps fractions between integers: when any constant of the comparison is a float.
    pub(super) fractional: bool,
    /// Whether each result is rounded to 32 bits: on a Float column.
    pub(super) single: bool,
}

/// One operator and its constant.
#[derive(Debug)]
pub(super) struct ArithmeticStep {
    pub(super) op: ArithmeticOp,
    pub(super) constant: Number,
    /// Whether the constant stands on the left.
    pub(super) reversed: bool,
}

impl Predicate {
    /// Negates.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(other.into()),
        }
    }

    /// Joins with `and`. A constant false decides, also against UNKNOWN.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        Self::join(parts, false, Self::And)
    }

    /// Joins with `or`. A constant true decides, also against UNKNOWN.
    pub(super) fn any(parts: Vec<Self>) -> Self {
        Self::join(parts, true, Self::Or)
    }

    fn join(mut parts: Vec<Self>, decisive: bool, make: fn(Vec<Self>) -> Self) -> Self {
        if parts.iter().any(|p| matches!(p, Self::Constant(value) if *value == decisive)) {
            return Self::Constant(decisive);
        }
        parts.retain(|p| !matches!(p, Self::Constant(_)));
        match parts.len() {
            0 => Self::Constant(!decisive),
            1 => parts.remove(0),
            _ => make(parts),
        }
    }

    /// Keys among which every matching row's primary key is; `None` if the predicate does not name them.
    pub(super) fn key_candidates(&self, key_column: usize) -> Option<Keys> {
        match self {
            Self::Column { column, test } if *column == key_column => test.named_keys(),
            Self::And(parts) => {
                parts.iter().filter_map(|p| p.key_candidates(key_column)).min_by_key(Keys::len)
            }
            Self::Or(parts) => {
                let mut lists = parts.iter().map(|p| p.key_candidates(key_column));
                let mut all = lists.next()??;
                for list in lists {
                    all = union(all, list?)?;
                }
                Some(all)
            }
            _ => None,
        }
    }
}

fn union(a: Keys, b: Keys) -> Option<Keys> {
    Some(match (a, b) {
        (Keys::Int(mut a), Keys::Int(b)) => {
            a.extend(b);
            a.sort_unstable();
            a.dedup();
            Keys::Int(a)
        }
        (Keys::Text(mut a), Keys::Text(b)) => {
            a.extend(b);
            a.sort_unstable();
            a.dedup();
            Keys::Text(a)
        }
        _ => return None,
    })
}

impl ColumnTest {
    fn named_keys(&self) -> Option<Keys> {
        match self {
            Self::IntRange(None) => Some(Keys::Int(Vec::new())),
            Self::IntRange(Some((low, high))) if low == high => Some(Keys::Int(vec![*low])),
            Self::IntSet(keys) => Some(Keys::Int(keys.clone())),
            Self::Text(TextTest::Set(keys)) => Some(Keys::Text(keys.clone())),
            Self::Text(TextTest::Range(Bound::Included(low), Bound::Included(high))) if low == high => {
                Some(Keys::Text(vec![low.clone()]))
            }
            _ => None,
        }
    }
}

impl TextTest {
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
    /// The result on `value`; `None` where there is none, which makes the comparison UNKNOWN.
    pub(super) fn apply(&self, value: Number) -> Option<Number> {
        self.steps.iter().try_fold(value, |value, step| {
            let (left, right) = if step.reversed { (step.constant, value) } else { (value, step.constant) };
            let result = left.apply(step.op, right, self.fractional)?;
            Some(if self.single { result.to_single() } else { result })
        })
    }
}
