//! Every file of the shared `bad-images` folder gets what its README says: a photo or a typed reason; and what decoding
//! takes is not underestimated. In a program of their own, one at a time, because they count the bytes that are allocated.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod shared_data;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use elanus_embed::{
    DecodeLimits, DeviceChoice, ImageError, Photo, Pooling, Recipe, decode, open, preprocess, sniff,
    thumbnail,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most memory that one file may take beside its own bytes.
const MAX_EXTRA: usize = 256 << 20;

/// Held by the test that counts.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // What the other test found wrong is no matter of this one.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Expected {
    /// Decodes to this size as a viewer shows it, with about this mean colour (as Pillow decodes it, blended on white).
    Photo(u32, u32, [u8; 3]),
    /// Refused with this code.
    Refused(&'static str),
    /// A photo or a refusal.
    Either,
}

use Expected::{Either, Photo as Accepted, Refused};

const FILES: [(&str, Expected); 33] = [
    ("01-truncated.jpg", Refused("truncated")),
    ("02-truncated-header.jpg", Refused("truncated")),
    ("03-zero-bytes.jpg", Refused("empty")),
    ("04-text-renamed.jpg", Refused("not-an-image")),
    ("05-bomb-60000x60000-1bit.png", Refused("too-many-pixels")),
    ("06-header-lies-2147483647x2147483647.png", Refused("too-many-pixels")),
    ("07-jpeg-declares-65500x65500.jpg", Refused("too-many-pixels")),
    ("08-cmyk.jpg", Accepted(215, 174, [167, 147, 113])),
    ("09-gray-16bit.png", Accepted(500, 333, [109, 109, 109])),
    ("10-rgb-16bit.png", Accepted(160, 120, [114, 121, 57])),
    ("11-grayscale.jpg", Accepted(215, 174, [149, 149, 149])),
    ("12-palette-alpha.png", Accepted(200, 150, [167, 147, 113])),
    ("13-rgba-transparent-border.png", Accepted(200, 150, [205, 205, 182])),
    ("14-animated.gif", Accepted(160, 120, [167, 147, 113])),
    ("15-photo.webp", Accepted(500, 333, [101, 112, 117])),
    ("16-lossless.webp", Accepted(120, 90, [101, 112, 117])),
    ("17-exif-orientation-6.jpg", Accepted(500, 333, [101, 111, 117])),
    ("18-exif-upright-twin.jpg", Accepted(500, 333, [101, 111, 117])),
    ("19-one-pixel.png", Accepted(1, 1, [200, 30, 30])),
    ("20-one-pixel.jpg", Accepted(1, 1, [200, 30, 30])),
    ("21-progressive.jpg", Accepted(500, 333, [114, 121, 57])),
    ("22-extreme-aspect-1500x6.png", Accepted(1500, 6, [64, 68, 106])),
    ("25-png-named.jpg", Accepted(160, 120, [167, 147, 113])),
    ("26-trailing-garbage.jpg", Accepted(215, 174, [167, 147, 113])),
    ("27-bit-rot.jpg", Either),
    ("28-html-error-page.jpg", Refused("not-an-image")),
    ("29-photo.bmp", Accepted(500, 333, [101, 111, 117])),
    ("30-photo.tif", Accepted(160, 120, [101, 111, 117])),
    ("31-svg.svg", Refused("unsupported-format")),
    ("it's a 'quoted' & ünïcode – name.JPEG", Accepted(200, 150, [114, 121, 57])),
    ("图片 1.jpg", Accepted(223, 300, [64, 68, 106])),
    ("README.md", Refused("not-an-image")),
    ("../golden/vgg16.json", Refused("not-an-image")),
];

