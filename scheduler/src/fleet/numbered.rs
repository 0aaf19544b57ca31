//! Values with numbers.

use std::collections::BTreeMap;

/// Values, each with a number, in the order in which they came.
pub(crate) struct Numbered<T> {
    numbers: BTreeMap<T, usize>,
    values: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            numbers: BTreeMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T: Ord + Clone> Numbered<T> {
    /// The number of a value, a new one if it was never asked for.
    pub(super) fn number(&mut self, value: &T) -> usize {
        if let Some(known) = self.numbers.get(value) {
            return *known;
        }
        let next = self.values.len();
        self.numbers.insert(value.clone(), next);
        self.values.push(value.clone());
        next
    }

    /// The value of a number.
    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.values.get(number)
    }

    /// All of them by number.
    pub(crate) fn all(&self) -> &[T] {
        &self.values
    }
}
