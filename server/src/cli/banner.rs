//! The few lines that a person sees after the start: where to go, what embeds, where the data is.

use std::fmt::Write;

use crate::start::Handle;
use crate::version::{COMMIT, VERSION};

/// The banner of a server that listens already.
pub(super) fn text(server: &Handle) -> String {
    let app = server.app();
    let data = app.config.data.canonicalize().unwrap_or_else(|_| app.config.data.clone());
    let collections = app.engine.names().len();
    let plural = if collections == 1 { "" } else { "s" };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Elanus {VERSION} ({COMMIT})");
    let _ = writeln!(text, "  data       {} ({collections} collection{plural})", data.display());
    let _ = writeln!(text, "  embedding  {}", crate::status::device_sentence(app));
    let _ = writeln!(text, "  users      {}", users(app));
    let _ = writeln!(text, "  metrics    http://{}/metrics", reachable(server.admin_addr()));
    let scheme = if app.config.tls.is_some() { "https" } else { "http" };
    let _ = writeln!(text, "  page, API  {scheme}://{}/", reachable(server.addr()));
    for (name, reason) in app.engine.failed() {
        let _ = writeln!(text, "  collection {name} is out of service: {reason}");
    }
    text
}

/// Whether users must say who they are, and whether root still has the password that everybody knows.
fn users(app: &crate::App) -> &'static str {
    match app.auth.is_enabled() {
        false => "authorization is off: whoever reaches the addresses may do everything",
        true if app.auth.has_default_password() => {
            "authorization is on; ROOT HAS THE PASSWORD THAT EVERYBODY KNOWS: CHANGE IT NOW"
        }
        true => "authorization is on",
    }
}

/// An address that a browser on this machine can open: "any address" becomes this machine's own.
fn reachable(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
