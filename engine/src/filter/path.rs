//! Places in JSON named as filters name them, for whoever needs the values themselves.

use super::ast::{ExprKind, Step};
use super::json::{JsonValue, find, read};
use super::number::Number;
use super::operand::{Operand, Place};
use super::options::FilterOptions;
use super::{bind, parse};
use crate::row::Scalar;
use crate::schema::Schema;

/// A column of JSON and the way to a value in it.
#[derive(Debug)]
pub(crate) struct JsonPath {
    column: usize,
    steps: Vec<Step>,
}

impl JsonPath {
    /// Reads `key`, `key["of"][0]` (undeclared keys) or `field["of"]` (a JSON field). None where the text names anything
    /// else, or nothing.
    pub(crate) fn parse(text: &str, schema: &Schema) -> Option<Self> {
        let expr = parse::parse(text).ok()?;
        let ExprKind::Field(field) = &expr.kind else { return None };
        match bind::field(field, text, schema, &FilterOptions::default()).ok()? {
            Operand { place: Place::Json { column, path: steps, counted: false }, .. }
                if !steps.is_empty() =>
            {
                Some(Self { column, steps })
            }
            _ => None,
        }
    }

    /// The column, among those of [`Schema::arrow`].
    pub(crate) fn column(&self) -> usize {
        self.column
    }

    /// The value in one row's JSON; null where there is none, or one that no column holds.
    pub(crate) fn value<'a>(&self, json: &'a str) -> Scalar<'a> {
        find(json, &self.steps).and_then(read).and_then(scalar).unwrap_or(Scalar::Null)
    }
}

/// A value as indexes and groups know it; none for objects, arrays and numbers beyond 64 bits.
pub(super) fn scalar(value: JsonValue<'_>) -> Option<Scalar<'_>> {
    match value {
        JsonValue::Null => Some(Scalar::Null),
        JsonValue::Bool(v) => Some(Scalar::Bool(v)),
        JsonValue::Number(Number::Int(v)) => i64::try_from(v).ok().map(Scalar::Int),
        JsonValue::Number(Number::Float(v)) => Some(Scalar::Float(v)),
        JsonValue::Text(text) => Some(Scalar::Text(text)),
        JsonValue::Container => None,
    }
}
