//! Search by index: windows of rows from first to last; in each, the dimensions of the query that can lift a row among
//! the best lead, and the others are looked up for the few rows that could still get there.
//!
//! This is MaxScore (H. Turtle, J. Flood: Query Evaluation: Strategies and Optimizations, Information Processing &
//! Management 31(6), 1995) with the bounds of block-max indexes (S. Ding, T. Suel, SIGIR 2011), a window at a time: the
//! postings of leading dimensions are added up in an array, which is faster than merging lists row by row where
//! queries have many dimensions.

use super::Findable;
use super::index::{Block, SparseIndex, WINDOW};
use super::query::{SparseQuery, Term};
use super::score::{Scoring, hopeless, rounded};
use crate::index::{Collector, SearchStats};

/// To look a dimension of a row up takes as long as to add so many postings.
const LOOKUP: usize = 8;
/// Bytes of a posting.
const POSTING: u64 = 6;

/// A dimension of the query in the whole index.
struct List<'a> {
    /// Its blocks that are still to come.
    blocks: &'a [Block],
    weight: f64,
    leads: bool,
}

/// A dimension of the query in one window.
struct Part<'a> {
    places: &'a [u16],
    values: &'a [f32],
    weight: f64,
    /// The most that it adds to a row here.
    bound: f64,
    leads: bool,
}

/// Sums of the rows of a window, and which rows have one.
struct Sums {
    sums: Box<[f64; WINDOW]>,
    touched: Box<[u64; WINDOW / 64]>,
}

/// Offers the rows that may be found and can be among the best, with the scores that [`super::brute_force`] gives them.
/// Exact when the query drops nothing. If there are `k` rows that share a dimension with it, `k` are found in any case:
/// nothing is dropped before the collector has a threshold.
pub fn search(
    index: &SparseIndex,
    query: &SparseQuery,
    scoring: &impl Scoring,
    findable: Findable<'_>,
    collector: &mut dyn Collector,
    stats: &mut SearchStats,
) {
    if findable.rows.is_empty() {
        return;
    }
    let list = |term: &Term| List {
        blocks: index.blocks_of(term.dimension),
        weight: term.weight,
        leads: term.leads,
    };
    let mut lists: Vec<List<'_>> = query.terms.iter().map(list).collect();
    let mut sums = Sums { sums: Box::new([0.0; WINDOW]), touched: Box::new([0; WINDOW / 64]) };
    let mut parts = Vec::with_capacity(lists.len());
    for window in 0..index.windows.len() {
        parts.clear();
        parts.extend(lists.iter_mut().filter_map(|list| list.part(index, window, scoring)));
        let threshold = collector.threshold();
        if !hopeless(parts.iter().map(|part| part.bound).sum(), threshold) {
            let start = window * WINDOW;
            let end = (start + WINDOW).min(index.rows()).min(findable.rows.rows());
            Window { index, scoring, findable, start, end }.search(&mut parts, &mut sums, collector, stats);
        }
    }
}

impl<'a> List<'a> {
    /// Its block in a window, if it has one there. Windows are asked for in order.
    fn part(&mut self, index: &'a SparseIndex, window: usize, scoring: &impl Scoring) -> Option<Part<'a>> {
        let (block, rest) = self.blocks.split_first().filter(|(block, _)| block.window as usize == window)?;
        self.blocks = rest;
        let (places, values) = index.postings_of(block);
        let bound = scoring.part(self.weight, block.max_value, || block.min_length);
        Some(Part { places, values, weight: self.weight, bound, leads: self.leads })
    }
}

/// One window being searched.
struct Window<'a, S> {
    index: &'a SparseIndex,
    scoring: &'a S,
    findable: Findable<'a>,
    /// Its rows.
    start: usize,
    end: usize,
}

