//! The squares of a feature map that R-MAC looks at (Tolias, Sicre and Jégou, 2016, section 3.2). On level l of a map of
//! side s they have the side floor(2s / (l + 1)), and l · l of them lie at equal steps from one end to the other, so that
//! neighbours overlap by about 40 %. The paper's further squares along the longer side do not arise: our maps are square.

/// Levels of squares, as in the paper: 1 + 4 + 9 of them.
const LEVELS: usize = 3;

/// One square, in positions of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) side: usize,
}

/// The squares of a map of this side, at least 1; the whole map first.
pub(super) fn regions(map: usize) -> impl Iterator<Item = Region> {
    (1..=LEVELS).flat_map(move |level| {
        let side = (2 * map / (level + 1)).max(1);
        // The one square of the first level takes no step.
        let start = move |number: usize| (map - side) * number / (level - 1).max(1);
        (0..level).flat_map(move |row| {
            (0..level).map(move |column| Region { top: start(row), left: start(column), side })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_s_squares() {
        let starts = |map: usize, side: usize| -> Vec<(usize, usize)> {
            let of_side = regions(map).filter(|region| region.side == side);
            of_side.map(|region| (region.top, region.left)).collect()
        };
        let grid = |starts: &[usize]| -> Vec<(usize, usize)> {
            starts.iter().flat_map(|&top| starts.iter().map(move |&left| (top, left))).collect()
        };
        for (map, levels) in [
            (7, [(7, &[0][..]), (4, &[0, 3]), (3, &[0, 2, 4])]),
            (10, [(10, &[0]), (6, &[0, 4]), (5, &[0, 2, 5])]),
        ] {
            for (side, expected) in levels {
                assert_eq!(starts(map, side), grid(expected), "{map} {side}");
            }
        }
    }

    #[test]
    fn squares_stay_within_the_map_and_reach_its_ends() {
        for map in 1..40 {
            let all: Vec<Region> = regions(map).collect();
            assert_eq!(all.len(), 14);
            assert!(all.iter().all(|at| at.side >= 1 && at.top + at.side <= map && at.left + at.side <= map));
            assert!(all[5..].iter().any(|at| at.top + at.side == map && at.left + at.side == map));
        }
    }
}
