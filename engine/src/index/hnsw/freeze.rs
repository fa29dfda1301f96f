//! From a graph that grew to one that is searched: lists cut to their final length, every node reachable, arrays
//! without gaps.

use rayon::prelude::*;

use super::build::Building;
use super::connect::connect;
use super::walk::Distances;
use super::{HnswIndex, Links, Nodes, Walk};
use crate::array::Array;
use crate::error::Result;
use crate::index::progress::BuildProgress;
use crate::index::space::Space;

/// Finished lists.
pub(super) struct Frozen {
    base: Links,
    upper: Vec<Links>,
    upper_nodes: Vec<u32>,
}

impl Frozen {
    pub(super) fn into_index(self, space: Space, nodes: Nodes, walk: Walk, refined: bool) -> HnswIndex {
        HnswIndex {
            space,
            nodes,
            walk,
            base: self.base,
            upper: self.upper,
            upper_nodes: Array::Heap(self.upper_nodes),
            refined,
        }
    }
}

pub(super) fn freeze<D: Distances>(
    building: &Building<'_, D>,
    entry: u32,
    progress: &BuildProgress,
) -> Result<Frozen> {
    let count = building.levels.len();
    let cut = |node: u32, level: usize| {
        let (lists, list) = building.list(node, level);
        let neighbours: Vec<u32> = lists.get(list).collect();
        if neighbours.len() > building.most(level) {
            building.prune(node, neighbours, level)
        } else {
            neighbours
        }
    };
    let lists: Vec<Vec<u32>> = (0..count as u32).into_par_iter().map(|node| cut(node, 0)).collect();
    let base = pack(connect(building, lists, entry, progress)?.into_iter().map(Vec::into_iter));
    let upper = (1..=building.upper.len())
        .map(|level| {
            let nodes =
                building.upper_nodes.partition_point(|&n| usize::from(building.levels[n as usize]) >= level);
            let place = |other: u32| building.upper_place[other as usize];
            pack(building.upper_nodes[..nodes].iter().map(|&node| cut(node, level).into_iter().map(place)))
        })
        .collect();
    Ok(Frozen { base, upper, upper_nodes: building.upper_nodes.clone() })
}

fn pack(lists: impl Iterator<Item = impl Iterator<Item = u32>>) -> Links {
    let (mut starts, mut neighbours) = (vec![0u32], Vec::new());
    for list in lists {
        neighbours.extend(list);
        starts.push(neighbours.len() as u32);
    }
    Links { starts: starts.into(), neighbours: neighbours.into() }
}
