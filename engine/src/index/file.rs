//! An index on disk: `derived/<segment>.<field>.index`, a container whose first block says in JSON what the others hold.
//! Arrays are mapped, so an index that was just built and one that was opened are searched by the same code.
//! `storage/FORMAT.md` says every byte.

use std::path::{Path, PathBuf};

use bytemuck::Pod;
use elanus_storage::{Container, ContainerWriter, FileKind, Vfs};
use serde::{Deserialize, Serialize};

use super::hnsw::{HnswIndex, Links, Nodes, Walk};
use super::ivf::IvfIndex;
use super::quantizer::{Codes, Quantizer};
use super::space::Space;
use super::{Calibration, Family, Plan, VectorIndex};
use crate::array::Array;
use crate::error::{EngineError, Result};
use crate::kernel::Metric;

const INDEX: FileKind = FileKind { tag: *b"EIDX", version: 1 };
const HEAD: [u8; 4] = *b"head";

const CENTROIDS: [u8; 4] = *b"cent";
const STARTS: [u8; 4] = *b"strt";
const ORDER: [u8; 4] = *b"ordr";
const CODES: [u8; 4] = *b"code";
const ERRORS: [u8; 4] = *b"errs";
const NODE_ROWS: [u8; 4] = *b"nrow";
const NODE_STARTS: [u8; 4] = *b"nstr";
const NODE_OF: [u8; 4] = *b"nodf";
const UPPER_NODES: [u8; 4] = *b"upno";

/// Where the index of a vector field of a segment lies below a collection's folder. `field` is its position among the
/// vector fields.
pub(crate) fn index_path(dir: &Path, segment: u64, field: usize) -> PathBuf {
    dir.join("derived").join(format!("{segment:016x}.{field}.index"))
}

/// What an index is, and the lengths of its arrays.
#[derive(Serialize, Deserialize)]
struct Head {
    /// What was asked for: another answer than today's means that the index is out of date.
    plan: Plan,
    metric: Metric,
    rows: usize,
    dim: usize,
    space: Space,
    quantizer: Option<Quantizer>,
    calibration: Calibration,
    family: FamilyHead,
}

#[derive(Serialize, Deserialize)]
enum FamilyHead {
    Ivf {
        lists: usize,
        proven: bool,
    },
    Hnsw {
        nodes: usize,
        grouped: bool,
        links: usize,
        upper: Vec<LevelHead>,
        upper_nodes: usize,
        error: f32,
        refined: bool,
    },
}

#[derive(Serialize, Deserialize)]
struct LevelHead {
    nodes: usize,
    links: usize,
}

fn level_tag(prefix: u8, level: usize) -> [u8; 4] {
    [prefix, b'u', b'0' + (level / 10 % 10) as u8, b'0' + (level % 10) as u8]
}

/// Writes an index; durable when it returns. Gives back its bytes.
pub(crate) fn write_index(
    vfs: &dyn Vfs,
    path: &Path,
    index: &VectorIndex,
    plan: Plan,
    rows: usize,
    dim: usize,
) -> Result<u64> {
    let head = head_of(index, plan, rows, dim);
    let bytes = serde_json::to_vec(&head).map_err(|e| EngineError::Internal(format!("index head: {e}")))?;
    let mut writer = ContainerWriter::create(vfs, path, INDEX)?;
    writer.block(HEAD, &bytes)?;
    match &index.family {
        Family::Ivf(ivf) => {
            put(&mut writer, CENTROIDS, &ivf.centroids.rows)?;
            put(&mut writer, STARTS, &ivf.starts)?;
            put(&mut writer, ORDER, &ivf.order)?;
            put(&mut writer, CODES, &ivf.codes.rows)?;
            put(&mut writer, ERRORS, &ivf.errors)?;
        }
        Family::Hnsw(hnsw) => {
            put(&mut writer, NODE_ROWS, &hnsw.nodes.rows)?;
            if let Some(starts) = &hnsw.nodes.starts {
                put(&mut writer, NODE_STARTS, starts)?;
            }
            put(&mut writer, NODE_OF, &hnsw.nodes.node_of)?;
            if let Walk::Codes { codes, .. } = &hnsw.walk {
                put(&mut writer, CODES, &codes.rows)?;
            }
            for (level, links) in std::iter::once(&hnsw.base).chain(&hnsw.upper).enumerate() {
                put(&mut writer, level_tag(b's', level), &links.starts)?;
                put(&mut writer, level_tag(b'l', level), &links.neighbours)?;
            }
            put(&mut writer, UPPER_NODES, &hnsw.upper_nodes)?;
        }
    }
    Ok(writer.finish()?)
}

