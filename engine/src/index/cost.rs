//! What the ways of searching a segment cost, in codes compared in memory order (measured on 128 and 512 dimensions; see
//! `benches/README.md`). The planner chooses by it, and calibration tries no effort that the planner would never take.

const ROW_IN_ORDER: f32 = 3.5;
const ROW_SCATTERED: f32 = 7.0;
const CODE_SCATTERED: f32 = 1.6;
const GRAPH_NODE: f32 = 3.0;
/// With one match in fewer rows than this, matching rows are scattered.
const SCATTERED: usize = 8;

/// Comparing matching rows one by one.
pub(crate) fn rows(matching: usize, rows: usize) -> f32 {
    if matching * SCATTERED < rows { matching as f32 * ROW_SCATTERED } else { rows as f32 * ROW_IN_ORDER }
}

/// Comparing the codes of matching rows, which graphs have by row and lists have not.
pub(crate) fn codes(graph: bool, matching: usize) -> f32 {
    if graph { matching as f32 * CODE_SCATTERED } else { f32::INFINITY }
}

/// An index that compares so many codes and rows.
pub(crate) fn index(graph: bool, compared: f32) -> f32 {
    compared * if graph { GRAPH_NODE } else { 1.0 }
}
