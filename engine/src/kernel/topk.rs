//! The best k of a stream of scores. The order is total: by score in the metric's direction, then by the smaller key,
//! so the result is the same whatever the order of arrival or the way the stream was cut into parts and merged.

#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Metric;

/// Keeps the best `k` of what is pushed. Memory follows what is kept, not `k`. The key `K` breaks ties (the smaller one
/// wins) and may carry more behind it, such as the place of the row.
///
/// A scan over many rows pays one comparison for each row that is not among the best so far.
#[derive(Clone, Debug)]
pub struct TopK<K> {
    k: usize,
    similarity: bool,
    /// The worst cost still worth a look: infinity until `k` entries are kept, then the cost of the worst of them.
    bound: f32,
    /// Worst entry on top.
    kept: BinaryHeap<Entry<K>>,
}

/// `cost` is the score with its sign turned for similarities: smaller is better. It is never NaN and never -0, so equal
/// scores are equal costs and only the key decides between them.
#[derive(Clone, Debug)]
struct Entry<K> {
    cost: f32,
    key: K,
}

impl<K: Ord> TopK<K> {
    /// An empty collector of the best `k` under `metric`. With `k` = 0 nothing is ever kept.
    pub fn new(k: usize, metric: Metric) -> Self {
        Self { k, similarity: metric.is_similarity(), bound: f32::INFINITY, kept: BinaryHeap::new() }
    }

    /// Offers a score. `key` is asked for only if the score is good enough to be kept or to tie with the worst one.
    /// NaN is never kept.
    #[inline]
    pub fn push(&mut self, score: f32, key: impl FnOnce() -> K) {
        let cost = flip(score, self.similarity);
        if cost <= self.bound {
            self.insert(Entry { cost, key: key() });
        }
    }

    /// The worst score kept, once `k` are kept: a later score that is strictly worse cannot enter. One that is equal
    /// still can, if its key is smaller. `None` while there is room, and for `k` = 0.
    pub fn threshold(&self) -> Option<f32> {
        let worst = self.kept.peek().filter(|_| self.kept.len() >= self.k)?;
        Some(flip(worst.cost, self.similarity))
    }

    /// Number of entries kept, at most `k`.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Takes in what another collector of the same metric kept.
    pub fn merge(&mut self, other: Self) {
        debug_assert_eq!(self.similarity, other.similarity, "one metric");
        for entry in other.kept {
            if entry.cost <= self.bound {
                self.insert(entry);
            }
        }
    }

    /// The kept scores with their keys, best first.
    pub fn into_sorted(self) -> Vec<(f32, K)> {
        let similarity = self.similarity;
        self.kept.into_sorted_vec().into_iter().map(|e| (flip(e.cost, similarity), e.key)).collect()
    }

    fn insert(&mut self, entry: Entry<K>) {
        if self.kept.len() < self.k {
            self.kept.push(entry);
        } else if let Some(mut worst) = self.kept.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
        if self.kept.len() == self.k {
            self.bound = self.kept.peek().map_or(f32::NEG_INFINITY, |worst| worst.cost);
        }
    }
}

/// From score to cost and back. Adding 0 turns -0 into 0 and changes nothing else.
#[inline]
fn flip(score: f32, similarity: bool) -> f32 {
    if similarity { 0.0 - score } else { score + 0.0 }
}

impl<K: Ord> Ord for Entry<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cost.total_cmp(&other.cost).then_with(|| self.key.cmp(&other.key))
    }
}

