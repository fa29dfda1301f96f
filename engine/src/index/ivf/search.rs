//! Searching lists, nearest first for one query; for many, each list is read once for all the queries that want it.

use super::IvfIndex;
use crate::index::query::{Candidate, Collector, Query, Target};
use crate::index::stats::SearchStats;
use crate::kernel;
use crate::rowset::RowSet;

/// For IVF_SQ8: errors of both codes together that are taken into account, in steps; three and a half standard deviations.
const SQ8_STEPS: f32 = 1.5;
/// Of the rows that a filter leaves, the share that the nearest lists have to hold, in shares of what they would hold if
/// the filter had nothing to do with the vectors. With fewer, the nearest rows are in no list in particular: all are
/// scanned.
const FEWEST: f32 = 0.8;
/// Codes compared at once: at 128 dimensions 32 KiB, which stay in the first cache for the next query.
const PART: usize = 256;

impl IvfIndex {
    /// Offers each collector the best rows of the `probes` lists nearest to its query, and of further ones until they
    /// have held `wanted` rows that may be found.
    pub(crate) fn search(
        &self,
        target: Target<'_>,
        queries: &[&[f32]],
        probes: usize,
        wanted: usize,
        collectors: &mut [&mut dyn Collector],
        stats: &mut SearchStats,
    ) {
        let queries: Vec<Query<'_>> =
            queries.iter().map(|q| Query::new(q, &self.space, &self.codes.quantizer)).collect();
        let mut later: Vec<(u32, u32)> = Vec::with_capacity(queries.len() * probes);
        let mut scratch = Scratch::default();
        for (number, (query, collector)) in queries.iter().zip(&mut *collectors).enumerate() {
            let lists = self.nearest_lists(query, probes, target, wanted, &mut scratch);
            stats.compared += self.lists() as u64;
            stats.lists += lists.len() as u64;
            if queries.len() == 1 {
                lists
                    .iter()
                    .for_each(|&list| self.scan(list, target, query, *collector, &mut scratch.rows, stats));
                return;
            }
            // The nearest list at once: what it gives rules out most of the rows of all others.
            if let Some((&first, rest)) = lists.split_first() {
                self.scan(first, target, query, *collector, &mut scratch.rows, stats);
                later.extend(rest.iter().map(|&list| (list, number as u32)));
            }
        }
        later.sort_unstable();
        for (list, number) in later {
            let number = number as usize;
            self.scan(list, target, &queries[number], collectors[number], &mut scratch.rows, stats);
        }
    }

    /// The lists with the nearest centroids, nearest first.
    fn nearest_lists(
        &self,
        query: &Query<'_>,
        probes: usize,
        target: Target<'_>,
        wanted: usize,
        scratch: &mut Scratch,
    ) -> Vec<u32> {
        scratch.distances.resize(self.lists(), 0.0);
        kernel::active().codes_many(&query.code, self.centroids.rows.as_slice(), &mut scratch.distances);
        let mut lists: Vec<(f32, u32)> = scratch.distances.iter().copied().zip(0..).collect();
        let mut probes = probes.clamp(1, lists.len());
        let nearer = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if probes < lists.len() {
            lists.select_nth_unstable_by(probes - 1, nearer);
        }
        lists[..probes].sort_unstable_by(nearer);
        let wanted = wanted.min(target.rows.len());
        let most = wanted.max(self.expected(probes, target.rows));
        let mut held: usize = lists[..probes].iter().map(|&(_, list)| self.held(list, target, most)).sum();
        if (held as f32) < FEWEST * self.expected(probes, target.rows) as f32 {
            held = wanted;
            probes = lists.len();
        }
        if held < wanted {
            lists[probes..].sort_unstable_by(nearer);
            while held < wanted && probes < lists.len() {
                held += self.held(lists[probes].1, target, most);
                probes += 1;
            }
        }
        lists.truncate(probes);
        lists.into_iter().map(|(_, list)| list).collect()
    }

    /// Rows that `probes` lists hold that may be found, if a filter leaves as many of each list.
    fn expected(&self, probes: usize, rows: &RowSet) -> usize {
        match rows {
            RowSet::All(_) => 0,
            RowSet::Some(_, matching) => (probes as f32 / self.lists() as f32 * *matching as f32) as usize,
        }
    }

    /// Rows of a list that may be found, counted up to `most`.
    fn held(&self, list: u32, target: Target<'_>, most: usize) -> usize {
        let range = self.list(list);
        match target.rows {
            RowSet::All(_) => range.len(),
            rows @ RowSet::Some(..) => {
                let order = &self.order.as_slice()[range];
                order.iter().filter(|&&row| rows.contains(row as usize)).take(most).count()
            }
        }
    }

    fn scan(
        &self,
        list: u32,
        target: Target<'_>,
        query: &Query<'_>,
        collector: &mut dyn Collector,
        near: &mut Vec<Candidate>,
        stats: &mut SearchStats,
    ) {
        let range = self.list(list);
        let order = self.order.as_slice();
        let error = self.errors.as_slice()[list as usize];
        let bound = |query: &Query<'_>, threshold: Option<f32>| {
            if self.proven {
                query.proven_bound(threshold, error)
            } else {
                query.likely_bound(threshold, SQ8_STEPS)
            }
        };
        let mut distances = [0f32; PART];
        for start in range.clone().step_by(PART) {
            let part = start..(start + PART).min(range.end);
            let distances = &mut distances[..part.len()];
            kernel::active().codes_many(&query.code, self.codes.range(part.clone()), distances);
            stats.compared += part.len() as u64;
            let most = bound(query, collector.threshold());
            near.clear();
            for (&distance, &row) in distances.iter().zip(&order[part]) {
                if distance <= most && target.rows.contains(row as usize) {
                    near.push((distance, row));
                }
            }
            query.refine(target, near, collector, stats, bound);
        }
    }
}

/// Buffers of one search.
#[derive(Default)]
struct Scratch {
    distances: Vec<f32>,
    rows: Vec<Candidate>,
}
