//! Searching a finished graph: down the upper levels to the nearest node, a walk on level 0, then full precision.

use std::cell::RefCell;

use arrow_buffer::{BooleanBuffer, Buffer};

use super::pool::{Ground, Scratch, Visited, Walked};
use super::{HnswIndex, LinksView, NodesView, Walk};
use crate::index::query::{Candidate, Collector, Query, Target};
use crate::index::stats::SearchStats;
use crate::kernel::{self, Metric, prefetch};
use crate::rowset::RowSet;
use crate::segment::VectorColumn;

/// Nodes kept on the upper levels where queries lie off the rows (IP over rows of different lengths): there one nearest
/// node is often the best of a wrong region, from which a walk finds nothing.
const BEAM: usize = 16;
/// With at least this share of the rows allowed, a walk goes over all nodes and keeps those that are; with less, it goes
/// over allowed nodes only, two hops at a time.
const MANY: f32 = 0.3;
/// Allowed nodes, drawn at random, that a walk over allowed nodes starts from besides the nearest node: the entry's
/// surroundings may hold none.
const SEEDS: usize = 12;
/// Nodes around the query that are looked at before a walk over allowed nodes, and the share of them that has to be
/// allowed, in shares of all nodes that are. With fewer, the filter and the query have little to do with each other: a
/// walk would get stuck at the edge of what is allowed.
const AROUND: usize = 32;
const FEWEST: f32 = 0.5;
/// A walk over allowed nodes looks past a node that is not, until it has met this many.
const TWO_HOP_NODES: usize = 20;
/// Errors of both codes together that are taken into account when choosing what to score, in steps. Rounding errors of
/// uniformly distributed values have a standard deviation of 0.41 steps in any one direction; this is three and a half
/// of them.
const LIKELY_STEPS: f32 = 1.5;
/// Bytes of a cache line, and of a code that are fetched as soon as it is known to be wanted.
const LINE: usize = 64;
const FETCHED: usize = 256;
/// Codes compared at once.
const PART: usize = 512;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The distances of one query.
enum Goal<'a> {
    Codes(&'a [u8], &'a [i16]),
    Floats {
        column: &'a VectorColumn,
        metric: Metric,
        query: &'a [f32],
        nodes: NodesView<'a>,
        rows: Vec<u32>,
    },
}

