//! What all handlers share, and the one way from async handlers to the blocking engine.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use elanus_engine::Engine;
use tokio::sync::Semaphore;

use crate::auth::{Asker, Auth, DEFAULT_DATABASE, Privilege, Target};
use crate::config::Config;
use crate::error::ApiError;
use crate::grpc::Iterators;
use crate::images::{ImageService, Permission};
use crate::imports::Imports;
use crate::jobs::Jobs;
use crate::net::{Admission, Refusal, Routers, Shutdown};
use crate::telemetry::Metrics;

/// Everything a handler may need. One for each server; handlers get it as `State<Arc<App>>`.
pub struct App {
    /// How the server was told to run.
    pub config: Config,
    /// Users and what they may do.
    pub auth: Arc<Auth>,
    /// Collections.
    pub engine: Arc<Engine>,
    /// Photos to vectors, and the stored photos.
    pub images: Arc<ImageService>,
    /// Imports of folders.
    pub jobs: Arc<Jobs>,
    /// Imports of files with rows.
    pub imports: Arc<Imports>,
    /// Where search iterators are.
    pub(crate) iterators: Iterators,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// When the server started.
    pub started: Instant,
    /// Asks for the end, and says whether it was asked for.
    pub shutdown: Shutdown,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

impl App {
    /// Whether who asks may make collections of the default database: in it are all that hold images.
    pub(crate) fn may_create(&self, asker: &Asker) -> Permission {
        let target = Target::Database { db: DEFAULT_DATABASE };
        Ok(self.auth.authorize(asker, Privilege::CreateCollection, target)?)
    }
}

/// All routes of the main port.
pub(crate) fn routers(app: &Arc<App>) -> Routers {
    let admission = Admission::new(&app.config.limits);
    Routers { http: http(Arc::clone(app), &admission), grpc: Some(grpc(Arc::clone(app), &admission)) }
}

fn grpc(app: Arc<App>, admission: &Admission) -> Router {
    let refuse: Refusal = |error| crate::grpc::refusal(&error);
    let (auth, metrics) = (Arc::clone(&app.auth), Arc::clone(&app.metrics));
    let routes = crate::net::admitted(crate::grpc::routes().with_state(app), admission, &[], refuse);
    let routes = crate::auth::known(routes, auth, refuse);
    crate::net::guarded(routes, &metrics, refuse)
}

fn http(app: Arc<App>, admission: &Admission) -> Router {
    let (auth, engine, metrics) = (Arc::clone(&app.auth), Arc::clone(&app.engine), Arc::clone(&app.metrics));
    let routes = Router::new()
        .merge(crate::rest::routes())
        .merge(crate::status::routes())
        .merge(crate::images::routes())
        .merge(crate::jobs::routes())
        .merge(crate::imports::routes())
        .merge(crate::classic::routes())
        .merge(crate::ui::routes())
        .fallback(crate::reply::no_such_page)
        .with_state(app);
    // Whoever is not let in takes no room for a body.
    let streamed = &[crate::imports::UPLOAD_ROUTE];
    let routes = crate::net::admitted(routes, admission, streamed, crate::reply::own_error);
    let routes = crate::auth::checked(routes, auth, engine);
    crate::net::guarded(routes, &metrics, crate::reply::own_error)
}

/// Calls into the engine at one time. Each may hold a thread while it waits for the disk; more wait their turn.
const MAX_BLOCKING: usize = 192;

static BLOCKING: Semaphore = Semaphore::const_new(MAX_BLOCKING);

/// Runs a blocking call on a thread made for that. It runs to its end even if nobody waits for it any more.
///
/// # Errors
/// The call's own; a panic becomes an internal error and is logged.
pub async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let permit = BLOCKING.acquire().await.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    holding(permit, call).await
}

/// Of those, calls that write rows: what waits for its turn at one collection must not keep all reads waiting.
const MAX_WRITING: usize = 128;

static WRITING: Semaphore = Semaphore::const_new(MAX_WRITING);

/// The same for a call that writes rows.
///
/// # Errors
/// As [`blocking`].
pub(crate) async fn blocking_write<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let permit = WRITING.acquire().await.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    blocking(move || {
        let _permit = permit;
        call()
    })
    .await
}

/// The same for a call that has a permit of another kind. It gives it back when it ends, not when the waiting ends.
///
/// # Errors
/// As [`blocking`].
pub(crate) async fn holding<P: Send + 'static, T: Send + 'static>(
    permit: P,
    call: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let run = move || {
        let _permit = permit;
        call()
    };
    match tokio::task::spawn_blocking(run).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => {
            tracing::error!(%error, "a request panicked");
            Err(ApiError::internal("internal error; the server's log has the details"))
        }
        Err(_) => Err(ApiError::unavailable("the server is stopping")),
    }
}

/// The same for a call that is above all a search: it runs where the engine searches, so that no thread waits for another.
/// As long as collections are being opened, which a call may wait for, it runs as any other.
///
/// # Errors
/// As [`blocking`]; 8 when too many searches are under way.
pub(crate) async fn searching<T: Send + 'static>(
    engine: &Engine,
    call: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if engine.is_opening() {
        return blocking(call).await;
    }
    let (tell, told) = tokio::sync::oneshot::channel();
    engine.run_search(move || {
        // Nobody listens any more when the client has gone.
        let _ = tell.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)));
    })?;
    match told.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => {
            tracing::error!("a search panicked");
            Err(ApiError::internal("internal error; the server's log has the details"))
        }
        Err(_) => Err(ApiError::unavailable("the server is stopping")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error_and_the_next_call_works() {
        let error = blocking::<()>(|| panic!("as a bug would")).await.unwrap_err();
        assert_eq!((error.code, error.status.as_u16()), (65535, 500));
        assert_eq!(blocking(|| Ok(7)).await, Ok(7));
    }
}
