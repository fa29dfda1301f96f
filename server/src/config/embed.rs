//! How photos become vectors, and how they are brought together for the network: `[embed]`, `--model`, `--input` and
//! `--pooling`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use elanus_embed::{Descriptor, ModelKey, ModelName, Pooling, Precision, Recipe};
use serde::Deserialize;

use super::ConfigError;
use super::settings::{refuse, word};

/// How photos are embedded; what is not said about batches follows from the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedConfig {
    /// The model of new collections of images, unless a request says otherwise. Those that are there keep theirs.
    pub model: ModelName,
    /// Their recipe; none: the standard of the model.
    pub recipe: Option<Recipe>,
    /// Their pooling; none: the standard of the model.
    pub pooling: Option<Pooling>,
    /// What a GPU multiplies; the processor always multiplies f32.
    pub precision: Precision,
    /// Most images in one run, 1 to 256. A search by photo waits for the run that it finds.
    pub batch: Option<usize>,
    /// How long a run with room waits for more images, at most a second.
    pub wait: Option<Duration>,
    /// Models that are open at one time, 1 to 64, unless more of them are busy. Each takes some hundred megabytes.
    pub open_models: usize,
}

/// As many as three files of torchvision's make, with the carried one.
const OPEN_MODELS: usize = 6;

impl Default for EmbedConfig {
    fn default() -> Self {
        Self {
            model: ModelName::default(),
            recipe: None,
            pooling: None,
            precision: Precision::default(),
            batch: None,
            wait: None,
            open_models: OPEN_MODELS,
        }
    }
}

/// The table `[embed]` of the file; `models`, `model`, `input` and `pooling` are flags and variables, too. See
/// [`EmbedConfig`] for the meanings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // Each field is documented where it takes effect.
pub struct EmbedSettings {
    /// Folder of weights files.
    pub models: Option<PathBuf>,
    /// `vgg16-imagenet-notop`, `vgg16`, `vgg16-fc6`, `vgg16-fc7`, `vgg19` or `resnet50`, perhaps with `@` and eight digits.
    pub model: Option<String>,
    /// `keras`, `torchvision` or `320`.
    pub input: Option<String>,
    /// `max`, `avg`, `gem`, `rmac` or `none`.
    pub pooling: Option<String>,
    /// `f32`, `f16` or `bf16`.
    pub precision: Option<String>,
    pub batch: Option<usize>,
    pub wait_ms: Option<u64>,
    pub open_models: Option<usize>,
}

