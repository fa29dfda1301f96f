use image::{DynamicImage, RgbImage};

use super::*;
use crate::decode::{ImageFormat, Orientation};

const ORIENTATIONS: [Orientation; 8] = [
    Orientation::NoTransforms,
    Orientation::FlipHorizontal,
    Orientation::FlipVertical,
    Orientation::Rotate90,
    Orientation::Rotate180,
    Orientation::Rotate270,
    Orientation::Rotate90FlipH,
    Orientation::Rotate270FlipH,
];

fn turned(image: &RgbImage, orientation: Orientation) -> Photo {
    Photo::new(image.as_raw().clone(), image.dimensions(), orientation, ImageFormat::Png).unwrap()
}

fn photo(image: &RgbImage) -> Photo {
    turned(image, Orientation::NoTransforms)
}

/// Smooth, and unlike itself whichever way it is turned.
fn slope(width: u32, height: u32) -> RgbImage {
    let share = |at: u32, of: u32, top: u32| (at * top / of) as u8;
    let pixel =
        |x, y| image::Rgb([share(x, width, 250), share(y, height, 250), share(x + y, width + height, 250)]);
    RgbImage::from_fn(width, height, pixel)
}

/// The largest difference of two images' values.
fn apart(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn a_photo_of_the_right_size_is_not_touched() {
    for recipe in [Recipe::Keras, Recipe::Keras320] {
        let side = recipe.side() as u32;
        let image = RgbImage::from_fn(side, side, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]));
        let input = preprocess(&photo(&image), recipe);
        assert_eq!((input.recipe(), input.side()), (recipe, side as usize));
        assert_eq!(input.rgb(), image.as_raw().as_slice());
    }
}

#[test]
fn torchvision_takes_the_middle() {
    // Short side 256 already: nothing is resized. Margins of 32 and 87: half of 87 goes to the even 44.
    for (width, height, left, top) in
        [(256, 256, 16, 16), (311, 256, 44, 16), (256, 313, 16, 44), (309, 256, 42, 16)]
    {
        let image = slope(width, height);
        let middle = image::imageops::crop_imm(&image, left, top, 224, 224).to_image();
        let input = preprocess(&photo(&image), Recipe::Torchvision);
        assert!(input.rgb() == middle.as_raw().as_slice(), "{width} x {height}");
    }
}

#[test]
fn the_middle_is_that_of_the_whole_photo_resized() {
    // What floor(256 · long / short) gives, and the even half of what is left of it beside 224.
    for (width, height, resized, left, top) in [
        (500, 375, (341, 256), 58, 16),
        (375, 500, (256, 341), 16, 58),
        (1000, 333, (768, 256), 272, 16),
        (90, 181, (256, 514), 16, 145),
        (1500, 6, (64_000, 256), 31_888, 16),
    ] {
        let image = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 37 + y * 11) as u8, (x * 5) as u8, (y * 41) as u8])
        });
        let whole = resize(&photo(&image), resized.0, resized.1);
        let middle = image::imageops::crop_imm(&whole, left, top, 224, 224).to_image();
        let input = preprocess(&photo(&image), Recipe::Torchvision);
        // The filter's weights are sums of other roundings.
        assert!(apart(input.rgb(), middle.as_raw()) <= 1, "{width} x {height}");
    }
}

#[test]
fn a_turned_photo_gives_what_its_upright_twin_gives() {
    // An odd margin: the middle is not where it would be in the photo as stored.
    let image = slope(311, 256);
    for recipe in Recipe::ALL {
        for orientation in ORIENTATIONS {
            let mut upright = DynamicImage::ImageRgb8(image.clone());
            upright.apply_orientation(orientation);
            let expected = preprocess(&photo(&upright.into_rgb8()), recipe);
            let found = preprocess(&turned(&image, orientation), recipe);
            assert!(apart(found.rgb(), expected.rgb()) <= 1, "{recipe} {orientation:?}");
            if recipe == Recipe::Torchvision {
                assert!(found == expected, "nothing is resized: {orientation:?}");
            }
        }
    }
}

