//! The tables of the page.

use maud::{Markup, html};

use crate::measure::{IndexFigures, Seen};
use crate::report::Report;
use crate::retrieval::{Means, Retrieval};
use crate::table::{megabytes, params, share};

/// What was measured on what.
pub(super) fn head(report: &Report) -> Markup {
    let (set, server, import) = (&report.set, &report.server, &report.import);
    html! {
        p { (set.jpegs) " photos (" (fixed(megabytes(set.jpeg_bytes), 1)) " MB), " (set.labelled) " labelled with "
            (set.classes.len()) " classes; " (set.annotations) " annotations." }
        p.muted { "Elanus " (server.version) " (" (server.commit) "), embedding on " (server.device) ", searching with "
            (server.kernel) "; client and server together on " (report.machine.line()) "." }
        p { "The server listened after " (fixed(server.listens_s, 2)) " s and could embed after " (fixed(server.embeds_s, 2))
            " s. It imported " (import.stored) " photos in " (fixed(import.seconds, 1)) " s: "
            strong { (fixed(import.photos_per_s, 2)) " photos a second" } ". "
            (import.skipped) " files were copies of others, " (import.refused) " could not be read as photos." }
        @if !import.refused_files.is_empty() {
            details {
                summary { "Files that were refused" }
                ul { @for file in &import.refused_files { li { (file.name) ": " (file.reason) } } }
            }
        }
    }
}

pub(super) fn stages(report: &Report) -> Markup {
    let rows = report.stages.iter().map(|stage| {
        let place = match stage.place {
            crate::stages::Place::Server => "in the server, during the import",
            crate::stages::Place::Alone => "in the benchmark, alone",
        };
        html! { tr { td { (stage.name) } td { (place) } (number(stage.ms, 2)) (number(stage.photos_per_s, 1)) } }
    });
    table(
        "Photos a second by stage: what the server's metrics tell, and each stage alone, one photo after the other",
        &["Stage", "Measured", "#ms a photo", "#photos/s"],
        rows,
    )
}

pub(super) fn indexes(report: &Report) -> Markup {
    let rows = report.indexes.iter().map(|index| {
        let built = &index.built;
        html! { tr {
            td { (name(index)) } td { (params(index)) } (number(index.rows as f64, 0)) (number(built.insert_s, 2))
            (number(built.index_s, 2)) (number(megabytes(built.index_bytes), 1)) td { (built.built_as) }
        } }
    });
    html! {
        (table(
            "Time to index",
            &["Index", "Parameters", "#Rows", "#Inserted, s", "#Indexed, s", "#Index, MB", "Made as"],
            rows,
        ))
        @for index in report.indexes.iter().filter(|index| !index.note.is_empty()) {
            p.notice { (name(index)) ": " (index.note) "." }
        }
    }
}

/// Every effort with every number of clients.
pub(super) fn efforts(report: &Report) -> Markup {
    let points = report.indexes.iter().flat_map(|index| index.points.iter().map(move |point| (index, point)));
    let rows = points.flat_map(|(index, point)| point.loads.iter().map(move |seen| (index, point, seen)));
    let rows = rows.map(|(index, point, seen)| {
        html! { tr {
            td { (name(index)) } td { (point.label) } td { (point.explained.path) } td.number { (share(point.recall_at_10)) }
            td.number { (share(point.recall_at_100)) } (cells(seen))
        } }
    });
    let caption = format!(
        "Recall against the exact answers to {} searches with photos of the set, each left out of its own answer; speed of \
         searches for ten. 'By itself': neither nprobe nor ef was given",
        report.queries
    );
    let head = ["Index", "Effort", "Searched by", "#recall@10", "#recall@100"];
    table(&caption, &[&head[..], &SEEN[..]].concat(), rows)
}

pub(super) fn retrieval(retrieval: &Retrieval) -> Markup {
    let row = |what: &str, photos: Option<usize>, means: &Means| {
        html! { tr {
            td { (what) } td.number { @if let Some(photos) = photos { (photos) } } td.number { (means.queries) } (number(means.p1, 4))
            (number(means.p10, 4)) (number(means.map100, 4)) (number(means.map, 4))
            td.bar { span style=(format!("width: {:.1}%", 100.0 * means.map)) {} }
        } }
    };
    let overall = [row("all", Some(retrieval.labelled), &retrieval.overall)];
    let reference = retrieval.reference.iter().map(|means| row("reference features", None, means));
    let classes = retrieval.classes.iter().map(|class| row(&class.class, Some(class.photos), &class.means));
    let caption = format!(
        "Each photo is searched with and left out, {} others are ranked. Relevant: shares a class; difficult objects count for \
         nobody; queries without a relevant photo are skipped; AP@100 is divided by min(100, number of relevant)",
        retrieval.depth
    );
    table(
        &caption,
        &["Queries that show", "#Photos", "#Queries", "#P@1", "#P@10", "#mAP@100", "#mAP", "mAP"],
        overall.into_iter().chain(reference).chain(classes),
    )
}

