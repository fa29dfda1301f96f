//! Retrieval measures over ranked lists, as the reference protocol defines them: the query itself is left out, queries
//! without any relevant photo are skipped.

/// Means over the queries that count.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub(crate) struct Retrieval {
    /// Queries that have at least one relevant photo.
    pub(crate) queries: usize,
    /// Share of queries whose first hit is relevant.
    pub(crate) p1: f64,
    /// Mean share of relevant photos among the first ten.
    pub(crate) p10: f64,
    /// Mean average precision over the first 100 hits; divided by min(100, number of relevant photos).
    pub(crate) map100: f64,
    /// Mean average precision over the whole ranking.
    pub(crate) map: f64,
}

impl Retrieval {
    /// Adds one query: whether each hit is relevant, in order, and how many relevant photos there are in all.
    pub(crate) fn add(&mut self, hits: &[bool], relevant: usize) {
        if relevant == 0 {
            return;
        }
        self.queries += 1;
        self.p1 += f64::from(u8::from(hits.first() == Some(&true)));
        self.p10 += hits.iter().take(10).filter(|hit| **hit).count() as f64 / 10.0;
        self.map100 += precision_sum(&hits[..hits.len().min(100)]) / relevant.min(100) as f64;
        self.map += precision_sum(hits) / relevant as f64;
    }

    /// The means.
    pub(crate) fn mean(self) -> Self {
        let n = self.queries.max(1) as f64;
        Self {
            queries: self.queries,
            p1: self.p1 / n,
            p10: self.p10 / n,
            map100: self.map100 / n,
            map: self.map / n,
        }
    }
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
        let mut r = Retrieval::default();
        r.add(&[true, false, true, false], 2);
        r.add(&[false, false], 0);
        let mean = r.mean();
        assert_eq!(mean.queries, 1);
        assert!((mean.map - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!((mean.p10 - 0.2).abs() < 1e-12);
        assert_eq!((mean.p1, mean.map100), (1.0, mean.map));
    }
}