fn head_of(index: &VectorIndex, plan: Plan, rows: usize, dim: usize) -> Head {
    let (space, quantizer, family) = match &index.family {
        Family::Ivf(ivf) => (
            &ivf.space,
            Some(ivf.codes.quantizer.clone()),
            FamilyHead::Ivf { lists: ivf.lists(), proven: ivf.proven },
        ),
        Family::Hnsw(hnsw) => {
            let (quantizer, error) = match &hnsw.walk {
                Walk::Codes { codes, error } => (Some(codes.quantizer.clone()), *error),
                Walk::Floats => (None, 0.0),
            };
            let level = |links: &Links| LevelHead {
                nodes: links.starts.as_slice().len() - 1,
                links: links.neighbours.as_slice().len(),
            };
            let family = FamilyHead::Hnsw {
                nodes: hnsw.nodes.len(),
                grouped: hnsw.nodes.starts.is_some(),
                links: hnsw.base.neighbours.as_slice().len(),
                upper: hnsw.upper.iter().map(level).collect(),
                upper_nodes: hnsw.upper_nodes.as_slice().len(),
                error,
                refined: hnsw.refined,
            };
            (&hnsw.space, quantizer, family)
        }
    };
    Head {
        plan,
        metric: index.metric,
        rows,
        dim,
        space: space.clone(),
        quantizer,
        calibration: index.calibration.clone(),
        family,
    }
}

fn put<T: Pod>(writer: &mut ContainerWriter<'_>, tag: [u8; 4], array: &Array<T>) -> Result<()> {
    Ok(writer.block(tag, bytemuck::cast_slice(array.as_slice()))?)
}

/// Maps an index and checks all of it: a wrong number in it must not lead a search astray.
///
/// # Errors
/// When there is none, it is damaged, or it is not what `plan` asks for over these rows.
pub(crate) fn open_index(
    vfs: &dyn Vfs,
    path: &Path,
    plan: Plan,
    metric: Metric,
    rows: usize,
    dim: usize,
) -> Result<VectorIndex> {
    let container = Container::open(vfs, path, INDEX)?;
    container.verify()?;
    let unusable = |reason: String| EngineError::Internal(format!("index {}: {reason}", path.display()));
    let head: Head =
        serde_json::from_slice(&container.require(HEAD)?).map_err(|e| unusable(e.to_string()))?;
    if head.plan != plan || head.metric != metric || head.rows != rows || head.dim != dim {
        return Err(unusable("is of another kind than wanted".into()));
    }
    let reader = Reader { container: &container };
    let family = match &head.family {
        FamilyHead::Ivf { lists, proven } => Family::Ivf(reader.ivf(&head, *lists, *proven)?),
        FamilyHead::Hnsw { .. } => Family::Hnsw(reader.hnsw(&head)?),
    };
    Ok(VectorIndex { metric, family, calibration: head.calibration })
}

struct Reader<'a> {
    container: &'a Container,
}

