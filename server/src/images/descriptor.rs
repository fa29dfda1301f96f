//! How the photos of a collection become vectors: the collection says it, by the model identity that it was stamped with;
//! for one that is made, the request, and where that says nothing the settings. One network serves them all.

use elanus_embed::{Descriptor, ModelIdentity, Pooling, Recipe};
use serde::{Deserialize, Serialize};

use super::intake::Form;
use crate::error::ApiError;

/// What a request says about it; a word that it does not say can be any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskedDescriptor {
    #[serde(default)]
    recipe: Option<Recipe>,
    #[serde(default)]
    pooling: Option<Pooling>,
}

impl AskedDescriptor {
    /// Reads `input` and `pooling` of a request that has no fields of images.
    ///
    /// # Errors
    /// 400 for an unknown word.
    pub(crate) fn of(form: &Form) -> Result<Self, ApiError> {
        Self::parse(form.text(&["input"])?.as_deref(), form.text(&["pooling"])?.as_deref())
    }

    /// The same of the query string only: in the body are fields of images, which may have these names.
    ///
    /// # Errors
    /// 400 for an unknown word.
    pub(crate) fn of_query(form: &Form) -> Result<Self, ApiError> {
        Self::parse(form.query_text("input"), form.query_text("pooling"))
    }

    fn parse(input: Option<&str>, pooling: Option<&str>) -> Result<Self, ApiError> {
        let wrong = |error: elanus_embed::UnknownWord| ApiError::invalid(error.to_string());
        Ok(Self {
            recipe: input.map(str::parse).transpose().map_err(wrong)?,
            pooling: pooling.map(str::parse).transpose().map_err(wrong)?,
        })
    }

    /// What was asked for, completed by `default`.
    pub(crate) fn or(self, default: Descriptor) -> Descriptor {
        Descriptor {
            recipe: self.recipe.unwrap_or(default.recipe),
            pooling: self.pooling.unwrap_or(default.pooling),
        }
    }
}

impl From<Descriptor> for AskedDescriptor {
    /// Exactly this one.
    fn from(descriptor: Descriptor) -> Self {
        Self { recipe: Some(descriptor.recipe), pooling: Some(descriptor.pooling) }
    }
}

/// The canonical identity of a descriptor's vectors, which collections are stamped with.
pub(crate) fn identity(descriptor: Descriptor) -> String {
    ModelIdentity::vgg16(descriptor).to_string()
}

/// The descriptor that a collection's stamp means, before its vectors were reduced; `None` for vectors that this program
/// can't make.
pub(crate) fn of_stamp(stamp: &str) -> Option<Descriptor> {
    stamp.parse::<ModelIdentity>().ok()?.unreduced().descriptor()
}

/// The identity that a collection's stamp means if its vectors were reduced.
pub(crate) fn reduced(stamp: &str) -> Option<ModelIdentity> {
    stamp.parse::<ModelIdentity>().ok().filter(|identity| identity.reduction.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_name_one_word_and_leave_the_other() {
        let standard = Descriptor::default();
        let asked = |input, pooling| AskedDescriptor::parse(input, pooling).unwrap();
        assert_eq!(asked(None, None).or(standard), standard);
        let gem = asked(None, Some("gem"));
        assert_eq!(gem.or(standard), Descriptor { pooling: Pooling::Gem, ..standard });
        let large = asked(Some("320"), Some("rmac"));
        let expected = Descriptor { recipe: Recipe::Keras320, pooling: Pooling::Rmac };
        assert_eq!((large.or(standard), AskedDescriptor::from(expected)), (expected, large));
        for (input, pooling, word) in
            [(Some("vgg"), None, "vgg"), (None, Some(""), "pooling"), (Some("Keras"), None, "Keras")]
        {
            let error = AskedDescriptor::parse(input, pooling).unwrap_err();
            assert!(
                error.status == http::StatusCode::BAD_REQUEST && error.message.contains(word),
                "{error:?}"
            );
        }
    }

    #[test]
    fn jobs_remember_it() {
        let asked = AskedDescriptor::parse(Some("320"), None).unwrap();
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(serde_json::from_str::<AskedDescriptor>(&text).unwrap(), asked);
        assert_eq!(serde_json::from_str::<AskedDescriptor>("{}").unwrap(), AskedDescriptor::default());
    }

    #[test]
    fn stamps_of_other_models_are_none_of_ours() {
        for descriptor in Descriptor::all() {
            assert_eq!(of_stamp(&identity(descriptor)), Some(descriptor));
        }
        let reduced = format!("{};pcaw64={}", identity(Descriptor::default()), "0".repeat(64));
        assert_eq!(of_stamp(&reduced), Some(Descriptor::default()));
        assert_eq!(super::reduced(&reduced).unwrap().vector_dimension(), 64);
        for stamp in ["", "vgg19", &identity(Descriptor::default()).replace("vgg16", "vgg19")] {
            assert_eq!((of_stamp(stamp), super::reduced(stamp)), (None, None), "{stamp}");
        }
    }
}
