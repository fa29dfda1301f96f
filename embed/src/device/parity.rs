//! The networks by a weights file on burn against the same on our own convolutions, which `tests/torchvision.rs` holds
//! against torchvision. (The carried one: `crate::vgg`.)

#[path = "../../tests/drawn_weights/mod.rs"]
mod drawn_weights;

use std::io::Cursor;

use burn_flex::{Flex, FlexDevice};

use super::backend::BackendNetwork;
use super::{Precision, Spent, cpu};
use crate::network::Network;
use crate::pool::FeatureMap;
use crate::preprocess::{Input, Recipe};
use crate::weights::WeightsFile;
use drawn_weights::{VGG16, VGG19, file, resnet50, vgg};

/// Compares what both leave of these pictures; those of one size that follow each other are run at once.
fn compare(network: Network, file: &[u8], pictures: &[Input]) {
    let opened = || WeightsFile::open(Cursor::new(file)).unwrap();
    let burn = BackendNetwork::<Flex>::load(network, &mut opened(), FlexDevice, Precision::F32).unwrap();
    let own = cpu::open(network, &mut opened(), "a test").unwrap();
    for same in pictures.chunk_by(|one, next| one.side() == next.side()) {
        let found = burn.feature_maps(same, 0, &mut Spent::default()).unwrap();
        let expected = own.feature_maps(same).unwrap();
        assert_eq!(found.len(), same.len());
        for (found, expected) in found.iter().zip(&expected) {
            let distance = distance(found, expected);
            eprintln!(
                "{network}, {} pixels: the last layer differs by {distance:.1e} of its size",
                same[0].side()
            );
            assert!(distance < 1e-4, "{network}: {distance}");
        }
    }
}

/// As a part of the length of the second one.
fn distance(found: &FeatureMap, expected: &FeatureMap) -> f32 {
    let length =
        |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
    let (found, expected) = (found.values(), expected.values());
    assert_eq!(found.len(), expected.len());
    length(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / length(&mut expected.iter().copied())
}

fn picture() -> Input {
    Input::from_rgb(Recipe::Torchvision, drawn_weights::picture()).unwrap()
}

fn other_picture(recipe: Recipe) -> Input {
    Input::from_rgb(recipe, (0..recipe.side().pow(2) * 3).map(|at| (at * at / 31 % 256) as u8).collect())
        .unwrap()
}

#[test]
fn resnet50_on_burn_agrees_with_our_own() {
    let pictures = [picture(), other_picture(Recipe::Torchvision), other_picture(Recipe::Keras320)];
    compare(Network::Resnet50, &file(&resnet50()), &pictures);
}

#[test]
fn vgg19_on_burn_agrees_with_our_own() {
    compare(Network::Vgg19, &file(&vgg(&VGG19, false)), &[picture()]);
}

#[test]
fn fully_connected_layers_on_burn_agree_with_our_own() {
    let file = file(&vgg(&VGG16, true));
    for network in [Network::Vgg16Fc6, Network::Vgg16Fc7] {
        compare(network, &file, &[picture(), other_picture(Recipe::Torchvision)]);
    }
    let opened = &mut WeightsFile::open(Cursor::new(&file)).unwrap();
    let burn = BackendNetwork::<Flex>::load(Network::Vgg16Fc6, opened, FlexDevice, Precision::F32).unwrap();
    let refused =
        burn.feature_maps(&[other_picture(Recipe::Keras320)], 1, &mut Spent::default()).unwrap_err();
    assert!(refused.to_string().contains("a fully connected layer takes pictures of 224x224"), "{refused}");
}
