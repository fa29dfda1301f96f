//! Places in JSON named as filters name them, for whoever needs the values themselves.

use super::ast::{ExprKind, Step};
use super::json::{JsonValue, find, read};
use super::number::Number;
use super::operand::{Operand, Place};
use super::options::FilterOptions;
use super::{bind, parse};
use crate::index::scalar::Single;
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

    /// The value in one row's JSON; null where there is none, `Other` for objects and arrays.
    pub(crate) fn value(&self, json: &str) -> Single {
        find(json, &self.steps).and_then(read).map_or(Single::Null, single)
    }
}

/// A value as indexes and groups know it.
pub(super) fn single(value: JsonValue<'_>) -> Single {
    match value {
        JsonValue::Null => Single::Null,
        JsonValue::Bool(v) => Single::Bool(v),
        JsonValue::Number(Number::Int(v)) => i64::try_from(v).map_or(Single::Other, Single::Int),
        JsonValue::Number(Number::Float(v)) => Single::Float(v),
        JsonValue::Text(text) => Single::Text(text.into_owned()),
        JsonValue::Container => Single::Other,
    }
}
