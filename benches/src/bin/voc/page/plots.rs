//! The curves of the page.

use elanus_benches::Result;
use elanus_benches::plot::{Chart, Line};
use maud::{Markup, PreEscaped, html};

use crate::measure::IndexFigures;
use crate::steady::Steady;
use crate::table::megabytes;

/// Room beside the first and the last point, as a share of the range.
const MARGIN: f64 = 0.04;

/// Recall against searches a second, with the most clients.
pub(super) fn recall(indexes: &[IndexFigures]) -> Result<Markup> {
    let clients = most_clients(indexes);
    let line = |index: &IndexFigures| {
        let speed =
            |loads: &[crate::measure::Seen]| loads.iter().find(|s| s.clients == clients).map(|s| s.qps);
        let points = index.points.iter().filter_map(|p| Some((p.recall_at_10?, speed(&p.loads)?)));
        let mut points: Vec<(f64, f64)> = points.collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { name: index.name.to_owned(), points, emphasized: index.classic }
    };
    let lines: Vec<Line> = indexes.iter().map(line).collect();
    let least = lines.iter().flat_map(|line| &line.points).map(|p| p.0).fold(0.95, f64::min);
    let range = least - MARGIN * (1.0 - least)..1.0 + MARGIN * (1.0 - least);
    let chart = Chart { title: "", x: "recall@10", y: "searches a second", range, lines: &lines };
    let words = format!(
        "Recall@10 and searches a second with {clients} clients, for each index and effort; the classic demo's in thick red"
    );
    figure(&chart, &words)
}

/// p95 by the number of clients, for the effort that the server takes by itself, or the only one.
pub(super) fn latency(indexes: &[IndexFigures]) -> Result<Markup> {
    let line = |index: &IndexFigures| {
        let loads = index.points.first().into_iter().flat_map(|point| &point.loads);
        let points = loads.map(|seen| (seen.clients as f64, seen.p95_ms)).collect();
        Line { name: index.name.to_owned(), points, emphasized: index.classic }
    };
    let lines: Vec<Line> = indexes.iter().map(line).collect();
    let range = 0.0..most_clients(indexes) as f64 * (1.0 + MARGIN);
    let chart = Chart { title: "", x: "clients at once", y: "p95 in milliseconds", range, lines: &lines };
    figure(
        &chart,
        "95 of 100 searches were answered within so many milliseconds; the classic demo's in thick red",
    )
}

/// Memory over the number of photos embedded.
pub(super) fn steady(steady: &Steady) -> Result<Markup> {
    let points = |bytes: fn(&elanus_benches::program::Memory) -> u64| {
        steady.curve.iter().map(|(photos, memory)| (*photos as f64, megabytes(bytes(memory)))).collect()
    };
    let line = |name: &str, points| Line { name: name.to_owned(), points, emphasized: false };
    let lines =
        [line("resident", points(|m| m.resident)), line("of that no file's", points(|m| m.anonymous))];
    let range = 0.0..steady.photos as f64 * (1.0 + MARGIN);
    let chart = Chart { title: "", x: "photos embedded", y: "MB", range, lines: &lines };
    figure(&chart, "The server's memory while photos are embedded")
}

fn most_clients(indexes: &[IndexFigures]) -> usize {
    let loads = indexes.iter().flat_map(|index| &index.points).flat_map(|point| &point.loads);
    loads.map(|seen| seen.clients).max().unwrap_or(1)
}

/// A drawing with words for those who can't see it; the tables have the numbers.
fn figure(chart: &Chart<'_>, words: &str) -> Result<Markup> {
    let Some(svg) = chart.svg()? else { return Ok(html! {}) };
    Ok(html! {
        figure.plot {
            div role="img" aria-label=(words) { (PreEscaped(svg)) }
            figcaption { (words) "." }
        }
    })
}