impl<S: Scoring> Window<'_, S> {
    fn search(
        &self,
        parts: &mut [Part<'_>],
        sums: &mut Sums,
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
    ) {
        let followers = divide(parts, collector.threshold());
        let leading: usize = parts.iter().filter(|part| part.leads).map(|part| part.places.len()).sum();
        if leading == 0 || self.end <= self.start {
            return;
        }
        let wanted = self.findable.rows.share() * (self.end - self.start) as f32;
        let lookups = wanted * (parts.len() * LOOKUP) as f32;
        if lookups < leading as f32 {
            self.by_row(parts, collector, stats);
            return;
        }
        stats.bytes += leading as u64 * POSTING;
        for part in parts.iter().filter(|part| part.leads) {
            self.add(part, sums);
        }
        self.settle(parts, &followers, sums, collector, stats);
    }

    /// Adds the postings of a leading dimension to the sums.
    fn add(&self, part: &Part<'_>, sums: &mut Sums) {
        let lengths = &self.index.lengths[self.start..];
        for (&place, &value) in part.places.iter().zip(part.values) {
            let place = usize::from(place) % WINDOW;
            let length = || lengths.get(place).copied().unwrap_or_default();
            sums.sums[place] += self.scoring.part(part.weight, value, length);
            sums.touched[place / 64] |= 1 << (place % 64);
        }
    }

    /// Takes the sums back to 0, and offers the rows that come far enough with the dimensions that follow.
    fn settle(
        &self,
        parts: &[Part<'_>],
        followers: &[(usize, f64)],
        sums: &mut Sums,
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
    ) {
        let mut threshold = collector.threshold();
        for word in 0..sums.touched.len() {
            let mut left = std::mem::take(&mut sums.touched[word]);
            while left != 0 {
                let place = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let sum = std::mem::take(&mut sums.sums[place]);
                let row = self.start + place;
                let best = sum + followers.first().map_or(0.0, |&(_, rest)| rest);
                if hopeless(best, threshold) || !self.findable.contains(row) {
                    continue;
                }
                if let Some(sum) = self.follow(parts, followers, place, sum, threshold) {
                    stats.scored += 1;
                    offer(row, sum, collector);
                    threshold = collector.threshold();
                }
            }
        }
    }

    /// The score of a row that the leading dimensions give `sum`, unless it cannot be good enough.
    fn follow(
        &self,
        parts: &[Part<'_>],
        followers: &[(usize, f64)],
        place: usize,
        sum: f64,
        threshold: Option<f32>,
    ) -> Option<f64> {
        if followers.is_empty() {
            // All were added by ascending dimension: the sum is the score.
            return Some(sum);
        }
        let mut known = sum;
        for &(part, rest) in followers {
            if hopeless(known + rest, threshold) {
                return None;
            }
            known += self.look_up(&parts[part], place);
        }
        (!hopeless(known, threshold)).then(|| parts.iter().map(|part| self.look_up(part, place)).sum())
    }

    /// Scores each row of the set: there are fewer of them than postings.
    fn by_row(&self, parts: &[Part<'_>], collector: &mut dyn Collector, stats: &mut SearchStats) {
        for row in self.findable.rows.iter_range(self.start..self.end) {
            if !self.findable.is_hidden(row) {
                stats.scored += 1;
                let sum = parts.iter().map(|part| self.look_up(part, row - self.start)).sum();
                offer(row, sum, collector);
            }
        }
    }

    /// What a dimension adds to one row.
    fn look_up(&self, part: &Part<'_>, place: usize) -> f64 {
        match part.places.binary_search(&(place as u16)) {
            Ok(at) => {
                let length = || self.index.lengths.get(self.start + place).copied().unwrap_or_default();
                self.scoring.part(part.weight, part.values[at], length)
            }
            Err(_) => 0.0,
        }
    }
}

/// Decides which dimensions lead in a window. The others, the largest bound first, each with the sum of the bounds from
/// there on: rows that have only these cannot be among the best (or need not be found, for what a query drops).
fn divide(parts: &mut [Part<'_>], threshold: Option<f32>) -> Vec<(usize, f64)> {
    if threshold.is_none() {
        parts.iter_mut().for_each(|part| part.leads = true);
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    // What is dropped first, then the small ones.
    order.sort_by(|&a, &b| {
        parts[a].leads.cmp(&parts[b].leads).then(parts[a].bound.total_cmp(&parts[b].bound))
    });
    let (mut followers, mut kept) = (Vec::new(), 0.0);
    for at in order {
        if parts[at].leads && !hopeless(kept + parts[at].bound, threshold) {
            break;
        }
        parts[at].leads = false;
        kept += parts[at].bound;
        followers.push((at, 0.0));
    }
    followers.sort_by(|a, b| parts[b.0].bound.total_cmp(&parts[a.0].bound));
    let mut rest = 0.0;
    for (at, from_here) in followers.iter_mut().rev() {
        rest += parts[*at].bound;
        *from_here = rest;
    }
    followers
}

fn offer(row: usize, sum: f64, collector: &mut dyn Collector) {
    let score = rounded(sum);
    if score > 0.0 {
        collector.offer(row as u32, score);
    }
}