impl Reader<'_> {
    fn array<T: Pod>(&self, tag: [u8; 4], len: usize) -> Result<Array<T>> {
        Array::mapped(self.container.require(tag)?, len)
    }

    fn codes(&self, tag: [u8; 4], quantizer: &Quantizer, count: usize) -> Result<Codes> {
        let rows = self.array(tag, count.saturating_mul(quantizer.stride()))?;
        Ok(Codes { quantizer: quantizer.clone(), rows })
    }

    /// Starts of lists that follow each other from 0 to `end`.
    fn starts(&self, tag: [u8; 4], lists: usize, end: usize) -> Result<Array<u32>> {
        let starts: Array<u32> = self.array(tag, lists.saturating_add(1))?;
        let values = starts.as_slice();
        let ends = values.first() == Some(&0) && values.last().is_some_and(|&last| last as usize == end);
        if ends && values.is_sorted() { Ok(starts) } else { Err(wrong("lists do not follow each other")) }
    }

    /// Numbers below `end`.
    fn numbers(&self, tag: [u8; 4], len: usize, end: usize) -> Result<Array<u32>> {
        let numbers: Array<u32> = self.array(tag, len)?;
        let within = numbers.as_slice().iter().all(|&number| (number as usize) < end);
        if within { Ok(numbers) } else { Err(wrong("a number is out of range")) }
    }

    fn ivf(&self, head: &Head, lists: usize, proven: bool) -> Result<IvfIndex> {
        let quantizer = quantizer(head)?;
        Ok(IvfIndex {
            space: head.space.clone(),
            centroids: self.codes(CENTROIDS, quantizer, lists)?,
            starts: self.starts(STARTS, lists, head.rows)?,
            order: self.numbers(ORDER, head.rows, head.rows)?,
            codes: self.codes(CODES, quantizer, head.rows)?,
            errors: self.array(ERRORS, lists)?,
            proven,
        })
    }

    fn hnsw(&self, head: &Head) -> Result<HnswIndex> {
        let FamilyHead::Hnsw { nodes, grouped, links, upper, upper_nodes, error, refined } = &head.family
        else {
            return Err(wrong("is no graph"));
        };
        let walk = match head.quantizer {
            Some(_) => Walk::Codes { codes: self.codes(CODES, quantizer(head)?, *nodes)?, error: *error },
            None => Walk::Floats,
        };
        let starts = grouped.then(|| self.starts(NODE_STARTS, *nodes, head.rows)).transpose()?;
        if starts.as_ref().is_some_and(|s| s.as_slice().windows(2).any(|w| w[0] == w[1])) {
            return Err(wrong("a node without rows"));
        }
        if !grouped && *nodes != head.rows || *nodes == 0 {
            return Err(wrong("nodes and rows do not fit"));
        }
        let links_of = |level: usize, head: &LevelHead| {
            Ok::<_, EngineError>(Links {
                starts: self.starts(level_tag(b's', level), head.nodes, head.links)?,
                neighbours: self.numbers(level_tag(b'l', level), head.links, head.nodes)?,
            })
        };
        let shrinks = upper.windows(2).all(|w| w[1].nodes <= w[0].nodes && w[1].nodes > 0);
        if !shrinks || upper.first().is_some_and(|first| first.nodes != *upper_nodes) {
            return Err(wrong("levels do not fit each other"));
        }
        Ok(HnswIndex {
            space: head.space.clone(),
            nodes: Nodes {
                rows: self.numbers(NODE_ROWS, head.rows, head.rows)?,
                starts,
                node_of: self.numbers(NODE_OF, head.rows, *nodes)?,
            },
            walk,
            base: links_of(0, &LevelHead { nodes: *nodes, links: *links })?,
            upper: upper.iter().enumerate().map(|(l, head)| links_of(l + 1, head)).collect::<Result<_>>()?,
            upper_nodes: self.numbers(UPPER_NODES, *upper_nodes, *nodes)?,
            refined: *refined,
        })
    }
}

/// The quantiser of an index, which has to fit its space.
fn quantizer(head: &Head) -> Result<&Quantizer> {
    let fits = |q: &&Quantizer| q.width() == head.space.width() && q.step > 0.0 && q.step.is_finite();
    let dim = head.space.dim() == head.dim;
    head.quantizer
        .as_ref()
        .filter(fits)
        .filter(|_| dim)
        .ok_or_else(|| wrong("quantiser and space do not fit"))
}

fn wrong(reason: &str) -> EngineError {
    EngineError::Internal(format!("index: {reason}"))
}
