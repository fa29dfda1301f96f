//! Which rows a node of the graph stands for: one, or all that hold the same vector.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use crate::array::Array;
use crate::rowset::RowSet;
use crate::segment::VectorColumn;

/// Rows of nodes and nodes of rows.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// Rows, node after node.
    pub(crate) rows: Array<u32>,
    /// Where each node's rows begin, and the end of the last. None: each node has one row.
    pub(crate) starts: Option<Array<u32>>,
    /// The node of each row.
    pub(crate) node_of: Array<u32>,
}

impl Nodes {
    /// Groups the rows of a column: equal vectors are one node. Nodes are in the order of their first rows.
    pub(crate) fn group(column: &VectorColumn) -> Self {
        let mut seen: HashMap<u64, u32> = HashMap::with_capacity(column.rows());
        let mut firsts: Vec<u32> = Vec::with_capacity(column.rows());
        let node_of: Vec<u32> = (0..column.rows() as u32)
            .map(|row| {
                let values = column.row(row as usize);
                let mut hasher = DefaultHasher::new();
                hasher.write(bytemuck::cast_slice(values));
                let fresh = firsts.len() as u32;
                let node = *seen.entry(hasher.finish()).or_insert(fresh);
                if node != fresh && column.row(firsts[node as usize] as usize) == values {
                    return node;
                }
                firsts.push(row);
                fresh
            })
            .collect();
        Self::of(node_of, firsts.len())
    }

    /// From the node of each row.
    fn of(node_of: Vec<u32>, count: usize) -> Self {
        let groups = crate::index::kmeans::group(&node_of, count);
        let starts = (count < node_of.len()).then_some(Array::Heap(groups.starts));
        Self { rows: Array::Heap(groups.members), starts, node_of: Array::Heap(node_of) }
    }

    /// The same, with node `i` renamed to `new_name[i]`.
    pub(crate) fn renamed(&self, new_name: &[u32]) -> Self {
        Self::of(self.node_of.as_slice().iter().map(|&node| new_name[node as usize]).collect(), self.len())
    }

    /// Nodes.
    pub(crate) fn len(&self) -> usize {
        self.starts.as_ref().map_or(self.rows.as_slice().len(), |starts| starts.as_slice().len() - 1)
    }

    /// Rows of a node, ascending; never none.
    pub(crate) fn rows_of(&self, node: u32) -> &[u32] {
        self.view().rows_of(node)
    }

    pub(crate) fn view(&self) -> NodesView<'_> {
        NodesView { rows: self.rows.as_slice(), starts: self.starts.as_ref().map(Array::as_slice) }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.rows.bytes() + self.node_of.bytes() + self.starts.as_ref().map_or(0, Array::bytes)
    }
}

/// Rows of nodes as plain slices, which a walk asks for once and not for each node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodesView<'a> {
    rows: &'a [u32],
    starts: Option<&'a [u32]>,
}

impl<'a> NodesView<'a> {
    /// Rows of a node, ascending; never none.
    #[inline]
    pub(crate) fn rows_of(&self, node: u32) -> &'a [u32] {
        let node = node as usize;
        let (start, end) = match self.starts {
            None => (node, node + 1),
            Some(starts) => (starts[node] as usize, starts[node + 1] as usize),
        };
        &self.rows[start..end]
    }

    /// Whether one of the node's rows is in the set.
    #[inline]
    pub(crate) fn any_in(&self, node: u32, set: &RowSet) -> bool {
        match set {
            RowSet::All(_) => true,
            RowSet::Some(..) => self.rows_of(node).iter().any(|&row| set.contains(row as usize)),
        }
    }
}
