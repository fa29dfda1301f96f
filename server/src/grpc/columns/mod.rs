//! Columns of values in messages: `read` makes rows of those that clients send, `write` makes columns of rows.

mod cells;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::{Read, read};
pub(super) use write::{Shown, cells, columns};
