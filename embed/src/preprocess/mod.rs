//! From a decoded photo to the network's input, by one of three [`Recipe`]s. What is true of all of them: the photo is
//! upright; it is resized with a triangle filter whose support grows with the reduction (Pillow's `BILINEAR`, which is
//! antialiased) and kept as 8-bit integers. How these become floats is up to the network. Any change here changes every
//! vector of a recipe and needs a new name in [`Recipe::identity`].

mod input;
mod normalisation;
mod recipe;
mod resize;

pub use input::Input;
pub(crate) use normalisation::Normalisation;
pub use recipe::Recipe;
pub(crate) use resize::{orient, resize};

use crate::decode::Photo;

/// Makes the network's input of a photo of any size and orientation.
pub fn preprocess(photo: &Photo, recipe: Recipe) -> Input {
    let side = recipe.side() as u32;
    let small = match recipe {
        Recipe::Keras | Recipe::Keras320 => resize(photo, side, side),
        Recipe::Torchvision => resize::centre(photo, recipe::TORCHVISION_SHORT_SIDE, side),
    };
    // Turning the small result instead of the photo keeps memory flat.
    Input::new(recipe, orient(small, photo.orientation()).into_raw())
}

#[cfg(test)]
mod tests;
