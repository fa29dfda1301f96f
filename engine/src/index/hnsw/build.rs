//! Building a graph over all rows of a segment, on all threads of the pool it is called on.
//!
//! Lists of neighbours are flat arrays of atomics: a walk reads them without a lock and may see one half changed, which
//! costs it a detour and nothing else. Who changes a list holds one of a fixed number of locks.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::freeze::{Frozen, freeze};
use super::order::by_cluster;
use super::pool::{Ground, Scratch, Visited};
use super::select::select;
use super::walk::{Distances, Vectors};
use super::{HnswIndex, Nodes, Walk};
use crate::array::Array;
use crate::error::{EngineError, Result};
use crate::index::fit::{Fit, measure};
use crate::index::progress::BuildProgress;
use crate::index::quantizer::{Codes, Quantizer};
use crate::index::sample::{lay_sample, sample};
use crate::index::space::Space;
use crate::kernel::{Metric, prefetch};
use crate::segment::VectorColumn;

/// Rows that a quantiser is learnt from.
const QUANTIZER_SAMPLE: usize = 20_000;
/// Highest level of any node: 16^10 nodes would need one more.
const MOST_LEVELS: usize = 10;
/// Locks over all lists.
const LOCKS: usize = 1 << 12;
/// One node in so many is inserted before all others.
const EARLY_SHARE: usize = 8;
/// Slots of a cache line.
const LINE: usize = 16;
/// Nodes inserted between two looks at whether to go on.
const PART: usize = 64;

/// How a graph is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HnswParams {
    /// Neighbours of a node on each upper level; twice as many on level 0.
    pub(crate) m: usize,
    /// Nodes that a new node chooses its neighbours from.
    pub(crate) ef_construction: usize,
    /// Whether candidates beyond the best k are scored in full precision.
    pub(crate) refined: bool,
}

/// Builds the graph of a column; none when its numbers leave nothing to walk by.
///
/// # Errors
/// `Closing` when the build is called off.
pub(crate) fn build(
    column: &VectorColumn,
    metric: Metric,
    params: HnswParams,
    seed: u64,
    progress: &BuildProgress,
) -> Result<Option<HnswIndex>> {
    let space = Space::of(metric, column);
    let nodes = Nodes::group(column);
    let nodes = nodes.renamed(&by_cluster(&space, column, &nodes, seed, progress)?);
    let quantizer = learn(&space, column, seed);
    let (codes, error) = encode(&space, column, &nodes, quantizer);
    let fit = match measure(&space, column, &codes.quantizer, seed) {
        Fit::Codes if !error.is_finite() => Fit::Vectors,
        // Asked for by name: codes it is, as long as there is anything in them.
        Fit::Vectors if !params.refined && error.is_finite() => Fit::Codes,
        fit => fit,
    };
    if fit == Fit::Nothing {
        return Ok(None);
    }
    if fit == Fit::Vectors {
        drop(codes);
        let values = lay_all(&space, column, &nodes);
        let vectors = Vectors { values, width: space.width() };
        let frozen = Building::run(&vectors, params, seed, progress)?;
        return Ok(Some(frozen.into_index(space, nodes, Walk::Floats, params.refined)));
    }
    let frozen = Building::run(&codes, params, seed, progress)?;
    Ok(Some(frozen.into_index(space, nodes, Walk::Codes { codes, error }, params.refined)))
}

fn learn(space: &Space, column: &VectorColumn, seed: u64) -> Quantizer {
    let rows = sample(column.rows(), QUANTIZER_SAMPLE, seed);
    Quantizer::learn(&lay_sample(space, column, &rows), space.width())
}

/// Codes of all nodes, and the largest error.
fn encode(space: &Space, column: &VectorColumn, nodes: &Nodes, quantizer: Quantizer) -> (Codes, f32) {
    let stride = quantizer.stride();
    let mut rows = vec![0u8; nodes.len() * stride];
    let error = rows
        .par_chunks_exact_mut(stride)
        .enumerate()
        .map_init(
            || vec![0f32; space.width()],
            |laid, (node, code)| {
                space.lay_row(column, nodes.rows_of(node as u32)[0] as usize, laid);
                quantizer.encode(laid, code);
                quantizer.error(laid, code.iter().map(|&c| f32::from(c)))
            },
        )
        .reduce(|| 0.0, f32::max);
    (Codes { quantizer, rows: Array::Heap(rows) }, error)
}

/// All nodes in the space.
fn lay_all(space: &Space, column: &VectorColumn, nodes: &Nodes) -> Vec<f32> {
    let rows: Vec<u32> = (0..nodes.len() as u32).map(|node| nodes.rows_of(node)[0]).collect();
    lay_sample(space, column, &rows)
}

