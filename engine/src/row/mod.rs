//! Rows on their way in and out: keys, single values, the batch a client hands over, and the columns it gets back.
//! A [`Batch`] that exists fits its schema; collections trust it. The server fills batches and reads [`Rows`].

mod batch;
mod key;
mod output;
mod value;

pub use batch::{Batch, BatchBuilder, Chunk, KeySource};
pub use key::{Key, KeyRef, Keys};
pub use output::{ColumnData, DynamicKeys, OutputColumn, Projection, Rows};
pub use value::{OutputValue, Value};
