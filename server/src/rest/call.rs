//! What every call has in common: reading the body, the time it may take, the database it names, the collection it
//! names, and checks of words that several calls share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::MethodRouter;
use elanus_engine::Collection;
use elanus_engine::collection::DEFAULT_DATABASE;
use elanus_engine::exec::Cancel;

use super::routes::Route;
use super::spec::Request;
use crate::app::{App, blocking, blocking_write, holding, searching};
use crate::auth::{Asker, Turn};
use crate::body::{Object, bad_json};
use crate::error::{ApiError, code};
use crate::net::Held;
use crate::reply::{self, Envelope, Form};
use crate::service::{CancelOnDrop, Context};
use crate::telemetry::{Counted, Protocol};

/// A call: blocking, from a request to the bytes of its answer.
pub(super) type Action = fn(&Call<'_>) -> Result<Vec<u8>, ApiError>;

/// Time for a call that does not say how long it may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// One request, read but not yet understood.
pub(super) struct Call<'a> {
    pub(super) app: &'a App,
    /// Who asks.
    pub(super) asker: &'a Asker,
    pub(super) context: Context<'a>,
    route: &'static Route,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// The service of a route, for those who have what it needs. Without the layer that finds out who asks it is 500.
pub(super) fn post(route: &'static Route) -> MethodRouter<Arc<App>> {
    axum::routing::post(
        move |State(app): State<Arc<App>>,
              Extension(asker): Extension<Asker>,
              room: Option<Extension<Arc<Held>>>,
              headers: HeaderMap,
              body: Result<Bytes, BytesRejection>| { run(app, asker, room, headers, body, route) },
    )
}

async fn run(
    app: Arc<App>,
    asker: Asker,
    room: Option<Extension<Arc<Held>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
    route: &'static Route,
) -> Response {
    let (started, metrics, engine) = (Instant::now(), Arc::clone(&app.metrics), Arc::clone(&app.engine));
    let (body, limit) = match (body, timeout(&headers)) {
        (Ok(body), Ok(limit)) => (body, limit),
        (Err(rejection), _) => return unreadable(&rejection),
        (_, Err(error)) => return reply::milvus(Err(error)),
    };
    let body = match room {
        Some(Extension(room)) => room.kept_with(body),
        None => body,
    };
    let ends = tokio::time::Instant::now() + limit;
    let turn = match tokio::time::timeout_at(ends, turn(&app, &asker, route)).await {
        Ok(Ok(turn)) => turn,
        // As for want of room for the body: before anything was looked at.
        Ok(Err(busy)) => return reply::own_error(busy),
        Err(_) => return reply::milvus(Err(too_late())),
    };
    let received = body.len();
    let cancel = Cancel::default();
    let _waited_for = CancelOnDrop(cancel.clone());
    let call = move || {
        route.need.check(&app, &asker, &headers, &body)?;
        let context = Context { app: &app, asker: &asker, cancel };
        let call = Call { app: &app, asker: &asker, context, route, headers: &headers, body: &body };
        match (route.action)(&call) {
            // Fields came or went between reading the schema and using it: nothing has happened yet.
            Err(error) if error.code == code::SCHEMA_MISMATCH => (route.action)(&call),
            other => other,
        }
    };
    let answered = async {
        match turn {
            Some(turn) => holding(turn, call).await,
            None if route.searches => searching(&engine, call).await,
            None if route.writes => blocking_write(call).await,
            None => blocking(call).await,
        }
    };
    // After a timeout a write still runs to its end: whether a write happened is then unknown to the client.
    let outcome = tokio::time::timeout_at(ends, answered).await.unwrap_or_else(|_| Err(too_late()));
    let protocol = Protocol::Rest;
    let (took, sent) = (started.elapsed(), outcome.as_ref().map_or(0, Vec::len));
    metrics.called(Counted { protocol, path: route.path, succeeded: outcome.is_ok(), took, received, sent });
    reply::milvus(outcome)
}

/// The turn to hash a password, for a route that does so.
async fn turn(app: &App, asker: &Asker, route: &Route) -> Result<Option<Turn>, ApiError> {
    if route.hashes { Ok(Some(app.auth.turn(asker).await?)) } else { Ok(None) }
}

fn too_late() -> ApiError {
    ApiError::new(code::TIMEOUT, StatusCode::REQUEST_TIMEOUT, "request timeout")
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
    /// The body as a JSON object. `request` is what the table of routes says of it.
    pub(super) fn body(&self, request: &'static Request) -> Result<Object<'a>, ApiError> {
        let declared = self.route.spec.request.name;
        debug_assert_eq!(request.name, declared, "the route {} is told to take another", self.route.path);
        Object::parse(request, self.body)
    }

    /// Whether the client wants 64-bit integers as strings.
    pub(super) fn int64_as_string(&self) -> bool {
        reply::int64_as_string(self.headers)
    }

    /// The database that the request names, or the default one.
    ///
    /// # Errors
    /// 800 when it is not there.
    pub(super) fn database(&self, body: &Object<'_>) -> Result<String, ApiError> {
        let name = named_database(body, self.headers)?;
        self.app.engine.check_database(&name)?;
        Ok(name)
    }

    /// In which form values of a collection are written.
    pub(super) fn form(&self, collection: &Collection) -> Form {
        Form {
            int64_as_string: self.int64_as_string(),
            native: self.app.config.native_json,
            zone: collection.definition().timezone().unwrap_or_default(),
        }
    }

    /// The collection that the body names, after everything else of the body was checked.
    pub(super) fn collection(&self, body: &Object<'_>) -> Result<Arc<Collection>, ApiError> {
        let name = body.required_text("collectionName")?;
        Ok(self.app.engine.collection_in(&self.database(body)?, &name)?)
    }

    /// The same for reading its rows.
    pub(super) fn readable_collection(&self, body: &Object<'_>) -> Result<Arc<Collection>, ApiError> {
        let collection = self.collection(body)?;
        collection.definition().check_readable()?;
        Ok(collection)
    }
}

/// The database that a body or the header `DB-Name` names, be it there or not; the default one when neither does.
pub(super) fn named_database(body: &Object<'_>, headers: &HeaderMap) -> Result<String, ApiError> {
    let in_body: String = body.get_or_default("dbName")?;
    let in_header = || headers.get("db-name").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let name = if in_body.is_empty() { in_header().unwrap_or_default().into_owned() } else { in_body };
    Ok(if name.is_empty() { DEFAULT_DATABASE.to_owned() } else { name })
}

/// The partitions that a request names, in either way; none: all.
pub(super) fn partitions(body: &Object<'_>) -> Result<Vec<String>, ApiError> {
    let one: String = body.get_or_default("partitionName")?;
    let mut all: Vec<String> = body.get_or_default("partitionNames")?;
    all.push(one);
    all.retain(|name| !name.is_empty());
    Ok(all)
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
    fn partitions_may_be_named_in_two_ways() {
        let read = |text: &str| partitions(&Object::parse(&Request::ANY, text.as_bytes()).unwrap()).unwrap();
        assert_eq!(read(r#"{"partitionName":"a","partitionNames":["b",""]}"#), ["b", "a"]);
        assert!(read(r#"{"partitionName":"","partitionNames":[]}"#).is_empty());
    }
}
