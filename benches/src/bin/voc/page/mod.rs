//! `voc.html`: the figures with pictures, in one file that needs nothing else and opens from the disk. What it says is in
//! the template of that name; names that it knows are those of [`Report`].

mod plots;
mod strips;

use elanus_benches::Result;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};

pub(crate) use strips::Strip;

use crate::report::Report;
use crate::table;

const TEMPLATE: &str = include_str!("voc.html");
const STYLE: &str = include_str!("style.css");

/// The page as text.
///
/// # Errors
/// When a plot can't be drawn, or the template names something that is not there.
pub(crate) fn text(report: &Report, strips: &[Strip]) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment.add_filter("mb", |bytes: u64| format!("{:.1}", table::megabytes(bytes)));
    environment.add_filter("share", table::share);
    // The name's ending turns the escaping of HTML on.
    environment.add_template("voc.html", TEMPLATE)?;
    let steady = report.steady_memory.as_ref().map(plots::steady).transpose()?.flatten();
    let page = environment.get_template("voc.html")?.render(context! {
        report => Value::from(Serde(report)),
        strips => Value::from(Serde(strips)),
        warnings => report.warnings(),
        machine => report.machine.line(),
        style => STYLE,
        plots => context! {
            recall => plots::recall(&report.indexes)?,
            latency => plots::latency(&report.indexes)?,
            steady => steady,
        },
    })?;
    Ok(page)
}
