//! Searching a finished graph: down the upper levels to the nearest node, a walk on level 0, then full precision.

use std::cell::RefCell;

use super::pool::{Ground, Scratch, Visited};
use super::{HnswIndex, Links, Nodes, Walk};
use crate::index::quantizer::Codes;
use crate::index::query::{Candidate, Collector, Query, Target};
use crate::index::stats::SearchStats;
use crate::kernel::{self, Metric};
use crate::rowset::RowSet;
use crate::segment::VectorColumn;

/// With at least this share of the rows allowed, a walk goes over all nodes and leaves out what is not.
const ALMOST_ALL: f32 = 0.7;
/// Allowed nodes, drawn at random, that a walk over allowed nodes starts from besides the nearest node: the entry's
/// surroundings may hold none.
const SEEDS: usize = 12;
/// A walk over allowed nodes looks past a node that is not, until it has met this many.
const TWO_HOP_NODES: usize = 20;
/// Errors of both codes together that are taken into account when choosing what to score, in steps. Rounding errors of
/// uniformly distributed values have a standard deviation of 0.41 steps in any one direction; this is three and a half
/// of them.
const LIKELY_STEPS: f32 = 1.5;
/// Codes compared at once.
const PART: usize = 256;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The distances of one query.
enum Goal<'a> {
    Codes(&'a Codes, &'a [i16]),
    Floats { column: &'a VectorColumn, metric: Metric, query: &'a [f32], nodes: &'a Nodes, rows: Vec<u32> },
}

impl Goal<'_> {
    #[inline]
    fn distances(&mut self, nodes: &[u32], out: &mut [f32]) {
        match self {
            Self::Codes(codes, query) => {
                kernel::active().codes_gather(query, codes.rows.as_slice(), nodes, out);
            }
            Self::Floats { column, metric, query, nodes: all, rows } => {
                rows.clear();
                rows.extend(nodes.iter().map(|&node| all.rows_of(node)[0]));
                column.score_rows(*metric, query, rows, out);
                if metric.is_similarity() {
                    out.iter_mut().for_each(|score| *score = -*score);
                }
            }
        }
    }
}

/// A level, with the nodes that its lists hold.
struct Level<'a, 'b> {
    links: &'a Links,
    /// Upper levels hold places of these.
    names: Option<&'a [u32]>,
    goal: &'a mut Goal<'b>,
    buffer: Vec<u32>,
}

impl Ground for Level<'_, '_> {
    #[inline]
    fn neighbours(&mut self, node: u32, visited: &mut Visited, batch: &mut Vec<u32>) {
        batch.extend(self.links.of(node).iter().copied().filter(|&other| visited.insert(other)));
    }

    #[inline]
    fn announce(&self, node: u32) {
        self.links.announce(node);
    }

    #[inline]
    fn distances(&mut self, nodes: &[u32], out: &mut [f32]) {
        match self.names {
            None => self.goal.distances(nodes, out),
            Some(names) => {
                self.buffer.clear();
                self.buffer.extend(nodes.iter().map(|&place| names[place as usize]));
                self.goal.distances(&self.buffer, out);
            }
        }
    }
}

/// Level 0 seen through a filter: only nodes that may be found are met, also those two hops away.
struct Allowed<'a, 'b> {
    links: &'a Links,
    nodes: &'a Nodes,
    rows: &'a RowSet,
    goal: &'a mut Goal<'b>,
    /// Neighbours that may not be found: what lies beyond them may.
    beyond: Vec<u32>,
    checked: u64,
}

impl Ground for Allowed<'_, '_> {
    fn neighbours(&mut self, node: u32, visited: &mut Visited, batch: &mut Vec<u32>) {
        self.beyond.clear();
        for &near in self.links.of(node) {
            if !visited.insert(near) {
                continue;
            }
            self.checked += 1;
            if self.nodes.any_in(near, self.rows) {
                batch.push(near);
            } else {
                self.links.announce(near);
                self.beyond.push(near);
            }
        }
        for &near in &self.beyond {
            if batch.len() >= TWO_HOP_NODES {
                return;
            }
            for &far in self.links.of(near) {
                if visited.contains(far) {
                    continue;
                }
                self.checked += 1;
                if self.nodes.any_in(far, self.rows) {
                    visited.insert(far);
                    batch.push(far);
                }
            }
        }
    }

    fn announce(&self, node: u32) {
        self.links.announce(node);
    }

    fn distances(&mut self, nodes: &[u32], out: &mut [f32]) {
        self.goal.distances(nodes, out);
    }
}

