//! The primary-key index of a segment: its row numbers in ascending key order, 4 bytes a row. Look-up is a binary
//! search; a range check answers for segments that cannot hold the key. Derived data: rebuilt when its file is gone.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use elanus_storage::Bytes;

use super::key_at;
use crate::error::{EngineError, Result};
use crate::row::KeyRef;

/// Row numbers in ascending key order; rows of equal key in row order.
#[derive(Debug)]
pub struct KeyIndex {
    order: Order,
}

#[derive(Debug)]
enum Order {
    /// Keys already ascend with the rows (the usual case of generated keys).
    Rows(u32),
    Heap(Vec<u32>),
    Mapped(Bytes),
}

impl KeyIndex {
    /// Sorts the rows of a key column.
    pub(crate) fn build(column: &ArrayRef) -> Result<Self> {
        let rows = u32::try_from(column.len())
            .map_err(|_| EngineError::Internal(format!("a segment of {} rows", column.len())))?;
        let ascending = (1..rows as usize).all(|row| key_at(column, row - 1) <= key_at(column, row));
        if ascending {
            return Ok(Self { order: Order::Rows(rows) });
        }
        let mut order: Vec<u32> = (0..rows).collect();
        match column.as_primitive_opt::<Int64Type>() {
            Some(keys) => order.sort_unstable_by_key(|&row| (keys.value(row as usize), row)),
            None => {
                let keys = column.as_string::<i32>();
                order.sort_unstable_by_key(|&row| (keys.value(row as usize), row));
            }
        }
        Ok(Self { order: Order::Heap(order) })
    }

    /// Reads the order from its file. An empty block means that keys ascend with the rows.
    ///
    /// # Errors
    /// When the block is not a permutation of the column's rows in ascending key order.
    pub(crate) fn mapped(bytes: Bytes, column: &ArrayRef) -> Result<Self> {
        let rows = column.len();
        let broken = || EngineError::Internal("key index does not fit its segment".into());
        let order = bytes.typed::<u32>()?;
        if order.is_empty() {
            return Ok(Self { order: Order::Rows(u32::try_from(rows).map_err(|_| broken())?) });
        }
        if order.len() != rows || order.iter().any(|&row| row as usize >= rows) {
            return Err(broken());
        }
        let entry = |i: usize| (key_at(column, order[i] as usize), order[i]);
        if !(1..rows).all(|i| entry(i - 1) < entry(i)) {
            return Err(broken());
        }
        Ok(Self { order: Order::Mapped(bytes) })
    }

    /// The order as bytes for its file.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.order {
            Order::Rows(_) => &[],
            Order::Heap(order) => bytemuck::cast_slice(order),
            Order::Mapped(bytes) => bytes,
        }
    }

    /// Row at a rank in key order. `rank` must be below the number of rows.
    pub fn row_at(&self, rank: usize) -> u32 {
        match &self.order {
            Order::Rows(_) => rank as u32,
            Order::Heap(order) => order[rank],
            // `mapped` has checked length and alignment: the fallback is never taken.
            Order::Mapped(bytes) => bytes.typed::<u32>().map_or(0, |order| order[rank]),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.order {
            Order::Rows(rows) => *rows as usize,
            Order::Heap(order) => order.len(),
            Order::Mapped(bytes) => bytes.len() / size_of::<u32>(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ranks are positions in key order: the first whose key is not below `key`.
    pub(crate) fn lower_bound(&self, column: &ArrayRef, key: KeyRef<'_>) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if key_at(column, self.row_at(middle) as usize) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Rows whose key equals `key`.
    pub(crate) fn find<'a>(
        &'a self,
        column: &'a ArrayRef,
        key: KeyRef<'_>,
    ) -> impl Iterator<Item = u32> + 'a {
        let rows = self.len();
        let outside = rows == 0
            || key < key_at(column, self.row_at(0) as usize)
            || key > key_at(column, self.row_at(rows - 1) as usize);
        let (start, end) = if outside {
            (0, 0)
        } else {
            let start = self.lower_bound(column, key);
            let equal =
                (start..rows).take_while(|&rank| key_at(column, self.row_at(rank) as usize) == key).count();
            (start, start + equal)
        };
        (start..end).map(|rank| self.row_at(rank))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn found(index: &KeyIndex, column: &ArrayRef, key: KeyRef<'_>) -> Vec<u32> {
        index.find(column, key).collect()
    }

    proptest! {
        #[test]
        fn finds_exactly_the_rows_of_a_key(keys in prop::collection::vec(-20i64..20, 0..60), wanted in -22i64..22) {
            let column: ArrayRef = Arc::new(Int64Array::from(keys.clone()));
            let index = KeyIndex::build(&column).unwrap();
            let expected: Vec<u32> = (0..keys.len() as u32).filter(|&r| keys[r as usize] == wanted).collect();
            prop_assert_eq!(found(&index, &column, KeyRef::Int(wanted)), expected);
            let ranked: Vec<i64> = (0..index.len()).map(|i| keys[index.row_at(i) as usize]).collect();
            prop_assert!(ranked.is_sorted());
            let reopened = KeyIndex::mapped(Bytes::from_vec_aligned(index.as_bytes().to_vec()), &column).unwrap();
            prop_assert_eq!(found(&reopened, &column, KeyRef::Int(wanted)), found(&index, &column, KeyRef::Int(wanted)));
        }
    }

    #[test]
    fn text_keys_in_byte_order() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "ä", "a"]));
        let index = KeyIndex::build(&column).unwrap();
        assert_eq!(found(&index, &column, KeyRef::Text("a")), [1, 3]);
        assert_eq!(found(&index, &column, KeyRef::Text("ä")), [2]);
        assert!(found(&index, &column, KeyRef::Text("z")).is_empty());
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![3, 1, 2]));
        for order in [vec![1u32, 2], vec![1, 2, 3], vec![1, 1, 2], vec![0, 1, 2]] {
            let bytes = Bytes::from_vec_aligned(bytemuck::cast_slice(&order).to_vec());
            assert!(KeyIndex::mapped(bytes, &column).is_err(), "{order:?}");
        }
    }
}
