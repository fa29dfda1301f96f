//! One kept-alive connection that sends prepared requests.

use std::io::{Read, Write};
use std::net::TcpStream;

use elanus_benches::Result;
use serde_json::Value;

/// The bytes of a POST to `/v2/vectordb/{path}`.
pub(crate) fn request(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST /v2/vectordb/{path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A connection.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends a request and gives the body of a good answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request)?;
        self.received.clear();
        let mut whole = None;
        while whole.is_none_or(|(start, length)| self.received.len() < start + length) {
            let mut part = [0; 1 << 16];
            let count = self.stream.read(&mut part)?;
            if count == 0 {
                return Err("the server closed the connection".into());
            }
            self.received.extend_from_slice(&part[..count]);
            whole = whole.or_else(|| head(&self.received));
        }
        let body = whole.map_or(&[][..], |(start, _)| &self.received[start..]);
        match body.starts_with(br#"{"code":0"#) {
            true => Ok(body),
            false => Err(String::from_utf8_lossy(body).into_owned().into()),
        }
    }
}

/// Where the body starts, and its length.
fn head(received: &[u8]) -> Option<(usize, usize)> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
    Some((end + 4, length))
}