impl HnswIndex {
    /// Offers the collector the best rows that a walk with a pool of `effort` nodes finds. When they are fewer than
    /// `wanted` although there are more, all are looked at.
    pub(crate) fn search(
        &self,
        target: Target<'_>,
        query: &[f32],
        effort: usize,
        wanted: usize,
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
    ) {
        SCRATCH.with_borrow_mut(|scratch| {
            let coded = match &self.walk {
                Walk::Codes { codes, .. } => Some(Query::new(query, &self.space, &codes.quantizer)),
                Walk::Floats => None,
            };
            let mut goal = self.goal(target, query, coded.as_ref());
            let entry = self.descend(&mut goal, scratch, stats);
            let share = target.rows.share();
            let alone = |&node: &u32| node != entry && self.nodes.rows_of(node).len() == 1;
            let hidden = target.hidden.map(|row| self.nodes.node_of.as_slice()[row as usize]).filter(alone);
            let walked = if share >= ALMOST_ALL {
                let capacity = (effort as f32 / share).ceil() as usize;
                let mut ground =
                    Level { links: &self.base, names: None, goal: &mut goal, buffer: Vec::new() };
                scratch.walk(&mut ground, self.nodes.len(), [entry], capacity, hidden)
            } else {
                let seeds = self.seeds(target.rows, entry);
                let mut ground = Allowed {
                    links: &self.base,
                    nodes: &self.nodes,
                    rows: target.rows,
                    goal: &mut goal,
                    beyond: Vec::new(),
                    checked: 0,
                };
                // One more: the entry may be none that is allowed.
                let walked = scratch.walk(&mut ground, self.nodes.len(), seeds, effort + 1, hidden);
                stats.checked += ground.checked;
                walked
            };
            stats.hops += walked.0;
            stats.compared += walked.1;
            drop(goal);
            let mut found: Vec<Candidate> = Vec::with_capacity(effort);
            for (distance, node) in scratch.pool.nodes() {
                let rows = self.nodes.rows_of(node).iter().copied();
                found.extend(
                    rows.filter(|&row| target.rows.contains(row as usize)).map(|row| (distance, row)),
                );
            }
            if found.len() < wanted.min(target.rows.len()) {
                return self.scan_all(target, query, collector, stats);
            }
            match coded {
                Some(query) => {
                    let steps = if self.refined { LIKELY_STEPS } else { 0.0 };
                    query.refine(target, &mut found, collector, stats, |q, t| q.likely_bound(t, steps));
                }
                None => {
                    let similarity = target.metric.is_similarity();
                    let score = |distance: f32| if similarity { 0.0 - distance } else { distance };
                    found.iter().for_each(|&(distance, row)| collector.offer(row, score(distance)));
                }
            }
        });
    }

    /// Offers every row of the set that can be among the best.
    fn scan_all(
        &self,
        target: Target<'_>,
        query: &[f32],
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
    ) {
        if self.scan(target, query, collector, stats) {
            return;
        }
        for row in target.rows.iter() {
            let mut score = [0.0];
            target.column.score_rows(target.metric, query, &[row as u32], &mut score);
            collector.offer(row as u32, score[0]);
        }
        stats.scored += target.rows.len() as u64;
    }

    /// Offers the collector the best of all rows in the set: their codes are scanned, and a row is passed over only where
    /// that is proven to be right. False when there are no codes to scan.
    pub(crate) fn scan(
        &self,
        target: Target<'_>,
        query: &[f32],
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
    ) -> bool {
        let Walk::Codes { codes, error } = &self.walk else { return false };
        let query = Query::new(query, &self.space, &codes.quantizer);
        let node_of = self.nodes.node_of.as_slice();
        let bound = |query: &Query<'_>, threshold: Option<f32>| query.proven_bound(threshold, *error);
        let (mut rows, mut nodes, mut near) = ([0u32; PART], [0u32; PART], Vec::new());
        let mut distances = [0f32; PART];
        let mut matching = target.rows.iter();
        loop {
            let mut count = 0;
            for row in matching.by_ref().take(PART) {
                (rows[count], nodes[count]) = (row as u32, node_of[row]);
                count += 1;
            }
            if count == 0 {
                return true;
            }
            let distances = &mut distances[..count];
            kernel::active().codes_gather(&query.code, codes.rows.as_slice(), &nodes[..count], distances);
            stats.compared += count as u64;
            let most = bound(&query, collector.threshold());
            near.clear();
            near.extend(distances.iter().copied().zip(rows).filter(|&(distance, _)| distance <= most));
            query.refine(target, &mut near, collector, stats, bound);
        }
    }

    fn goal<'q>(&'q self, target: Target<'q>, query: &'q [f32], coded: Option<&'q Query<'_>>) -> Goal<'q> {
        match (&self.walk, coded) {
            (Walk::Codes { codes, .. }, Some(coded)) => Goal::Codes(codes, &coded.code),
            _ => Goal::Floats {
                column: target.column,
                metric: target.metric,
                query,
                nodes: &self.nodes,
                rows: Vec::new(),
            },
        }
    }

    /// The nearest node of the upper levels.
    fn descend(&self, goal: &mut Goal<'_>, scratch: &mut Scratch, stats: &mut SearchStats) -> u32 {
        let names = self.upper_nodes.as_slice();
        let mut place = 0;
        for links in self.upper.iter().rev() {
            let mut level = Level { links, names: Some(names), goal, buffer: Vec::new() };
            let (hops, compared) = scratch.walk(&mut level, names.len(), [place], 1, None);
            stats.hops += hops;
            stats.compared += compared;
            place = scratch.pool.nodes().next().map_or(place, |(_, nearest)| nearest);
        }
        names.get(place as usize).copied().unwrap_or(0)
    }

    /// The entry, whether it may be found or not, and some nodes that may.
    fn seeds(&self, rows: &RowSet, entry: u32) -> Vec<u32> {
        let node_of = self.nodes.node_of.as_slice();
        let stride = (rows.rows() / SEEDS).max(1);
        let next_allowed = |from: usize| {
            (from..rows.rows()).take(4 * stride).find(|&row| rows.contains(row)).map(|row| node_of[row])
        };
        std::iter::once(entry).chain((0..SEEDS).filter_map(|seed| next_allowed(seed * stride))).collect()
    }
}
