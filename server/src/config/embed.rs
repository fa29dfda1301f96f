//! How photos become vectors, and how they are brought together for the network: `[embed]`, `--input` and `--pooling`.

use std::time::Duration;

use elanus_embed::{Descriptor, Precision};
use serde::Deserialize;

use super::ConfigError;
use super::settings::{refuse, word};

/// How photos are embedded; what is not said about batches follows from the device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EmbedConfig {
    /// What new collections of images get, unless a request says otherwise. Those that are there keep theirs.
    pub descriptor: Descriptor,
    /// What a GPU multiplies; the processor always multiplies f32.
    pub precision: Precision,
    /// Most images in one run, 1 to 256. A search by photo waits for the run that it finds.
    pub batch: Option<usize>,
    /// How long a run with room waits for more images, at most a second.
    pub wait: Option<Duration>,
}

/// The table `[embed]` of the file; `input` and `pooling` are flags and variables, too. See [`EmbedConfig`] for the
/// meanings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // Each field is documented where it takes effect.
pub struct EmbedSettings {
    /// `keras`, `torchvision` or `320`.
    pub input: Option<String>,
    /// `max`, `avg`, `gem` or `rmac`.
    pub pooling: Option<String>,
    /// `f32`, `f16` or `bf16`.
    pub precision: Option<String>,
    pub batch: Option<usize>,
    pub wait_ms: Option<u64>,
}

impl EmbedSettings {
    /// Reads `ELANUS_INPUT` and `ELANUS_POOLING` through `text`.
    pub(super) fn from_environment(
        text: impl Fn(&str) -> Result<Option<String>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        Ok(Self { input: text("ELANUS_INPUT")?, pooling: text("ELANUS_POOLING")?, ..Self::default() })
    }

    /// This layer, completed by `lower` where it says nothing.
    pub(super) fn or(self, lower: Self) -> Self {
        Self {
            input: self.input.or(lower.input),
            pooling: self.pooling.or(lower.pooling),
            precision: self.precision.or(lower.precision),
            batch: self.batch.or(lower.batch),
            wait_ms: self.wait_ms.or(lower.wait_ms),
        }
    }

    /// # Errors
    /// `Value` for a word that is unknown and a number that is out of range.
    pub(super) fn resolve(self) -> Result<EmbedConfig, ConfigError> {
        let default = Descriptor::default();
        let descriptor = Descriptor {
            recipe: self.input.map_or(Ok(default.recipe), |v| word("embed.input", &v))?,
            pooling: self.pooling.map_or(Ok(default.pooling), |v| word("embed.pooling", &v))?,
        };
        let precision = self.precision.map_or(Ok(Precision::default()), |v| word("embed.precision", &v))?;
        match (self.batch, self.wait_ms) {
            (Some(batch @ (0 | 257..)), _) => {
                Err(refuse("embed.batch", &batch.to_string(), "must be 1 to 256"))
            }
            (_, Some(wait @ 1001..)) => {
                Err(refuse("embed.wait_ms", &wait.to_string(), "must be at most 1000"))
            }
            (batch, wait) => {
                Ok(EmbedConfig { descriptor, precision, batch, wait: wait.map(Duration::from_millis) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use elanus_embed::{Pooling, Recipe};

    use super::super::Settings;
    use super::*;

    fn layer(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn descriptors_and_batches_are_configurable() {
        let text = "[embed]\ninput = '320'\npooling = 'gem'\nprecision = 'bf16'\nbatch = 8\nwait_ms = 3";
        let descriptor = Descriptor { recipe: Recipe::Keras320, pooling: Pooling::Gem };
        let (batch, wait) = (Some(8), Some(Duration::from_millis(3)));
        let expected = EmbedConfig { descriptor, precision: Precision::Bf16, batch, wait };
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
        let descriptor = Descriptor { recipe: Recipe::Torchvision, pooling: Pooling::Rmac };
        assert_eq!(config.embed, EmbedConfig { descriptor, batch: Some(2), ..EmbedConfig::default() });
    }
}
