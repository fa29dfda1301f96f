//! What distances a walk takes: between codes, or between vectors in full precision.

use crate::index::quantizer::Codes;
use crate::kernel;

/// Distances between nodes while a graph is built.
pub(super) trait Distances: Sync {
    /// A node as what others are compared with.
    type Origin: Send;

    /// Nodes.
    fn len(&self) -> usize;

    fn origin(&self, node: u32) -> Self::Origin;

    /// From an origin to each node.
    fn many(&self, origin: &Self::Origin, nodes: &[u32], out: &mut [f32]);

    fn pair(&self, a: u32, b: u32) -> f32;
}

impl Distances for Codes {
    type Origin = Vec<i16>;

    fn len(&self) -> usize {
        self.rows.as_slice().len() / self.quantizer.stride()
    }

    fn origin(&self, node: u32) -> Vec<i16> {
        self.get(node).iter().map(|&code| i16::from(code)).collect()
    }

    #[inline]
    fn many(&self, origin: &Vec<i16>, nodes: &[u32], out: &mut [f32]) {
        kernel::active().codes_gather(origin, self.rows.as_slice(), nodes, out);
    }

    #[inline]
    fn pair(&self, a: u32, b: u32) -> f32 {
        kernel::active().codes_pair(self.get(a), self.get(b))
    }
}

/// Vectors laid into the space, in the order of the nodes.
pub(super) struct Vectors {
    pub(super) values: Vec<f32>,
    pub(super) width: usize,
}

impl Vectors {
    fn row(&self, node: u32) -> &[f32] {
        &self.values[node as usize * self.width..(node as usize + 1) * self.width]
    }
}

impl Distances for Vectors {
    type Origin = Vec<f32>;

    fn len(&self) -> usize {
        self.values.len() / self.width
    }

    fn origin(&self, node: u32) -> Vec<f32> {
        self.row(node).to_vec()
    }

    #[inline]
    fn many(&self, origin: &Vec<f32>, nodes: &[u32], out: &mut [f32]) {
        kernel::active().l2_gather(origin, &self.values, nodes, out);
    }

    #[inline]
    fn pair(&self, a: u32, b: u32) -> f32 {
        kernel::active().l2(self.row(a), self.row(b))
    }
}
