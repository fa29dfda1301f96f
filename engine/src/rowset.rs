//! Which rows of a segment a request may return: a bitmap with its number of ones, or simply "all".

use arrow_buffer::BooleanBuffer;

/// Rows of one segment that a request may return.
#[derive(Debug, Clone)]
pub enum RowSet {
    /// Every row.
    All(usize),
    /// The rows whose bit is set, and how many those are.
    Some(BooleanBuffer, usize),
}

impl RowSet {
    /// The rows whose bit is set.
    pub fn new(bits: BooleanBuffer) -> Self {
        let ones = bits.count_set_bits();
        if ones == bits.len() { Self::All(ones) } else { Self::Some(bits, ones) }
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::Some(_, ones) => *ones,
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of the segment.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::Some(bits, _) => bits.len(),
        }
    }

    /// Whether `row` is one of them.
    #[inline]
    pub(crate) fn contains(&self, row: usize) -> bool {
        match self {
            Self::All(_) => true,
            Self::Some(bits, _) => bits.value(row),
        }
    }

    /// Row numbers, ascending.
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Self::All(rows) => Box::new(0..*rows),
            Self::Some(bits, _) => Box::new(bits.set_indices()),
        }
    }

    /// Row numbers within `range`, ascending.
    pub(crate) fn iter_range(&self, range: std::ops::Range<usize>) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Self::All(_) => Box::new(range),
            Self::Some(bits, _) if range.len() == bits.len() => Box::new(bits.set_indices()),
            Self::Some(bits, _) => {
                let start = range.start;
                let words = bits.inner().bit_slice(bits.offset() + start, range.len());
                let bits = BooleanBuffer::new(words, 0, range.len());
                let found: Vec<usize> = bits.set_indices().map(|row| start + row).collect();
                Box::new(found.into_iter())
            }
        }
    }

    /// The share of the segment's rows, 0 to 1.
    pub(crate) fn share(&self) -> f32 {
        self.len() as f32 / self.rows().max(1) as f32
    }
}
