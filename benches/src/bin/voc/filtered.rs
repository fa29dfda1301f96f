//! Searches for rows of one class: recall against the exact answer among them, and what clients see.

use elanus_benches::Result;
use elanus_benches::load::Load;
use serde::Serialize;

use crate::collection::{Collection, shows};
use crate::measure::{Seen, loads, recall};
use crate::options::Scale;
use crate::photos::Rows;
use crate::questions::{DEPTHS, OfClass, Questions};

/// One class.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ClassFigures {
    pub(crate) class: String,
    /// Rows that show it.
    pub(crate) rows: usize,
    /// Of the ten nearest of these, or of all where they are fewer; none when only the photo itself shows it.
    pub(crate) recall_at_10: Option<f64>,
    /// One client.
    pub(crate) seen: Seen,
}

/// All classes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Filtered {
    pub(crate) classes: Vec<ClassFigures>,
    /// Mean over the classes.
    pub(crate) recall_at_10: Option<f64>,
    /// All classes by turns, by the number of clients.
    pub(crate) loads: Vec<Seen>,
}

/// Measures each class, with the effort that the server takes by itself; nothing where nothing is labelled.
///
/// # Errors
/// When the server refuses something.
pub(crate) fn measure(
    collection: &Collection<'_>,
    rows: &Rows<'_>,
    questions: &Questions,
    scale: &Scale,
) -> Result<Option<Filtered>> {
    if questions.classes.is_empty() {
        return Ok(None);
    }
    // The classic demo had one effort, whatever it searched.
    let effort = collection.setting.efforts.first().copied().flatten();
    let searches = |class: &OfClass| -> Vec<Vec<u8>> {
        let filter = shows(&class.name);
        class.photos.iter().map(|photo| collection.search(*photo, DEPTHS[0], effort, Some(&filter))).collect()
    };
    let searches: Vec<Vec<Vec<u8>>> = questions.classes.iter().map(searches).collect();
    let mut classes = Vec::with_capacity(searches.len());
    for (class, searches) in questions.classes.iter().zip(&searches) {
        let asked = (class.photos.as_slice(), class.best.as_slice());
        let recall_at_10 = recall(collection, rows, asked, searches, DEPTHS[0])?;
        let seconds = scale.seconds / questions.classes.len() as f64;
        let seen = Load::run(collection.address(), searches, 1, seconds)?.into();
        classes.push(ClassFigures { class: class.name.clone(), rows: class.rows, recall_at_10, seen });
    }
    let recalls: Vec<f64> = classes.iter().filter_map(|class| class.recall_at_10).collect();
    let mean = (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64);
    Ok(Some(Filtered {
        classes,
        recall_at_10: mean,
        loads: loads(collection.address(), &by_turns(searches), scale)?,
    }))
}

/// The first of each list, then the second of each.
fn by_turns(lists: Vec<Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut turns = Vec::new();
    loop {
        let before = turns.len();
        turns.extend(lists.iter_mut().filter_map(Iterator::next));
        if turns.len() == before {
            return turns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::by_turns;

    #[test]
    fn lists_take_turns() {
        let lists = ["ace", "b", "df"].map(|list| list.bytes().map(|byte| vec![byte]).collect());
        let turns: Vec<u8> = by_turns(lists.to_vec()).concat();
        assert_eq!(turns, b"abdcfe");
    }
}
