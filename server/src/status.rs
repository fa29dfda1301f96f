//! What the server is and what it runs on: `GET /v1/status`, and the same in one line for the banner.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use elanus_embed::{DeviceChoice, DeviceReport};
use serde::Serialize;

use crate::app::App;
use crate::jobs::DEFAULT_COLLECTION;
use crate::reply;
use crate::version::{COMMIT, VERSION};

/// Routes of this room.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v1/status", get(status))
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    commit: &'static str,
    device: DeviceReport,
    kernel: &'static str,
    model: String,
    #[serde(rename = "dataDir")]
    data_dir: String,
    uptime_s: u64,
    #[serde(rename = "imageRoots")]
    image_roots: Vec<String>,
    #[serde(rename = "defaultCollection")]
    default_collection: &'static str,
}

async fn status(State(app): State<Arc<App>>) -> Response {
    let report = app.images.device_report();
    let loading = || DeviceReport { device: "loading".into(), detail: expected(&app), reason: String::new() };
    reply::own_data(Status {
        version: VERSION,
        commit: COMMIT,
        device: report.unwrap_or_else(loading),
        kernel: elanus_engine::kernel::active().name(),
        model: app.images.identity_text(),
        data_dir: app.config.data.display().to_string(),
        uptime_s: app.started.elapsed().as_secs(),
        image_roots: app.config.roots().iter().map(|p| p.display().to_string()).collect(),
        default_collection: DEFAULT_COLLECTION,
    })
}

/// Which device embeds and why, also while the model is still loading.
pub(crate) fn device_sentence(app: &App) -> String {
    match app.images.device_report() {
        Some(report) => format!("{}, {} ({})", report.device, report.detail, report.reason),
        None => expected(app),
    }
}

/// What will embed once the model is loaded, as far as that can be known.
fn expected(app: &App) -> String {
    let choices = elanus_embed::device_choices();
    let state = |device: &str| {
        choices.iter().find(|(name, _)| name == device).map_or_else(String::new, |(_, state)| state.clone())
    };
    match app.config.device {
        DeviceChoice::Cpu => "cpu (asked for)".into(),
        DeviceChoice::Cuda => format!("cuda (asked for; {})", state("cuda")),
        DeviceChoice::Auto if state("cuda").starts_with("available") => format!("cuda ({})", state("cuda")),
        DeviceChoice::Auto => format!("cpu ({})", state("cuda")),
    }
}
