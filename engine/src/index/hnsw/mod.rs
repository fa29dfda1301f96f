//! Hierarchical navigable small world graph (Malkov and Yashunin, "Efficient and robust approximate nearest neighbor
//! search using Hierarchical Navigable Small World graphs", 2018), built over a whole segment at once and never changed.
//!
//! What differs from the paper, and why:
//! - A search walks over codes of one byte a dimension and scores in full precision only what it found: a quarter of
//!   the bytes, and integer arithmetic. Data that codes cannot tell apart is walked over in floats ([`Walk`]).
//! - Equal vectors are one node with several rows, so that ten thousand copies neither cut the graph nor fill an answer.
//! - Every node can be reached from the entry: what pruning has cut off is linked again.
//! - Nodes are numbered cluster by cluster, so that near ones lie near each other in memory.
//! - Dead rows stay as way-points until the segment is compacted. A filter that leaves few rows is followed two hops at a
//!   time over nodes that may be found (ACORN: Patel et al., 2024).

mod build;
mod connect;
mod freeze;
mod nodes;
mod order;
mod pool;
mod search;
mod select;
mod walk;

use super::quantizer::Codes;
use super::space::Space;
use crate::array::Array;
use crate::kernel::prefetch;

pub(crate) use build::{HnswParams, build};
pub(crate) use nodes::{Nodes, NodesView};

/// Neighbours in a cache line.
const LINE: usize = 16;

/// A finished graph.
#[derive(Debug)]
pub(crate) struct HnswIndex {
    pub(crate) space: Space,
    pub(crate) nodes: Nodes,
    pub(crate) walk: Walk,
    /// Level 0, over all nodes.
    pub(crate) base: Links,
    /// Levels 1 and up, over places in `upper_nodes`.
    pub(crate) upper: Vec<Links>,
    /// The nodes of the upper levels, those of the highest first: a level holds a beginning of them.
    pub(crate) upper_nodes: Array<u32>,
    /// Whether candidates beyond the best k are scored, to make up for the codes' errors.
    pub(crate) refined: bool,
}

/// What a walk compares.
#[derive(Debug)]
pub(crate) enum Walk {
    /// Codes, in the order of the nodes, and how far a row may lie from what its code stands for.
    Codes { codes: Codes, error: f32 },
    /// The rows themselves.
    Floats,
}

/// Neighbours of each node, one list after the other.
#[derive(Debug)]
pub(crate) struct Links {
    /// Where each node's list begins, and the end of the last.
    pub(crate) starts: Array<u32>,
    pub(crate) neighbours: Array<u32>,
}

/// The same as plain slices, which a walk asks for once and not at each hop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinksView<'a> {
    starts: &'a [u32],
    neighbours: &'a [u32],
}

impl<'a> LinksView<'a> {
    #[inline]
    pub(crate) fn of(&self, node: u32) -> &'a [u32] {
        let (start, end) = (self.starts[node as usize], self.starts[node as usize + 1]);
        &self.neighbours[start as usize..end as usize]
    }

    /// Fetches a list that is wanted soon.
    #[inline]
    pub(crate) fn announce(&self, node: u32) {
        let start = self.starts[node as usize] as usize;
        prefetch(self.neighbours, start);
        prefetch(self.neighbours, start + LINE);
    }
}

impl Links {
    pub(crate) fn view(&self) -> LinksView<'_> {
        LinksView { starts: self.starts.as_slice(), neighbours: self.neighbours.as_slice() }
    }

    fn bytes(&self) -> usize {
        self.starts.bytes() + self.neighbours.bytes()
    }
}

impl HnswIndex {
    /// Bytes of its arrays.
    pub(crate) fn bytes(&self) -> usize {
        let codes = match &self.walk {
            Walk::Codes { codes, .. } => codes.rows.bytes(),
            Walk::Floats => 0,
        };
        let upper: usize = self.upper.iter().map(Links::bytes).sum();
        codes + self.nodes.bytes() + self.base.bytes() + upper + self.upper_nodes.bytes()
    }
}
