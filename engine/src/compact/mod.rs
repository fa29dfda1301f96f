//! Compaction: which sealed segments are worth rewriting. A pure function of their sizes; running it is
//! `collection/compact.rs`, and how fast it may go is [`Pace`]. The policy is size-tiered (as in Cassandra and RocksDB's
//! "universal" mode): segments of like size are merged when four have come together, so a row is rewritten once for each
//! step of size; and a segment with many dead rows is rewritten whatever its size. While nobody writes, even two that
//! are alike are merged: each segment is one more graph that a search has to walk.

mod pace;

pub(crate) use pace::Pace;

/// A segment with at least this share of dead rows, in percent, is rewritten: files then hold at most 1.25 times the
/// live rows.
const DEAD_PERCENT: u64 = 20;
/// Segments of like size that are merged.
const TIER_SEGMENTS: usize = 4;
/// Sizes within this factor are alike.
const TIER_FACTOR: u64 = 4;
/// Most segments rewritten at once.
const MOST_INPUTS: usize = 32;

/// What the policy knows of a sealed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: u64,
    /// Rows in its files.
    pub(crate) rows: u64,
    /// Rows that are alive.
    pub(crate) live: u64,
    /// Bytes that belong to live rows.
    pub(crate) live_bytes: u64,
}

impl Candidate {
    fn is_empty(&self) -> bool {
        self.live == 0
    }

    fn is_worn(&self) -> bool {
        (self.rows - self.live) * 100 >= self.rows * DEAD_PERCENT
    }
}

/// The segments to rewrite into one of at most `most_bytes`; empty when all is well.
pub(crate) fn choose(segments: &[Candidate], most_bytes: u64) -> Vec<u64> {
    let empty: Vec<u64> = segments.iter().filter(|s| s.is_empty()).map(|s| s.id).collect();
    if !empty.is_empty() {
        return empty;
    }
    let mut worn: Vec<&Candidate> = segments.iter().filter(|s| s.is_worn()).collect();
    if !worn.is_empty() {
        worn.sort_by_key(|s| (s.live_bytes, s.id));
        return fitting(&worn, most_bytes);
    }
    let mut small: Vec<&Candidate> = segments.iter().filter(|s| s.live_bytes <= most_bytes / 2).collect();
    small.sort_by_key(|s| (s.live_bytes, s.id));
    for (start, first) in small.iter().enumerate() {
        let alike = |s: &&&Candidate| s.live_bytes <= first.live_bytes.max(1).saturating_mul(TIER_FACTOR);
        let tier: Vec<&Candidate> = small[start..].iter().take_while(alike).copied().collect();
        let chosen = fitting(&tier, most_bytes);
        if chosen.len() >= TIER_SEGMENTS {
            return chosen;
        }
    }
    Vec::new()
}

/// The segments to merge into one of at most `most_bytes` while nobody writes and [`choose`] finds nothing; empty when all
/// is well. The largest of them is rewritten only together with half as many bytes of others, so that rows that trickle
/// in between rests cost no more than a few rewritings of each row.
pub(crate) fn choose_at_rest(segments: &[Candidate], most_bytes: u64) -> Vec<u64> {
    let mut small: Vec<&Candidate> = segments.iter().filter(|s| s.live_bytes <= most_bytes / 2).collect();
    small.sort_by_key(|s| (s.live_bytes, s.id));
    let is_worth_it = |chosen: &&[&Candidate]| {
        let bytes: u64 = chosen.iter().map(|s| s.live_bytes).sum();
        let largest = chosen.last().map_or(0, |s| s.live_bytes);
        bytes <= most_bytes && bytes - largest >= largest / 2
    };
    let most = small.len().min(MOST_INPUTS);
    let chosen = (2..=most).rev().map(|count| &small[..count]).find(is_worth_it);
    chosen.unwrap_or_default().iter().map(|s| s.id).collect()
}

