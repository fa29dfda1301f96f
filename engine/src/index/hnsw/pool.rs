//! The walk itself: best-first over a graph with a bounded, sorted pool. Builds and searches use the same one.

/// Marks an entry whose neighbours were looked at.
const EXPANDED: u32 = 1 << 31;
/// Marks an entry that may be found.
const COUNTED: u32 = 1 << 30;
/// Nodes are below this.
const NODE: u32 = COUNTED - 1;
/// A pool with more entries than this is given up: to a filter that lets through nothing near, looking at everything is
/// the faster way.
const MOST_ENTRIES: usize = 1 << 14;

/// A node and its distance.
#[derive(Debug, Clone, Copy)]
struct Entry {
    distance: f32,
    node: u32,
}

/// The nearest nodes so far, nearest first. A sorted array: for the few hundred entries of a search, moving them is
/// cheaper than keeping a heap, and the next node to look at is found by going on.
///
/// Only nodes that may be found count towards its capacity; others are way-points and stay as long as they are nearer
/// than the last one that counts.
#[derive(Debug, Default)]
pub(super) struct Pool {
    entries: Vec<Entry>,
    capacity: usize,
    counted: usize,
}

impl Pool {
    /// Empties it; at most `capacity` nodes that count are kept from now on.
    pub(super) fn reset(&mut self, capacity: usize) {
        self.entries.clear();
        self.capacity = capacity.max(1);
        self.counted = 0;
    }

    /// Whether a node at this distance would be taken.
    #[inline]
    fn takes(&self, distance: f32) -> bool {
        self.counted < self.capacity || self.entries.last().is_some_and(|last| distance < last.distance)
    }

    /// Takes a node in that [`Pool::takes`] said yes to; gives back its place.
    #[inline]
    fn insert(&mut self, distance: f32, node: u32, counts: bool) -> usize {
        let place = self.entries.partition_point(|entry| entry.distance <= distance);
        let flag = if counts { COUNTED } else { 0 };
        self.entries.insert(place, Entry { distance, node: node | flag });
        self.counted += usize::from(counts);
        while self.counted >= self.capacity {
            match self.entries.last() {
                Some(last) if last.node & COUNTED == 0 => self.entries.truncate(self.entries.len() - 1),
                Some(_) if self.counted > self.capacity => {
                    self.entries.truncate(self.entries.len() - 1);
                    self.counted -= 1;
                }
                _ => break,
            }
        }
        place
    }

    /// Nodes that may be found, with their distances, nearest first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (f32, u32)> + '_ {
        let counted = self.entries.iter().filter(|entry| entry.node & COUNTED != 0);
        counted.map(|entry| (entry.distance, entry.node & NODE))
    }

    /// The share of the entries that may be found.
    pub(super) fn counted_share(&self) -> f32 {
        self.counted as f32 / self.entries.len().max(1) as f32
    }

    /// The entry behind a place.
    fn after(&self, place: usize) -> Option<u32> {
        self.entries.get(place + 1).map(|entry| entry.node & NODE)
    }

    /// The nearest entry from `from` on that was not looked at; marks it.
    fn next(&mut self, from: usize) -> Option<(usize, u32)> {
        let place = from + self.entries.get(from..)?.iter().position(|entry| entry.node & EXPANDED == 0)?;
        let node = self.entries[place].node & NODE;
        self.entries[place].node |= EXPANDED;
        Some((place, node))
    }
}

/// Nodes that a walk has met.
#[derive(Debug, Default)]
pub(super) struct Visited {
    bits: Vec<u64>,
    /// Words that are not zero.
    touched: Vec<u32>,
}

impl Visited {
    /// Forgets everything; nodes are below `nodes` from now on.
    pub(super) fn reset(&mut self, nodes: usize) {
        let words = nodes.div_ceil(64);
        if self.bits.len() != words || self.touched.len() * 8 > words {
            self.bits.clear();
            self.bits.resize(words, 0);
        } else {
            self.touched.iter().for_each(|&word| self.bits[word as usize] = 0);
        }
        self.touched.clear();
    }

    /// Whether it was inserted.
    pub(super) fn contains(&self, node: u32) -> bool {
        self.bits[node as usize / 64] >> (node % 64) & 1 == 1
    }

    /// True the first time.
    #[inline]
    pub(super) fn insert(&mut self, node: u32) -> bool {
        let word = &mut self.bits[node as usize / 64];
        let bit = 1 << (node % 64);
        if *word & bit != 0 {
            return false;
        }
        if *word == 0 {
            self.touched.push(node / 64);
        }
        *word |= bit;
        true
    }
}

/// Reusable buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) pool: Pool,
    pub(super) visited: Visited,
    pub(super) batch: Vec<u32>,
    pub(super) distances: Vec<f32>,
}

/// A graph to walk over, and the distances of its nodes from where the walk wants to go.
pub(super) trait Ground {
    /// Puts the unvisited neighbours of `node` into `batch`, and marks them.
    fn neighbours(&mut self, node: u32, visited: &mut Visited, batch: &mut Vec<u32>);

    /// The neighbours of `node` will be asked for soon.
    fn announce(&self, node: u32);

