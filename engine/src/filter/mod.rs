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

/// A compiled filter expression, bound to one schema. Cheap to clone and to share between threads.
#[derive(Debug, Clone)]
pub struct Filter(Arc<Compiled>);

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
        let key_column = schema.scalar_fields().position(|f| f.primary);
        let keys = key_column.and_then(|column| predicate.key_candidates(column));
        Ok(Self(Arc::new(Compiled { expression: expression.to_owned(), predicate, keys })))
    }

    /// The expression as given.
    pub fn expression(&self) -> &str {
        &self.0.expression
    }

    /// Whether every row matches whatever it holds: a blank expression, `true`, `1 < 2`.
    pub fn is_always_true(&self) -> bool {
        matches!(self.0.predicate, Predicate::Constant(true))
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
        Ok(eval::evaluate(&self.0.predicate, columns)?.into_true())
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