/// Lists of one level or of all nodes of one level: a length and room for neighbours each.
pub(super) struct Lists {
    slots: Vec<AtomicU32>,
    room: usize,
}

impl Lists {
    fn new(lists: usize, room: usize) -> Self {
        Self { slots: (0..lists * (room + 1)).map(|_| AtomicU32::new(0)).collect(), room }
    }

    fn slots(&self, list: usize) -> &[AtomicU32] {
        &self.slots[list * (self.room + 1)..(list + 1) * (self.room + 1)]
    }

    /// The neighbours in a list, as far as a reader without a lock can tell.
    pub(super) fn get(&self, list: usize) -> impl Iterator<Item = u32> + '_ {
        let slots = self.slots(list);
        let len = slots[0].load(Ordering::Acquire) as usize;
        slots[1..=len.min(self.room)].iter().map(|slot| slot.load(Ordering::Relaxed))
    }

    /// Fetches a list that is wanted soon.
    fn announce(&self, list: usize) {
        let start = list * (self.room + 1);
        (0..=self.room).step_by(LINE).for_each(|slot| prefetch(&self.slots, start + slot));
    }

    fn set(&self, list: usize, neighbours: &[u32]) {
        let slots = self.slots(list);
        for (slot, &neighbour) in slots[1..].iter().zip(neighbours) {
            slot.store(neighbour, Ordering::Relaxed);
        }
        slots[0].store(neighbours.len() as u32, Ordering::Release);
    }

    /// Adds a neighbour; false when there is no room.
    fn push(&self, list: usize, neighbour: u32) -> bool {
        let slots = self.slots(list);
        let len = slots[0].load(Ordering::Relaxed) as usize;
        if len == self.room {
            return false;
        }
        slots[len + 1].store(neighbour, Ordering::Relaxed);
        slots[0].store(len as u32 + 1, Ordering::Release);
        true
    }
}

/// A graph that is being built.
pub(super) struct Building<'a, D> {
    pub(super) distances: &'a D,
    pub(super) params: HnswParams,
    pub(super) base: Lists,
    /// Lists of level `l` at `l - 1`, one for each node of that level.
    pub(super) upper: Vec<Lists>,
    /// Level of each node.
    pub(super) levels: Vec<u8>,
    /// Place of each node among the nodes of level 1 and up, those of the highest level first.
    pub(super) upper_place: Vec<u32>,
    pub(super) upper_nodes: Vec<u32>,
    locks: Vec<Mutex<()>>,
    entry: u32,
}

