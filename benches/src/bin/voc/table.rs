//! The figures as tables of Markdown, for a terminal or a README.

use std::fmt::Write as _;

use elanus_benches::retrieval::Means;

use crate::measure::{IndexFigures, Seen};
use crate::report::Report;
use crate::retrieval::Retrieval;

/// All tables.
pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    head(&mut out, report);
    stages(&mut out, report);
    usage(&mut out, report);
    indexes(&mut out, &report.indexes);
    if let Some(retrieval) = &report.retrieval {
        retrieved(&mut out, retrieval);
    }
    filtered(&mut out, &report.indexes);
    by_photo(&mut out, report);
    out
}

/// A line; writing to a string can't fail.
macro_rules! line {
    ($out:expr, $($words:tt)*) => {{
        let _ = writeln!($out, $($words)*);
    }};
}

fn head(out: &mut String, report: &Report) {
    let (set, server, import) = (&report.set, &report.server, &report.import);
    line!(out, "{}", set.title);
    for warning in report.warnings() {
        line!(out, "{warning}");
    }
    line!(
        out,
        "{} photos ({:.1} MB), {} labelled, {} classes",
        set.jpegs,
        megabytes(set.jpeg_bytes),
        set.labelled,
        set.classes.len()
    );
    line!(out, "Elanus {} ({}), {}; {}", server.version, server.commit, server.device, report.machine.line());
    line!(out, "listens after {:.2} s, embeds after {:.2} s", server.listens_s, server.embeds_s);
    line!(
        out,
        "import: {} stored, {} already there, {} refused in {:.1} s, {:.2} photos/s",
        import.stored,
        import.skipped,
        import.refused,
        import.seconds,
        import.photos_per_s
    );
}

fn stages(out: &mut String, report: &Report) {
    line!(out, "\n| stage | measured | ms a photo | photos/s |\n|---|---|---|---|");
    for stage in &report.stages {
        let place = format!("{:?}", stage.place).to_lowercase();
        line!(out, "| {} | {place} | {:.2} | {:.1} |", stage.name, stage.ms, stage.photos_per_s);
    }
}

fn usage(out: &mut String, report: &Report) {
    line!(out, "\n| moment | resident, MB | of that no file's | peak |\n|---|---|---|---|");
    for seen in &report.usage.memory {
        let memory = &seen.memory;
        let [resident, anonymous, peak] = [memory.resident, memory.anonymous, memory.peak].map(megabytes);
        line!(out, "| {} | {resident:.1} | {anonymous:.1} | {peak:.1} |", seen.moment);
    }
    for disk in &report.usage.disk {
        let parts: Vec<String> =
            disk.parts.iter().map(|(part, bytes)| format!("{part} {:.1}", megabytes(*bytes))).collect();
        line!(out, "disk {}: {:.1} MB ({})", disk.moment, megabytes(disk.total), parts.join(", "));
    }
}

fn indexes(out: &mut String, indexes: &[IndexFigures]) {
    line!(
        out,
        "\n| index | rows | inserted, s | indexed, s | index, MB | made as |\n|---|---|---|---|---|---|"
    );
    for index in indexes {
        let built = &index.built;
        line!(
            out,
            "| {}{} | {} | {:.2} | {:.2} | {:.1} | {} |",
            index.name,
            params(index),
            index.rows,
            built.insert_s,
            built.index_s,
            megabytes(built.index_bytes),
            built.built_as
        );
    }
    for index in indexes.iter().filter(|index| !index.note.is_empty()) {
        line!(out, "{}: {}", index.name, index.note);
    }
    line!(
        out,
        "\n| index | effort | searched by | recall@10 | @100 | clients | searches/s | p50, ms | p95 | p99 |"
    );
    line!(out, "|---|---|---|---|---|---|---|---|---|---|");
    for index in indexes {
        for point in &index.points {
            let (ten, hundred) = (share(point.recall_at_10), share(point.recall_at_100));
            for seen in &point.loads {
                let (name, label, path) = (index.name, &point.label, &point.explained.path);
                line!(out, "| {name} | {label} | {path} | {ten} | {hundred} | {} |", cells(seen));
            }
        }
    }
}