pub(super) fn filtered(report: &Report) -> Markup {
    let all = report.indexes.iter().filter_map(|index| Some((index, index.filtered.as_ref()?)));
    let mixed = all.clone().flat_map(|(index, filtered)| {
        filtered.loads.iter().map(move |seen| {
            html! { tr { td { (name(index)) } td.number { (share(filtered.recall_at_10)) } (cells(seen)) } }
        })
    });
    let classes = all.flat_map(|(index, filtered)| {
        filtered.classes.iter().map(move |class| {
            html! { tr {
                td { (name(index)) } td { (class.class) } td.number { (class.rows) } td.number { (share(class.recall_at_10)) }
                (cells(&class.seen))
            } }
        })
    });
    html! {
        (table("All classes by turns", &[&["Index", "#recall@10"][..], &SEEN[..]].concat(), mixed))
        details {
            summary { "Each class" }
            (table("Each class", &[&["Index", "Class", "#Rows", "#recall@10"][..], &SEEN[..]].concat(), classes))
        }
    }
}

pub(super) fn by_photo(report: &Report) -> Markup {
    let (stored, up) = (&report.search_by_stored_photo, &report.search_by_upload);
    let rows = stored.loads.iter().map(|seen| {
        html! { tr { td { "image API, by id" } td.number { (share(stored.recall_at_10)) } (cells(seen)) } }
    });
    html! {
        (table("Searches with stored photos", &[&["Search", "#recall@10"][..], &SEEN[..]].concat(), rows))
        p { (up.searches) " photos were uploaded and searched with, one after the other: p50 " (fixed(up.p50_ms, 1)) " ms, p95 "
            (fixed(up.p95_ms, 1)) " ms. The network took " (fixed(up.network_p50_ms, 1)) " ms of that (p50), everything beside it "
            strong { (fixed(up.beside_network_p50_ms, 2)) " ms" } " (p95 " (fixed(up.beside_network_p95_ms, 2)) " ms)." }
    }
}

pub(super) fn usage(report: &Report) -> Markup {
    let memory = report.usage.memory.iter().map(|seen| {
        let [resident, anonymous, peak] = [seen.memory.resident, seen.memory.anonymous, seen.memory.peak]
            .map(|bytes| number(megabytes(bytes), 1));
        html! { tr { td { (seen.moment) } (resident) (anonymous) (peak) } }
    });
    let disk = report.usage.disk.iter().map(|disk| {
        let parts = disk.parts.iter().map(|(part, bytes)| format!("{part} {:.1}", megabytes(*bytes)));
        html! { tr { td { (disk.moment) } (number(megabytes(disk.total), 1)) td { (parts.collect::<Vec<_>>().join(", ")) } } }
    });
    html! {
        (table("Memory of the server, MB", &["Moment", "#Resident", "#Of that no file's", "#Peak"], memory))
        (table("Data folder, MB", &["Moment", "#All", "By part"], disk))
    }
}

/// What clients saw, as cells under [`SEEN`].
fn cells(seen: &Seen) -> Markup {
    html! {
        td.number { (seen.clients) } (number(seen.qps, 0)) (number(seen.p50_ms, 2)) (number(seen.p95_ms, 2))
        (number(seen.p99_ms, 2))
    }
}

const SEEN: [&str; 5] = ["#Clients", "#searches/s", "#p50, ms", "#p95", "#p99"];

fn name(index: &IndexFigures) -> String {
    if index.classic { format!("{} (the classic demo's)", index.index_type) } else { index.name.to_owned() }
}

/// A table; columns that begin with `#` hold numbers.
fn table(caption: &str, columns: &[&str], rows: impl IntoIterator<Item = Markup>) -> Markup {
    html! {
        div.wide { table {
            caption { (caption) "." }
            thead { tr {
                @for column in columns {
                    @match column.strip_prefix('#') {
                        Some(column) => { th.number scope="col" { (column) } }
                        None => { th scope="col" { (column) } }
                    }
                }
            } }
            tbody { @for row in rows { (row) } }
        } }
    }
}

fn number(value: f64, digits: usize) -> Markup {
    html! { td.number { (fixed(value, digits)) } }
}

fn fixed(value: f64, digits: usize) -> String {
    format!("{value:.digits$}")
}
