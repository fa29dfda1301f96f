//! How one segment is searched: its matching rows compared one by one, their codes scanned, or an index with an effort.
//! The cheapest by estimate wins; where estimates are close, the exact way does, because it finds everything.

use serde::Serialize;

use crate::index::{Calibration, VectorIndex, cost};

/// How hard a search tries.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Effort {
    /// Until the recall that a search has without saying anything: 0.97.
    #[default]
    Default,
    /// Until this share of the true nearest rows is expected to be found, 0 to 1.
    Recall(f32),
    /// What the index's family understands of it; other indexes take the default.
    Asked {
        /// Nodes in the pool of a walk over a graph (Milvus's `ef`).
        ef: Option<usize>,
        /// Lists scanned (Milvus's `nprobe`).
        probes: Option<usize>,
    },
}

/// What is expected to be found when a search does not say.
const DEFAULT_RECALL: f32 = 0.97;

/// How the rows of a segment are searched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "path")]
pub enum SegmentPath {
    /// No row of it may be found.
    Nothing,
    /// Matching rows are compared one by one.
    Rows,
    /// The codes of matching rows are compared, and what can be among the best is scored.
    Codes,
    /// An index, with an effort (`ef` or `nprobe`) and the recall expected of it.
    Index {
        /// `ef` or `nprobe`.
        effort: usize,
        /// Expected recall, 0 to 1; 0: unknown.
        recall: f32,
    },
}

/// What is known of a segment and a search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) rows: usize,
    /// Rows that may be found.
    pub(crate) matching: usize,
    /// Rows wanted.
    pub(crate) wanted: usize,
    pub(crate) effort: Effort,
    /// Whether rows nearer than some bound are left out: an index finds the nearest, whatever the bound.
    pub(crate) inner_bound: bool,
    pub(crate) index: Option<Indexed<'a>>,
}

/// What is known of an index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Indexed<'a> {
    pub(crate) graph: bool,
    pub(crate) most_effort: usize,
    pub(crate) calibration: &'a Calibration,
}

impl<'a> Indexed<'a> {
    pub(crate) fn of(index: &'a VectorIndex) -> Self {
        Self { graph: index.is_graph(), most_effort: index.most_effort(), calibration: &index.calibration }
    }
}

/// Calibration ends at so many rows wanted.
const MOST_CALIBRATED: usize = 100;

/// Chooses how a segment is searched.
pub(crate) fn segment_path(facts: Facts<'_>) -> SegmentPath {
    cheapest(facts).0
}

/// What it takes to search a segment: as if so many codes were compared in memory order.
pub(crate) fn segment_cost(facts: Facts<'_>) -> f32 {
    cheapest(facts).1
}

fn cheapest(facts: Facts<'_>) -> (SegmentPath, f32) {
    if facts.matching == 0 {
        return (SegmentPath::Nothing, 0.0);
    }
    let by_row = cost::rows(facts.matching, facts.rows);
    let (Some(index), false) = (facts.index, facts.inner_bound) else { return (SegmentPath::Rows, by_row) };
    let by_code = cost::codes(index.graph, facts.matching);
    let exact = if by_code < by_row { (SegmentPath::Codes, by_code) } else { (SegmentPath::Rows, by_row) };
    let share = facts.matching as f32 / facts.rows.max(1) as f32;
    let Some(effort) = effort(&facts, index, share) else { return exact };
    let by_index = cost::index(index.graph, effort.compared);
    if by_index < exact.1 {
        (SegmentPath::Index { effort: effort.effort, recall: effort.recall }, by_index)
    } else {
        exact
    }
}

/// The effort that the index takes; none when no effort is known to do.
fn effort(facts: &Facts<'_>, index: Indexed<'_>, share: f32) -> Option<crate::index::Expected> {
    let calibrated = facts.wanted.min(MOST_CALIBRATED);
    let recall = match (facts.effort, index.graph) {
        // All of them: measuring a recall of 1 on a few queries promises no such thing.
        (Effort::Recall(recall), _) if recall >= 1.0 => return None,
        (Effort::Recall(recall), _) => recall,
        (Effort::Asked { ef: Some(asked), .. }, true)
        | (Effort::Asked { probes: Some(asked), .. }, false) => {
            return Some(asked_for(facts, index, share, asked, calibrated));
        }
        _ => DEFAULT_RECALL,
    };
    let mut found = index.calibration.effort_for(recall, calibrated, share)?;
    if facts.wanted > MOST_CALIBRATED {
        let more = facts.wanted as f32 / MOST_CALIBRATED as f32;
        found.effort = (found.effort as f32 * more).ceil() as usize;
        found.compared *= more;
    }
    found.effort = found.effort.min(index.most_effort);
    Some(found)
}

/// An effort that the client named. Beside a filter it is raised to what gives the recall that it gives without one.
fn asked_for(
    facts: &Facts<'_>,
    index: Indexed<'_>,
    share: f32,
    asked: usize,
    calibrated: usize,
) -> crate::index::Expected {
    let asked = asked.min(index.most_effort);
    let plain = index.calibration.expect(asked, calibrated, 1.0);
    if facts.matching == facts.rows {
        return plain;
    }
    let beside = index.calibration.expect(asked, calibrated, share);
    if beside.recall >= plain.recall {
        return beside;
    }
    match index.calibration.effort_for(plain.recall, calibrated, share) {
        Some(raised) if raised.effort > asked => raised,
        _ => beside,
    }
}
