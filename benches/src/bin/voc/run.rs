//! The order of measurements. Searches come after everything that writes, stages after the server has ended, so that
//! nothing is measured beside something else.

use std::path::PathBuf;
use std::time::Instant;

use elanus_benches::Result;

use crate::by_photo;
use crate::collection::{Collection, compact};
use crate::machine::Machine;
use crate::measure::{self, IndexFigures};
use crate::options::Options;
use crate::page::Strip;
use crate::photos::Rows;
use crate::questions::{Questions, spread};
use crate::report::{Report, ServerFigures, Set};
use crate::retrieval::{self, Retrieval};
use crate::server::{COLLECTION, Server};
use crate::setting::{Family, Setting};
use crate::stages;
use crate::steady;
use crate::usage::Usage;
use elanus_benches::folder::{Folder, Labels};

/// Measures everything that the options ask for.
pub(crate) fn run(options: &Options) -> Result<(Report, Vec<Strip>)> {
    let scale = options.scale();
    let folder = Folder::read(&options.voc)?;
    tell(folder.origin.title());
    let (images, labels) = (folder.images(), &folder.labels);
    let mut usage = Usage::default();

    let began = Instant::now();
    let server = Server::start(&images, &options.device.to_string(), options.descriptor())?;
    let listens_s = began.elapsed().as_secs_f64();
    server.wait_for_model()?;
    let embeds_s = began.elapsed().as_secs_f64();
    usage.look_at_memory(&server, "the network is ready")?;

    tell(&format!("importing {} photos", folder.ids.len()));
    let before = server.program().metrics()?;
    let import = server.import(&images, COLLECTION, |_| Ok(()))?;
    let mut stages = stages::of_server(&before, &server.program().metrics()?);
    usage.look_at_memory(&server, "after the import")?;
    compact(&server, COLLECTION)?;
    usage.look_at_disk(&server, "after the import");

    tell("reading vectors, finding the exact answers");
    let photos = server.photos()?;
    let rows = Rows::new(&photos, options.grow);
    let questions = Questions::new(&rows, labels, scale.queries);
    let (indexes, retrieval) = indexes(&server, &rows, labels, &questions, options, &mut usage)?;
    let retrieval = retrieval.map(|found| found.with_reference(folder.origin, options.descriptor()));

    tell("searching by photo");
    let stored = by_photo::stored(&server, &photos, &questions, &scale)?;
    let uploaded = by_photo::uploaded(&server, &images, &photos, scale.uploads)?;
    usage.look_at_memory(&server, "after all searches")?;
    usage.look_at_disk(&server, "with all indexes");
    let steady_memory = match options.memory_images {
        0 => None,
        wanted => {
            tell(&format!("embedding {wanted} photos"));
            Some(steady::watch(&server, &images, wanted)?)
        }
    };
    let figures = ServerFigures::ask(&server, options.descriptor(), listens_s, embeds_s)?;
    drop(server);

    tell("each stage alone");
    let staged = spread(photos.len(), scale.staged);
    let staged: Vec<PathBuf> =
        staged.into_iter().map(|photo| images.join(&photos.list[photo].file)).collect();
    stages.extend(stages::alone(&staged, options.device, options.descriptor(), scale.calls)?);

    let strips = retrieval.as_ref().map(|found| Strip::all(found, &photos, labels, &images)).transpose()?;
    let report = Report {
        set: Set::of(&folder),
        server: figures,
        machine: Machine::here(),
        quick: options.quick,
        import,
        stages,
        usage,
        blends: rows.len() - photos.len(),
        queries: questions.photos.len(),
        indexes,
        retrieval,
        search_by_stored_photo: stored,
        search_by_upload: uploaded,
        steady_memory,
    };
    Ok((report, strips.unwrap_or_default()))
}

/// Builds every index that is asked for, then searches: the rankings by the labels, and each index in turn.
fn indexes(
    server: &Server,
    rows: &Rows<'_>,
    labels: &Labels,
    questions: &Questions,
    options: &Options,
    usage: &mut Usage,
) -> Result<(Vec<IndexFigures>, Option<Retrieval>)> {
    let scale = options.scale();
    // Always there: its rankings are the exact ones.
    tell("inserting into flat");
    let (flat, flat_built) = Collection::build(server, rows, labels, Setting::flat())?;
    usage.look_at_memory(server, "with flat")?;
    let mut built = vec![(flat, flat_built)];
    for setting in Setting::all(rows.len(), options.index, scale.efforts) {
        if setting.family != Family::Flat {
            let name = setting.name;
            tell(&format!("inserting into {name}"));
            built.push(Collection::build(server, rows, labels, setting)?);
            usage.look_at_memory(server, &format!("with {name}"))?;
        }
    }
    tell("retrieval by the labels");
    let retrieval = retrieval::measure(&built[0].0, rows.photos, labels, scale.queries)?;
    built.retain(|(collection, _)| options.index.is_none_or(|asked| asked == collection.setting.family));
    let mut figures = Vec::with_capacity(built.len());
    for (collection, built) in built {
        tell(&format!("searching {}", collection.setting.name));
        figures.push(measure::index(&collection, built, rows, questions, &scale)?);
    }
    Ok((figures, retrieval))
}

/// Progress, for whoever waits; results go to the standard output.
fn tell(words: &str) {
    eprintln!("voc: {words}");
}