/// As many from the front as fit into one segment; at least one.
fn fitting(segments: &[&Candidate], most_bytes: u64) -> Vec<u64> {
    let mut bytes = 0u64;
    let fit = segments
        .iter()
        .take_while(|s| {
            bytes = bytes.saturating_add(s.live_bytes);
            bytes <= most_bytes
        })
        .count();
    segments.iter().take(fit.clamp(1, MOST_INPUTS)).map(|s| s.id).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(id: u64, rows: u64, live: u64, bytes: u64) -> Candidate {
        Candidate { id, rows, live, live_bytes: bytes * live / rows.max(1) }
    }

    #[test]
    fn four_of_a_size_are_merged_and_three_are_not() {
        let of = |sizes: &[u64]| -> Vec<Candidate> {
            sizes.iter().zip(1..).map(|(&bytes, id)| segment(id, 100, 100, bytes)).collect()
        };
        assert!(choose(&of(&[64, 64, 64]), 1000).is_empty());
        assert_eq!(choose(&of(&[64, 60, 64, 70]), 1000), [2, 1, 3, 4]);
        assert_eq!(choose(&of(&[1, 64, 60, 64, 70]), 1000), [3, 2, 4, 5]);
        assert!(choose(&of(&[400, 400, 400, 400]), 1000).is_empty(), "what would not fit is left alone");
        assert!(choose(&of(&[900, 900, 900, 900]), 1000).is_empty());
    }

    #[test]
    fn at_rest_two_of_a_size_are_merged_and_a_small_one_waits() {
        let of = |sizes: &[u64]| -> Vec<u64> {
            let all: Vec<_> =
                sizes.iter().zip(1..).map(|(&bytes, id)| segment(id, 100, 100, bytes)).collect();
            choose_at_rest(&all, 1000)
        };
        assert_eq!(of(&[64, 60]), [2, 1]);
        assert_eq!(of(&[64, 2, 64, 64]), [2, 1, 3, 4], "the small one comes along");
        assert!(of(&[200, 2]).is_empty());
        assert!(of(&[64]).is_empty() && of(&[]).is_empty());
        assert_eq!(of(&[400, 400, 400]), [1, 2], "as many as fit");
        assert!(of(&[900, 600, 2]).is_empty());
        assert_eq!(of(&[2, 3, 400]), [1, 2], "those that are alike");
    }

    #[test]
    fn worn_and_empty_segments_are_rewritten() {
        let all = [segment(1, 100, 100, 500), segment(2, 100, 79, 500), segment(3, 100, 10, 500)];
        assert_eq!(choose(&all, 1000), [3, 2]);
        assert!(choose(&all[..1], 1000).is_empty());
        assert_eq!(choose(&[segment(1, 10, 0, 5), segment(2, 10, 1, 5)], 1000), [1]);
    }

    proptest! {
        /// Whatever comes, rewriting ends, and then little is dead and segments are few.
        #[test]
        fn rewriting_comes_to_an_end(
            sizes in prop::collection::vec((1u64..2000, 0u64..=100), 0..60),
        ) {
            let most = 1000;
            let mut segments: Vec<Candidate> = sizes
                .iter()
                .zip(1..)
                .map(|(&(bytes, live), id)| segment(id, 100, live, bytes.min(most)))
                .collect();
            let mut next = 1000;
            for round in 0.. {
                let chosen = choose(&segments, most);
                if chosen.is_empty() {
                    break;
                }
                prop_assert!(round < 300);
                let (inputs, rest): (Vec<_>, Vec<_>) = segments.iter().partition(|s| chosen.contains(&s.id));
                prop_assert_eq!(inputs.len(), chosen.len());
                let (live, bytes) = inputs.iter().fold((0, 0), |(l, b), s: &Candidate| (l + s.live, b + s.live_bytes));
                segments = rest;
                if live > 0 {
                    prop_assert!(bytes <= most || chosen.len() == 1);
                    segments.push(Candidate { id: next, rows: live, live, live_bytes: bytes });
                    next += 1;
                }
            }
            prop_assert!(segments.iter().all(|s| !s.is_worn()));
        }
    }
}