impl<K: Ord> PartialOrd for Entry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord> PartialEq for Entry<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<K: Ord> Eq for Entry<K> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METRICS: [Metric; 3] = [Metric::L2, Metric::Ip, Metric::Cosine];

    fn collect(k: usize, metric: Metric, scores: &[(f32, u32)]) -> TopK<u32> {
        let mut best = TopK::new(k, metric);
        scores.iter().for_each(|&(score, key)| best.push(score, || key));
        best
    }

    /// Sorts everything and cuts.
    fn oracle(k: usize, metric: Metric, scores: &[(f32, u32)]) -> Vec<(f32, u32)> {
        let mut all: Vec<_> = scores.iter().copied().filter(|(score, _)| !score.is_nan()).collect();
        all.sort_by(|a, b| match a.0.partial_cmp(&b.0) {
            Some(Ordering::Equal) | None => a.1.cmp(&b.1),
            Some(order) => {
                if metric.is_similarity() {
                    order.reverse()
                } else {
                    order
                }
            }
        });
        all.truncate(k);
        all
    }

    /// Few distinct values, so that ties abound, and the awkward ones among them.
    fn score() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => (-3i8..4).prop_map(f32::from),
            1 => prop::sample::select(vec![-0.0, f32::MAX, f32::MIN, 1e-45, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]),
            1 => any::<f32>(),
        ]
    }

    proptest! {
        #[test]
        fn keeps_what_sorting_would_keep(
            scores in prop::collection::vec((score(), 0u32..50), 0..300),
            k in 0usize..40,
            cut in 0usize..300,
        ) {
            for metric in METRICS {
                let expected = oracle(k, metric, &scores);
                prop_assert_eq!(collect(k, metric, &scores).into_sorted(), expected.clone());
                // The same in two parts, in either order.
                let (a, b) = scores.split_at(cut.min(scores.len()));
                for (first, second) in [(a, b), (b, a)] {
                    let mut best = collect(k, metric, first);
                    best.merge(collect(k, metric, second));
                    prop_assert!(best.len() <= k);
                    prop_assert_eq!(best.into_sorted(), expected.clone());
                }
            }
        }

        #[test]
        fn threshold_is_the_worst_kept_score_once_full(
            scores in prop::collection::vec((-9i8..9, any::<u32>()), 0..60),
            k in 1usize..20,
        ) {
            for metric in METRICS {
                let mut best = TopK::new(k, metric);
                for (i, &(score, key)) in scores.iter().enumerate() {
                    best.push(f32::from(score), || key);
                    prop_assert_eq!(best.threshold().is_some(), i + 1 >= k);
                    let worst = best.clone().into_sorted().last().map(|(score, _)| *score);
                    prop_assert!(best.threshold().is_none_or(|t| Some(t) == worst));
                }
            }
        }
    }

    #[test]
    fn zeros_of_both_signs_tie() {
        for metric in METRICS {
            let best = collect(2, metric, &[(0.0, 3), (-0.0, 2), (0.0, 1)]).into_sorted();
            assert_eq!(best, [(0.0, 1), (0.0, 2)]);
            assert!(best.iter().all(|(score, _)| score.is_sign_positive()));
        }
    }

    #[test]
    fn a_key_is_asked_for_only_when_it_may_matter() {
        let mut best = collect(2, Metric::Ip, &[(5.0, 1), (4.0, 2)]);
        best.push(3.0, || unreachable!("worse than the threshold"));
        best.push(f32::NAN, || unreachable!("never kept"));
        best.push(4.0, || 0);
        assert_eq!(best.into_sorted(), [(5.0, 1), (4.0, 0)]);
    }

    #[test]
    fn a_huge_k_costs_nothing_before_rows_arrive() {
        let mut best = collect(usize::MAX, Metric::L2, &[(2.0, 1)]);
        best.merge(collect(16_384, Metric::L2, &[(1.0, 2)]));
        assert_eq!(best.threshold(), None);
        assert_eq!(best.into_sorted(), [(1.0, 2), (2.0, 1)]);
    }

    #[test]
    fn keeps_nothing_when_nothing_is_wanted() {
        let mut best = collect(0, Metric::L2, &[(1.0, 1), (f32::NEG_INFINITY, 2)]);
        best.merge(collect(3, Metric::L2, &[(1.0, 1)]));
        assert!(best.is_empty() && best.threshold().is_none() && best.into_sorted().is_empty());
    }
}
