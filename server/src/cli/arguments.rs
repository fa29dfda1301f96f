//! The table of commands and flags. Flags are all optional: what a flag does not say, the environment, the file or
//! the default says (see [`crate::config`]).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::backup::{BackupArguments, RestoreArguments};
use super::check::CheckArguments;
use super::embed_bench::EmbedBenchArguments;
use super::model::ModelArguments;
use crate::config::{AuthSettings, EmbedSettings, Settings, TlsSettings};

/// Vector database, image embedder and image search in one program
#[derive(Debug, Parser)]
#[command(name = "elanus", arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the server: the page, the Milvus API and the image API
    Serve(Box<ServeArguments>),
    Check(CheckArguments),
    EmbedBench(EmbedBenchArguments),
    Backup(BackupArguments),
    Restore(RestoreArguments),
    Model(ModelArguments),
}

/// Every flag can also be given in the environment and in the file; a flag wins over the environment, and that over
/// the file.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Folder where everything is kept [env: ELANUS_DATA] [default: ./elanus-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of the page and the APIs [env: ELANUS_LISTEN] [default: 127.0.0.1:19530]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Address of metrics and health [env: ELANUS_ADMIN_LISTEN] [default: 127.0.0.1:9091]
    #[arg(long, value_name = "HOST:PORT")]
    admin_listen: Option<String>,
    /// Folder of photos to import into the collection "images"; may be repeated [env: ELANUS_IMAGES]
    #[arg(long, value_name = "DIR")]
    images: Vec<PathBuf>,
    /// Further folder that import requests may name; may be repeated [env: ELANUS_IMAGE_ROOT]
    #[arg(long, value_name = "DIR")]
    image_root: Vec<PathBuf>,
    /// Folder with files (JSON, NumPy, Parquet) that imports of rows may name; may be repeated [env:
    /// ELANUS_IMPORT_ROOT]
    #[arg(long, value_name = "DIR")]
    import_root: Vec<PathBuf>,
    /// What embeds: auto, cpu or cuda [env: ELANUS_DEVICE] [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Folder of weights files of further models [env: ELANUS_MODELS] [default: models in the data directory]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Which model embeds the photos of new collections: vgg16-imagenet-notop, or one of "elanus model list" [env:
    /// ELANUS_MODEL] [default: vgg16-imagenet-notop]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// How photos of new collections are brought to the network's size: keras, torchvision or 320 [env: ELANUS_INPUT]
    /// [default: the model's, keras]
    #[arg(long, value_name = "INPUT")]
    input: Option<String>,
    /// How features become a vector in new collections: max, avg, gem, rmac, or none for fully connected layers [env:
    /// ELANUS_POOLING] [default: the model's, max]
    #[arg(long, value_name = "POOLING")]
    pooling: Option<String>,
    /// When a write is acknowledged: every-write (synced, the default) or interval:<ms> (a loss of power may lose the
    /// writes of that time) [env: ELANUS_SYNC]
    #[arg(long, value_name = "WHEN")]
    sync: Option<String>,
    /// Answer only users who give their password and have the privilege; root's first one comes from
    /// ELANUS_ROOT_PASSWORD or the file [env: ELANUS_AUTH=true]
    #[arg(long)]
    auth: bool,
    /// Speak TLS on the main port, with the certificate of this PEM file [env: ELANUS_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// The private key of that certificate, as PEM [env: ELANUS_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// TOML file with these settings (keys: data, listen, admin_listen, images, image_root, import_root, device, sync,
    /// backup_root, [auth], [tls], [embed], [limits], [storage], [search], [quota]) [env: ELANUS_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl ServeArguments {
    /// The flags as one layer of configuration.
    pub(super) fn settings(self) -> Settings {
        let list = |paths: Vec<PathBuf>| (!paths.is_empty()).then_some(paths);
        Settings {
            data: self.data,
            listen: self.listen,
            admin_listen: self.admin_listen,
            images: list(self.images),
            image_root: list(self.image_root),
            import_root: list(self.import_root),
            device: self.device,
            embed: EmbedSettings {
                models: self.models,
                model: self.model,
                input: self.input,
                pooling: self.pooling,
                ..EmbedSettings::default()
            },
            sync: self.sync,
            auth: AuthSettings { enabled: self.auth.then_some(true), root_password: None },
            tls: TlsSettings { certificate: self.tls_certificate, key: self.tls_key, client_ca: None },
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let line = [
            "elanus",
            "serve",
            "--images",
            "a",
            "--images",
            "b",
            "--listen",
            "127.0.0.1:0",
            "--input",
            "torchvision",
            "--pooling",
            "avg",
        ];
        let Command::Serve(serve) = Arguments::try_parse_from(line).unwrap().command else { panic!() };
        let settings = serve.settings();
        assert_eq!(settings.images, Some(vec!["a".into(), "b".into()]));
        assert_eq!(settings.image_root, None);
        assert_eq!(settings.listen.as_deref(), Some("127.0.0.1:0"));
        assert_eq!(settings.embed.input.as_deref(), Some("torchvision"));
        assert_eq!(settings.embed.pooling.as_deref(), Some("avg"));
    }
}
