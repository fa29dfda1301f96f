//! Three-valued truth of a column of rows: TRUE, FALSE or UNKNOWN, as two bitmaps. The connectives are SQL's.

use arrow_buffer::{BooleanBuffer, NullBuffer};

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

    /// Asks every row; `None` is UNKNOWN.
    pub(super) fn from_rows(rows: usize, mut decide: impl FnMut(usize) -> Option<bool>) -> Self {
        let words = rows.div_ceil(64);
        let (mut yes, mut known) = (Vec::with_capacity(words), Vec::with_capacity(words));
        for start in (0..rows).step_by(64) {
            let (mut yes_word, mut known_word) = (0u64, 0u64);
            for bit in 0..(rows - start).min(64) {
                let truth = decide(start + bit);
                yes_word |= u64::from(truth == Some(true)) << bit;
                known_word |= u64::from(truth.is_some()) << bit;
            }
            yes.push(yes_word);
            known.push(known_word);
        }
        let bitmap = |words: Vec<u64>| BooleanBuffer::new(words.into(), 0, rows);
        Self { yes: bitmap(yes), known: Some(bitmap(known)) }
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
        Verdict::from_rows(truths.len(), |row| truths[row])
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
