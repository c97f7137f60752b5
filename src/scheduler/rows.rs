//! Rows of different lengths in one piece of memory. Peers are shared anew at every entry that brings
//! or takes one, among hundreds of posts: a list for each of them would cost more than the answer.

use std::ops::{Index, IndexMut};

/// Rows of values, each a slice, by their index.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rows<T> {
    values: Vec<T>,
    /// Where each row ends, and the next one begins.
    ends: Vec<usize>,
}

impl<T> Rows<T> {
    /// No rows, with room for so many.
    pub(super) fn with_capacity(rows: usize) -> Self {
        Rows {
            values: Vec::with_capacity(rows),
            ends: Vec::with_capacity(rows),
        }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.values.extend(row);
        self.ends.push(self.values.len());
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Every row, by index.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[T]> + Clone {
        (0..self.len()).map(|row| &self[row])
    }

    /// Rows of the same lengths, of nothing but one value.
    pub(super) fn filled<U: Clone>(&self, value: U) -> Rows<U> {
        Rows {
            values: vec![value; self.values.len()],
            ends: self.ends.clone(),
        }
    }

    fn start(&self, row: usize) -> usize {
        match row.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        }
    }
}

impl<T: Copy + Default> Rows<T> {
    /// So many rows, of the values that come with their indices, each row in the order in which
    /// they come.
    pub(super) fn grouped(rows: usize, items: impl Iterator<Item = (usize, T)> + Clone) -> Self {
        let mut ends = vec![0; rows];
        items.clone().for_each(|(row, _)| ends[row] += 1);
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        // From here on, where the next value of each row goes, which in the end is where it ends.
        let mut values = vec![T::default(); start];
        for (row, value) in items {
            values[ends[row]] = value;
            ends[row] += 1;
        }
        Rows { values, ends }
    }
}

impl<T> Index<usize> for Rows<T> {
    type Output = [T];

    fn index(&self, row: usize) -> &[T] {
        &self.values[self.start(row)..self.ends[row]]
    }
}

impl<T> IndexMut<usize> for Rows<T> {
    fn index_mut(&mut self, row: usize) -> &mut [T] {
        let start = self.start(row);
        &mut self.values[start..self.ends[row]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_and_may_be_empty() {
        let mut rows = Rows::with_capacity(3);
        rows.push([1, 2]);
        rows.push([]);
        rows.push([3]);
        rows[2][0] += 1;
        assert_eq!(rows.iter().collect::<Vec<_>>(), [&[1, 2][..], &[], &[4]]);
        let filled = rows.filled('x');
        let expected = [&['x', 'x'][..], &[], &['x']];
        assert_eq!(filled.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn values_are_grouped_in_the_order_in_which_they_come() {
        let items = [(2, 'a'), (0, 'b'), (2, 'c'), (2, 'd')];
        let rows = Rows::grouped(4, items.into_iter());
        let expected = [&['b'][..], &[], &['a', 'c', 'd'], &[]];
        assert_eq!(rows.iter().collect::<Vec<_>>(), expected);
        assert_eq!(rows.len(), 4);
    }
}
