//! The curves of the page, as SVG documents; none where there is nothing to show.

use elanus_benches::Result;
use elanus_benches::plot::{Chart, Corner, Line};
use elanus_benches::program::Memory;

use crate::measure::{IndexFigures, Seen};
use crate::steady::Steady;
use crate::table::megabytes;

/// Room beside the first and the last point, as a share of the range.
const MARGIN: f64 = 0.04;

/// Recall against searches a second, with the most clients.
pub(super) fn recall(indexes: &[IndexFigures]) -> Result<Option<String>> {
    let clients = most_clients(indexes);
    let line = |index: &IndexFigures| {
        let speed = |loads: &[Seen]| loads.iter().find(|seen| seen.clients == clients).map(|seen| seen.qps);
        let points = index.points.iter().filter_map(|p| Some((p.recall_at_10?, speed(&p.loads)?)));
        let mut points: Vec<(f64, f64)> = points.collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { name: index.name.to_owned(), points, emphasized: index.classic }
    };
    let lines: Vec<Line> = indexes.iter().map(line).collect();
    let least = lines.iter().flat_map(|line| &line.points).map(|p| p.0).fold(0.95, f64::min);
    let range = least - MARGIN * (1.0 - least)..1.0 + MARGIN * (1.0 - least);
    let (x, y, legend) = ("recall@10", "searches a second", Corner::LowerLeft);
    Chart { title: "", x, y, range, legend, lines: &lines }.svg()
}

/// p95 by the number of clients, for the effort that the server takes by itself, or the only one.
pub(super) fn latency(indexes: &[IndexFigures]) -> Result<Option<String>> {
    let line = |index: &IndexFigures| {
        let loads = index.points.first().into_iter().flat_map(|point| &point.loads);
        let points = loads.map(|seen| (seen.clients as f64, seen.p95_ms)).collect();
        Line { name: index.name.to_owned(), points, emphasized: index.classic }
    };
    let lines: Vec<Line> = indexes.iter().map(line).collect();
    let range = 0.0..most_clients(indexes) as f64 * (1.0 + MARGIN);
    let (x, y, legend) = ("clients at once", "p95 in milliseconds", Corner::LowerRight);
    Chart { title: "", x, y, range, legend, lines: &lines }.svg()
}

/// Memory over the number of photos embedded.
pub(super) fn steady(steady: &Steady) -> Result<Option<String>> {
    let points = |bytes: fn(&Memory) -> u64| {
        steady.curve.iter().map(|(photos, memory)| (*photos as f64, megabytes(bytes(memory)))).collect()
    };
    let line = |name: &str, points| Line { name: name.to_owned(), points, emphasized: false };
    let lines =
        [line("resident", points(|m| m.resident)), line("of that no file's", points(|m| m.anonymous))];
    let range = 0.0..steady.photos as f64 * (1.0 + MARGIN);
    let (x, y, legend) = ("photos embedded", "MB", Corner::LowerRight);
    Chart { title: "", x, y, range, legend, lines: &lines }.svg()
}

fn most_clients(indexes: &[IndexFigures]) -> usize {
    let loads = indexes.iter().flat_map(|index| &index.points).flat_map(|point| &point.loads);
    loads.map(|seen| seen.clients).max().unwrap_or(1)
}
