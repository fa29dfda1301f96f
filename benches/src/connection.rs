//! One kept-alive connection that sends prepared requests over a plain socket, so that as little as may be of the client
//! is measured.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::Result;

/// The bytes of a POST of JSON to `/v2/vectordb/{path}`.
pub fn request(path: &str, body: &Value) -> Vec<u8> {
    post(&format!("/v2/vectordb/{path}"), "application/json", body.to_string().as_bytes())
}

/// The bytes of a POST of any body.
pub fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A connection.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// The system's.
    pub fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends a request and gives the body of a good answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is a refusal: then its body.
    pub fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
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