impl EmbedSettings {
    /// Reads `ELANUS_MODEL`, `ELANUS_INPUT` and `ELANUS_POOLING` through `text`.
    pub(super) fn from_environment(
        text: impl Fn(&str) -> Result<Option<String>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            model: text("ELANUS_MODEL")?,
            input: text("ELANUS_INPUT")?,
            pooling: text("ELANUS_POOLING")?,
            ..Self::default()
        })
    }

    /// This layer, completed by `lower` where it says nothing.
    pub(super) fn or(self, lower: Self) -> Self {
        Self {
            models: self.models.or(lower.models),
            model: self.model.or(lower.model),
            input: self.input.or(lower.input),
            pooling: self.pooling.or(lower.pooling),
            precision: self.precision.or(lower.precision),
            batch: self.batch.or(lower.batch),
            wait_ms: self.wait_ms.or(lower.wait_ms),
            open_models: self.open_models.or(lower.open_models),
        }
    }

    /// # Errors
    /// `Value` for a word that is unknown and a number that is out of range.
    pub(super) fn resolve(self) -> Result<EmbedConfig, ConfigError> {
        let model: ModelName = self.model.map_or(Ok(ModelName::default()), |v| word("embed.model", &v))?;
        let recipe: Option<Recipe> = self.input.map(|v| word("embed.input", &v)).transpose()?;
        let pooling: Option<Pooling> = self.pooling.map(|v| word("embed.pooling", &v)).transpose()?;
        // Which weights the network has makes no difference here.
        let any = ModelKey { network: model.network, ..ModelKey::CARRIED };
        if let Err(unfit) = Descriptor::new(any, recipe, pooling) {
            return Err(refuse(
                &format!("embed.{}", unfit.what),
                &unfit.word,
                format!("cannot be used: {unfit}"),
            ));
        }
        let precision = self.precision.map_or(Ok(Precision::default()), |v| word("embed.precision", &v))?;
        let open_models = self.open_models.unwrap_or(OPEN_MODELS);
        let refused = |name: &str, value: &dyn fmt::Display, rule| {
            Err(refuse(&format!("embed.{name}"), &value.to_string(), rule))
        };
        match (self.batch, self.wait_ms, open_models) {
            (Some(batch @ (0 | 257..)), _, _) => refused("batch", &batch, "must be 1 to 256"),
            (_, Some(wait @ 1001..), _) => refused("wait_ms", &wait, "must be at most 1000"),
            (_, _, 0 | 65..) => refused("open_models", &open_models, "must be 1 to 64"),
            (batch, wait, _) => {
                let wait = wait.map(Duration::from_millis);
                Ok(EmbedConfig { model, recipe, pooling, precision, batch, wait, open_models })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use elanus_embed::Network;

    use super::super::Settings;
    use super::*;

    fn layer(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn descriptors_and_batches_are_configurable() {
        let text = "[embed]\ninput = '320'\npooling = 'gem'\nprecision = 'bf16'\nbatch = 8\nwait_ms = 3\nopen_models = 2";
        let expected = EmbedConfig {
            model: ModelName::default(),
            recipe: Some(Recipe::Keras320),
            pooling: Some(Pooling::Gem),
            precision: Precision::Bf16,
            batch: Some(8),
            wait: Some(Duration::from_millis(3)),
            open_models: 2,
        };
        assert_eq!(layer(text).resolve().unwrap().embed, expected);
        assert_eq!(Settings::default().resolve().unwrap().embed, EmbedConfig::default());
    }

    #[test]
    fn a_flag_for_one_of_them_leaves_the_file_s_others() {
        let flags = Settings {
            embed: EmbedSettings { pooling: Some("rmac".into()), ..EmbedSettings::default() },
            ..Settings::default()
        };
        let environment = Settings::from_environment(|name| match name {
            "ELANUS_INPUT" => Some("torchvision".into()),
            "ELANUS_POOLING" => Some("avg".into()),
            _ => None,
        });
        let file = layer("[embed]\ninput = 'keras'\nbatch = 2");
        let config = flags.or(environment.unwrap()).or(file).resolve().unwrap();
        assert_eq!(
            (config.embed.recipe, config.embed.pooling, config.embed.batch),
            (Some(Recipe::Torchvision), Some(Pooling::Rmac), Some(2))
        );
    }

    #[test]
    fn models_are_configurable_with_what_they_take() {
        let config =
            layer("data = 'd'\n[embed]\nmodel = 'resnet50@0676ba61'\npooling = 'max'").resolve().unwrap();
        assert_eq!(config.embed.model.network, Network::Resnet50);
        assert_eq!(config.models(), PathBuf::from("d/models"));
        assert_eq!(layer("embed = { models = '/m' }").resolve().unwrap().models(), PathBuf::from("/m"));
        for (text, sentence) in [
            ("embed = { model = 'vgg16-fc7', pooling = 'rmac' }", "vgg16-fc7 has no pooling rmac"),
            ("embed = { model = 'vgg16-fc7', input = '320' }", "has no input 320"),
            ("embed = { pooling = 'none' }", "has no pooling none"),
            ("embed = { model = 'alexnet' }", "unknown model"),
        ] {
            let error = layer(text).resolve().unwrap_err().to_string();
            assert!(error.contains(sentence), "{error}");
        }
    }
}
