//! `elanus model`: the weights files of models that are not carried inside the program.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use elanus_embed::{ModelKey, Network};
use indicatif::{ProgressBar, ProgressStyle};

use super::{FAILED, USAGE, complain, resolve};
use crate::config::{EmbedSettings, Settings};
use crate::models::pull::Pull;
use crate::models::{ModelError, ModelFile, ModelFolder};

/// Lists weights files of further models, takes one from the disk or downloads one
#[derive(Debug, Args)]
pub(super) struct ModelArguments {
    #[command(subcommand)]
    command: ModelCommand,
    /// Folder of weights files [env: ELANUS_MODELS] [default: models in the data directory]
    #[arg(long, value_name = "DIR", global = true)]
    models: Option<PathBuf>,
    /// The data directory [env: ELANUS_DATA] [default: ./elanus-data]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// TOML file that names them [env: ELANUS_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Tell which models are there
    List,
    /// Take a copy of a weights file: safetensors, or a state dict of PyTorch with torchvision's names
    Add {
        /// The file
        file: PathBuf,
        /// What it is for: vgg16, vgg16-fc6, vgg16-fc7, vgg19 or resnet50
        #[arg(long = "as", value_name = "MODEL")]
        network: Network,
    },
    /// Download a weights file; a download that broke off goes on
    Pull {
        /// For which model: vgg16, vgg16-fc6, vgg16-fc7, vgg19 or resnet50
        network: Network,
        /// From where [default: where torchvision publishes its weights]
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Its SHA-256, or 8 or more of its first digits [default: those of torchvision's file, none for a --url]
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
    },
}

pub(super) fn run(arguments: ModelArguments) -> ExitCode {
    let embed = EmbedSettings { models: arguments.models, ..EmbedSettings::default() };
    let flags = Settings { data: arguments.data, embed, ..Settings::default() };
    let folder = match resolve(flags, arguments.config) {
        Ok(config) => ModelFolder::new(config.models()),
        Err(error) => return complain(&error.to_string(), USAGE),
    };
    let done = match arguments.command {
        ModelCommand::List => folder.files().map(|files| list(&files)),
        ModelCommand::Add { file, network } => folder.add(&file, network).map(told),
        ModelCommand::Pull { network, url, sha256 } => match Pull::new(network, url, sha256) {
            Ok(wanted) => pull(&folder, &wanted).map(told),
            Err(reason) => return complain(&reason, USAGE),
        },
    };
    match done {
        Ok(text) => {
            // A closed standard output changes nothing of what was done.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error.to_string(), FAILED),
    }
}

fn told(model: ModelKey) -> String {
    format!("{model} is there; SHA-256 {}\n", model.sha256)
}

fn list(files: &[ModelFile]) -> String {
    let mut text = format!("{}  carried inside the program\n", Network::Carried);
    for file in files {
        let names: Vec<String> = file.models().iter().map(ToString::to_string).collect();
        text += &format!("{}  {} bytes, {}\n", names.join(", "), file.bytes, file.path.display());
    }
    text
}

/// Downloads, with a bar where there is a terminal and a line for every tenth where there is none.
fn pull(folder: &ModelFolder, wanted: &Pull) -> Result<ModelKey, ModelError> {
    let say = |line: &str| drop(writeln!(std::io::stderr(), "{line}"));
    say(&format!("{} from {}", wanted.network, wanted.url));
    if wanted.digits.is_none() {
        say("whatever comes is taken: say --sha256 to be sure of it");
    }
    if std::io::stderr().is_terminal() {
        let style = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta}";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::no_length().with_style(style);
        let result = folder.pull(wanted, &mut |have, total| {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(have);
        });
        bar.finish_and_clear();
        return result;
    }
    let mut tenths = None;
    folder.pull(wanted, &mut |have, total| {
        let now = total.filter(|total| *total > 0).map(|total| have * 10 / total);
        if now != tenths {
            tenths = now;
            let total = total.map_or_else(|| "?".to_owned(), |total| total.to_string());
            say(&format!("{have} of {total} bytes"));
        }
    })
}
