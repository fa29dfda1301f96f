//! Searches through the image API, as the page makes them: with a stored photo, and with an uploaded one, whose way
//! through the network is taken off.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use elanus_benches::Result;
use elanus_benches::connection::{Connection, post};
use elanus_benches::load::percentile;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::measure::{Seen, loads};
use crate::options::Scale;
use crate::photos::{Photos, Rows};
use crate::questions::{DEPTHS, Questions, spread};
use crate::server::{COLLECTION, Server};
use crate::stages::NETWORK_SECONDS;

/// Searches with stored photos.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Stored {
    /// Of the ten nearest photos.
    pub(crate) recall_at_10: Option<f64>,
    /// By the number of clients.
    pub(crate) loads: Vec<Seen>,
}

/// Searches with uploaded photos, one after the other.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Uploaded {
    pub(crate) searches: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    /// The network alone, of the same searches, by the server's own clock.
    pub(crate) network_p50_ms: f64,
    /// Everything else of the same searches: HTTP, decoding, resizing, waiting, searching.
    pub(crate) beside_network_p50_ms: f64,
    pub(crate) beside_network_p95_ms: f64,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    id: i64,
}

/// Searches with stored photos.
///
/// # Errors
/// When the server refuses.
pub(crate) fn stored(
    server: &Server,
    photos: &Photos,
    questions: &Questions,
    scale: &Scale,
) -> Result<Stored> {
    let (path, address) = (format!("/v1/images/{COLLECTION}/search"), server.program().address());
    let search = |photo: &usize| {
        let body = json!({"id": photos.list[*photo].key, "limit": DEPTHS[0] + 1});
        post(&path, "application/json", body.to_string().as_bytes())
    };
    let searches: Vec<Vec<u8>> = questions.photos.iter().map(search).collect();
    let places: HashMap<i64, usize> =
        photos.list.iter().enumerate().map(|(i, photo)| (photo.key, i)).collect();
    // What was added to the indexes is not among the images.
    let rows = Rows::new(photos, 0);
    let mut connection = Connection::open(address)?;
    let mut shares = Vec::with_capacity(searches.len());
    for (photo, search) in questions.photos.iter().zip(&searches) {
        let answer: Answer = serde_json::from_slice(connection.exchange(search)?)?;
        let found = answer.data.iter().filter_map(|hit| places.get(&hit.id).copied());
        let found: Vec<usize> = found.filter(|row| row != photo).collect();
        shares.extend(rows.recall(*photo, &found, &rows.best(*photo, DEPTHS[0], |_| true), DEPTHS[0]));
    }
    let recall_at_10 = (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64);
    Ok(Stored { recall_at_10, loads: loads(address, &searches, scale)? })
}

/// Searches with files of the folder `images`.
///
/// # Errors
/// When a file can't be read, or the server refuses.
pub(crate) fn uploaded(server: &Server, images: &Path, photos: &Photos, most: usize) -> Result<Uploaded> {
    let path = format!("/v1/images/{COLLECTION}/search?limit={}", DEPTHS[0]);
    let mut connection = Connection::open(server.program().address())?;
    let (mut whole, mut network, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for photo in spread(photos.len(), most) {
        let file = images.join(&photos.list[photo].file);
        let bytes = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let request = post(&path, "image/jpeg", &bytes);
        let before = server.program().metrics()?;
        let sent = Instant::now();
        connection.exchange(&request)?;
        let took = sent.elapsed();
        let seconds = server.program().metrics()?.since(&before, NETWORK_SECONDS);
        let inside = Duration::from_secs_f64(seconds.max(0.0));
        whole.push(took);
        network.push(inside);
        beside.push(took.saturating_sub(inside));
    }
    let ms = |times: &mut Vec<Duration>, percent| {
        times.sort_unstable();
        percentile(times, percent).as_secs_f64() * 1e3
    };
    Ok(Uploaded {
        searches: whole.len(),
        p50_ms: ms(&mut whole, 50),
        p95_ms: ms(&mut whole, 95),
        network_p50_ms: ms(&mut network, 50),
        beside_network_p50_ms: ms(&mut beside, 50),
        beside_network_p95_ms: ms(&mut beside, 95),
    })
}