#[test]
fn every_file_gets_what_its_readme_says() {
    let Some(folder) = shared_data::find("every_file_gets_what_its_readme_says", "data/bad-images") else {
        return;
    };
    let _alone = alone();
    let mut wrong = Vec::new();
    for (name, expected) in &FILES {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let result = decode(&bytes, &DecodeLimits::default());
        if let Ok(photo) = &result {
            for recipe in Recipe::ALL {
                assert_eq!(
                    preprocess(photo, recipe).rgb().len(),
                    recipe.side().pow(2) * 3,
                    "{name} {recipe}"
                );
            }
            assert!(sniff(&thumbnail(photo, 64).unwrap()).is_some(), "{name}");
        }
        let extra = MEMORY.peak_usage().saturating_sub(before);
        if extra > MAX_EXTRA {
            wrong.push(format!("{name}: took {extra} bytes"));
        }
        if let Err(problem) = compare(&result, expected) {
            wrong.push(format!("{name}: {problem}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    no_file_is_forgotten(&folder);
    the_turned_photo_equals_its_twin(&folder);
}

fn compare(result: &Result<Photo, ImageError>, expected: &Expected) -> Result<(), String> {
    match (result, expected) {
        (_, Either) => Ok(()),
        (Err(error), Refused(code)) if error.code() == *code => Ok(()),
        (Ok(photo), &Accepted(width, height, mean)) => {
            let found = mean_colour(photo);
            let near = found.iter().zip(mean).all(|(found, mean)| (found - f64::from(mean)).abs() < 2.0);
            let right = photo.oriented_size() == (width, height) && near;
            right.then_some(()).ok_or_else(|| format!("{photo:?} with mean colour {found:?}"))
        }
        (result, _) => Err(format!("{result:?}")),
    }
}

fn mean_colour(photo: &Photo) -> [f64; 3] {
    let pixels = photo.rgb().len() / 3;
    std::array::from_fn(|channel| {
        let sum: u64 = photo.rgb().iter().skip(channel).step_by(3).map(|&value| u64::from(value)).sum();
        sum as f64 / pixels as f64
    })
}

fn no_file_is_forgotten(folder: &Path) {
    let found: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed: BTreeSet<String> =
        FILES.iter().map(|(name, _)| name.to_string()).filter(|name| !name.contains("../")).collect();
    assert_eq!(found, listed);
}

fn the_turned_photo_equals_its_twin(folder: &Path) {
    let photo = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        decode(&bytes, &DecodeLimits::default()).unwrap()
    };
    let photos = [photo("17-exif-orientation-6.jpg"), photo("18-exif-upright-twin.jpg")];
    let embedder = open(DeviceChoice::Auto).unwrap();
    for recipe in Recipe::ALL {
        let inputs: Vec<_> = photos.iter().map(|photo| preprocess(photo, recipe)).collect();
        let vectors = embedder.embed(&inputs, Pooling::Max).unwrap();
        let cosine: f32 = vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.99, "{recipe}: cosine {cosine}");
    }
}

/// What decoding really takes must be refused when the limit lies below it: the estimate made from the header alone
/// is never too small.
#[test]
fn estimates_are_not_below_the_truth() {
    use image::{DynamicImage, ImageFormat};
    let _alone = alone();
    let rgb = image::RgbImage::from_fn(2400, 1600, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    let rgb = DynamicImage::ImageRgb8(rgb);
    let progressive = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/progressive.jpg");
    let mut files = vec![("progressive JPEG", std::fs::read(progressive).unwrap())];
    for (name, image, format) in [
        ("JPEG", rgb.clone(), ImageFormat::Jpeg),
        ("grey JPEG", rgb.to_luma8().into(), ImageFormat::Jpeg),
        ("PNG", rgb.clone(), ImageFormat::Png),
        ("16-bit PNG with alpha", rgb.to_rgba16().into(), ImageFormat::Png),
        ("WebP", rgb.clone(), ImageFormat::WebP),
        ("WebP with alpha", rgb.to_rgba8().into(), ImageFormat::WebP),
        ("GIF", rgb.to_rgba8().into(), ImageFormat::Gif),
        ("BMP", rgb.clone(), ImageFormat::Bmp),
        ("TIFF", rgb.clone(), ImageFormat::Tiff),
        ("16-bit TIFF", rgb.to_rgb16().into(), ImageFormat::Tiff),
    ] {
        let mut file = std::io::Cursor::new(Vec::new());
        image.write_to(&mut file, format).unwrap();
        files.push((name, file.into_inner()));
    }
    for (name, file) in files {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let photo = decode(&file, &DecodeLimits::default()).unwrap();
        let taken = MEMORY.peak_usage().saturating_sub(before) as u64;
        drop(photo);
        // A few per cent are left for tables and rows that do not grow with the picture.
        let limits = DecodeLimits { max_memory: taken * 95 / 100, ..DecodeLimits::default() };
        let code = decode(&file, &limits).map_err(|error| error.code());
        assert_eq!(code.err(), Some("too-much-memory"), "{name} takes {taken} bytes");
    }
}
