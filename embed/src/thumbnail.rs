//! Small JPEG previews for pages: upright, with the photo's own aspect ratio, never larger than the photo. They are
//! made from the same decoded [`Photo`] that is embedded, so that an upload is decoded once.

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

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
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
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
    use image::RgbImage;

    use super::*;
    use crate::decode::{DecodeLimits, decode};

    #[test]
    fn photos_of_any_shape_become_what_they_show() {
        for (width, height, expected) in
            [(1, 1, (1, 1)), (640, 2, (320, 1)), (17, 9, (17, 9)), (3, 700, (1, 320)), (641, 480, (320, 240))]
        {
            let colour = |x: u32| if 2 * x < width { [250, 20, 30] } else { [20, 60, 240] };
            let image = RgbImage::from_fn(width, height, |x, _| image::Rgb(colour(x)));
            let mut png = std::io::Cursor::new(Vec::new());
            image.write_to(&mut png, image::ImageFormat::Png).unwrap();
            let photo = decode(png.get_ref(), &DecodeLimits::default()).unwrap();
            let jpeg = thumbnail(&photo, THUMBNAIL_SIDE).unwrap();
            let shown = decode(&jpeg, &DecodeLimits::default()).unwrap();
            assert_eq!((shown.width(), shown.height()), expected);
            // The corners are far from the edge between the colours, unless there is one only.
            let rgb = shown.rgb();
            for (found, x) in [(&rgb[..3], 0), (&rgb[rgb.len() - 3..], width - 1)] {
                let near = |(found, expected): (&u8, u8)| found.abs_diff(expected) < 24;
                assert!(
                    expected.0 < 9 || found.iter().zip(colour(x)).all(near),
                    "{width}x{height} {found:?}"
                );
            }
        }
    }

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
