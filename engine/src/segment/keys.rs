//! The primary-key index of a segment: its row numbers in ascending key order, 4 bytes a row. Look-up is a binary
//! search; a range check answers for segments that cannot hold the key. Derived data: rebuilt when its file is gone.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use elanus_storage::Bytes;

use super::key_at;
use crate::error::{EngineError, Result};
use crate::row::{KeyRef, Keys};

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
        let ascending = match column.as_primitive_opt::<Int64Type>() {
            Some(keys) => keys.values().is_sorted(),
            None => column.as_string::<i32>().iter().is_sorted(),
        };
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

    /// Calls `found` with every row whose key is among `keys`.
    pub(crate) fn find_each(&self, column: &ArrayRef, keys: &Keys, found: &mut dyn FnMut(u32)) {
        match (keys, column.as_primitive_opt::<Int64Type>()) {
            (Keys::Int(keys), Some(column)) => {
                let values = column.values();
                self.each(|row| values[row], keys.iter().copied(), found);
            }
            (Keys::Text(keys), None) => {
                let column = column.as_string::<i32>();
                self.each(|row| column.value(row), keys.iter().map(String::as_str), found);
            }
            _ => {}
        }
    }

    fn each<K: Ord>(
        &self,
        key_of: impl Fn(usize) -> K,
        keys: impl Iterator<Item = K>,
        found: &mut dyn FnMut(u32),
    ) {
        let rows = self.len();
        if rows == 0 {
            return;
        }
        let order: &[u32] = match &self.order {
            Order::Rows(_) => &[],
            Order::Heap(order) => order,
            Order::Mapped(bytes) => bytes.typed().unwrap_or(&[]),
        };
        let row_at = |rank: usize| order.get(rank).copied().unwrap_or(rank as u32);
        let key_at = |rank: usize| key_of(row_at(rank) as usize);
        let within = key_at(0)..=key_at(rows - 1);
        for key in keys.filter(|key| within.contains(key)) {
            let (mut low, mut high) = (0, rows);
            while low < high {
                let middle = low + (high - low) / 2;
                if key_at(middle) < key {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            (low..rows).take_while(|&rank| key_at(rank) == key).for_each(|rank| found(row_at(rank)));
        }
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

        #[test]
        fn finds_exactly_the_rows_of_many_keys(
            keys in prop::collection::vec(-20i64..20, 0..60),
            wanted in prop::collection::vec(-22i64..22, 0..9),
        ) {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(keys.iter().map(i64::to_string)));
            let column: ArrayRef = Arc::new(Int64Array::from(keys.clone()));
            let expected: Vec<u32> = wanted.iter().flat_map(|key| {
                (0..keys.len() as u32).filter(|&row| keys[row as usize] == *key).collect::<Vec<_>>()
            }).collect();
            let each = |column: &ArrayRef, wanted: &Keys| {
                let mut rows = Vec::new();
                KeyIndex::build(column).unwrap().find_each(column, wanted, &mut |row| rows.push(row));
                rows
            };
            let as_texts = Keys::Text(wanted.iter().map(i64::to_string).collect());
            prop_assert_eq!(each(&texts, &as_texts), expected.clone());
            prop_assert_eq!(each(&column, &as_texts), Vec::<u32>::new());
            prop_assert_eq!(each(&column, &Keys::Int(wanted)), expected);
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
