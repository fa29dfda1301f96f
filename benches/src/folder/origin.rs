//! Whose photos a folder holds, as far as names and counts tell: no photo is compared with anything.

use serde::Serialize;

use super::Labels;

/// Photos of VOC 2012, and of these in the lists of classes for training and validation.
const VOC_2012: (usize, usize) = (17_125, 11_540);
/// Its classes.
const VOC_CLASSES: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];
/// Photos of voc-mini, and how many of them show three of the classes.
const VOC_MINI: (usize, [(&str, usize); 3]) = (850, [("person", 220), ("dog", 104), ("cow", 8)]);

/// Whose photos they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// PASCAL VOC 2012: 17,125 photos with its names, 11,540 labelled ones, its 20 classes.
    Voc2012,
    /// The project's own set of 850 photos.
    VocMini,
    /// Others in the same layout.
    StandIn,
}

impl Origin {
    pub(super) fn of(ids: &[String], labels: &Labels) -> Self {
        let labelled = ids.iter().filter(|id| labels.of(id).is_some()).count();
        let (mini, counts) = VOC_MINI;
        if (ids.len(), labelled) == VOC_2012
            && ids.iter().all(|id| is_voc_name(id))
            && labels.names() == VOC_CLASSES
        {
            Self::Voc2012
        } else if ids.len() == mini && counts.iter().all(|(class, count)| labels.count(class) == *count) {
            Self::VocMini
        } else {
            Self::StandIn
        }
    }

    /// In words, for the head of a report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Voc2012 => "PASCAL VOC 2012 (by its names and counts)",
            Self::VocMini => "VOC-layout stand-in (voc-mini), not PASCAL VOC",
            Self::StandIn => "VOC-layout stand-in, not PASCAL VOC",
        }
    }

    /// Whether the photos are not VOC's.
    pub fn is_stand_in(self) -> bool {
        self != Self::Voc2012
    }
}

/// A year and a number, as in `2007_000027`.
fn is_voc_name(id: &str) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    id.split_once('_').is_some_and(|(year, number)| digits(year, 4) && digits(number, 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: impl Fn(usize) -> String, photos: usize, labelled: usize) -> (Vec<String>, Labels) {
        let ids: Vec<String> = (0..photos).map(name).collect();
        let mut labels = Labels::default();
        for (number, id) in ids.iter().take(labelled).enumerate() {
            labels.looked_at(id).insert(VOC_CLASSES[number % VOC_CLASSES.len()].to_owned());
        }
        (ids, labels)
    }

    #[test]
    fn names_and_all_counts_must_be_vocs() {
        let voc = |number: usize| format!("2012_{number:06}");
        let of = |(ids, labels): (Vec<String>, Labels)| Origin::of(&ids, &labels);
        assert_eq!(of(set(voc, 17_125, 11_540)), Origin::Voc2012);
        assert_eq!(of(set(voc, 17_124, 11_540)), Origin::StandIn);
        assert_eq!(of(set(voc, 17_125, 17_125)), Origin::StandIn);
        assert_eq!(of(set(|number| format!("img_{number:06}"), 17_125, 11_540)), Origin::StandIn);
        assert_eq!(of(set(voc, 2, 2)), Origin::StandIn, "two frames with VOC's names");
        assert!(Origin::StandIn.title().contains("VOC-layout stand-in"));
    }
}
