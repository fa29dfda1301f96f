//! Making sure that every node can be reached from the entry over level 0. Pruning may cut a node off: each link to it
//! was given up for a better one.

use super::build::{Building, OnLevel};
use super::pool::{Scratch, Visited};
use super::walk::Distances;
use crate::error::Result;
use crate::index::progress::BuildProgress;

/// Links every node that cannot be reached to the nearest one that can.
pub(super) fn connect<D: Distances>(
    building: &Building<'_, D>,
    mut lists: Vec<Vec<u32>>,
    entry: u32,
    progress: &BuildProgress,
) -> Result<Vec<Vec<u32>>> {
    let mut met = Visited::default();
    met.reset(lists.len());
    let mut reached = explore(entry, &lists, &mut met);
    let mut scratch = Scratch::default();
    for node in 0..lists.len() as u32 {
        if reached == lists.len() {
            break;
        }
        if met.contains(node) {
            continue;
        }
        progress.check()?;
        let from = nearest_met(building, node, entry, &met, &mut scratch).unwrap_or(entry);
        lists[from as usize].push(node);
        if !lists[node as usize].contains(&from) {
            lists[node as usize].push(from);
        }
        reached += explore(node, &lists, &mut met);
    }
    Ok(lists)
}

/// Meets all that can be reached from a node; gives back how many that are.
fn explore(from: u32, lists: &[Vec<u32>], met: &mut Visited) -> usize {
    met.insert(from);
    let (mut open, mut reached) = (vec![from], 0);
    while let Some(node) = open.pop() {
        reached += 1;
        open.extend(lists[node as usize].iter().copied().filter(|&next| met.insert(next)));
    }
    reached
}

/// The nearest node to `node` that was met, as a walk from the entry finds it.
fn nearest_met<D: Distances>(
    building: &Building<'_, D>,
    node: u32,
    entry: u32,
    met: &Visited,
    scratch: &mut Scratch,
) -> Option<u32> {
    let origin = building.distances.origin(node);
    let mut ground = OnLevel { building, level: 0, origin: &origin };
    scratch.walk(&mut ground, building.distances.len(), [entry], building.params.ef_construction, None);
    scratch.pool.nodes().map(|(_, other)| other).find(|&other| other != node && met.contains(other))
}
