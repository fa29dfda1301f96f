//! The geometry that indexes work in: whatever the metric, near means a small Euclidean distance here.
//!
//! - L2: rows as they are.
//! - COSINE: rows scaled to length 1; then |q-x|² = 2 - 2·cos.
//! - IP: rows of one length as they are; rows of different lengths get further dimensions that bring all of them to the
//!   length of the longest, and queries get zeros there (Bachrach et al., "Speeding Up the Xbox Recommender System Using
//!   a Euclidean Transformation for Inner-Product Spaces", 2014); then |q-x|² = |q|² + max² - 2·q·x. What is added is
//!   spread over several dimensions, so that a quantiser with one step for all of them does not suffer.

use serde::{Deserialize, Serialize};

use crate::kernel::{self, Metric, codes};
use crate::segment::VectorColumn;

/// Lengths within this factor of each other are one length.
const ONE_LENGTH: f32 = 1.001;
/// Inverse lengths that f32 measures well; at the ends of f32 they are held.
const MEASURED: std::ops::RangeInclusive<f32> = 1e-15..=1e15;
/// Fewest dimensions that an added length is spread over.
const LEAST_EXTRA: usize = 8;

/// How rows and queries of a vector field are laid into it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Space {
    pub(crate) metric: Metric,
    /// Dimensions of the field.
    dim: usize,
    /// Dimensions added behind them.
    extra: usize,
    /// Length of the longest row, for IP.
    longest: f32,
}

impl Space {
    /// The space for these rows.
    pub(crate) fn of(metric: Metric, column: &VectorColumn) -> Self {
        let dim = column.dim();
        let plain = Self { metric, dim, extra: 0, longest: 0.0 };
        if metric != Metric::Ip {
            return plain;
        }
        let lengths = column.inverse_norms().iter().map(|&inverse| length(inverse));
        let (least, most) = lengths
            .fold((f32::INFINITY, 0f32), |(least, most), length| (least.min(length), most.max(length)));
        let plain = Self { longest: most, ..plain };
        if most <= least * ONE_LENGTH {
            return plain;
        }
        let width = (dim + LEAST_EXTRA).next_multiple_of(codes::BLOCK);
        Self { extra: width - dim, ..plain }
    }

    /// Values of a row of the field.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// Whether rows have dimensions that queries have not: queries lie where no row is.
    pub(crate) fn extended(&self) -> bool {
        self.extra > 0
    }

    /// Values of a row in the space.
    pub(crate) fn width(&self) -> usize {
        self.dim + self.extra
    }

    /// Writes a row of the column into `out`, which has [`Space::width`] values.
    pub(crate) fn lay_row(&self, column: &VectorColumn, row: usize, out: &mut [f32]) {
        let values = column.row(row);
        let inverse = column.inverse_norms()[row];
        if self.metric == Metric::Cosine {
            if inverse == 0.0 || MEASURED.contains(&inverse) {
                out.iter_mut().zip(values).for_each(|(out, &value)| *out = value * inverse);
            } else {
                out.copy_from_slice(&kernel::active().unit(values));
            }
            return;
        }
        out[..self.dim].copy_from_slice(values);
        if self.extra > 0 {
            let (own, most) = (f64::from(length(inverse)), f64::from(self.longest));
            let missing = (most * most - own * own).max(0.0);
            out[self.dim..].fill((missing / self.extra as f64).sqrt() as f32);
        }
    }

    /// A query in the space. For COSINE it has length 1 already.
    pub(crate) fn lay_query(&self, query: &[f32]) -> Vec<f32> {
        let mut laid = query.to_vec();
        laid.resize(self.width(), 0.0);
        laid
    }

    /// The distance in the space beyond which no row has a score this good, for a query of this squared length. Scores are
    /// rounded sums: what they may be off by is added before the root is taken, because there terms cancel.
    pub(crate) fn distance(&self, query_squared: f64, score: f32) -> f32 {
        if score.is_nan() || score.abs() >= f32::MAX {
            // Held at the end of f32: the true one may lie beyond.
            return f32::INFINITY;
        }
        let score = f64::from(score);
        let rounding = (self.dim as f64 / 16.0 + 20.0) * f64::from(f32::EPSILON);
        let squared = match self.metric {
            Metric::L2 => score * (1.0 + rounding),
            Metric::Cosine => 2.0 - 2.0 * score + 4.0 * rounding,
            Metric::Ip => {
                let terms = query_squared + f64::from(self.longest) * f64::from(self.longest);
                terms - 2.0 * score + rounding * terms
            }
        };
        // What is added to a row is rounded, too.
        let added = if self.extra > 0 { f64::from(self.longest) * 1e-6 } else { 0.0 };
        let distance = (squared.max(0.0).sqrt() * (1.0 + 1e-6) + added) as f32;
        if distance.is_nan() { f32::INFINITY } else { distance }
    }
}

fn length(inverse_norm: f32) -> f32 {
    if inverse_norm > 0.0 { inverse_norm.recip().min(f32::MAX) } else { 0.0 }
}
