//! Connections: from a listening socket to a router and back, with a limit on everything a client can hold: how many
//! connections, how long a header, a pause, a body may be. HTTP/1.1 and HTTP/2 share the port, with TLS or without. Nothing
//! here knows what the requests mean; [`serve`] is called once for the main port and once for the admin port.
//!
//! ```text
//!   accept ─► permit ─► connection (TLS, idle watch) ─► dispatch ── application/grpc ─► guard ─► gRPC's router
//!                                                      └─ everything else ─► guard ─► router
//! ```

mod accept;
mod body;
mod connection;
mod dispatch;
mod guard;
mod headers;
mod progress;
mod room;
mod shutdown;
mod tls;
mod unread;

pub use accept::{Settings, bind, serve};
pub(crate) use connection::Peer;
pub use dispatch::Routers;
pub(crate) use guard::{Admission, Refusal, admitted, guarded};
pub(crate) use room::Held;
pub use shutdown::Shutdown;
pub use tls::{Tls, TlsError};
