//! Whether what is found shows the same: each photo is searched with, itself is left out, and the whole ranking is
//! compared with the labels. Two photos are relevant to each other when they share a class; objects marked difficult
//! count for nobody, queries without any relevant photo are skipped, photos that nobody labelled are in no ranking.

use std::collections::BTreeSet;

use elanus_benches::Result;
use elanus_benches::folder::{Labels, Origin, relevant};
use elanus_benches::retrieval::Means;
use elanus_embed::{Descriptor, Pooling, Recipe};
use serde::Serialize;

use crate::collection::{Collection, LABELLED, WINDOW};
use crate::photos::Photos;
use crate::questions::spread;

/// Hits that an example shows.
const SHOWN: usize = 8;
/// What the reference features reach on voc-mini with the same protocol: descriptor, P@1, P@10,
/// mAP@100, mAP.
const REFERENCE: [(Descriptor, [f64; 4]); 4] = [
    (Descriptor::carried(Recipe::Keras, Pooling::Max), [0.8212, 0.7352, 0.4300, 0.5130]),
    (Descriptor::carried(Recipe::Keras, Pooling::Avg), [0.8188, 0.7446, 0.4385, 0.5172]),
    (Descriptor::carried(Recipe::Torchvision, Pooling::Max), [0.8459, 0.7538, 0.4470, 0.5230]),
    (Descriptor::carried(Recipe::Torchvision, Pooling::Avg), [0.8635, 0.7712, 0.4754, 0.5460]),
];

/// What was found, over all queries and over those that show a class.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Retrieval {
    /// Labelled photos, which every ranking holds but for the query.
    pub(crate) labelled: usize,
    /// Photos of a ranking that the server gave.
    pub(crate) depth: usize,
    pub(crate) overall: Means,
    pub(crate) classes: Vec<OfClass>,
    /// The same of independent features, where they are known for this set.
    pub(crate) reference: Option<Means>,
    #[serde(skip)]
    pub(crate) queries: Vec<Query>,
}

/// Queries that show a class.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OfClass {
    pub(crate) class: String,
    /// Photos that show it.
    pub(crate) photos: usize,
    #[serde(flatten)]
    pub(crate) means: Means,
}

/// One query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// Place in the list of photos.
    pub(crate) photo: usize,
    pub(crate) means: Means,
    /// The first hits, and whether they are relevant.
    pub(crate) first: Vec<(usize, bool)>,
}

/// Searches with at most `most` labelled photos in a collection that compares every row; none when nothing is labelled.
///
/// # Errors
/// When the server refuses.
pub(crate) fn measure(
    flat: &Collection<'_>,
    photos: &Photos,
    labels: &Labels,
    most: usize,
) -> Result<Option<Retrieval>> {
    let shown: Vec<_> = photos.list.iter().map(|photo| labels.of(&photo.id)).collect();
    let labelled: Vec<usize> = (0..photos.len()).filter(|photo| shown[*photo].is_some()).collect();
    let present: BTreeSet<&String> = shown.iter().copied().flatten().flatten().collect();
    if present.is_empty() {
        return Ok(None);
    }
    let depth = (labelled.len() - 1).min(WINDOW - 1);
    let mut connection = flat.connect()?;
    let mut queries = Vec::new();
    for photo in spread(labelled.len(), most).into_iter().map(|place| labelled[place]) {
        let search = flat.search(photo, depth, None, Some(LABELLED));
        let found = flat.found(&mut connection, photo, &search)?;
        let relevant = |other: usize| relevant(shown[photo], shown[other]);
        let total = labelled.iter().filter(|other| **other != photo && relevant(**other)).count();
        let hits: Vec<bool> = found.iter().map(|other| relevant(*other)).collect();
        if let Some(means) = Means::of_one(&hits, total) {
            let first = found.into_iter().zip(hits).take(SHOWN).collect();
            queries.push(Query { photo, means, first });
        }
    }
    let of_class = |class: &String| {
        let shows = |photo: usize| shown[photo].is_some_and(|classes| classes.contains(class));
        let means = queries.iter().filter(|query| shows(query.photo)).map(|query| &query.means);
        let photos = labelled.iter().filter(|photo| shows(**photo)).count();
        OfClass { class: class.clone(), photos, means: Means::over(means) }
    };
    Ok(Some(Retrieval {
        labelled: labelled.len(),
        depth,
        overall: Means::over(queries.iter().map(|query| &query.means)),
        classes: present.into_iter().map(of_class).collect(),
        reference: None,
        queries,
    }))
}

impl Retrieval {
    /// Adds what the reference features reach, where they are known: for all photos of voc-mini.
    pub(crate) fn with_reference(mut self, origin: Origin, descriptor: Descriptor) -> Self {
        let known = REFERENCE.iter().find(|(known, _)| origin == Origin::VocMini && *known == descriptor);
        self.reference = known.map(|(_, [p1, p10, map100, map])| Means {
            queries: 850,
            p1: *p1,
            p10: *p10,
            map100: *map100,
            map: *map,
        });
        self
    }

    /// For some classes from the best to the worst, the best, the middle and the worst query: class, which of the three, query.
    pub(crate) fn examples(&self, photos: &Photos, labels: &Labels) -> Vec<(&str, &'static str, &Query)> {
        /// Classes that are shown.
        const CLASSES: usize = 4;
        let mut classes: Vec<&OfClass> =
            self.classes.iter().filter(|class| class.means.queries > 0).collect();
        classes.sort_by(|a, b| b.means.map.total_cmp(&a.means.map));
        let last = classes.len().saturating_sub(1);
        let mut places: Vec<usize> = (0..CLASSES).map(|part| last * part / (CLASSES - 1)).collect();
        places.dedup();
        let mut examples = Vec::new();
        for class in places.into_iter().filter_map(|place| classes.get(place)) {
            let shows = |query: &&Query| labels.shows(&photos.list[query.photo].id, &class.class);
            let mut queries: Vec<&Query> = self.queries.iter().filter(shows).collect();
            queries.sort_by(|a, b| b.means.map.total_cmp(&a.means.map));
            let last = queries.len().saturating_sub(1);
            let mut places = vec![(0, "best"), (last / 2, "middle"), (last, "worst")];
            places.dedup_by_key(|(place, _)| *place);
            examples.extend(places.into_iter().filter_map(|(place, which)| {
                queries.get(place).map(|query| (class.class.as_str(), which, *query))
            }));
        }
        examples
    }
}