    /// A distance for each node.
    fn distances(&mut self, nodes: &[u32], out: &mut [f32]);

    /// Whether the node may be found. Asked of nodes near enough to be kept.
    fn counts(&mut self, _node: u32) -> bool {
        true
    }
}

/// What a walk did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walked {
    /// Nodes whose neighbours were looked at.
    pub(super) hops: u64,
    /// Distances taken.
    pub(super) compared: u64,
    /// Whether it was given up.
    pub(super) given_up: bool,
}

impl Scratch {
    /// Walks from `entries` until the pool, of `capacity` nodes that count, holds no node that was not looked at. What is
    /// found is in the pool; `hidden` is not met.
    pub(super) fn walk(
        &mut self,
        ground: &mut impl Ground,
        nodes: usize,
        entries: impl IntoIterator<Item = u32>,
        capacity: usize,
        hidden: Option<u32>,
    ) -> Walked {
        self.visited.reset(nodes);
        hidden.map(|node| self.visited.insert(node));
        self.pool.reset(capacity);
        self.batch.clear();
        let visited = &mut self.visited;
        self.batch.extend(entries.into_iter().filter(|&entry| visited.insert(entry)));
        let most = MOST_ENTRIES.max(2 * capacity);
        let mut walked = Walked { compared: self.batch.len() as u64, ..Walked::default() };
        let mut place = self.take_batch(ground);
        while let Some((at, node)) = self.pool.next(place) {
            if let Some(next) = self.pool.after(at) {
                ground.announce(next);
            }
            self.batch.clear();
            ground.neighbours(node, &mut self.visited, &mut self.batch);
            walked.hops += 1;
            walked.compared += self.batch.len() as u64;
            place = self.take_batch(ground).min(at + 1);
            if self.pool.entries.len() > most {
                walked.given_up = true;
                break;
            }
        }
        walked
    }

    /// Takes the batch into the pool; gives back the first place that changed.
    fn take_batch(&mut self, ground: &mut impl Ground) -> usize {
        self.distances.resize(self.batch.len().max(self.distances.len()), 0.0);
        let distances = &mut self.distances[..self.batch.len()];
        ground.distances(&self.batch, distances);
        let mut first = usize::MAX;
        for (&node, &distance) in self.batch.iter().zip(&*distances) {
            if self.pool.takes(distance) {
                let counts = ground.counts(node);
                first = first.min(self.pool.insert(distance, node, counts));
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes on a line, linked to the next ones; distances from `goal`.
    struct Line {
        goal: u32,
        nodes: u32,
        /// Multiples of this may be found.
        every: u32,
    }

    impl Ground for Line {
        fn neighbours(&mut self, node: u32, visited: &mut Visited, batch: &mut Vec<u32>) {
            for next in [node.wrapping_sub(1), node + 1] {
                if next < self.nodes && visited.insert(next) {
                    batch.push(next);
                }
            }
        }

        fn announce(&self, _: u32) {}

        fn distances(&mut self, nodes: &[u32], out: &mut [f32]) {
            nodes.iter().zip(out).for_each(|(&n, d)| *d = n.abs_diff(self.goal) as f32);
        }

        fn counts(&mut self, node: u32) -> bool {
            node.is_multiple_of(self.every)
        }
    }

    #[test]
    fn a_walk_ends_with_the_nearest_nodes() {
        let mut scratch = Scratch::default();
        for (goal, nodes) in [(70, 200), (0, 65), (64, 65), (5, 6)] {
            let walked = scratch.walk(&mut Line { goal, nodes, every: 1 }, nodes as usize, [0, 3], 4, None);
            let found: Vec<(f32, u32)> = scratch.pool.nodes().collect();
            assert!(found.len() == 4 && found[0] == (0.0, goal), "{found:?}");
            assert!(found.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            assert!(walked.hops <= walked.compared && walked.compared <= u64::from(nodes));
        }
    }

    #[test]
    fn way_points_lead_on_and_do_not_count() {
        let mut scratch = Scratch::default();
        let mut line = Line { goal: 151, nodes: 400, every: 50 };
        let walked = scratch.walk(&mut line, 400, [0], 3, None);
        assert_eq!(scratch.pool.nodes().collect::<Vec<_>>(), [(1.0, 150), (49.0, 200), (51.0, 100)]);
        assert!(!walked.given_up);
    }

    #[test]
    fn a_pool_keeps_the_nearest_that_count() {
        let mut pool = Pool::default();
        pool.reset(2);
        assert_eq!(pool.insert(3.0, 1, true), 0);
        assert_eq!(pool.insert(9.0, 7, false), 1);
        assert_eq!(pool.insert(5.0, 2, true), 1);
        // The way-point behind the second node that counts is gone.
        assert!(!pool.takes(5.0) && pool.takes(4.9));
        assert_eq!(pool.insert(4.0, 3, false), 1);
        assert_eq!(pool.insert(1.0, 4, true), 0);
        assert_eq!(pool.nodes().collect::<Vec<_>>(), [(1.0, 4), (3.0, 1)]);
        assert_eq!(pool.entries.len(), 2);
    }
}
