//! Evaluates a predicate on columns laid out as `Schema::arrow`: whole columns at a time for declared fields, row by
//! row inside JSON text. Costly parts are asked only about rows that the cheaper ones left open. Never allocates for a
//! row, except to decode a JSON string that has escapes and to cut text into words.

mod column;
mod computed;
mod list;
mod lookup;
mod pair;
mod strings;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::BooleanBuffer;

pub(super) use self::column::bits;
use super::ast::Step;
use super::condition::{Arithmetic, ValueTest};
use super::json::{self, JsonValue, same_list};
use super::number::Number;
use super::predicate::{COSTLY, JsonListTest, Predicate, Source};
use super::verdict::{Rows, Verdict};
use crate::error::{EngineError, Result};
use crate::exec::Cancel;
use crate::index::scalar::{ScalarIndex, ScalarIndexes};
use crate::schema::DYNAMIC_FIELD;

/// The columns of a segment, and what is prepared of them.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) batch: &'a RecordBatch,
    pub(super) indexes: Option<&'a ScalarIndexes>,
    /// Asked before each part of the filter.
    pub(super) cancel: Option<&'a Cancel>,
}

impl<'a> Columns<'a> {
    fn index(self, column: usize) -> Option<&'a ScalarIndex> {
        self.indexes?.index(self.batch.schema_ref().fields().get(column)?)
    }

    /// The values of an undeclared key, where they are a column.
    fn key(self, column: usize, path: &[Step]) -> Option<&'a ArrayRef> {
        let [Step::Key(key)] = path else { return None };
        let indexes = self.indexes?;
        let field = self.batch.schema_ref().fields().get(column)?;
        (field.name() == DYNAMIC_FIELD).then(|| indexes.key(key))?
    }
}

/// The truth of `predicate` for every wanted row.
///
/// # Errors
/// `Internal` when the columns are not those that the predicate was bound to; `Cancelled`.
pub(super) fn evaluate(predicate: &Predicate, columns: Columns<'_>, rows: Rows<'_>) -> Result<Verdict> {
    if columns.cancel.is_some_and(Cancel::is_cancelled) {
        return Err(EngineError::Cancelled);
    }
    Ok(match predicate {
        Predicate::Constant(value) => Verdict::constant(*value, rows.count),
        Predicate::Not(inner) => evaluate(inner, columns, rows)?.not(),
        Predicate::And(parts) => connect(parts, columns, rows, true)?,
        Predicate::Or(parts) => connect(parts, columns, rows, false)?,
        Predicate::Column { source, test } => {
            if let (Source::Column(position), Some(index)) = (source, columns.index(source.column()))
                && let Some(verdict) = lookup::indexed(index, array(columns, *position)?, test, rows)?
            {
                return Ok(verdict);
            }
            column::test(&*read(columns, *source)?, test, rows)?
        }
        Predicate::Computed { source, arithmetic, range } => {
            computed::numbers(&*read(columns, *source)?, arithmetic, range, rows)?
        }
        Predicate::Moved { source, intervals, range } => {
            computed::moments(&*read(columns, *source)?, intervals, *range, rows)?
        }
        Predicate::Json { column, path, counted, arithmetic, test } => {
            let plain = !counted && arithmetic.is_none();
            if let Some(values) = columns.key(*column, path).filter(|_| plain) {
                return lookup::key_column(values, test, rows);
            }
            let texts = strings(array(columns, *column)?)?;
            Verdict::from_rows(rows, |row| {
                let value = json_value(json::find(text_at(texts, row)?, path)?, *counted)?;
                test_value(value, arithmetic.as_ref(), test)
            })
        }
        Predicate::JsonList { column, path, test } => {
            let texts = strings(array(columns, *column)?)?;
            Verdict::from_rows(rows, |row| {
                let list = json::find(text_at(texts, row)?, path)?;
                match test {
                    JsonListTest::Any(set) => set.any_in(list),
                    JsonListTest::All(set) => set.all_in(list),
                    JsonListTest::Same(constants) => same_list(list, constants),
                }
            })
        }
        Predicate::List { column, test } => list::test(list::lists(array(columns, *column)?)?, test, rows)?,
        Predicate::Pair { left, op, right } => {
            pair::compare(array(columns, *left)?, *op, array(columns, *right)?)?
        }
        Predicate::IsNull { source } => {
            let nulls = read(columns, *source)?.logical_nulls();
            nulls.map_or(Verdict::constant(false, rows.count), |nulls| Verdict::new(!nulls.inner(), None))
        }
        Predicate::Exists { column, path } => exists(strings(array(columns, *column)?)?, path, rows),
    })
}

