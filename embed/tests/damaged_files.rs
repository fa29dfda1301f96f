//! Files that are cut, changed or cut again: whatever happens to the bytes, decoding answers with a photo or a typed
//! reason and never with a panic or half a photo.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Cursor;

use elanus_embed::{DecodeLimits, ImageError, Recipe, decode, preprocess, thumbnail};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// A noisy 70x50 picture: noise keeps every part of the file needed.
fn picture() -> DynamicImage {
    let mut state = 1u32;
    let image = RgbImage::from_fn(70, 50, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, r, g, b] = state.to_le_bytes();
        Rgb([r, g, b])
    });
    DynamicImage::ImageRgb8(image)
}

fn files() -> Vec<(ImageFormat, Vec<u8>)> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let encode = |format| {
        let mut file = Cursor::new(Vec::new());
        // GIF is written from RGBA only.
        let image = if format == Gif { DynamicImage::from(picture().into_rgba8()) } else { picture() };
        image.write_to(&mut file, format).unwrap();
        (format, file.into_inner())
    };
    [Jpeg, Png, WebP, Gif, Bmp, Tiff].map(encode).into()
}

#[test]
fn whole_files_decode() {
    for (format, file) in files() {
        let photo = decode(&file, &DecodeLimits::default()).unwrap();
        assert_eq!((photo.width(), photo.height()), (70, 50), "{format:?}");
        assert_eq!(photo.format().mime(), format.to_mime_type());
        if !matches!(format, ImageFormat::Jpeg | ImageFormat::Gif) {
            assert_eq!(photo.rgb(), picture().as_bytes(), "{format:?} is lossless");
        }
    }
}

#[test]
fn half_a_file_is_never_a_photo() {
    for (format, file) in files() {
        for percent in [5, 20, 50, 80, 95] {
            let part = &file[..file.len() * percent / 100];
            let result = decode(part, &DecodeLimits::default());
            let error = result.expect_err(&format!("{format:?} cut to {percent} %"));
            assert!(
                matches!(error, ImageError::Truncated | ImageError::Corrupt { .. }),
                "{format:?}: {error}"
            );
        }
    }
}

#[test]
fn changed_bytes_never_panic() {
    let limits = DecodeLimits { max_pixels: 1_000_000, ..DecodeLimits::default() };
    let mut state = 7u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for (format, file) in files() {
        for round in 0..300 {
            let mut file = file.clone();
            // Mostly in the headers, where a changed byte does more than a wrong pixel.
            let reach = if round % 3 == 0 { file.len() } else { 100 };
            for _ in 0..=random(4) {
                file[random(reach)] = random(256) as u8;
            }
            match decode(&file, &limits) {
                Ok(photo) => {
                    thumbnail(&photo, 32).unwrap();
                    drop(Recipe::ALL.map(|recipe| preprocess(&photo, recipe)));
                }
                Err(error) => assert_ne!(error, ImageError::Internal, "{format:?}: a decoder panicked"),
            }
        }
    }
}

#[test]
fn thumbnails_are_small_upright_jpegs() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/turned.jpg")).unwrap();
    let photo = decode(&file, &DecodeLimits::default()).unwrap();
    assert_eq!((photo.width(), photo.height(), photo.oriented_size()), (420, 300, (300, 420)));
    let thumb = decode(&thumbnail(&photo, 70).unwrap(), &DecodeLimits::default()).unwrap();
    assert_eq!((thumb.width(), thumb.height()), (50, 70));
    // The drawing's sky is above its grass.
    let pixel = |x: usize, y: usize| &thumb.rgb()[(y * 50 + x) * 3..][..3];
    assert!(
        pixel(5, 2)[2] > 200 && pixel(5, 67)[1] > pixel(5, 67)[2] + 40,
        "{:?} {:?}",
        pixel(5, 2),
        pixel(5, 67)
    );
}
