//! Values with numbers, found again by what they are or by what they are alike to.

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

/// Values that are found again by what they are alike to, which need not be copied for it.
pub(super) struct Alike<T> {
    /// Those of each fingerprint: equal for what is alike, and seldom for what is not.
    numbers: BTreeMap<u64, Vec<usize>>,
    values: Vec<T>,
}

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Self {
            numbers: BTreeMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T> Alike<T> {
    /// The number of the value that is alike, one that is made if there is none.
    pub(super) fn number(
        &mut self,
        fingerprint: u64,
        is_alike: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> usize {
        let numbers = self.numbers.entry(fingerprint).or_default();
        let known = numbers.iter().copied();
        let alike = |number: &usize| self.values.get(*number).is_some_and(&is_alike);
        if let Some(number) = known.into_iter().find(alike) {
            return number;
        }
        let next = self.values.len();
        numbers.push(next);
        self.values.push(make());
        next
    }

    /// The value of a number.
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.values.get(number)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.values.get_mut(number)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}