impl Goal<'_> {
    /// The distance of a node will be asked for soon.
    #[inline]
    fn announce(&self, node: u32) {
        if let Self::Codes(codes, query) = self {
            let start = node as usize * query.len();
            (0..query.len().min(FETCHED)).step_by(LINE).for_each(|at| prefetch(codes, start + at));
        }
    }

    #[inline]
    fn distances(&mut self, nodes: &[u32], out: &mut [f32]) {
        match self {
            Self::Codes(codes, query) => {
                kernel::active().codes_gather(query, codes, nodes, out);
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
    links: LinksView<'a>,
    /// Upper levels hold places of these.
    names: Option<&'a [u32]>,
    goal: &'a mut Goal<'b>,
    buffer: Vec<u32>,
}

/// Level 0 with a filter that lets many nodes through.
struct Filtered<'a, 'b> {
    level: Level<'a, 'b>,
    nodes: NodesView<'a>,
    rows: &'a RowSet,
    checked: u64,
}

impl Ground for Filtered<'_, '_> {
    #[inline]
    fn neighbours(&mut self, node: u32, visited: &mut Visited, batch: &mut Vec<u32>) {
        self.level.neighbours(node, visited, batch);
    }

    #[inline]
    fn announce(&self, node: u32) {
        self.level.announce(node);
    }

    #[inline]
    fn distances(&mut self, nodes: &[u32], out: &mut [f32]) {
        self.level.distances(nodes, out);
    }

    #[inline]
    fn counts(&mut self, node: u32) -> bool {
        self.checked += 1;
        self.nodes.any_in(node, self.rows)
    }
}

impl Ground for Level<'_, '_> {
    #[inline]
    fn neighbours(&mut self, node: u32, visited: &mut Visited, batch: &mut Vec<u32>) {
        for &other in self.links.of(node) {
            if visited.insert(other) {
                self.goal.announce(self.names.map_or(other, |names| names[other as usize]));
                batch.push(other);
            }
        }
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
    links: LinksView<'a>,
    nodes: NodesView<'a>,
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

    fn counts(&mut self, node: u32) -> bool {
        // All but the first entry were asked about when they were met; asking again is cheap beside a distance.
        self.nodes.any_in(node, self.rows)
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
            let entries = self.descend(&mut goal, scratch, stats);
            let alone = |&node: &u32| !entries.contains(&node) && self.nodes.rows_of(node).len() == 1;
            let hidden = target.hidden.map(|row| self.nodes.node_of.as_slice()[row as usize]).filter(alone);
            let walked = self.walk(target.rows, effort, &entries, hidden, &mut goal, scratch, stats);
            stats.hops += walked.hops;
            stats.compared += walked.compared;
            drop(goal);
            let mut found: Vec<Candidate> = Vec::with_capacity(effort);
            let nodes = self.nodes.view();
            for (distance, node) in scratch.pool.nodes() {
                let rows = nodes.rows_of(node).iter().copied();
                found.extend(
                    rows.filter(|&row| target.rows.contains(row as usize)).map(|row| (distance, row)),
                );
            }
            if walked.given_up || found.len() < wanted.min(target.rows.len()) {
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

    /// Walks over level 0; what is found is in the pool.
    #[allow(clippy::too_many_arguments, reason = "the parts of one search")]
    fn walk(
        &self,
        rows: &RowSet,
        effort: usize,
        entries: &[u32],
        hidden: Option<u32>,
        goal: &mut Goal<'_>,
        scratch: &mut Scratch,
        stats: &mut SearchStats,
    ) -> Walked {
        let count = self.nodes.len();
        if rows.share() < MANY {
            return self.walk_allowed(rows, effort, entries, hidden, goal, scratch, stats);
        }
        let level = Level { links: self.base.view(), names: None, goal, buffer: Vec::new() };
        if matches!(rows, RowSet::All(_)) {
            let mut level = level;
            return scratch.walk(&mut level, count, entries.iter().copied(), effort, hidden);
        }
        let mut ground = Filtered { level, nodes: self.nodes.view(), rows, checked: 0 };
        let mut walked = scratch.walk(&mut ground, count, entries.iter().copied(), effort, hidden);
        stats.checked += ground.checked;
        walked.given_up |= scratch.pool.counted_share() < FEWEST * rows.share();
        walked
    }

    /// Walks over allowed nodes, two hops at a time, unless a look around the query shows that they are somewhere else.
    #[allow(clippy::too_many_arguments, reason = "the parts of one search")]
    fn walk_allowed(
        &self,
        rows: &RowSet,
        effort: usize,
        entries: &[u32],
        hidden: Option<u32>,
        goal: &mut Goal<'_>,
        scratch: &mut Scratch,
        stats: &mut SearchStats,
    ) -> Walked {
        let (count, nodes) = (self.nodes.len(), self.nodes.view());
        let mut level = Level { links: self.base.view(), names: None, goal, buffer: Vec::new() };
        let mut walked = scratch.walk(&mut level, count, entries.iter().copied(), AROUND, hidden);
        let near: Vec<u32> = scratch.pool.nodes().map(|(_, node)| node).collect();
        let allowed: Vec<u32> = near.iter().copied().filter(|&node| nodes.any_in(node, rows)).collect();
        stats.checked += near.len() as u64;
        if (allowed.len() as f32) < FEWEST * rows.share() * near.len() as f32 || allowed.is_empty() {
            walked.given_up = true;
            return walked;
        }
        let seeds = self.seeds(rows, near.first().or(entries.first()).copied().unwrap_or(0));
        let seeds = allowed.into_iter().chain(seeds);
        let (links, beyond) = (self.base.view(), Vec::new());
        let mut ground = Allowed { links, nodes, rows, goal, beyond, checked: 0 };
        let further = scratch.walk(&mut ground, count, seeds, effort, hidden);
        stats.checked += ground.checked;
        Walked { hops: walked.hops + further.hops, compared: walked.compared + further.compared, ..further }
    }

    /// Offers every row of the set that can be among the best.
    fn scan_all(
        &self,
        target: Target<'_>,
        query: &[f32],
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
    ) {
        if self.scan(target, &[query], &mut [collector], stats) {
            return;
        }
        for row in target.rows.iter() {
            let mut score = [0.0];
            target.column.score_rows(target.metric, query, &[row as u32], &mut score);
            collector.offer(row as u32, score[0]);
        }
        stats.scored += target.rows.len() as u64;
    }

    /// Offers each collector the best of all rows in the set: their codes are scanned, and a row is passed over only where
    /// that is proven to be right. False when there are no codes to scan.
    pub(crate) fn scan(
        &self,
        target: Target<'_>,
        queries: &[&[f32]],
        collectors: &mut [&mut dyn Collector],
        stats: &mut SearchStats,
    ) -> bool {
        let Walk::Codes { codes, error } = &self.walk else { return false };
        let queries: Vec<Query<'_>> =
            queries.iter().map(|query| Query::new(query, &self.space, &codes.quantizer)).collect();
        let bound = |query: &Query<'_>, threshold: Option<f32>| query.proven_bound(threshold, *error);
        let (nodes, node_rows) = (self.allowed_nodes(target.rows), self.nodes.view());
        let stride = codes.quantizer.stride();
        let (mut distances, mut near) = ([0f32; PART], Vec::new());
        let mut packed = vec![0u8; if queries.len() > 1 { PART * stride } else { 0 }];
        for part in nodes.chunks(PART) {
            let distances = &mut distances[..part.len()];
            // For several queries, scattered codes are brought together once.
            let packed = packed.get_mut(..part.len() * stride).unwrap_or_default();
            for (code, &node) in packed.chunks_exact_mut(stride).zip(part) {
                code.copy_from_slice(codes.get(node));
            }
            for (query, collector) in queries.iter().zip(&mut *collectors) {
                if packed.is_empty() {
                    kernel::active().codes_gather(&query.code, codes.rows.as_slice(), part, distances);
                } else {
                    kernel::active().codes_many(&query.code, packed, distances);
                }
                stats.compared += part.len() as u64;
                let most = bound(query, collector.threshold());
                near.clear();
                for (&distance, &node) in distances.iter().zip(part).filter(|(d, _)| **d <= most) {
                    let rows = node_rows.rows_of(node).iter();
                    let allowed = rows.filter(|&&row| target.rows.contains(row as usize));
                    near.extend(allowed.map(|&row| (distance, row)));
                }
                query.refine(target, &mut near, *collector, stats, bound);
            }
        }
        true
    }

    /// Nodes with a row in the set, in the order of memory.
    fn allowed_nodes(&self, rows: &RowSet) -> Vec<u32> {
        let node_of = self.nodes.node_of.as_slice();
        let mut bits = vec![0u64; self.nodes.len().div_ceil(64)];
        for row in rows.iter() {
            let node = node_of[row] as usize;
            bits[node / 64] |= 1 << (node % 64);
        }
        BooleanBuffer::new(Buffer::from_vec(bits), 0, self.nodes.len()).set_indices_u32().collect()
    }

    fn goal<'q>(&'q self, target: Target<'q>, query: &'q [f32], coded: Option<&'q Query<'_>>) -> Goal<'q> {
        match (&self.walk, coded) {
            (Walk::Codes { codes, .. }, Some(coded)) => Goal::Codes(codes.rows.as_slice(), &coded.code),
            _ => Goal::Floats {
                column: target.column,
                metric: target.metric,
                query,
                nodes: self.nodes.view(),
                rows: Vec::new(),
            },
        }
    }

    /// The nearest nodes of the upper levels, nearest first.
    fn descend(&self, goal: &mut Goal<'_>, scratch: &mut Scratch, stats: &mut SearchStats) -> Vec<u32> {
        let names = self.upper_nodes.as_slice();
        let beam = if self.space.extended() { BEAM } else { 1 };
        let mut places = vec![0];
        for links in self.upper.iter().rev() {
            let mut level = Level { links: links.view(), names: Some(names), goal, buffer: Vec::new() };
            let walked = scratch.walk(&mut level, names.len(), places.iter().copied(), beam, None);
            stats.hops += walked.hops;
            stats.compared += walked.compared;
            let found = scratch.pool.nodes().map(|(_, place)| place);
            places.clear();
            places.extend(found);
        }
        places.into_iter().map(|place| names.get(place as usize).copied().unwrap_or(0)).collect()
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
