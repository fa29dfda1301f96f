//! `voc.html`: the figures with pictures, in one file that needs nothing else and opens from the disk.

mod plots;
mod sections;
mod strips;

use elanus_benches::Result;
use maud::{DOCTYPE, PreEscaped, html};

pub(crate) use strips::Strip;

use crate::report::Report;

const STYLE: &str = include_str!("style.css");

/// The page as text.
///
/// # Errors
/// When a plot can't be drawn.
pub(crate) fn text(report: &Report, strips: &[Strip]) -> Result<String> {
    let set = &report.set;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Elanus: " (set.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Elanus on " (set.title) }
                @for warning in report.warnings() { p.notice { (warning) } }
                (sections::head(report))
                h2 { "From photos to vectors" }
                (sections::stages(report))
                h2 { "Indexes" }
                (sections::indexes(report))
                div.plots { (plots::recall(&report.indexes)?) (plots::latency(&report.indexes)?) }
                (sections::efforts(report))
                @if let Some(retrieval) = &report.retrieval {
                    h2 { "What is found" }
                    (sections::retrieval(retrieval))
                    h2 { "Examples" }
                    (strips::section(strips))
                }
                @if report.indexes.iter().any(|index| index.filtered.is_some()) {
                    h2 { "Searches by class" }
                    (sections::filtered(report))
                }
                h2 { "Searches by photo" }
                (sections::by_photo(report))
                h2 { "Memory and disk" }
                (sections::usage(report))
                @if let Some(steady) = &report.steady_memory {
                    div.plots { (plots::steady(steady)?) }
                }
            }
        }
    };
    Ok(page.into_string())
}
