//! Everything that was measured: what `voc.json` holds, and what tables and the page are made of.

use elanus_benches::Result;
use elanus_embed::Descriptor;
use serde::Serialize;
use serde_json::Value;

use crate::by_photo::{Stored, Uploaded};
use crate::machine::Machine;
use crate::measure::IndexFigures;
use crate::retrieval::Retrieval;
use crate::server::{Import, Server};
use crate::stages::Stage;
use crate::steady::Steady;
use crate::usage::Usage;
use elanus_benches::folder::{Folder, Origin, Source};

/// The photos.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Set {
    /// Says so when the photos are not VOC's.
    pub(crate) title: &'static str,
    pub(crate) stand_in: bool,
    pub(crate) origin: Origin,
    pub(crate) folder: String,
    pub(crate) jpegs: usize,
    pub(crate) jpeg_bytes: u64,
    pub(crate) labels_from: Source,
    /// Photos that the labels speak of.
    pub(crate) labelled: usize,
    /// Files in `Annotations`.
    pub(crate) annotations: usize,
    pub(crate) classes: Vec<ClassCount>,
}

/// One class.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ClassCount {
    pub(crate) class: String,
    /// Photos that show it.
    pub(crate) photos: usize,
}

/// The server, in its own words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerFigures {
    pub(crate) version: String,
    pub(crate) commit: String,
    pub(crate) device: String,
    /// Instruction set of the searches.
    pub(crate) kernel: String,
    pub(crate) model: String,
    pub(crate) input: String,
    pub(crate) pooling: String,
    /// Whether it was built without optimisation: then its figures say nothing.
    pub(crate) debug_build: bool,
    /// From the start of the process until it listens.
    pub(crate) listens_s: f64,
    /// Until photos can be embedded.
    pub(crate) embeds_s: f64,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) set: Set,
    pub(crate) server: ServerFigures,
    pub(crate) machine: Machine,
    /// A little of everything: the figures say nothing.
    pub(crate) quick: bool,
    pub(crate) import: Import,
    pub(crate) stages: Vec<Stage>,
    #[serde(flatten)]
    pub(crate) usage: Usage,
    /// Rows of the indexes beyond the photos: blends of their vectors.
    pub(crate) blends: usize,
    /// Photos that were searched with.
    pub(crate) queries: usize,
    pub(crate) indexes: Vec<IndexFigures>,
    /// None where nothing is labelled.
    pub(crate) retrieval: Option<Retrieval>,
    pub(crate) search_by_stored_photo: Stored,
    pub(crate) search_by_upload: Uploaded,
    /// None unless it was asked for.
    pub(crate) steady_memory: Option<Steady>,
}

impl Set {
    pub(crate) fn of(folder: &Folder) -> Self {
        let labels = &folder.labels;
        let count = |class: &str| ClassCount { class: class.to_owned(), photos: labels.count(class) };
        Self {
            title: folder.origin.title(),
            stand_in: folder.origin.is_stand_in(),
            origin: folder.origin,
            folder: folder.path.display().to_string(),
            jpegs: folder.ids.len(),
            jpeg_bytes: folder.bytes,
            labels_from: labels.source,
            labelled: labels.photos(),
            annotations: folder.annotations,
            classes: labels.names().into_iter().map(count).collect(),
        }
    }
}

impl ServerFigures {
    /// Asks the server.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) fn ask(
        server: &Server,
        descriptor: Descriptor,
        listens_s: f64,
        embeds_s: f64,
    ) -> Result<Self> {
        let status = server.status()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let device = &status["device"];
        Ok(Self {
            version: text(&status["version"]),
            commit: text(&status["commit"]),
            device: format!(
                "{}, {} ({})",
                text(&device["device"]),
                text(&device["detail"]),
                text(&device["reason"])
            ),
            kernel: text(&status["kernel"]),
            model: text(&status["model"]),
            input: descriptor.recipe.to_string(),
            pooling: descriptor.pooling.to_string(),
            // The server is this very program.
            debug_build: cfg!(debug_assertions),
            listens_s,
            embeds_s,
        })
    }
}

impl Report {
    /// What a reader must know before the figures; empty when nothing.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.quick {
            warnings.push(
                "A quick run (--quick): it shows that everything works; its figures say nothing.".to_owned(),
            );
        }
        if self.server.debug_build {
            warnings.push(
                "Built without --release: the server is hardly optimised, its figures say nothing."
                    .to_owned(),
            );
        }
        if self.blends > 0 {
            warnings.push(format!(
                "The indexes hold {} rows beside the photos, blends of two photos' vectors (--grow): their recall and \
                 speed are those of such rows.",
                self.blends
            ));
        }
        if self.import.refused > 0 {
            warnings.push(format!("{} files could not be read as photos.", self.import.refused));
        }
        if self.set.labels_from == Source::Nothing {
            warnings.push("There are neither lists of classes nor annotations: retrieval and searches by class are left out.".to_owned());
        }
        warnings
    }
}
