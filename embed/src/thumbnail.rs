//! Small JPEG previews for pages: upright, with the photo's own aspect ratio, never larger than the photo. They are
//! made from the same decoded [`Photo`] that is embedded, so that an upload is decoded once.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::decode::Photo;
use crate::error::ImageError;
use crate::preprocess::{orient, resize};

/// Longer side of the thumbnails that the server keeps, in pixels.
pub const THUMBNAIL_SIDE: u32 = 320;
/// Good enough for a preview at a sixth of the size of quality 95.
const QUALITY: u8 = 80;

/// A JPEG whose longer side has `max_side` pixels (or the photo's, if that is smaller) and whose sides are at least 1.
pub fn thumbnail(photo: &Photo, max_side: u32) -> Result<Vec<u8>, ImageError> {
    let (width, height) = fit(photo.width(), photo.height(), max_side);
    let small = orient(resize(photo, width, height), photo.orientation());
    let side = |side: u32| u16::try_from(side).map_err(|_| ImageError::Internal);
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(small.as_raw(), side(small.width())?, side(small.height())?, ColorType::Rgb)
        .map_err(|_| ImageError::Internal)?;
    Ok(jpeg)
}

/// The largest size of the same aspect ratio whose sides are within `1..=max_side` and not above the original's.
fn fit(width: u32, height: u32, max_side: u32) -> (u32, u32) {
    // A JPEG's sides have 16 bits.
    let max_side = max_side.clamp(1, 65_535);
    let longer = width.max(height);
    if longer <= max_side {
        return (width, height);
    }
    let scale = |side: u32| {
        let (side, longer, max_side) = (u64::from(side), u64::from(longer), u64::from(max_side));
        ((side * max_side + longer / 2) / longer).max(1) as u32
    };
    (scale(width), scale(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_the_aspect_and_never_vanish() {
        assert_eq!(fit(500, 375, 200), (200, 150));
        assert_eq!(fit(375, 500, 200), (150, 200));
        assert_eq!(fit(1500, 6, 100), (100, 1));
        assert_eq!(fit(1, 1, 200), (1, 1));
        assert_eq!(fit(100, 50, 200), (100, 50));
        assert_eq!(fit(4_000_000, 3, 0), (1, 1));
        assert_eq!(fit(u32::MAX, u32::MAX, u32::MAX), (65_535, 65_535));
    }
}
