//! Three-valued truth of a column of rows: TRUE, FALSE or UNKNOWN, as two bitmaps. The connectives are SQL's.

use arrow_buffer::{BooleanBuffer, NullBuffer};

/// The rows that a part of a predicate is asked about. The truth of the others is settled: it may come out as anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Of the columns.
    pub(super) count: usize,
    /// `None` is all.
    pub(super) wanted: Option<&'a BooleanBuffer>,
}

impl Rows<'_> {
    /// Whether so few are wanted that asking each is better than reading the column.
    pub(super) fn are_few(&self) -> bool {
        self.wanted.is_some_and(|wanted| wanted.count_set_bits() < self.count / 8)
    }

    /// For each 64 rows the first one, and which of them are wanted.
    fn for_each_word(&self, mut visit: impl FnMut(usize, u64)) {
        match self.wanted {
            Some(wanted) => {
                let words = wanted.bit_chunks().iter_padded();
                words.take(self.count.div_ceil(64)).enumerate().for_each(|(i, word)| visit(i * 64, word));
            }
            None => {
                for start in (0..self.count).step_by(64) {
                    visit(start, u64::MAX >> (64 - (self.count - start).min(64)));
                }
            }
        }
    }
}

/// One truth value a row.
#[derive(Debug)]
pub(super) struct Verdict {
    /// TRUE rows: a subset of `known`.
    yes: BooleanBuffer,
    /// Rows that are TRUE or FALSE; `None` is all.
    known: Option<BooleanBuffer>,
}

impl Verdict {
    /// The same for `rows` rows.
    pub(super) fn constant(value: bool, rows: usize) -> Self {
        let yes = if value { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
        Self { yes, known: None }
    }

    /// `values` where there is a value, UNKNOWN elsewhere.
    pub(super) fn new(values: BooleanBuffer, nulls: Option<&NullBuffer>) -> Self {
        match nulls.filter(|n| n.null_count() > 0) {
            None => Self { yes: values, known: None },
            Some(nulls) => Self { yes: &values & nulls.inner(), known: Some(nulls.inner().clone()) },
        }
    }

    /// Asks the wanted rows; `None` is UNKNOWN, and so is every other row.
    pub(super) fn from_rows(rows: Rows<'_>, mut decide: impl FnMut(usize) -> Option<bool>) -> Self {
        let words = rows.count.div_ceil(64);
        let (mut yes, mut known) = (Vec::with_capacity(words), Vec::with_capacity(words));
        rows.for_each_word(|start, mut wanted| {
            let (mut yes_word, mut known_word) = (0u64, 0u64);
            while wanted != 0 {
                let bit = wanted.trailing_zeros() as usize;
                wanted &= wanted - 1;
                let truth = decide(start + bit);
                yes_word |= u64::from(truth == Some(true)) << bit;
                known_word |= u64::from(truth.is_some()) << bit;
            }
            yes.push(yes_word);
            known.push(known_word);
        });
        let bitmap = |words: Vec<u64>| BooleanBuffer::new(words.into(), 0, rows.count);
        Self { yes: bitmap(yes), known: Some(bitmap(known)) }
    }

    /// Rows whose truth another operand of `and` (else: of `or`) can still change.
    pub(super) fn open(&self, and: bool) -> BooleanBuffer {
        if and { !&self.no() } else { !&self.yes }
    }

    /// The TRUE rows.
    pub(super) fn into_true(self) -> BooleanBuffer {
        self.yes
    }

    /// UNKNOWN stays UNKNOWN.
    pub(super) fn not(self) -> Self {
        let yes = self.no();
        Self { yes, known: self.known }
    }

    /// FALSE decides, else UNKNOWN does.
    pub(super) fn and(self, other: Self) -> Self {
        let known = match (&self.known, &other.known) {
            (None, None) => None,
            _ => Some(&(&self.no() | &other.no()) | &(&self.yes & &other.yes)),
        };
        Self { yes: &self.yes & &other.yes, known }
    }

    /// TRUE decides, else UNKNOWN does.
    pub(super) fn or(self, other: Self) -> Self {
        let known = match (&self.known, &other.known) {
            (None, None) => None,
            _ => Some(&(&self.yes | &other.yes) | &(&self.no() & &other.no())),
        };
        Self { yes: &self.yes | &other.yes, known }
    }

    /// The FALSE rows.
    fn no(&self) -> BooleanBuffer {
        match &self.known {
            None => !&self.yes,
            // `yes` lies within `known`, so the difference is the exclusive or.
            Some(known) => known ^ &self.yes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Option<bool>; 3] = [Some(true), Some(false), None];

    fn verdict(truths: &[Option<bool>]) -> Verdict {
        Verdict::from_rows(Rows { count: truths.len(), wanted: None }, |row| truths[row])
    }

    fn truths(verdict: &Verdict) -> Vec<Option<bool>> {
        let known = |row| verdict.known.as_ref().is_none_or(|k| k.value(row));
        (0..verdict.yes.len()).map(|row| known(row).then(|| verdict.yes.value(row))).collect()
    }

    #[test]
    fn connectives_follow_sql() {
        let left: Vec<_> = ALL.iter().flat_map(|&l| [l; 3]).collect();
        let right: Vec<_> = ALL.repeat(3);
        let expected_and =
            [Some(true), Some(false), None, Some(false), Some(false), Some(false), None, Some(false), None];
        let expected_or =
            [Some(true), Some(true), Some(true), Some(true), Some(false), None, Some(true), None, None];
        assert_eq!(truths(&verdict(&left).and(verdict(&right))), expected_and);
        assert_eq!(truths(&verdict(&left).or(verdict(&right))), expected_or);
        assert_eq!(truths(&verdict(&ALL).not()), [Some(false), Some(true), None]);
    }

    #[test]
    fn only_wanted_rows_are_asked() {
        for count in [0, 1, 63, 64, 65, 200] {
            let wanted: BooleanBuffer = (0..count + 3).map(|row| row % 3 == 0).collect();
            let wanted = wanted.slice(3, count);
            let mut asked = Vec::new();
            let rows = Rows { count, wanted: Some(&wanted) };
            let verdict = Verdict::from_rows(rows, |row| {
                asked.push(row);
                Some(true)
            });
            assert_eq!(asked, (0..count).filter(|row| row % 3 == 0).collect::<Vec<_>>());
            assert_eq!(verdict.yes, wanted);
        }
    }

    #[test]
    fn open_rows_are_those_that_can_change() {
        let open = |and| verdict(&ALL).open(and).iter().collect::<Vec<_>>();
        assert_eq!((open(true), open(false)), (vec![true, false, true], vec![false, true, true]));
    }

    #[test]
    fn fully_known_verdicts_stay_so() {
        let all = || Verdict::constant(true, 3);
        assert_eq!(truths(&all().and(verdict(&ALL))), ALL);
        assert_eq!(truths(&all().not().or(verdict(&ALL))), ALL);
        assert!(all().and(all().not()).known.is_none());
        let nulls = NullBuffer::from(vec![true, true, false]);
        assert_eq!(
            truths(&Verdict::new(BooleanBuffer::new_set(3), Some(&nulls))),
            [Some(true), Some(true), None]
        );
    }
}