impl<D: Distances> Building<'_, D> {
    fn run(distances: &D, params: HnswParams, seed: u64, progress: &BuildProgress) -> Result<Frozen> {
        let building = Building::new(distances, params, seed);
        let first = building.entry;
        // Some from all over first, so that the way to everywhere is known; then in the order of memory.
        let mut early = sample(distances.len(), distances.len() / EARLY_SHARE, seed ^ 4);
        early.retain(|&node| node != first);
        let mut is_early = vec![false; distances.len()];
        early.iter().for_each(|&node| is_early[node as usize] = true);
        let late: Vec<u32> =
            (0..distances.len() as u32).filter(|&n| n != first && !is_early[n as usize]).collect();
        for nodes in [early, late] {
            nodes.par_chunks(PART).try_for_each(|part| {
                progress.check()?;
                SCRATCH.with_borrow_mut(|scratch| {
                    part.iter().for_each(|&node| building.insert(node, scratch));
                });
                progress.add(part.len());
                Ok::<_, EngineError>(())
            })?;
        }
        progress.check()?;
        freeze(&building, first, progress)
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl<'a, D: Distances> Building<'a, D> {
    /// The entry is known from the start: the node of the highest level. Walks from it find nothing before others are
    /// linked to it, which is right for the first of them.
    fn new(distances: &'a D, params: HnswParams, seed: u64) -> Self {
        let count = distances.len();
        let levels: Vec<u8> = (0..count as u64).map(|node| level(seed, node, params.m)).collect();
        let mut upper_nodes: Vec<u32> = (0..count as u32).filter(|&n| levels[n as usize] > 0).collect();
        upper_nodes.sort_by_key(|&n| std::cmp::Reverse(levels[n as usize]));
        let mut upper_place = vec![u32::MAX; count];
        upper_nodes.iter().zip(0..).for_each(|(&node, place)| upper_place[node as usize] = place);
        let top = upper_nodes.first().map_or(0, |&n| levels[n as usize]);
        let upper = (1..=top)
            .map(|l| {
                let nodes = upper_nodes.partition_point(|&n| levels[n as usize] >= l);
                Lists::new(nodes, params.m + params.m / 2)
            })
            .collect();
        let entry = upper_nodes.first().copied().unwrap_or(0);
        Self {
            distances,
            params,
            base: Lists::new(count, 2 * params.m + params.m / 2),
            upper,
            levels,
            upper_place,
            upper_nodes,
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            entry,
        }
    }

    /// Neighbours kept on a level when a list is full.
    pub(super) fn most(&self, level: usize) -> usize {
        if level == 0 { 2 * self.params.m } else { self.params.m }
    }

    /// The list of a node on a level.
    pub(super) fn list(&self, node: u32, level: usize) -> (&Lists, usize) {
        match level {
            0 => (&self.base, node as usize),
            _ => (&self.upper[level - 1], self.upper_place[node as usize] as usize),
        }
    }

    fn insert(&self, node: u32, scratch: &mut Scratch) {
        let origin = self.distances.origin(node);
        let own = usize::from(self.levels[node as usize]);
        let mut entries = vec![self.entry];
        for level in (0..=self.upper.len()).rev() {
            let capacity = if level > own { 1 } else { self.params.ef_construction };
            let mut ground = OnLevel { building: self, level, origin: &origin };
            scratch.walk(&mut ground, self.distances.len(), entries.iter().copied(), capacity, None);
            // Another thread may have linked to this node on its way up.
            let found: Vec<(f32, u32)> = scratch.pool.nodes().filter(|&(_, other)| other != node).collect();
            if level <= own {
                self.link(node, level, &found);
            }
            if !found.is_empty() {
                entries = found.into_iter().map(|(_, other)| other).collect();
            }
        }
    }

    /// Links a node with the best of what was found for it, both ways.
    fn link(&self, node: u32, level: usize, found: &[(f32, u32)]) {
        let chosen = select(self.distances, found, self.params.m);
        let (lists, own) = self.list(node, level);
        {
            let _lock = self.lock(node);
            // Whoever linked to this node meanwhile wrote itself here.
            let early: Vec<u32> = lists.get(own).filter(|other| !chosen.contains(other)).collect();
            let room = lists.room.saturating_sub(chosen.len());
            let all: Vec<u32> = chosen.iter().copied().chain(early.into_iter().take(room)).collect();
            lists.set(own, &all);
        }
        for other in chosen {
            self.add(other, node, level);
        }
    }

    /// Adds a link from `from` to `to`. A list without room is cut down to the best first; there is room for half as many
    /// again as are kept, so that this happens seldom.
    fn add(&self, from: u32, to: u32, level: usize) {
        let (lists, list) = self.list(from, level);
        let _lock = self.lock(from);
        if lists.get(list).any(|other| other == to) || lists.push(list, to) {
            return;
        }
        let mut candidates: Vec<u32> = lists.get(list).collect();
        candidates.push(to);
        lists.set(list, &self.prune(from, candidates, level));
    }

    /// The best of many neighbours.
    pub(super) fn prune(&self, node: u32, candidates: Vec<u32>, level: usize) -> Vec<u32> {
        let origin = self.distances.origin(node);
        let mut distances = vec![0f32; candidates.len()];
        self.distances.many(&origin, &candidates, &mut distances);
        let mut sorted: Vec<(f32, u32)> = distances.into_iter().zip(candidates).collect();
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        select(self.distances, &sorted, self.most(level))
    }

    fn lock(&self, node: u32) -> parking_lot::MutexGuard<'_, ()> {
        self.locks[node as usize % LOCKS].lock()
    }
}

/// One level of a graph that is being built, seen from one node.
pub(super) struct OnLevel<'a, 'b, D: Distances> {
    pub(super) building: &'a Building<'b, D>,
    pub(super) level: usize,
    pub(super) origin: &'a D::Origin,
}

impl<D: Distances> Ground for OnLevel<'_, '_, D> {
    fn neighbours(&mut self, node: u32, visited: &mut Visited, batch: &mut Vec<u32>) {
        let (lists, list) = self.building.list(node, self.level);
        batch.extend(lists.get(list).filter(|&other| visited.insert(other)));
    }

    fn announce(&self, node: u32) {
        let (lists, list) = self.building.list(node, self.level);
        lists.announce(list);
    }

    fn distances(&mut self, nodes: &[u32], out: &mut [f32]) {
        self.building.distances.many(self.origin, nodes, out);
    }
}

/// A level with the distribution of the paper, the same for the same seed and node.
fn level(seed: u64, node: u64, m: usize) -> u8 {
    // SplitMix64 (Steele, Lea and Flood, 2014): one good random number for each node without any state.
    let mut z = (seed ^ node.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let uniform = ((z >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
    let level = -uniform.ln() / (m.max(2) as f64).ln();
    (level as usize).min(MOST_LEVELS) as u8
}
