//! How well vectors find photos of the same classes: each photo searches all the others, by the dot product, ties in the
//! order of their names; what shares a class with it is relevant, and queries without a relevant photo are skipped.

use std::cmp::Ordering;

/// Means over the queries that count.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Retrieval {
    /// Queries that have a relevant photo.
    pub(crate) queries: usize,
    /// Share of the queries whose first hit is relevant.
    pub(crate) p1: f64,
    /// Mean share of relevant photos among the first ten.
    pub(crate) p10: f64,
    /// Mean average precision over the first 100 hits; divided by min(100, number of relevant photos).
    pub(crate) map100: f64,
    /// Mean average precision over the whole ranking.
    pub(crate) map: f64,
}

/// Of unit vectors and the classes of their photos.
pub(crate) fn retrieval(vectors: &[Vec<f32>], classes: &[u64]) -> Retrieval {
    let mut sum = Retrieval::default();
    for (query, vector) in vectors.iter().enumerate() {
        let score = |other: usize| -> f32 { vector.iter().zip(&vectors[other]).map(|(a, b)| a * b).sum() };
        let mut others: Vec<(f32, usize)> =
            (0..vectors.len()).filter(|other| *other != query).map(|other| (score(other), other)).collect();
        others.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1)));
        let relevant: Vec<bool> =
            others.iter().map(|(_, other)| classes[query] & classes[*other] != 0).collect();
        sum.add(&relevant);
    }
    sum.mean()
}

impl Retrieval {
    /// Adds a query: whether each hit of the whole ranking is relevant, in order.
    fn add(&mut self, hits: &[bool]) {
        let relevant = hits.iter().filter(|hit| **hit).count();
        if relevant == 0 {
            return;
        }
        self.queries += 1;
        self.p1 += f64::from(u8::from(hits[0]));
        self.p10 += hits.iter().take(10).filter(|hit| **hit).count() as f64 / 10.0;
        self.map100 += precision_sum(&hits[..hits.len().min(100)]) / relevant.min(100) as f64;
        self.map += precision_sum(hits) / relevant as f64;
    }

    fn mean(self) -> Self {
        let Self { queries, p1, p10, map100, map } = self;
        let n = queries.max(1) as f64;
        Self { queries, p1: p1 / n, p10: p10 / n, map100: map100 / n, map: map / n }
    }
}

/// Sum of the precision at each relevant hit.
fn precision_sum(hits: &[bool]) -> f64 {
    let ranks = hits.iter().enumerate().filter(|(_, hit)| **hit).map(|(at, _)| (at + 1) as f64);
    ranks.enumerate().map(|(before, rank)| (before + 1) as f64 / rank).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textbook_average_precision() {
        let mut sum = Retrieval::default();
        sum.add(&[true, false, true, false]);
        sum.add(&[false, false]);
        let mean = sum.mean();
        assert_eq!((mean.queries, mean.p1), (1, 1.0));
        assert!((mean.map - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12 && mean.map100 == mean.map);
        assert!((mean.p10 - 0.2).abs() < 1e-12);
    }

    #[test]
    fn the_query_is_left_out_and_the_nearest_come_first() {
        let vectors: Vec<Vec<f32>> = [[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]].map(Vec::from).into();
        // 0 finds 1, 2, 3 and 1 finds 2, 0, 3; 2 finds 1, 3, 0; 3 has nothing to find.
        let found = retrieval(&vectors, &[1, 1, 1, 2]);
        assert_eq!((found.queries, found.p1), (3, 1.0));
        // Ranks 1, 2; 1, 2; 1, 3.
        assert!((found.map - (1.0 + 1.0 + (1.0 + 2.0 / 3.0) / 2.0) / 3.0).abs() < 1e-12, "{found:?}");
    }
}
