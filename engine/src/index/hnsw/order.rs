//! The order of nodes in memory: near ones together. A walk then reads from few pages, and so does an insertion when
//! nodes are inserted in this order.

use super::Nodes;
use crate::error::Result;
use crate::index::assign::assign;
use crate::index::kmeans::{group, train};
use crate::index::progress::BuildProgress;
use crate::index::sample::{lay_sample, sample};
use crate::index::space::Space;
use crate::kernel;
use crate::segment::VectorColumn;

/// Nodes of a cluster, about: some dozen pages of codes.
const NODES_PER_CLUSTER: usize = 256;
const MOST_CLUSTERS: usize = 1024;
/// Rows that the clusters are learnt from, for each.
const SAMPLE_PER_CLUSTER: usize = 32;

/// A new name for each node: clusters after each other, each beside one that is near.
pub(super) fn by_cluster(
    space: &Space,
    column: &VectorColumn,
    nodes: &Nodes,
    seed: u64,
    progress: &BuildProgress,
) -> Result<Vec<u32>> {
    let clusters = (nodes.len() / NODES_PER_CLUSTER).clamp(1, MOST_CLUSTERS);
    if clusters == 1 {
        return Ok((0..nodes.len() as u32).collect());
    }
    let width = space.width();
    let sampled: Vec<u32> = sample(nodes.len(), clusters * SAMPLE_PER_CLUSTER, seed ^ 3)
        .into_iter()
        .map(|node| nodes.rows_of(node)[0])
        .collect();
    let centroids = train(&lay_sample(space, column, &sampled), width, clusters, seed, progress)?;
    let row_of = |node: usize| nodes.rows_of(node as u32)[0] as usize;
    let cluster_of = assign(space, column, &centroids, nodes.len(), row_of, progress)?;
    let place = chain(&centroids.values, width);
    let placed: Vec<u32> = cluster_of.into_iter().map(|cluster| place[cluster as usize]).collect();
    let mut new_name = vec![0u32; nodes.len()];
    group(&placed, clusters).members.iter().zip(0..).for_each(|(&node, name)| new_name[node as usize] = name);
    Ok(new_name)
}

/// A place for each centroid on a path that goes on to the nearest one that is left.
fn chain(centroids: &[f32], width: usize) -> Vec<u32> {
    let kernel = kernel::active();
    let count = centroids.len() / width;
    let mut place = vec![u32::MAX; count];
    let mut distances = vec![0f32; count];
    let mut here = 0;
    for next_place in 0..count as u32 {
        place[here] = next_place;
        kernel.l2_many(&centroids[here * width..(here + 1) * width], centroids, &mut distances);
        let left = (0..count).filter(|&other| place[other] == u32::MAX);
        let Some(nearest) = left.min_by(|&a, &b| distances[a].total_cmp(&distances[b])) else { break };
        here = nearest;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_visits_every_centroid_once_and_goes_on_to_near_ones() {
        let place = chain(&[0.0, 0.0, 9.0, 0.0, 1.0, 0.0, 8.0, 0.0], 2);
        assert_eq!(place, [0, 3, 1, 2]);
    }
}
