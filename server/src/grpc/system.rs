//! The server itself: who it says that it is, how it is, what time it has, and how it cuts texts into words. What clients
//! ask for before anything else takes no privilege, as in Milvus.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use elanus_engine::text::{Analyzer, Token};
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::common::{ServerInfo, StateCode};
use super::messages;
use super::statistics::NODE;
use super::status::success;
use super::time;
use crate::auth::Privilege as P;
use crate::error::ApiError;
use crate::service::analyzer;
use crate::version::{COMMIT, VERSION};

/// The version of Milvus that clients find here. Clients of several languages take it apart to know what a server can do,
/// each in its own way, so it says nothing else; our own version is beside it in [`connect`].
pub(crate) const MILVUS_VERSION: &str = "v3.0.0";
/// What Milvus calls a server that is one process.
const STANDALONE: &str = "STANDALONE";
/// The role of the one node.
const ROLE: &str = "standalone";

/// Begins a connection: its database must be there. Clients send the number that they get with all further requests.
pub(super) fn connect(
    call: &Call<'_>,
    _: messages::ConnectRequest,
) -> Result<messages::ConnectResponse, ApiError> {
    call.app().engine.check_database(call.database(""))?;
    let server_info = ServerInfo {
        build_tags: MILVUS_VERSION.to_owned(),
        git_commit: COMMIT.to_owned(),
        deploy_mode: STANDALONE.to_owned(),
        reserved: [("elanus".to_owned(), VERSION.to_owned())].into(),
        ..ServerInfo::default()
    };
    Ok(messages::ConnectResponse {
        status: Some(success()),
        server_info: Some(server_info),
        identifier: unique(),
    })
}

/// A number that no connection has yet, also after a restart.
fn unique() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = i64::try_from(time::now()).unwrap_or(0);
    let next = |last: i64| now.max(last.wrapping_add(1));
    match LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))) {
        Ok(last) | Err(last) => next(last),
    }
}

/// The version of Milvus that this server is to clients.
pub(super) fn get_version(
    _: &Call<'_>,
    _: messages::GetVersionRequest,
) -> Result<messages::GetVersionResponse, ApiError> {
    Ok(messages::GetVersionResponse { status: Some(success()), version: MILVUS_VERSION.to_owned() })
}

/// What is wrong with the server, in words, and what it therefore refuses.
pub(super) fn check_health(
    call: &Call<'_>,
    _: messages::CheckHealthRequest,
) -> Result<messages::CheckHealthResponse, ApiError> {
    let app = call.app();
    let (engine, mut reasons) = (&app.engine, Vec::new());
    if app.shutdown.is_triggered() {
        reasons.push("stopping".to_owned());
    }
    let loading = engine.loading();
    reasons.extend(loading.map(|l| format!("loading: {} of {} collections are open", l.done, l.total)));
    let fault = |(name, reason)| format!("collection {name} is out of service: {reason}");
    reasons.extend(engine.faults().into_iter().map(fault));
    let exhausted = engine.exhausted();
    reasons.extend(exhausted.iter().map(|resource| format!("there is too little {resource} to write more")));
    let denied = (!exhausted.is_empty()).then(|| messages::QuotaState::DenyToWrite.into());
    Ok(messages::CheckHealthResponse {
        status: Some(success()),
        is_healthy: reasons.is_empty(),
        reasons,
        quota_states: denied.into_iter().collect(),
    })
}

/// The one node, which is at work: it answers.
pub(super) fn get_component_states(
    _: &Call<'_>,
    _: messages::GetComponentStatesRequest,
) -> Result<messages::ComponentStates, ApiError> {
    let node = messages::ComponentInfo {
        node_id: NODE,
        role: ROLE.to_owned(),
        state_code: StateCode::Healthy.into(),
        extra_info: Vec::new(),
    };
    Ok(messages::ComponentStates {
        status: Some(success()),
        state: Some(node.clone()),
        subcomponent_states: vec![node],
    })
}

/// What clients ask for: which numbers they want.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    metric_type: String,
}

