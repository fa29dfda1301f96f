//! The form of a sparse vector: pairs of (dimension `u32`, value `f32`), little endian, by strictly ascending dimension,
//! without header. This is Milvus's wire form, and what is stored.

use arrow_array::{Array, GenericBinaryArray, OffsetSizeTrait};

use super::score::rounded;
use crate::error::{EngineError, Result};

/// Bytes of a pair.
const PAIR: usize = 8;

/// A sparse vector in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparseRow<'a>(&'a [u8]);

impl<'a> SparseRow<'a> {
    /// Checks bytes that come from outside. None at all are the empty vector.
    ///
    /// # Errors
    /// `InvalidParameter` when the length is no multiple of 8, a dimension is 2^32 − 1 or not larger than the one
    /// before, or a value is negative, infinite or NaN. (Milvus, too, takes no negative values: with them a sum of
    /// parts would have no simple bound.)
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if !bytes.len().is_multiple_of(PAIR) {
            return refuse(format!("has {} bytes, which is no multiple of {PAIR}", bytes.len()));
        }
        let row = Self(bytes);
        let mut last = None;
        for (dimension, value) in row.pairs() {
            check(dimension, value)?;
            if last.is_some_and(|last| dimension <= last) {
                return refuse(format!(
                    "index {dimension} is not larger than the one before: unsorted or twice"
                ));
            }
            last = Some(dimension);
        }
        Ok(row)
    }

    /// Bytes that were checked when they were stored. What damage may have done to them is passed over in silence by
    /// [`SparseRow::entries`].
    pub fn stored(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its dimensions and values that are not 0: by strictly ascending dimension, values finite and above 0.
    pub fn entries(self) -> impl Iterator<Item = (u32, f32)> + 'a {
        let mut least = 0;
        self.pairs().filter(move |&(dimension, value)| {
            let sound = dimension >= least && dimension < u32::MAX && value > 0.0 && value.is_finite();
            if sound {
                least = dimension + 1;
            }
            sound
        })
    }

    /// The sum of its values: the length of a text, where they count terms.
    pub fn length(self) -> f32 {
        let sum: f64 = self.entries().map(|(_, value)| f64::from(value)).sum();
        rounded(sum)
    }

    /// One more than its largest dimension, as Milvus's wire carries it; 0 for the empty vector.
    pub fn dim(self) -> u32 {
        self.pairs().last().map_or(0, |(dimension, _)| dimension.saturating_add(1))
    }

    /// Pairs that it takes room for.
    pub(super) fn stored_pairs(self) -> usize {
        self.0.len() / PAIR
    }

    fn pairs(self) -> impl Iterator<Item = (u32, f32)> + 'a {
        self.0.chunks_exact(PAIR).map(|pair| {
            let word = |at: usize| [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
            (u32::from_le_bytes(word(0)), f32::from_le_bytes(word(4)))
        })
    }
}

/// A sparse vector that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SparseVector(Vec<u8>);

impl SparseVector {
    /// From pairs in any order.
    ///
    /// # Errors
    /// As [`SparseRow::parse`]; a dimension that is given twice is refused.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u32, f32)>) -> Result<Self> {
        let mut pairs: Vec<(u32, f32)> = pairs.into_iter().collect();
        pairs.sort_unstable_by_key(|&(dimension, _)| dimension);
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return refuse(format!("index {} is given twice", twice[0].0));
        }
        let mut bytes = Vec::with_capacity(pairs.len() * PAIR);
        for (dimension, value) in pairs {
            check(dimension, value)?;
            bytes.extend_from_slice(&dimension.to_le_bytes());
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        Ok(Self(bytes))
    }

    /// The vector.
    pub fn as_row(&self) -> SparseRow<'_> {
        SparseRow(&self.0)
    }

    /// Its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Sparse vectors by row: a column of a segment. A row has the same vector each time it is asked for.
pub trait SparseRows {
    /// How many rows there are.
    fn count(&self) -> usize;

    /// The vector of a row below `count`; the empty one where the row has none.
    fn row(&self, row: usize) -> SparseRow<'_>;
}

impl SparseRows for [SparseVector] {
    fn count(&self) -> usize {
        self.len()
    }

    fn row(&self, row: usize) -> SparseRow<'_> {
        self.get(row).map_or(SparseRow(&[]), SparseVector::as_row)
    }
}

impl<O: OffsetSizeTrait> SparseRows for GenericBinaryArray<O> {
    fn count(&self) -> usize {
        self.len()
    }

    fn row(&self, row: usize) -> SparseRow<'_> {
        if row < self.len() && self.is_valid(row) {
            SparseRow::stored(self.value(row))
        } else {
            SparseRow(&[])
        }
    }
}

fn check(dimension: u32, value: f32) -> Result<()> {
    if dimension == u32::MAX {
        return refuse(format!("index {dimension} must be less than 2^32-1"));
    }
    if !value.is_finite() {
        return refuse(format!("value {value} at index {dimension} is not finite"));
    }
    if value < 0.0 {
        return refuse(format!("value {value} at index {dimension} is negative"));
    }
    Ok(())
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(EngineError::invalid(format!("sparse float vector: {reason}")))
}
