//! What shorter vectors still find: a PCA of several sizes, with and without whitening, on a folder in the PASCAL VOC
//! layout, in process and with exact search. Learned on the photos that are searched, as a collection does it, and
//! honestly: learned on one half of the photos and searched among the other, both ways.
//!
//! `cargo run --release -p elanus-benches --bin reduction -- --voc <VOCdevkit/VOC2012>`
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use elanus_benches::Result;
use elanus_benches::embedding::{Embedded, Row, Source};
use elanus_benches::retrieval::{Means, exact};
use elanus_embed::{
    Covariance, Descriptor, ModelIdentity, Pooling, PrincipalComponents, Recipe, ReductionError,
};

/// The descriptors that are reduced: the standard, and those that find best.
const DESCRIPTORS: [Descriptor; 4] = [
    Descriptor::carried(Recipe::Keras, Pooling::Max),
    Descriptor::carried(Recipe::Keras, Pooling::Gem),
    Descriptor::carried(Recipe::Torchvision, Pooling::Avg),
    Descriptor::carried(Recipe::Torchvision, Pooling::Gem),
];

#[derive(Parser, Debug)]
#[command(about = "Retrieval with reduced vectors on a folder in the PASCAL VOC layout")]
struct Options {
    #[command(flatten)]
    source: Source,
    /// Values of the reduced vectors.
    #[arg(long, value_delimiter = ',', default_values_t = [32, 64, 128, 256, 512])]
    dimensions: Vec<usize>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("reduction: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let Embedded { summary, rows, classes } = options.source.embed(DESCRIPTORS)?;
    println!("{summary}");
    for row in rows {
        table(&row, &classes, &options.dimensions)?;
    }
    Ok(())
}

/// Photos with their classes.
#[derive(Default)]
struct Set {
    vectors: Vec<Vec<f32>>,
    classes: Vec<u64>,
}

impl Set {
    fn learn(&self) -> Result<PrincipalComponents> {
        let mut covariance = Covariance::new(self.vectors.first().map_or(0, Vec::len));
        self.vectors.iter().try_for_each(|vector| covariance.add(vector))?;
        Ok(covariance.principal_components()?)
    }

    fn measure(&self) -> Vec<Means> {
        exact(&self.vectors, &self.classes)
    }

    /// The same reduced; none where the components are too few.
    fn reduced(
        &self,
        components: &PrincipalComponents,
        source: &ModelIdentity,
        dimension: usize,
        whitened: bool,
    ) -> Result<Option<Self>> {
        let reduction = match components.reduction(source.clone(), dimension, whitened) {
            Err(ReductionError::Dimension { .. }) => return Ok(None),
            other => other?,
        };
        let vectors = self.vectors.iter().map(|vector| reduction.apply(vector)).collect::<Result<_, _>>()?;
        Ok(Some(Self { vectors, classes: self.classes.clone() }))
    }
}

/// Photos at even and at odd places.
fn halves(vectors: &[Vec<f32>], classes: &[u64]) -> [Set; 2] {
    let mut halves = [Set::default(), Set::default()];
    for (place, (vector, class)) in vectors.iter().zip(classes).enumerate() {
        halves[place % 2].vectors.push(vector.clone());
        halves[place % 2].classes.push(*class);
    }
    halves
}

fn table(row: &Row, classes: &[u64], dimensions: &[usize]) -> Result<()> {
    let source = ModelIdentity::of(row.descriptor);
    let all = Set { vectors: row.vectors.clone(), classes: classes.to_vec() };
    let halves = halves(&row.vectors, classes);
    let started = Instant::now();
    let components = all.learn()?;
    let took = started.elapsed().as_secs_f64();
    let [even, odd] = [halves[0].learn()?, halves[1].learn()?];
    println!("\n{}; components of {} vectors in {took:.2} s\n", row.descriptor, row.vectors.len());
    println!("| values | bytes | P@1 | P@10 | mAP | P@1, halves | P@10, halves | mAP, halves |");
    println!("|---|---|---|---|---|---|---|---|");
    let plain = halves.iter().flat_map(Set::measure).collect();
    print(&format!("{}, as they are", source.dimension), source.dimension, &all.measure(), Some(plain));
    for dimension in dimensions {
        for (whitened, name) in [(false, "PCA"), (true, "PCA, whitened")] {
            let Some(same) = all.reduced(&components, &source, *dimension, whitened)? else { continue };
            // What was learned on one half is searched among the other.
            let honest = [(&halves[0], &odd), (&halves[1], &even)].map(|(searched, learned)| {
                Ok(searched.reduced(learned, &source, *dimension, whitened)?.map(|set| set.measure()))
            });
            let honest = honest.into_iter().collect::<Result<Option<Vec<_>>>>()?;
            let name = format!("{dimension}, {name}");
            print(&name, *dimension, &same.measure(), honest.map(|halves| halves.concat()));
        }
    }
    Ok(())
}

fn print(name: &str, dimension: usize, same: &[Means], honest: Option<Vec<Means>>) {
    let cells = |queries: &[Means]| {
        let Means { p1, p10, map, .. } = Means::over(queries.iter());
        format!("{p1:.4} | {p10:.4} | {map:.4}")
    };
    let honest = honest.map_or_else(|| " |  | ".to_owned(), |queries| cells(&queries));
    println!("| {name} | {} | {} | {honest} |", dimension * size_of::<f32>(), cells(same));
}