#[test]
fn one_pixel_and_one_row_give_their_colours() {
    let grey = |width, height| photo(&RgbImage::from_pixel(width, height, image::Rgb([9, 80, 200])));
    for recipe in Recipe::ALL {
        for (width, height) in [(1, 1), (1, 2), (3, 1), (1, 70_000), (70_000, 1)] {
            let input = preprocess(&grey(width, height), recipe);
            assert_eq!(input.rgb().len(), recipe.side() * recipe.side() * 3);
            assert!(input.rgb().chunks(3).all(|pixel| pixel == [9, 80, 200]), "{recipe} {width} x {height}");
        }
    }
}

#[test]
fn a_thin_line_is_averaged_not_skipped() {
    // One white column in eight or more: without antialiasing most outputs would be black or white.
    for (recipe, width, height) in
        [(Recipe::Keras, 1792, 8), (Recipe::Keras320, 2560, 8), (Recipe::Torchvision, 2400, 2048)]
    {
        let image =
            RgbImage::from_fn(width, height, |x, _| image::Rgb([if x % 8 == 4 { 255 } else { 0 }; 3]));
        let input = preprocess(&photo(&image), recipe);
        assert!(
            input.rgb().iter().all(|&value| (25..=40).contains(&value)),
            "{recipe} {:?}",
            &input.rgb()[..30]
        );
    }
}

#[test]
fn planes_are_blue_green_red_minus_their_means() {
    let image = RgbImage::from_pixel(1, 1, image::Rgb([10, 20, 30]));
    for recipe in Recipe::ALL {
        let plane = recipe.side() * recipe.side();
        let mut planes = vec![0.0; 3 * plane];
        preprocess(&photo(&image), recipe).write_planes(Normalisation::Caffe, &mut planes, |value| value);
        assert_eq!(planes[0], 30.0 - 103.939);
        assert_eq!(planes[plane], 20.0 - 116.779);
        assert_eq!(planes[3 * plane - 1], 10.0 - 123.68);
    }
}

#[test]
fn padded_pixels_are_the_planes_within_zeros() {
    for recipe in [Recipe::Keras, Recipe::Keras320] {
        let side = recipe.side();
        let input = preprocess(&photo(&slope(97, 61)), recipe);
        let (mut planes, mut padded) = (vec![0.0; 3 * side * side], vec![7.0]);
        input.write_planes(Normalisation::Caffe, &mut planes, |value| value);
        input.write_padded(Normalisation::Caffe, 1, &mut padded);
        assert_eq!(padded.len(), (side + 2) * (side + 2) * 3);
        for (at, &value) in padded.iter().enumerate() {
            let (y, x, channel) = (at / 3 / (side + 2), at / 3 % (side + 2), at % 3);
            let inside = (1..=side).contains(&y) && (1..=side).contains(&x);
            let expected = if inside { planes[(channel * side + y - 1) * side + x - 1] } else { 0.0 };
            assert_eq!(value, expected, "{recipe} {y} {x} {channel}");
        }
    }
}

#[test]
fn words_round_trip_and_names_are_different() {
    for recipe in Recipe::ALL {
        assert_eq!(recipe.to_string().parse::<Recipe>().unwrap(), recipe);
        assert_eq!(serde_json::to_value(recipe).unwrap(), recipe.to_string());
        assert_eq!(Recipe::ALL.iter().filter(|other| other.identity() == recipe.identity()).count(), 1);
        assert_eq!(Input::from_rgb(recipe, vec![0; 224 * 224 * 3]).is_some(), recipe.side() == 224);
    }
    let error = "vgg".parse::<Recipe>().unwrap_err();
    assert_eq!(error.to_string(), "unknown input \"vgg\": expected keras, torchvision or 320");
}
