//! What the server is and what it runs on: `GET /v1/status`, and the same in one line for the banner.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use elanus_embed::{DeviceChoice, DeviceReport, ModelKey, Sha256};
use serde::Serialize;

use crate::app::{App, blocking};
use crate::images::ModelState;
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
    /// The identity of the vectors of new collections; those that are there say theirs in `GET /v1/images`.
    model: String,
    /// Those that are open, or can't be opened.
    models: Vec<ModelStatus>,
    #[serde(rename = "dataDir")]
    data_dir: String,
    uptime_s: u64,
    #[serde(rename = "imageRoots")]
    image_roots: Vec<String>,
    #[serde(rename = "defaultCollection")]
    default_collection: &'static str,
    storage: StorageStatus,
}

#[derive(Serialize)]
struct ModelStatus {
    /// The network.
    name: &'static str,
    /// Of its weights file.
    sha256: Sha256,
    /// `opening`, `ready`, or why it can't be opened.
    state: String,
    /// Images that wait for it.
    queue: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StorageStatus {
    /// Bytes of logs, segments and originals.
    data_bytes: u64,
    /// Collections still being opened.
    loading: usize,
    /// `disk`, `memory`: of which there is too little for the data to grow.
    quota_exceeded: Vec<String>,
    /// Collections whose segments are being rewritten.
    compacting: Vec<Compacting>,
    /// Collections out of service or read-only, with the reason.
    faults: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compacting {
    collection: String,
    written_bytes: u64,
    expected_bytes: u64,
}

fn storage_status(app: &App) -> StorageStatus {
    let engine = &app.engine;
    let compacting = engine.open_collections().into_iter().filter_map(|collection| {
        let now = collection.stats().compaction;
        now.running.then(|| Compacting {
            collection: collection.name().to_owned(),
            written_bytes: now.written_bytes,
            expected_bytes: now.expected_bytes,
        })
    });
    StorageStatus {
        data_bytes: engine.data_bytes(),
        loading: engine.loading().map_or(0, |l| l.total - l.done),
        quota_exceeded: engine.exhausted().iter().map(ToString::to_string).collect(),
        compacting: compacting.collect(),
        faults: engine.faults(),
    }
}

async fn status(State(app): State<Arc<App>>) -> Response {
    let report = app.images.device_report();
    let loading = || DeviceReport {
        device: "loading".into(),
        detail: expected(&app),
        precision: String::new(),
        reason: String::new(),
    };
    let shared = Arc::clone(&app);
    // Waits for locks that a commit may hold.
    let storage = match blocking(move || Ok(storage_status(&shared))).await {
        Ok(storage) => storage,
        Err(error) => return reply::own_error(error),
    };
    reply::own_data(Status {
        version: VERSION,
        commit: COMMIT,
        device: report.unwrap_or_else(loading),
        kernel: elanus_engine::kernel::active().name(),
        model: app.images.identity_text(),
        models: app.images.models().into_iter().map(model_status).collect(),
        data_dir: app.config.data.display().to_string(),
        uptime_s: app.started.elapsed().as_secs(),
        image_roots: app.config.roots().iter().map(|p| p.display().to_string()).collect(),
        default_collection: DEFAULT_COLLECTION,
        storage,
    })
}

fn model_status((ModelKey { network, sha256 }, state): (ModelKey, ModelState)) -> ModelStatus {
    let (state, queue) = match state {
        ModelState::Opening => ("opening".to_owned(), 0),
        ModelState::Ready(model) => ("ready".to_owned(), model.queue_depth()),
        ModelState::Failed(reason) => (reason, 0),
    };
    ModelStatus { name: network.name(), sha256, state, queue }
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
