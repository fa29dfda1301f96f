//! The table `[auth]`, and the care that its password takes: no message shows it.

use serde::Deserialize;

use super::settings::refuse;
use super::{AuthConfig, ConfigError};
use crate::auth::{MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, Secret};

/// The table `[auth]` of the file; see [`AuthConfig`] for the meanings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // Each field is documented where it takes effect.
pub struct AuthSettings {
    pub enabled: Option<bool>,
    pub root_password: Option<Secret>,
}

impl AuthSettings {
    /// Reads `ELANUS_AUTH` and `ELANUS_ROOT_PASSWORD` through `text`.
    pub(super) fn from_environment(
        text: impl Fn(&str) -> Result<Option<String>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let enabled = match text("ELANUS_AUTH")?.as_deref() {
            None => None,
            Some("true" | "1" | "on") => Some(true),
            Some("false" | "0" | "off") => Some(false),
            Some(other) => return Err(refuse("ELANUS_AUTH", other, "is neither true nor false")),
        };
        // The words for a value that is not text would show it.
        let hidden = |_| refuse("ELANUS_ROOT_PASSWORD", "(not shown)", "is not text in UTF-8");
        let root_password = text("ELANUS_ROOT_PASSWORD").map_err(hidden)?.map(Secret::new);
        Ok(Self { enabled, root_password })
    }

    /// This layer, completed by `lower` where it says nothing.
    pub(super) fn or(self, lower: Self) -> Self {
        Self {
            enabled: self.enabled.or(lower.enabled),
            root_password: self.root_password.or(lower.root_password),
        }
    }

    /// # Errors
    /// `Value` for a password that no user may have.
    pub(super) fn resolve(self) -> Result<AuthConfig, ConfigError> {
        let fits =
            |secret: &Secret| (MIN_PASSWORD_BYTES..=MAX_PASSWORD_BYTES).contains(&secret.reveal().len());
        if self.root_password.as_ref().is_some_and(|secret| !fits(secret)) {
            let reason = format!("must have {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES} bytes");
            return Err(refuse("auth.root_password", "(not shown)", reason));
        }
        Ok(AuthConfig { enabled: self.enabled.unwrap_or(false), root_password: self.root_password })
    }
}

/// The parser's words, unless they could show the password: they quote the line, and a value of the wrong type.
pub(super) fn without_password(error: &toml::de::Error) -> String {
    let text = error.to_string();
    if !text.contains("password") {
        return text.trim_end().to_owned();
    }
    // Of an unknown key only the name is told, and which ones there are.
    match error.message().starts_with("unknown field") {
        true => error.message().to_owned(),
        false => "it is wrong where a password is said, so the place is not shown; root_password must be text in quotes"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &'static str, value: &'static str) -> Result<AuthSettings, ConfigError> {
        AuthSettings::from_environment(|asked| Ok((asked == name).then(|| value.to_owned())))
    }

    #[test]
    fn layers_complete_each_other() {
        let on = environment("ELANUS_AUTH", "true").unwrap();
        let file: AuthSettings = toml::from_str("enabled = false\nroot_password = 'hush-hush'").unwrap();
        let config = on.or(file).resolve().unwrap();
        assert!(config.enabled && config.root_password.unwrap().reveal() == "hush-hush");
        assert!(!AuthSettings::default().resolve().unwrap().enabled);
        assert!(environment("ELANUS_AUTH", "perhaps").unwrap_err().to_string().contains("perhaps"));
    }

    #[test]
    fn no_message_shows_the_password() {
        let short = environment("ELANUS_ROOT_PASSWORD", "hush").unwrap();
        assert!(!format!("{short:?}").contains("hush"));
        let message = short.resolve().unwrap_err().to_string();
        assert!(message.contains("auth.root_password") && !message.contains("hush"), "{message}");
        for text in ["[\"hush\"]", "4815162342", "\"hush", "{ a = 'hush' }", "hush"] {
            let error = toml::from_str::<AuthSettings>(&format!("root_password = {text}")).unwrap_err();
            let message = without_password(&error);
            assert!(!message.contains("hush") && !message.contains("4815"), "{message}");
        }
        let typo = toml::from_str::<AuthSettings>("root_pasword = 'hush'").unwrap_err();
        let message = without_password(&typo);
        assert!(message.contains("root_pasword") && !message.contains("hush"), "{message}");
        let other = toml::from_str::<AuthSettings>("nonsense = 1").unwrap_err();
        assert!(without_password(&other).contains("nonsense"));
    }
}
