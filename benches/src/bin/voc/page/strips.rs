//! Examples: a photo that was searched with, and the first photos that were found, as small pictures within the page.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use elanus_benches::Result;
use elanus_embed::{DecodeLimits, decode, thumbnail};
use serde::Serialize;

use crate::photos::{Photo, Photos};
use crate::retrieval::{Query, Retrieval};
use elanus_benches::folder::Labels;

/// Longest side of a picture in pixels.
const SIDE: u32 = 160;

/// One query and its hits, each with whether it is right.
#[derive(Debug, Serialize)]
pub(crate) struct Strip {
    class: String,
    /// The best, the middle or the worst of its class.
    which: &'static str,
    precision: f64,
    query: Picture,
    hits: Vec<(Picture, bool)>,
}

/// A photo as a small JPEG.
#[derive(Debug, Serialize)]
struct Picture {
    id: String,
    /// What it shows.
    classes: String,
    /// The JPEG as an address that holds it.
    data: String,
}

impl Strip {
    /// The examples of a retrieval, with pictures made from the files in `images`.
    ///
    /// # Errors
    /// When a file can't be read any more.
    pub(crate) fn all(
        retrieval: &Retrieval,
        photos: &Photos,
        labels: &Labels,
        images: &Path,
    ) -> Result<Vec<Self>> {
        let picture = |photo: usize| Picture::of(&photos.list[photo], labels, images);
        let examples = retrieval.examples(photos, labels).into_iter();
        let strip = |(class, which, query): (&str, &'static str, &Query)| -> Result<Self> {
            let hits = query.first.iter().map(|(photo, right)| Ok((picture(*photo)?, *right)));
            Ok(Self {
                class: class.to_owned(),
                which,
                precision: query.means.map,
                query: picture(query.photo)?,
                hits: hits.collect::<Result<_>>()?,
            })
        };
        examples.map(strip).collect()
    }
}

impl Picture {
    fn of(photo: &Photo, labels: &Labels, images: &Path) -> Result<Self> {
        let file = images.join(&photo.file);
        let broken = |reason: String| format!("{}: {reason}", file.display());
        let bytes = std::fs::read(&file).map_err(|e| broken(e.to_string()))?;
        let decoded = decode(&bytes, &DecodeLimits::default()).map_err(|e| broken(e.to_string()))?;
        let small = thumbnail(&decoded, SIDE).map_err(|e| broken(e.to_string()))?;
        let classes: Vec<&str> = labels.of(&photo.id).into_iter().flatten().map(String::as_str).collect();
        let classes = if classes.is_empty() { "no class".to_owned() } else { classes.join(", ") };
        let data = format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(small));
        Ok(Self { id: photo.id.clone(), classes, data })
    }
}
