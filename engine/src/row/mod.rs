//! Rows on their way in and out: keys, single values, the batch a client hands over, and the columns it gets back.
//! A [`Batch`] that exists fits its schema; collections trust it. The server fills batches and reads [`Rows`].

mod batch;
mod column;
mod key;
pub mod moment;
mod output;
pub mod packed;
mod scalar;
pub mod sparse;
mod value;

pub use batch::{Batch, BatchBuilder, Chunk, KeySource};
pub(crate) use column::{check_default, constant_column};
pub use key::{Key, KeyRef, Keys};
pub use output::{ColumnData, DynamicKeys, OutputColumn, Projection, Rows};
pub(crate) use scalar::{Scalar, ScalarColumn};
pub use value::{ListValue, OutputValue, Value};
