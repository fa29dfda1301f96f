//! What every call has in common: reading the body, the time it may take, the database it names, the collection it
//! names, and checks of words that several calls share.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::MethodRouter;
use elanus_engine::exec::Cancel;
use elanus_engine::{Collection, SearchHits};

use super::permit::Need;
use crate::app::{App, blocking};
use crate::auth::Asker;
use crate::body::{Object, bad_json};
use crate::error::{ApiError, code};
use crate::reply::{self, Envelope};

/// A call: blocking, from a request to the bytes of its answer.
pub(super) type Action = fn(&Call<'_>) -> Result<Vec<u8>, ApiError>;

/// The only database there is.
const DATABASE: &str = "default";
/// The only partition there is.
const PARTITION: &str = "_default";
/// Time for a call that does not say how long it may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// One request, read but not yet understood.
pub(super) struct Call<'a> {
    pub(super) app: &'a App,
    /// Who asks.
    pub(super) asker: &'a Asker,
    headers: &'a HeaderMap,
    body: &'a [u8],
    /// Ends the call's searches when nobody waits for the answer any more.
    pub(super) cancel: Cancel,
}

/// Cancels when dropped: after a timeout, and when the client has gone.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The route of an action, for those who have what it needs. Without the layer that finds out who asks it is 500.
pub(super) fn post(action: Action, need: Need) -> MethodRouter<Arc<App>> {
    axum::routing::post(
        move |State(app): State<Arc<App>>,
              Extension(asker): Extension<Asker>,
              headers: HeaderMap,
              body: Result<Bytes, BytesRejection>| { run(app, asker, headers, body, (action, need)) },
    )
}

async fn run(
    app: Arc<App>,
    asker: Asker,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
    (action, need): (Action, Need),
) -> Response {
    let (body, limit) = match (body, timeout(&headers)) {
        (Ok(body), Ok(limit)) => (body, limit),
        (Err(rejection), _) => return unreadable(&rejection),
        (_, Err(error)) => return reply::milvus(Err(error)),
    };
    let cancel = Cancel::default();
    let _waited_for = CancelOnDrop(cancel.clone());
    let call = blocking(move || {
        need.check(&app, &asker, &headers, &body)?;
        action(&Call { app: &app, asker: &asker, headers: &headers, body: &body, cancel })
    });
    let outcome = tokio::time::timeout(limit, call).await;
    // After a timeout a write still runs to its end: whether a write happened is then unknown to the client.
    reply::milvus(outcome.unwrap_or_else(|_| {
        Err(ApiError::new(code::TIMEOUT, StatusCode::REQUEST_TIMEOUT, "request timeout"))
    }))
}

fn unreadable(rejection: &BytesRejection) -> Response {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return reply::own_error(ApiError::too_large("the request body is larger than this server accepts"));
    }
    reply::milvus(Err(bad_json(rejection.body_text())))
}

/// The header `Request-Timeout` in seconds.
fn timeout(headers: &HeaderMap) -> Result<Duration, ApiError> {
    let Some(value) = headers.get("request-timeout") else { return Ok(DEFAULT_TIMEOUT) };
    let seconds = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|&seconds: &u64| seconds > 0);
    let refusal = || {
        ApiError::invalid(format!("the header Request-Timeout must be a number of seconds, got {value:?}"))
    };
    seconds.map(Duration::from_secs).ok_or_else(refusal)
}

impl<'a> Call<'a> {
    /// The body as a JSON object. `request` is Milvus's name of the request.
    pub(super) fn body(&self, request: &'static str) -> Result<Object<'a>, ApiError> {
        Object::parse(request, self.body)
    }

    /// Whether the client wants 64-bit integers as strings.
    pub(super) fn int64_as_string(&self) -> bool {
        reply::int64_as_string(self.headers)
    }

    /// Checks the database that the body or the header `DB-Name` names.
    pub(super) fn check_database(&self, body: &Object<'_>) -> Result<(), ApiError> {
        let in_body: String = body.get_or_default("dbName")?;
        let in_header = self.headers.get("db-name").map(|value| String::from_utf8_lossy(value.as_bytes()));
        let name = if in_body.is_empty() { in_header.unwrap_or_default() } else { in_body.into() };
        if name.is_empty() || name == DATABASE {
            return Ok(());
        }
        let message = format!("database not found[database={name}]");
        Err(ApiError::new(code::DATABASE_NOT_FOUND, StatusCode::NOT_FOUND, message))
    }

    /// Counts a search, and logs a slow one with all that is known of it.
    pub(super) fn searched(&self, collection: &Collection, hits: &SearchHits, took: Duration) {
        self.app.metrics.searched(&hits.stats, took);
        if took >= self.app.config.limits.slow_search {
            let explained = serde_json::to_string(&hits.explained).unwrap_or_default();
            tracing::warn!(
                collection = collection.name(),
                milliseconds = took.as_millis() as u64,
                queries = hits.topks.len(),
                explained,
                "slow search"
            );
        }
    }

    /// The collection that the body names, after everything else of the body was checked.
    pub(super) fn collection(&self, body: &Object<'_>) -> Result<Arc<Collection>, ApiError> {
        let name = body.required_text("collectionName")?;
        self.check_database(body)?;
        Ok(self.app.engine.collection(&name)?)
    }
}

/// Refuses partitions other than the one there is.
pub(super) fn check_partitions(body: &Object<'_>) -> Result<(), ApiError> {
    let one: String = body.get_or_default("partitionName")?;
    let several: Vec<String> = body.get_or_default("partitionNames")?;
    match several.iter().chain([&one]).find(|name| !name.is_empty() && name.as_str() != PARTITION) {
        Some(name) => Err(ApiError::unsupported(format!("a partition other than {PARTITION} ({name})"))),
        None => Ok(()),
    }
}

/// Checks a consistency level. Every level gets the strongest: a read sees every acknowledged write.
pub(super) fn check_consistency(level: &str) -> Result<(), ApiError> {
    const LEVELS: [&str; 5] = ["Strong", "Session", "Bounded", "Eventually", "Customized"];
    if level.is_empty() || LEVELS.contains(&level) {
        return Ok(());
    }
    let choices = LEVELS.join(", ");
    Err(ApiError::invalid(format!(
        "consistencyLevel can only be [{choices}], default: Bounded: invalid parameter[expected={choices}][actual={level}]"
    )))
}

/// The answer `{"code":0,"data":{}}`.
pub(super) fn done() -> Result<Vec<u8>, ApiError> {
    Envelope::new(serde_json::Map::new()).into_bytes()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_timeout_is_a_number_of_seconds() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([("request-timeout".parse().unwrap(), HeaderValue::from_static(text))])
        };
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), DEFAULT_TIMEOUT);
        assert_eq!(timeout(&headers("7")).unwrap(), Duration::from_secs(7));
        for wrong in ["", "x", "-1", "1.5", "0"] {
            assert_eq!(timeout(&headers(wrong)).unwrap_err().code, 1100, "{wrong}");
        }
    }

    #[test]
    fn only_the_default_partition_is_there() {
        let check = |text: &str| check_partitions(&Object::parse("x", text.as_bytes()).unwrap());
        check(r#"{"partitionName":"_default","partitionNames":["_default",""]}"#).unwrap();
        let error = check(r#"{"partitionNames":["p"]}"#).unwrap_err();
        assert!(error.code == 1100 && error.message.contains("not supported in this version"));
    }
}
