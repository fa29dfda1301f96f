//! One byte a dimension: a value is its place among 256 steps from the dimension's smallest value on. All dimensions
//! share one step, so that distances between codes are distances between vectors in units of the step, and integers.
//! (Scalar quantisation as in Faiss's `QT_8bit_uniform`, with an offset for each dimension.)

use serde::{Deserialize, Serialize};

use crate::array::Array;
use crate::kernel::codes::{BLOCK, QUERY_RANGE};

/// From vectors of a [`Space`](super::space::Space) to codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantizer {
    /// Smallest value of each dimension.
    offsets: Vec<f32>,
    /// Difference between two neighbouring codes; above 0.
    pub(crate) step: f32,
}

impl Quantizer {
    /// Learns ranges from row-major `sample` rows of `width` values.
    pub(crate) fn learn(sample: &[f32], width: usize) -> Self {
        let mut offsets = vec![f32::INFINITY; width];
        let mut ends = vec![f32::NEG_INFINITY; width];
        for row in sample.chunks_exact(width) {
            for ((offset, end), &value) in offsets.iter_mut().zip(&mut ends).zip(row) {
                *offset = offset.min(value);
                *end = end.max(value);
            }
        }
        let range = offsets.iter().zip(&ends).map(|(low, high)| high - low).fold(0f32, f32::max);
        let step = range / 255.0;
        let usable = step.is_normal() && offsets.iter().all(|offset| offset.is_finite());
        if !usable {
            offsets = offsets.iter().map(|&o| if o.is_finite() { o } else { 0.0 }).collect();
        }
        Self { offsets, step: if usable { step } else { 1.0 } }
    }

    /// Values of a vector.
    pub(crate) fn width(&self) -> usize {
        self.offsets.len()
    }

    /// Bytes of a code.
    pub(crate) fn stride(&self) -> usize {
        self.offsets.len().next_multiple_of(BLOCK)
    }

    /// Writes the code of `vector` into `out`, which has [`Quantizer::stride`] bytes.
    pub(crate) fn encode(&self, vector: &[f32], out: &mut [u8]) {
        let scale = self.step.recip();
        for ((out, &value), &offset) in out.iter_mut().zip(vector).zip(&self.offsets) {
            // Saturates at both ends, and where the difference overflows.
            *out = ((value - offset) * scale + 0.5) as u8;
        }
        out[vector.len()..].fill(0);
    }

    /// The code of a query, which may lie outside of the range.
    pub(crate) fn encode_query(&self, vector: &[f32]) -> Vec<i16> {
        let (low, high) = (f32::from(*QUERY_RANGE.start()), f32::from(*QUERY_RANGE.end()));
        let scale = self.step.recip();
        let code =
            |(&value, &offset): (&f32, &f32)| ((value - offset) * scale).round().clamp(low, high) as i16;
        let mut query: Vec<i16> = vector.iter().zip(&self.offsets).map(code).collect();
        query.resize(self.stride(), 0);
        query
    }

    /// How far a vector lies from what its code stands for.
    pub(crate) fn error(&self, vector: &[f32], code: impl Iterator<Item = f32>) -> f32 {
        let squares = vector.iter().zip(&self.offsets).zip(code).map(|((&value, &offset), code)| {
            let difference = f64::from(value) - (f64::from(offset) + f64::from(code) * f64::from(self.step));
            difference * difference
        });
        // Rounded up: it bounds something.
        (squares.sum::<f64>().sqrt() * (1.0 + 1e-6)) as f32
    }
}

/// Codes of many vectors, one after the other.
#[derive(Debug)]
pub(crate) struct Codes {
    pub(crate) quantizer: Quantizer,
    pub(crate) rows: Array<u8>,
}

impl Codes {
    /// Row-major codes of the vectors `first..end`.
    pub(crate) fn range(&self, range: std::ops::Range<usize>) -> &[u8] {
        let stride = self.quantizer.stride();
        &self.rows.as_slice()[range.start * stride..range.end * stride]
    }

    /// One code.
    pub(crate) fn get(&self, index: u32) -> &[u8] {
        self.range(index as usize..index as usize + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lie_within_half_a_step_and_saturate_outside() {
        let sample = [0.0, -1.0, 10.0, 1.0];
        let quantizer = Quantizer::learn(&sample, 2);
        assert_eq!(quantizer.stride(), BLOCK);
        let mut code = vec![9u8; BLOCK];
        for vector in [[0.0, -1.0], [3.3, 0.7], [10.0, 1.0]] {
            quantizer.encode(&vector, &mut code);
            let error = quantizer.error(&vector, code.iter().map(|&c| f32::from(c)));
            assert!(error <= quantizer.step * 0.5 * 2f32.sqrt() * 1.001, "{error}");
            let query = quantizer.encode_query(&vector);
            assert!(query.iter().zip(&code).all(|(&q, &c)| q == i16::from(c)), "{query:?} {code:?}");
        }
        quantizer.encode(&[-5.0, 1e30], &mut code);
        assert_eq!((code[0], code[1], code[2]), (0, 255, 0));
        assert_eq!(quantizer.encode_query(&[-5.0, 1e30])[..3], [-128, 510, 0]);
    }

    #[test]
    fn equal_and_huge_values_do_no_harm() {
        for sample in [vec![3.0f32; 8], vec![f32::MAX, f32::MIN, 1.0, 2.0], vec![]] {
            let quantizer = Quantizer::learn(&sample, 2);
            let mut code = vec![0; BLOCK];
            quantizer.encode(&[3.0, f32::MAX], &mut code);
            assert!(quantizer.step > 0.0 && quantizer.step.is_finite());
            assert_eq!(quantizer.encode_query(&[f32::MIN, f32::MAX]).len(), BLOCK);
        }
    }
}
