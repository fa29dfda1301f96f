//! How the photos of a collection become vectors: the collection says it, by the model identity that it was stamped with;
//! for one that is made, the request, and where that says nothing the settings.

use std::fmt;

use elanus_embed::{Descriptor, ModelIdentity, ModelName, Pooling, Recipe, UnknownWord};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::intake::Form;
use crate::error::ApiError;
use crate::models::ModelFolder;

/// What a request says about it; a word that it does not say can be any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AskedDescriptor {
    #[serde(default, serialize_with = "write_name", deserialize_with = "read_name")]
    model: Option<ModelName>,
    #[serde(default)]
    recipe: Option<Recipe>,
    #[serde(default)]
    pooling: Option<Pooling>,
}

impl AskedDescriptor {
    /// Reads `model`, `input` and `pooling` of a request that has no fields of images.
    ///
    /// # Errors
    /// 400 for an unknown word.
    pub(crate) fn of(form: &Form) -> Result<Self, ApiError> {
        let [model, input, pooling] = ["model", "input", "pooling"].map(|name| form.text(&[name]));
        Self::parse(model?.as_deref(), input?.as_deref(), pooling?.as_deref())
    }

    /// The same of the query string only: in the body are fields of images, which may have these names.
    ///
    /// # Errors
    /// 400 for an unknown word.
    pub(crate) fn of_query(form: &Form) -> Result<Self, ApiError> {
        Self::parse(form.query_text("model"), form.query_text("input"), form.query_text("pooling"))
    }

    fn parse(model: Option<&str>, input: Option<&str>, pooling: Option<&str>) -> Result<Self, ApiError> {
        let wrong = |error: UnknownWord| ApiError::invalid(error.to_string());
        Ok(Self {
            model: model.map(str::parse).transpose().map_err(wrong)?,
            recipe: input.map(str::parse).transpose().map_err(wrong)?,
            pooling: pooling.map(str::parse).transpose().map_err(wrong)?,
        })
    }

    /// What the settings say.
    pub(crate) fn of_settings(
        model: Option<ModelName>,
        recipe: Option<Recipe>,
        pooling: Option<Pooling>,
    ) -> Self {
        Self { model, recipe, pooling }
    }

    /// What was asked for, completed: by `default` if it is of the same model, else by the standard of the network.
    /// Blocking.
    ///
    /// # Errors
    /// 400 for what makes no sense together, 409 when the model is not there.
    pub(crate) fn or(self, default: Descriptor, models: &ModelFolder) -> Result<Descriptor, ApiError> {
        let same = self.model.is_none_or(|name| name.fits(default.model));
        let found = match self.model.filter(|_| !same) {
            None => Descriptor::new(
                default.model,
                self.recipe.or(Some(default.recipe)),
                self.pooling.or(Some(default.pooling)),
            ),
            Some(name) => Descriptor::new(models.find(name)?, self.recipe, self.pooling),
        };
        found.map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// Whether nothing else was asked for than this one.
    pub(crate) fn fits(self, descriptor: Descriptor) -> bool {
        self.model.is_none_or(|name| name.fits(descriptor.model))
            && self.recipe.is_none_or(|recipe| recipe == descriptor.recipe)
            && self.pooling.is_none_or(|pooling| pooling == descriptor.pooling)
    }
}

impl From<Descriptor> for AskedDescriptor {
    /// Exactly this one.
    fn from(descriptor: Descriptor) -> Self {
        let Descriptor { model, recipe, pooling } = descriptor;
        Self { model: Some(model.into()), recipe: Some(recipe), pooling: Some(pooling) }
    }
}

impl fmt::Display for AskedDescriptor {
    /// What is said of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.model.map(|model| format!("model {model}")),
            self.recipe.map(|recipe| format!("input {recipe}")),
            self.pooling.map(|pooling| format!("pooling {pooling}")),
        ];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

fn write_name<S: Serializer>(name: &Option<ModelName>, serializer: S) -> Result<S::Ok, S::Error> {
    name.map(|name| name.to_string()).serialize(serializer)
}

fn read_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ModelName>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

/// The canonical identity of a descriptor's vectors, which collections are stamped with.
pub(crate) fn identity(descriptor: Descriptor) -> String {
    ModelIdentity::of(descriptor).to_string()
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

    fn asked(model: Option<&str>, input: Option<&str>, pooling: Option<&str>) -> AskedDescriptor {
        AskedDescriptor::parse(model, input, pooling).unwrap()
    }

    fn nowhere() -> ModelFolder {
        ModelFolder::new("/none/such".into())
    }

    #[test]
    fn a_request_may_name_one_word_and_leave_the_others() {
        let standard = Descriptor::default();
        let or = |asked: AskedDescriptor| asked.or(standard, &nowhere()).unwrap();
        assert_eq!(or(asked(None, None, None)), standard);
        assert_eq!(or(asked(Some("vgg16-imagenet-notop"), None, None)), standard);
        let gem = asked(None, None, Some("gem"));
        assert_eq!(or(gem), Descriptor { pooling: Pooling::Gem, ..standard });
        assert!(!gem.fits(standard) && gem.fits(or(gem)) && gem.to_string() == "pooling gem");
        let expected = Descriptor::carried(Recipe::Keras320, Pooling::Rmac);
        assert_eq!(or(asked(None, Some("320"), Some("rmac"))), expected);
        assert_eq!(or(AskedDescriptor::from(expected)), expected);
        for (input, pooling, word) in
            [(Some("vgg"), None, "vgg"), (None, Some(""), "pooling"), (Some("Keras"), None, "Keras")]
        {
            let error = AskedDescriptor::parse(None, input, pooling).unwrap_err();
            assert!(
                error.status == http::StatusCode::BAD_REQUEST && error.message.contains(word),
                "{error:?}"
            );
        }
    }

    #[test]
    fn another_model_brings_its_own_standards() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("vgg16-{}.weights", "ab".repeat(32));
        std::fs::write(folder.path().join(name), b"").unwrap();
        let models = ModelFolder::new(folder.path().to_owned());
        let large = Descriptor::carried(Recipe::Keras320, Pooling::Rmac);
        let fc7 = asked(Some("vgg16-fc7"), None, None).or(large, &models).unwrap();
        assert_eq!((fc7.recipe, fc7.pooling), (Recipe::Torchvision, Pooling::None));
        assert_eq!(AskedDescriptor::from(fc7).or(large, &models).unwrap(), fc7);
        assert_eq!(of_stamp(&identity(fc7)), Some(fc7));
        let status = |asked: AskedDescriptor| asked.or(large, &models).unwrap_err().status.as_u16();
        assert_eq!(status(asked(Some("vgg16-fc7"), None, Some("rmac"))), 400);
        assert_eq!(status(asked(Some("vgg19"), None, None)), 409);
    }

    #[test]
    fn jobs_remember_it() {
        let asked = asked(Some("resnet50@0676ba61"), Some("320"), None);
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(serde_json::from_str::<AskedDescriptor>(&text).unwrap(), asked);
        assert_eq!(serde_json::from_str::<AskedDescriptor>("{}").unwrap(), AskedDescriptor::default());
        // As they were written before there were other models.
        let old = r#"{"recipe":"320","pooling":null}"#;
        assert_eq!(serde_json::from_str::<AskedDescriptor>(old).unwrap().to_string(), "input 320");
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