/// Joins parts, of which the cheap ones come first, until no row is open.
fn connect(parts: &[Predicate], columns: Columns<'_>, rows: Rows<'_>, and: bool) -> Result<Verdict> {
    let mut verdict: Option<Verdict> = None;
    for part in parts {
        let Some(before) = verdict else {
            verdict = Some(evaluate(part, columns, rows)?);
            continue;
        };
        let mut open = before.open(and);
        if let Some(wanted) = rows.wanted {
            open = &open & wanted;
        }
        if open.count_set_bits() == 0 {
            return Ok(before);
        }
        let rows = if part.cost() < COSTLY { rows } else { Rows { wanted: Some(&open), ..rows } };
        let next = evaluate(part, columns, rows)?;
        verdict = Some(if and { before.and(next) } else { before.or(next) });
    }
    verdict.ok_or_else(|| EngineError::Internal("a filter connective without operands".to_owned()))
}

fn array<'a>(columns: Columns<'a>, column: usize) -> Result<&'a ArrayRef> {
    columns.batch.columns().get(column).ok_or_else(|| unfit(&format!("no column {column}")))
}

/// The declared values that a source stands for.
fn read(columns: Columns<'_>, source: Source) -> Result<ArrayRef> {
    let array = array(columns, source.column())?;
    match source {
        Source::Column(_) => Ok(Arc::clone(array)),
        Source::Element(_, index) => list::elements(list::lists(array)?, index),
        Source::Length(_) => Ok(Arc::new(list::lengths(list::lists(array)?))),
    }
}

fn strings(array: &dyn Array) -> Result<&StringArray> {
    array.as_string_opt::<i32>().ok_or_else(|| unfit(&format!("text expected, found {}", array.data_type())))
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Result<&PrimitiveArray<T>> {
    array
        .as_primitive_opt::<T>()
        .ok_or_else(|| unfit(&format!("{} expected, found {}", T::DATA_TYPE, array.data_type())))
}

fn unfit(reason: &str) -> EngineError {
    EngineError::Internal(format!("a filter met columns of another schema: {reason}"))
}

fn text_at(texts: &StringArray, row: usize) -> Option<&str> {
    (!texts.is_null(row)).then(|| texts.value(row))
}

fn json_value(text: &str, counted: bool) -> Option<JsonValue<'_>> {
    if counted {
        return json::count(text).map(|count| JsonValue::Number(Number::Int(count as i128)));
    }
    json::read(text)
}

fn test_value(value: JsonValue<'_>, arithmetic: Option<&Arithmetic>, test: &ValueTest) -> Option<bool> {
    match (arithmetic, value) {
        (None, value) => test.accepts(&value),
        (Some(arithmetic), JsonValue::Number(number)) => {
            test.accepts(&JsonValue::Number(arithmetic.apply(number)?))
        }
        (Some(_), _) => None,
    }
}

fn exists(texts: &StringArray, path: &[Step], rows: Rows<'_>) -> Verdict {
    let exists =
        |row| text_at(texts, row).and_then(|t| json::find(t, path)).is_some_and(|v| !json::is_empty(v));
    if rows.wanted.is_none() {
        return Verdict::new(BooleanBuffer::collect_bool(rows.count, exists), None);
    }
    Verdict::from_rows(rows, |row| Some(exists(row)))
}