/// The machine and what of it is used, as JSON for those who look at it.
///
/// # Errors
/// 1100 for other numbers.
pub(super) fn get_metrics(
    call: &Call<'_>,
    request: messages::GetMetricsRequest,
) -> Result<messages::GetMetricsResponse, ApiError> {
    let wanted: Wanted = serde_json::from_str(&request.request).map_err(|error| {
        ApiError::invalid(format!("the request for metrics is not the JSON expected: {error}"))
    })?;
    if wanted.metric_type != "system_info" {
        return Err(ApiError::invalid(format!(
            "metric type [{}] is not there, only system_info is: invalid parameter",
            wanted.metric_type
        )));
    }
    // How busy the processors are, and how large the disk is, nobody here measures.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (used, most) = crate::memory::measure().unwrap_or_default();
    let node = json!({
        "identifier": NODE,
        "connected": [],
        "infos": {
            "has_error": false,
            "error_reason": "",
            "name": ROLE,
            "type": ROLE,
            "id": NODE,
            "hardware_infos": {
                "ip": "",
                "cpu_core_count": cores,
                "cpu_core_usage": 0,
                "memory": most,
                "memory_usage": used,
                "disk": 0,
                "disk_usage": call.app().engine.data_bytes(),
            },
            "system_info": {
                "system_version": COMMIT,
                "deploy_mode": STANDALONE,
                "build_version": MILVUS_VERSION,
                "build_time": "",
                "used_go_version": "",
            },
        },
    });
    Ok(messages::GetMetricsResponse {
        status: Some(success()),
        response: json!({ "nodes_info": [node] }).to_string(),
        component_name: ROLE.to_owned(),
    })
}

/// The time.
pub(super) fn alloc_timestamp(
    _: &Call<'_>,
    _: messages::AllocTimestampRequest,
) -> Result<messages::AllocTimestampResponse, ApiError> {
    Ok(messages::AllocTimestampResponse { status: Some(success()), timestamp: time::now() })
}

/// The words of each text, with their places if those are asked for.
pub(super) fn run_analyzer(
    call: &Call<'_>,
    request: messages::RunAnalyzerRequest,
) -> Result<messages::RunAnalyzerResponse, ApiError> {
    call.on_cluster(P::RunAnalyzer)?;
    if !request.analyzer_names.is_empty() {
        return Err(ApiError::unsupported("analyzer_names"));
    }
    let text = |bytes: &Vec<u8>| {
        String::from_utf8(bytes.clone())
            .map_err(|_| ApiError::invalid("a text is not valid UTF-8: invalid parameter"))
    };
    let texts: Vec<String> = request.placeholder.iter().map(text).collect::<Result<_, _>>()?;
    analyzer::check_size(&texts)?;
    let analyzer = match request.field_name.as_str() {
        "" => Arc::new(Analyzer::from_json(&request.analyzer_params)?),
        field => {
            let database = call.database(&request.db_name);
            let collection = call.app().engine.collection_in(database, &request.collection_name)?;
            analyzer::of_field(&collection, field)?
        }
    };
    let results = texts.iter().map(|text| messages::AnalyzerResult {
        tokens: analyzer.analyze(text).into_iter().map(|found| token(&request, found)).collect(),
    });
    Ok(messages::RunAnalyzerResponse { status: Some(success()), results: results.collect() })
}

/// A word with what was asked for of it.
fn token(request: &messages::RunAnalyzerRequest, token: Token) -> messages::AnalyzerToken {
    let hash = if request.with_hash { analyzer::hash(&token) } else { 0 };
    let word = messages::AnalyzerToken { hash, ..messages::AnalyzerToken::default() };
    if !request.with_detail {
        return messages::AnalyzerToken { token: token.text, ..word };
    }
    messages::AnalyzerToken {
        token: token.text,
        start_offset: token.start_offset as i64,
        end_offset: token.end_offset as i64,
        position: token.position as i64,
        position_length: token.position_length as i64,
        ..word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_connections_have_one_number() {
        let first = unique();
        let later: Vec<i64> = (0..100).map(|_| unique()).collect();
        assert!(first > 0 && later[0] > first && later.is_sorted_by(|a, b| a < b));
    }
}
