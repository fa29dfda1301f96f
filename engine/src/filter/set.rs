//! A set of integers that is asked millions of times: a few are compared one by one, close ones become a bitmap, the
//! rest a hash table. Built once for each filter.

use arrow_buffer::BooleanBuffer;

use super::eval::bits;

/// Sets up to this size are compared member by member.
const FEW: usize = 8;
/// Bitmaps may have this many bits for each member, or this many together.
const BITS_PER_MEMBER: u64 = 64;
const BITS_FOR_ALL: u64 = 1 << 15;

/// Integers of any column's width.
#[derive(Debug, Clone)]
pub(super) struct IntegerSet {
    /// Sorted, without repetitions.
    sorted: Vec<i64>,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    Empty,
    /// Filled up with repetitions.
    Few([i64; FEW]),
    /// Bit 0 is the smallest member.
    Bitmap {
        first: i64,
        words: Vec<u64>,
    },
    Table(Table),
}

/// Open addressing, at most a quarter full.
#[derive(Debug, Clone)]
struct Table {
    slots: Vec<i64>,
    /// A number that is no member marks empty slots.
    empty: i64,
    /// Random and odd, so that nobody can choose members that collide.
    factor: u64,
    shift: u32,
}

impl IntegerSet {
    /// In any order, with repetitions.
    pub(super) fn new(mut members: Vec<i64>) -> Self {
        members.sort_unstable();
        members.dedup();
        let shape = match members.as_slice() {
            [] => Shape::Empty,
            [first, rest @ ..] if rest.len() < FEW => {
                let mut few = [*first; FEW];
                few.iter_mut().zip(rest).for_each(|(place, member)| *place = *member);
                Shape::Few(few)
            }
            [first, .., last] => {
                let span = last.abs_diff(*first);
                if span <= BITS_FOR_ALL.max(members.len() as u64 * BITS_PER_MEMBER) {
                    Shape::bitmap(*first, *last, &members)
                } else {
                    Shape::Table(Table::new(&members))
                }
            }
            [one] => Shape::Few([*one; FEW]),
        };
        Self { sorted: members, shape }
    }

    /// The members in ascending order.
    pub(super) fn as_slice(&self) -> &[i64] {
        &self.sorted
    }

    /// One bit for each value.
    pub(super) fn test<T: Copy + Into<i64>>(&self, values: &[T]) -> BooleanBuffer {
        match &self.shape {
            Shape::Empty => BooleanBuffer::new_unset(values.len()),
            Shape::Few(few) if self.sorted.len() == 1 => bits(values, |v| v.into() == few[0]),
            Shape::Few(few) if self.sorted.len() <= FEW / 2 => {
                let half = [few[0], few[1], few[2], few[3]];
                bits(values, |v| any_of(half, v.into()))
            }
            Shape::Few(few) => bits(values, |v| any_of(*few, v.into())),
            // Smaller ones wrap around, to places far behind the last.
            Shape::Bitmap { first, words } => bits(values, |v| {
                let place = v.into().wrapping_sub(*first) as u64;
                words.get((place / 64) as usize).is_some_and(|word| word >> (place % 64) & 1 == 1)
            }),
            Shape::Table(table) => bits(values, |v| table.holds(v.into())),
        }
    }
}

/// Without a branch.
fn any_of<const N: usize>(members: [i64; N], value: i64) -> bool {
    members.iter().fold(false, |found, member| found | (*member == value))
}

impl Shape {
    fn bitmap(first: i64, last: i64, members: &[i64]) -> Self {
        let mut words = vec![0u64; (last.abs_diff(first) / 64 + 1) as usize];
        for member in members {
            let place = member.abs_diff(first);
            if let Some(word) = words.get_mut((place / 64) as usize) {
                *word |= 1 << (place % 64);
            }
        }
        Self::Bitmap { first, words }
    }
}

impl Table {
    fn new(members: &[i64]) -> Self {
        let size = (members.len() * 4).next_power_of_two();
        // Among one number more than there are members, one is no member.
        let empty = (i64::MIN..).zip(members).find(|(number, member)| number != *member);
        let empty = empty.map_or(i64::MIN + members.len() as i64, |(number, _)| number);
        let mut table = Self {
            slots: vec![empty; size],
            empty,
            factor: rand::random::<u64>() | 1,
            shift: 64 - size.trailing_zeros(),
        };
        for &member in members {
            let mut slot = table.slot(member);
            while table.slots[slot] != empty {
                slot = (slot + 1) % size;
            }
            table.slots[slot] = member;
        }
        table
    }

    fn slot(&self, value: i64) -> usize {
        ((value as u64).wrapping_mul(self.factor) >> self.shift) as usize
    }

    #[inline]
    fn holds(&self, value: i64) -> bool {
        let mut slot = self.slot(value);
        loop {
            let found = self.slots[slot];
            if found == self.empty {
                return false;
            }
            if found == value {
                return true;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agrees(members: &[i64], values: &[i64]) -> bool {
        let set = IntegerSet::new(members.to_vec());
        let bits = set.test(values);
        values.iter().zip(&bits).all(|(value, bit)| members.contains(value) == bit)
    }

    #[test]
    fn ends_of_the_range() {
        let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
        assert!(agrees(&[], &ends));
        assert!(agrees(&[i64::MIN], &ends));
        assert!(agrees(&[i64::MIN, i64::MAX], &ends));
        let many: Vec<i64> = (0..20).map(|i| i64::MIN + i).chain([i64::MAX]).collect();
        assert!(agrees(&many, &ends));
        assert!(agrees(&many, &[i64::MIN + 19, i64::MIN + 20]));
        let high: Vec<i64> = (0..20).map(|i| i64::MAX - i).collect();
        assert!(agrees(&high, &ends));
    }

    proptest! {
        #[test]
        fn agrees_with_a_search(close in prop::collection::vec(-40..40i64, 0..30), far in prop::collection::vec(any::<i64>(), 0..20), others in prop::collection::vec(any::<i64>(), 0..90)) {
            let members = [close.as_slice(), far.as_slice()].concat();
            let values = [members.as_slice(), others.as_slice(), &[-41, 0, 41]].concat();
            prop_assert!(agrees(&close, &values));
            prop_assert!(agrees(&members, &values));
        }
    }
}
