//! Retrieval measures over ranked lists, as the reference protocol defines them: the query itself is left out, queries
//! without any relevant photo are skipped. Rankings come from a server, or are made here by exact search.

use std::cmp::Ordering;

/// Means over the queries that count.
#[derive(Debug, Default, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Means {
    /// Queries that have at least one relevant photo.
    pub queries: usize,
    /// Share of queries whose first hit is relevant.
    pub p1: f64,
    /// Mean share of relevant photos among the first ten.
    pub p10: f64,
    /// Mean average precision over the first 100 hits; divided by min(100, number of relevant photos).
    pub map100: f64,
    /// Mean average precision over the whole ranking.
    pub map: f64,
}

impl Means {
    /// One query: whether each hit is relevant, in order, and how many relevant photos there are in all; none when there
    /// is no relevant photo.
    pub fn of_one(hits: &[bool], relevant: usize) -> Option<Self> {
        (relevant > 0).then(|| Self {
            queries: 1,
            p1: f64::from(u8::from(hits.first() == Some(&true))),
            p10: hits.iter().take(10).filter(|hit| **hit).count() as f64 / 10.0,
            map100: precision_sum(&hits[..hits.len().min(100)]) / relevant.min(100) as f64,
            map: precision_sum(hits) / relevant as f64,
        })
    }

    /// The means over some queries.
    pub fn over<'a>(queries: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for one in queries {
            sum.queries += one.queries;
            sum.p1 += one.p1;
            sum.p10 += one.p10;
            sum.map100 += one.map100;
            sum.map += one.map;
        }
        let n = sum.queries.max(1) as f64;
        let (p1, p10, map100, map) = (sum.p1 / n, sum.p10 / n, sum.map100 / n, sum.map / n);
        Self { queries: sum.queries, p1, p10, map100, map }
    }
}

/// Each photo searches all the others, by the dot product of unit vectors, ties in their order. Photos that share a class,
/// a bit of `classes`, are relevant to each other. One for each query that counts.
pub fn exact(vectors: &[Vec<f32>], classes: &[u64]) -> Vec<Means> {
    let one = |query: usize| {
        let score =
            |other: usize| -> f32 { vectors[query].iter().zip(&vectors[other]).map(|(a, b)| a * b).sum() };
        let mut others: Vec<(f32, usize)> =
            (0..vectors.len()).filter(|other| *other != query).map(|other| (score(other), other)).collect();
        others.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1)));
        let hits: Vec<bool> = others.iter().map(|(_, other)| classes[query] & classes[*other] != 0).collect();
        Means::of_one(&hits, hits.iter().filter(|hit| **hit).count())
    };
    (0..vectors.len()).filter_map(one).collect()
}

/// Sum of the precision at each relevant hit.
fn precision_sum(hits: &[bool]) -> f64 {
    let mut found = 0u32;
    let mut sum = 0.0;
    for (rank, _) in hits.iter().enumerate().filter(|(_, hit)| **hit) {
        found += 1;
        sum += f64::from(found) / (rank + 1) as f64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textbook_average_precision() {
        assert_eq!(Means::of_one(&[false, false], 0), None);
        let one = Means::of_one(&[true, false, true, false], 2).unwrap();
        let worst = Means::of_one(&[false, false], 5).unwrap();
        assert_eq!(Means::over([one, worst].iter()).map, one.map / 2.0);
        let mean = Means::over([one].iter());
        assert_eq!(mean.queries, 1);
        assert!((mean.map - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!((mean.p10 - 0.2).abs() < 1e-12);
        assert_eq!((mean.p1, mean.map100), (1.0, mean.map));
    }

    #[test]
    fn the_query_is_left_out_and_the_nearest_come_first() {
        let vectors: Vec<Vec<f32>> = [[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]].map(Vec::from).into();
        // 0 finds 1, 2, 3 and 1 finds 2, 0, 3; 2 finds 1, 3, 0; 3 has nothing to find.
        let found = Means::over(exact(&vectors, &[1, 1, 1, 2]).iter());
        assert_eq!((found.queries, found.p1), (3, 1.0));
        // Ranks 1, 2; 1, 2; 1, 3.
        assert!((found.map - (1.0 + 1.0 + (1.0 + 2.0 / 3.0) / 2.0) / 3.0).abs() < 1e-12, "{found:?}");
    }
}
