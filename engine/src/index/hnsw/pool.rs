//! The walk itself: best-first over a graph with a bounded, sorted pool. Builds and searches use the same one.

/// Marks an entry whose neighbours were looked at. Nodes are below this.
const EXPANDED: u32 = 1 << 31;

/// A node and its distance.
#[derive(Debug, Clone, Copy)]
struct Entry {
    distance: f32,
    node: u32,
}

/// The nearest nodes so far, nearest first. A sorted array: for the few hundred entries of a search, moving them is
/// cheaper than keeping a heap, and the next node to look at is found by going on.
#[derive(Debug, Default)]
pub(super) struct Pool {
    entries: Vec<Entry>,
    capacity: usize,
}

impl Pool {
    /// Empties it; at most `capacity` entries are kept from now on.
    pub(super) fn reset(&mut self, capacity: usize) {
        self.entries.clear();
        self.capacity = capacity.max(1);
    }

    /// Takes a node in, if it is near enough; gives back its place.
    #[inline]
    pub(super) fn offer(&mut self, distance: f32, node: u32) -> Option<usize> {
        if self.entries.len() == self.capacity {
            match self.entries.last() {
                Some(last) if distance < last.distance => self.entries.truncate(self.capacity - 1),
                _ => return None,
            }
        }
        let place = self.entries.partition_point(|entry| entry.distance <= distance);
        self.entries.insert(place, Entry { distance, node });
        Some(place)
    }

    /// Nodes with their distances, nearest first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (f32, u32)> + '_ {
        self.entries.iter().map(|entry| (entry.distance, entry.node & !EXPANDED))
    }

    /// The entry behind a place.
    fn after(&self, place: usize) -> Option<u32> {
        self.entries.get(place + 1).map(|entry| entry.node & !EXPANDED)
    }

    /// The nearest entry from `from` on that was not looked at; marks it.
    fn next(&mut self, from: usize) -> Option<(usize, u32)> {
        let place = from + self.entries.get(from..)?.iter().position(|entry| entry.node & EXPANDED == 0)?;
        let node = self.entries[place].node;
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
}

impl Scratch {
    /// Walks from `entries` until the pool of `capacity` nodes holds no node that was not looked at. What is found is in
    /// the pool; `hidden` is not met. Gives back how many nodes were looked at, and how many distances were taken.
    pub(super) fn walk(
        &mut self,
        ground: &mut impl Ground,
        nodes: usize,
        entries: impl IntoIterator<Item = u32>,
        capacity: usize,
        hidden: Option<u32>,
    ) -> (u64, u64) {
        self.visited.reset(nodes);
        hidden.map(|node| self.visited.insert(node));
        self.pool.reset(capacity);
        self.batch.clear();
        let visited = &mut self.visited;
        self.batch.extend(entries.into_iter().filter(|&entry| visited.insert(entry)));
        let (mut hops, mut compared, mut place) = (0, 0, self.take_batch(ground));
        compared += self.batch.len() as u64;
        while let Some((at, node)) = self.pool.next(place) {
            self.batch.clear();
            ground.neighbours(node, &mut self.visited, &mut self.batch);
            if let Some(next) = self.pool.after(at) {
                ground.announce(next);
            }
            hops += 1;
            compared += self.batch.len() as u64;
            place = self.take_batch(ground).min(at + 1);
        }
        (hops, compared)
    }

    /// Takes the batch into the pool; gives back the first place that changed.
    fn take_batch(&mut self, ground: &mut impl Ground) -> usize {
        self.distances.resize(self.batch.len().max(self.distances.len()), 0.0);
        let distances = &mut self.distances[..self.batch.len()];
        ground.distances(&self.batch, distances);
        let mut first = usize::MAX;
        for (&node, &distance) in self.batch.iter().zip(&*distances) {
            if let Some(place) = self.pool.offer(distance, node) {
                first = first.min(place);
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
    }

    #[test]
    fn a_walk_ends_with_the_nearest_nodes() {
        let mut scratch = Scratch::default();
        for (goal, nodes) in [(70, 200), (0, 65), (64, 65), (5, 6)] {
            let (hops, compared) = scratch.walk(&mut Line { goal, nodes }, nodes as usize, [0, 3], 4, None);
            let found: Vec<(f32, u32)> = scratch.pool.nodes().collect();
            assert!(found.len() == 4 && found[0] == (0.0, goal), "{found:?}");
            assert!(found.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            assert!(hops <= compared && compared <= u64::from(nodes));
        }
    }

    #[test]
    fn a_pool_keeps_the_nearest() {
        let mut pool = Pool::default();
        pool.reset(2);
        assert_eq!(pool.offer(3.0, 1), Some(0));
        assert_eq!(pool.offer(5.0, 2), Some(1));
        assert_eq!(pool.offer(5.0, 3), None);
        assert_eq!(pool.offer(1.0, 4), Some(0));
        assert_eq!(pool.nodes().collect::<Vec<_>>(), [(1.0, 4), (3.0, 1)]);
    }
}
