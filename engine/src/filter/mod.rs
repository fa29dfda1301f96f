//! Milvus's filter language: text to a compiled [`Filter`], columns to a bitmap of matching rows. Logic is
//! three-valued: a comparison with a null, a missing JSON path or another type is UNKNOWN, and only TRUE rows match.
//! What the language has and this version lacks is refused by name, never approximated.
//!
//! ```text
//!   text ─ token ─ parse ─► ast ─ bind (schema, templates, constants) ─► predicate ─ eval (columns) ─► bitmap
//! ```
//!
//! The server compiles a filter once for each request; collections evaluate it on every segment of a snapshot, perhaps
//! joined with a restriction of their own (`restrict`: partitions, expiry).

mod ast;
mod bind;
mod condition;
mod constant;
mod eval;
mod fault;
mod join;
mod json;
mod like;
mod literal;
mod membership;
mod number;
mod operand;
mod options;
mod parse;
mod path;
mod predicate;
mod regex;
mod restrict;
mod set;
mod template;
#[cfg(test)]
mod tests;
mod text_match;
mod token;
mod verdict;

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::SchemaRef;
use arrow_select::take::take;
use rand::Rng;

pub(crate) use self::json::json_value_of;
pub use self::options::FilterOptions;
pub(crate) use self::path::JsonPath;
pub use self::template::{TemplateValue, Templates};

use self::bind::Root;
use self::fault::Fault;
use self::predicate::Predicate;
use self::verdict::Rows;
use crate::error::{EngineError, Result};
use crate::exec::Cancel;
use crate::index::scalar::ScalarIndexes;
use crate::limits;
use crate::row::Keys;
use crate::schema::Schema;

/// A compiled filter expression, bound to one schema. Cheap to clone and to share between threads.
#[derive(Debug, Clone)]
pub struct Filter(Arc<Compiled>);

#[derive(Debug, Clone)]
struct Compiled {
    expression: String,
    predicate: Predicate,
    keys: Option<Keys>,
    /// Share of the matching rows to keep.
    sample: Option<f64>,
    /// Layouts that the columns must have.
    layouts: Vec<SchemaRef>,
    cancel: Option<Cancel>,
}

impl Filter {
    /// Compiles an expression without templates for rows of `schema`; times without an offset are UTC. A blank one
    /// matches every row.
    ///
    /// # Errors
    /// `InvalidFilter`, in Milvus's words where it has them, with line, column and a caret at the place.
    pub fn compile(expression: &str, schema: &Schema) -> Result<Self> {
        Self::compile_with(expression, schema, &FilterOptions::default())
    }

    /// Compiles an expression whose `{name}`s have the values in `options`.
    ///
    /// # Errors
    /// As [`Filter::compile`].
    pub fn compile_with(expression: &str, schema: &Schema, options: &FilterOptions) -> Result<Self> {
        let root = compile(expression, schema, options).map_err(|fault| fault.into_error(expression))?;
        let key_column = schema.column_of(&schema.primary().name);
        Ok(Self(Arc::new(Compiled {
            expression: expression.to_owned(),
            keys: key_column.and_then(|column| root.predicate.key_candidates(column)),
            predicate: root.predicate,
            sample: root.sample,
            layouts: vec![schema.arrow()],
            cancel: options.cancel.clone(),
        })))
    }

    /// The expression as given.
    pub fn expression(&self) -> &str {
        &self.0.expression
    }

    /// Whether every row matches whatever it holds: a blank expression, `true`, `1 < 2`.
    pub fn is_always_true(&self) -> bool {
        matches!(self.0.predicate, Predicate::Constant(true)) && self.0.sample.is_none()
    }

    /// Share of the rows matching the rest of the expression that [`Filter::evaluate`] keeps at random
    /// (`random_sample`): two evaluations differ.
    pub fn sample(&self) -> Option<f64> {
        self.0.sample
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
    /// `SchemaChanged` when the columns have another layout than those of the schema that the filter was compiled for;
    /// `Cancelled`.
    pub fn evaluate(&self, columns: &RecordBatch) -> Result<BooleanBuffer> {
        self.evaluate_with(columns, None)
    }

    /// The same with what is prepared of the columns.
    pub(crate) fn evaluate_with(
        &self,
        columns: &RecordBatch,
        indexes: Option<&ScalarIndexes>,
    ) -> Result<BooleanBuffer> {
        self.check_layout(columns)?;
        let rows = Rows { count: columns.num_rows(), wanted: None };
        let columns = eval::Columns { batch: columns, indexes, cancel: self.0.cancel.as_ref() };
        let matching = eval::evaluate(&self.0.predicate, columns, rows)?.into_true();
        Ok(match self.0.sample {
            Some(share) => thinned(&matching, share),
            None => matching,
        })
    }

    /// One bit for each of some different rows. Only what the filter reads of them is copied.
    ///
    /// # Errors
    /// As [`Filter::evaluate`].
    pub(crate) fn evaluate_rows(&self, columns: &RecordBatch, rows: &UInt32Array) -> Result<BooleanBuffer> {
        self.check_layout(columns)?;
        let mut read = vec![false; columns.num_columns()];
        self.0.predicate.visit_columns(&mut |column| {
            if let Some(read) = read.get_mut(column) {
                *read = true;
            }
        });
        let few = columns.columns().iter().zip(read).map(|(column, read)| match read {
            true => take(column, rows, None).map_err(|e| EngineError::arrow(&e)),
            // In its place for its position only.
            false => Ok(column.slice(0, rows.len().min(column.len()))),
        });
        let few = RecordBatch::try_new(columns.schema(), few.collect::<Result<_>>()?);
        self.evaluate(&few.map_err(|e| EngineError::arrow(&e))?)
    }

    fn check_layout(&self, columns: &RecordBatch) -> Result<()> {
        let found = columns.schema_ref();
        // Rows of one collection share one layout: nearly always a comparison of pointers.
        match self.0.layouts.iter().all(|layout| Arc::ptr_eq(layout, found) || layout == found) {
            true => Ok(()),
            false => Err(EngineError::SchemaChanged),
        }
    }
}

/// Each set bit with a probability of `share`.
fn thinned(bits: &BooleanBuffer, share: f64) -> BooleanBuffer {
    let mut random = rand::rng();
    let mut kept = BooleanBufferBuilder::new(bits.len());
    kept.append_n(bits.len(), false);
    bits.set_indices().filter(|_| random.random_bool(share)).for_each(|row| kept.set_bit(row, true));
    kept.finish()
}

fn compile(expression: &str, schema: &Schema, options: &FilterOptions) -> std::result::Result<Root, Fault> {
    if expression.len() > limits::MAX_FILTER_BYTES {
        let message = format!("the expression is longer than {} bytes", limits::MAX_FILTER_BYTES);
        return Err(Fault::new(0, message));
    }
    if expression.trim_ascii().is_empty() {
        return Ok(Root { predicate: Predicate::Constant(true), sample: None });
    }
    bind::bind(&parse::parse(expression)?, expression, schema, options)
}