fn retrieved(out: &mut String, retrieval: &Retrieval) {
    let row = |out: &mut String, name: &str, r: &Means| {
        let Means { queries, p1, p10, map100, map } = r;
        line!(out, "| {name} | {queries} | {p1:.4} | {p10:.4} | {map100:.4} | {map:.4} |");
    };
    line!(out, "\n| retrieval | queries | P@1 | P@10 | mAP@100 | mAP |\n|---|---|---|---|---|---|");
    row(out, "all", &retrieval.overall);
    if let Some(reference) = &retrieval.reference {
        let r = &retrieval.overall;
        row(out, "reference features", reference);
        line!(
            out,
            "| difference | | {:+.4} | {:+.4} | {:+.4} | {:+.4} |",
            r.p1 - reference.p1,
            r.p10 - reference.p10,
            r.map100 - reference.map100,
            r.map - reference.map
        );
    }
    for class in &retrieval.classes {
        row(out, &class.class, &class.means);
    }
}

fn filtered(out: &mut String, indexes: &[IndexFigures]) {
    if indexes.iter().all(|index| index.filtered.is_none()) {
        return;
    }
    line!(
        out,
        "\n| search by class | rows | recall@10 | clients | searches/s | p50, ms | p95 | p99 |\n|---|---|---|---|---|---|---|---|"
    );
    for index in indexes {
        let Some(filtered) = &index.filtered else { continue };
        for seen in &filtered.loads {
            line!(
                out,
                "| {}, all classes by turns | | {} | {} |",
                index.name,
                share(filtered.recall_at_10),
                cells(seen)
            );
        }
        for class in &filtered.classes {
            let recall = share(class.recall_at_10);
            line!(
                out,
                "| {}, {} | {} | {recall} | {} |",
                index.name,
                class.class,
                class.rows,
                cells(&class.seen)
            );
        }
    }
}

fn by_photo(out: &mut String, report: &Report) {
    let (stored, up) = (&report.search_by_stored_photo, &report.search_by_upload);
    line!(
        out,
        "\n| search by stored photo | recall@10 | clients | searches/s | p50, ms | p95 | p99 |\n|---|---|---|---|---|---|---|"
    );
    for seen in &stored.loads {
        line!(out, "| image API | {} | {} |", share(stored.recall_at_10), cells(seen));
    }
    line!(
        out,
        "\nsearch by upload, {} photos: p50 {:.1} ms, p95 {:.1} ms; the network of the same searches p50 {:.1} ms; all \
         beside it p50 {:.2} ms, p95 {:.2} ms",
        up.searches,
        up.p50_ms,
        up.p95_ms,
        up.network_p50_ms,
        up.beside_network_p50_ms,
        up.beside_network_p95_ms
    );
    if let Some(steady) = &report.steady_memory {
        line!(
            out,
            "{} photos embedded: at most {:.1} MB resident during the first tenth, {:.1} MB during the last",
            steady.photos,
            megabytes(steady.first_tenth),
            megabytes(steady.last_tenth)
        );
    }
}

fn cells(seen: &Seen) -> String {
    let Seen { clients, qps, p50_ms, p95_ms, p99_ms, .. } = seen;
    format!("{clients} | {qps:.0} | {p50_ms:.2} | {p95_ms:.2} | {p99_ms:.2}")
}

/// Parameters behind a name, as `, nlist 439`.
fn params(index: &IndexFigures) -> String {
    let pairs = index.params.as_object().into_iter().flatten();
    pairs.map(|(key, value)| format!(", {key} {value}")).collect()
}

/// A share with four digits, or a dash for none.
pub(crate) fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

/// Millions of bytes.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
