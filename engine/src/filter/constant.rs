//! Constants of an expression and how they combine before any row is seen. What has no exact result (overflow,
//! division by zero) is an error here, because it would be one for every row.

use std::cmp::Ordering;

use super::ast::{ArithmeticOp, UnaryOp};
use super::number::Number;
use super::template::TemplateValue;
use crate::row::moment::Interval;
use crate::schema::DataType;

/// A literal, a template's value, or the result of operators on them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Constant>),
    /// Microseconds since 1970.
    Moment(i64),
    Interval(Interval),
}

impl Constant {
    /// A template's value; `None` for a float that is not finite.
    pub(super) fn of(value: &TemplateValue) -> Option<Self> {
        Some(match value {
            TemplateValue::Bool(value) => Self::Bool(*value),
            TemplateValue::Int(value) => Self::Int(*value),
            TemplateValue::Float(value) if value.is_finite() => Self::Float(*value),
            TemplateValue::Float(_) => return None,
            TemplateValue::Text(value) => Self::Text(value.clone()),
            TemplateValue::List(items) => Self::List(items.iter().map(Self::of).collect::<Option<_>>()?),
        })
    }

    /// Milvus's name of the type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => DataType::Bool.name(),
            Self::Int(_) => DataType::Int64.name(),
            Self::Float(_) => DataType::Double.name(),
            Self::Text(_) => DataType::VarChar.name(),
            Self::List(_) => DataType::Array.name(),
            Self::Moment(_) => DataType::Timestamptz.name(),
            Self::Interval(_) => "Interval",
        }
    }

    /// Its number, if it is one.
    pub(super) fn number(&self) -> Option<Number> {
        match self {
            Self::Int(i) => Some(Number::Int((*i).into())),
            Self::Float(f) => Some(Number::Float(*f)),
            _ => None,
        }
    }

    /// Whether it is a truth value.
    pub(super) fn is_bool(&self) -> bool {
        matches!(self, Self::Bool(_))
    }

    /// Whether a list for `in` on a field of this type may hold it. Integers fit floats, not the other way round.
    pub(super) fn casts_to(&self, data_type: DataType) -> bool {
        match self {
            Self::Bool(_) => matches!(data_type, DataType::Bool | DataType::Json),
            Self::Int(_) => data_type.is_numeric() || data_type == DataType::Json,
            Self::Float(_) => matches!(data_type, DataType::Float | DataType::Double | DataType::Json),
            Self::Text(_) => matches!(data_type, DataType::VarChar | DataType::Json),
            Self::Moment(_) => data_type == DataType::Timestamptz,
            Self::List(_) | Self::Interval(_) => false,
        }
    }

    /// Whether values of this type, which is no JSON, can be compared to it.
    pub(super) fn compares_to(&self, data_type: DataType) -> bool {
        match self {
            Self::Int(_) | Self::Float(_) => data_type.is_numeric(),
            other => other.casts_to(data_type),
        }
    }

    /// Order of two constants of comparable types.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Moment(a), Self::Moment(b)) => Some(a.cmp(b)),
            _ => Some(self.number()?.compare(other.number()?)),
        }
    }

    /// `+`, `-` and `~`.
    pub(super) fn unary(&self, op: UnaryOp) -> Result<Self, String> {
        match (op, self) {
            (UnaryOp::Plus, Self::Int(_) | Self::Float(_)) => Ok(self.clone()),
            (UnaryOp::Minus, Self::Int(i)) => i.checked_neg().map(Self::Int).ok_or_else(overflow),
            (UnaryOp::Minus, Self::Float(f)) => Ok(Self::Float(-f)),
            (UnaryOp::BitNot, Self::Int(i)) => Ok(Self::Int(!i)),
            (UnaryOp::BitNot, Self::Float(_)) => Err("'~' can only apply on integer types".to_owned()),
            _ => Err(format!("unary operators can't be applied on {}", self.type_name())),
        }
    }

    /// `left op right`.
    pub(super) fn fold(op: ArithmeticOp, left: &Self, right: &Self) -> Result<Self, String> {
        match (left, op, right) {
            (Self::Moment(moment), ArithmeticOp::Add, Self::Interval(interval))
            | (Self::Interval(interval), ArithmeticOp::Add, Self::Moment(moment)) => {
                return interval.after(*moment).map(Self::Moment).ok_or_else(overflow);
            }
            (Self::Moment(moment), ArithmeticOp::Subtract, Self::Interval(interval)) => {
                let before = interval.negated().and_then(|interval| interval.after(*moment));
                return before.map(Self::Moment).ok_or_else(overflow);
            }
            _ => {}
        }
        let (Some(a), Some(b)) = (left.number(), right.number()) else { return Err(not_numeric(op)) };
        check_operand(op, a)?;
        check_operand(op, b)?;
        check_right(op, b)?;
        match a.apply(op, b, false) {
            Some(Number::Int(i)) => i64::try_from(i).map(Self::Int).map_err(|_| overflow()),
            Some(Number::Float(f)) => Ok(Self::Float(f)),
            None => Err(overflow()),
        }
    }
}

/// Refuses floats where an operator wants integers.
pub(super) fn check_operand(op: ArithmeticOp, constant: Number) -> Result<(), String> {
    match constant {
        Number::Float(_) => check_type(op, false),
        Number::Int(_) => Ok(()),
    }
}

/// Refuses operators on a type: `integers` tells whether its values are integers (or may be).
pub(super) fn check_type(op: ArithmeticOp, integers: bool) -> Result<(), String> {
    match op {
        ArithmeticOp::Modulo if !integers => Err("modulo can only apply on integer types".to_owned()),
        _ if op.integers_only() && !integers => {
            Err(format!("'{}' can only apply on integer types", op.symbol()))
        }
        _ => Ok(()),
    }
}

/// Refuses right sides on which the operator has no value.
pub(super) fn check_right(op: ArithmeticOp, constant: Number) -> Result<(), String> {
    match op {
        ArithmeticOp::Divide | ArithmeticOp::Modulo if constant.compare(Number::Int(0)).is_eq() => {
            Err("division or modulus by zero".to_owned())
        }
        ArithmeticOp::ShiftLeft | ArithmeticOp::ShiftRight if !matches!(constant, Number::Int(bits) if (0..64).contains(&bits)) => {
            Err("a shift must be by 0 to 63 bits".to_owned())
        }
        _ => Ok(()),
    }
}

/// The refusal of operands that are no numbers.
pub(super) fn not_numeric(op: ArithmeticOp) -> String {
    format!("'{}' can only be used between integer or floating or json field expressions", op.symbol())
}

fn overflow() -> String {
    "the constant is out of range".to_owned()
}
