//! Starting a server and ending it. Addresses are bound first, so that a port in use is told at once; then the data
//! directory is opened; then requests are answered. At the end requests in flight finish, then jobs and the embedder
//! stop, then the engine closes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elanus_engine::Engine;
use elanus_storage::data_dir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::app::{self, App};
use crate::auth::Auth;
use crate::config::{Config, Limits};
use crate::error::StartError;
use crate::grpc::Iterators;
use crate::images::ImageService;
use crate::imports::Imports;
use crate::jobs::Jobs;
use crate::net::{self, Routers, Shutdown};
use crate::telemetry::{self, Health, Metrics};

/// Connections to the admin port at one time.
const ADMIN_CONNECTIONS: usize = 64;
/// At the very end: time for threads that still hold a request nobody waits for.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A running server. Dropping it asks the server to end and does not wait.
pub struct Handle {
    app: Arc<App>,
    addr: SocketAddr,
    admin_addr: SocketAddr,
    /// The main and the admin port; none once waited for.
    serving: Option<[JoinHandle<()>; 2]>,
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("addr", &self.addr)
            .field("admin_addr", &self.admin_addr)
            .finish_non_exhaustive()
    }
}

/// Starts a server with threads of its own. It answers when this returns.
///
/// # Errors
/// [`StartError`] when an address or the data directory cannot be used.
pub fn start(config: Config) -> Result<Handle, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| StartError::Part { what: "threads", reason: e.to_string() })?;
    let tls = config.tls.clone().map(net::Tls::open).transpose();
    let tls = tls.map_err(|e| StartError::Part { what: "TLS", reason: e.to_string() })?;
    let (listener, addr) = bind(&runtime, config.listen, "listen")?;
    let (admin_listener, admin_addr) = bind(&runtime, config.admin_listen, "admin-listen")?;
    let shutdown = Shutdown::default();
    let health = Health::default();
    let admin = serve_admin(&runtime, admin_listener, &config.limits, health.clone(), shutdown.clone());
    let app = Arc::new(open(&runtime, config, shutdown.clone())?);
    health.ready(&app);
    let settings = net::Settings { tls, ..net::Settings::from(&app.config.limits) };
    let main = runtime.spawn(net::serve(listener, app::routers(&app), settings, shutdown));
    tracing::info!(address = %addr, admin = %admin_addr, "serving");
    Ok(Handle { app, addr, admin_addr, serving: Some([main, admin]), runtime: Some(runtime) })
}

fn bind(
    runtime: &Runtime,
    address: SocketAddr,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error: std::io::Error| StartError::Listen { address, reason: in_words(&error), flag };
    let listener = runtime.block_on(net::bind(address)).map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there".into(),
        std::io::ErrorKind::PermissionDenied => {
            "that port needs more permissions than this program has".into()
        }
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        _ => error.to_string(),
    }
}

fn serve_admin(
    runtime: &Runtime,
    listener: TcpListener,
    limits: &Limits,
    health: Health,
    shutdown: Shutdown,
) -> JoinHandle<()> {
    let settings = net::Settings { max_connections: ADMIN_CONNECTIONS, ..net::Settings::from(limits) };
    runtime.spawn(net::serve(
        listener,
        Routers { http: telemetry::admin_routes(health), grpc: None },
        settings,
        shutdown,
    ))
}

/// Opens the data directory and makes all that handlers share.
fn open(runtime: &Runtime, config: Config, shutdown: Shutdown) -> Result<App, StartError> {
    let part = |what: &'static str| move |reason: String| StartError::Part { what, reason };
    let data = data_dir::open(&config.data)?;
    let auth = Arc::new(Auth::open(&data, &config.auth, !config.listen.ip().is_loopback())?);
    crate::backup::sweep_staging(&config.data);
    let engine = Engine::open(data, config.engine.clone())?;
    let metrics = Metrics::new().map_err(|e| part("metrics")(e.to_string()))?;
    // Parts may start tasks of their own.
    let _context = runtime.enter();
    let images =
        ImageService::start(&config, &engine, &metrics).map_err(|e| part("the embedder")(e.message))?;
    let jobs = Jobs::start(&config, &images, &metrics).map_err(|e| part("jobs")(e.message))?;
    let imports = Imports::start(&config, &engine).map_err(|e| part("imports")(e.message))?;
    let (iterators, started) = (Iterators::default(), Instant::now());
    Ok(App { config, auth, engine, images, jobs, imports, iterators, metrics, started, shutdown })
}

impl Handle {
    /// Address of the page and the APIs, with the real port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Address of metrics and health, with the real port.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// What the handlers share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Asks the server to end; requests in flight finish. Returns at once: [`Handle::wait`] waits.
    pub fn shutdown(&self) {
        self.app.shutdown.trigger();
    }

    /// The switch behind [`Handle::shutdown`], to be kept elsewhere.
    pub(crate) fn shutdown_switch(&self) -> Shutdown {
        self.app.shutdown.clone()
    }

    /// Runs a task beside the server.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }

    /// Waits until the server has ended: after [`Handle::shutdown`] and the grace for requests in flight. Everything
    /// is closed when this returns.
    ///
    /// # Errors
    /// `Part` when a listener failed, which is a bug.
    pub fn wait(mut self) -> Result<(), StartError> {
        let (Some(runtime), Some(serving)) = (self.runtime.take(), self.serving.take()) else {
            return Ok(());
        };
        let mut outcome = Ok(());
        for task in serving {
            if let Err(error) = runtime.block_on(task) {
                self.app.shutdown.trigger();
                outcome = Err(StartError::Part { what: "listening", reason: error.to_string() });
            }
        }
        self.app.jobs.close();
        self.app.imports.close();
        self.app.images.close();
        self.app.engine.close();
        runtime.shutdown_timeout(LAST_WAIT);
        tracing::info!("stopped");
        outcome
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            self.app.shutdown.abort();
            runtime.shutdown_background();
        }
    }
}
