//! Which candidates become neighbours: those that are nearer to the node than to any neighbour chosen before (algorithm
//! 4 of the paper). Links then go in many directions instead of all into the nearest cluster.

use super::walk::Distances;

/// Chooses up to `most` of the candidates, which are sorted by distance.
pub(super) fn select(distances: &impl Distances, candidates: &[(f32, u32)], most: usize) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::with_capacity(most);
    for &(distance, node) in candidates {
        if chosen.len() == most {
            break;
        }
        // Strictly: among equal distances nothing is in the way of anything.
        if chosen.iter().all(|&other| distances.pair(node, other) >= distance) {
            chosen.push(node);
        }
    }
    chosen
}
