//! The keys of one kind as its watch lists them.

use std::collections::BTreeSet;

/// What the lists of one kind have shown, and which of its objects are there and cannot be read, by
/// a hub that is older than they are. An object that is not understood is not one that is gone.
#[derive(Debug)]
pub struct Listing<T> {
    unread: BTreeSet<T>,
    /// What was known when the list under way began, and it has not shown again.
    rest: Option<BTreeSet<T>>,
    listed: bool,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self {
            unread: BTreeSet::new(),
            rest: None,
            listed: false,
        }
    }
}

/// A list that is complete.
#[derive(Debug)]
pub struct Completed<T> {
    /// What it did not show: these objects are gone, those that could not be read too.
    pub gone: BTreeSet<T>,
    /// Whether it was the first.
    pub first: bool,
}

impl<T: Ord + Clone> Listing<T> {
    /// A list begins, with these objects held.
    pub fn begin<'a>(&mut self, held: impl Iterator<Item = &'a T>)
    where
        T: 'a,
    {
        self.rest = Some(held.cloned().chain(self.unread.iter().cloned()).collect());
    }

    /// An object was read, or is gone; whether it was one that could not be read.
    pub fn saw(&mut self, key: &T) -> bool {
        if let Some(rest) = &mut self.rest {
            rest.remove(key);
        }
        self.unread.remove(key)
    }

    /// An object is there and cannot be read; whether that is new.
    pub fn cannot_read(&mut self, key: T) -> bool {
        if let Some(rest) = &mut self.rest {
            rest.remove(&key);
        }
        self.unread.insert(key)
    }

    /// The list is complete. What is gone is still to be told with [`Self::saw`].
    pub fn complete(&mut self) -> Completed<T> {
        Completed {
            gone: self.rest.take().unwrap_or_default(),
            first: !std::mem::replace(&mut self.listed, true),
        }
    }

    /// Objects that are there and cannot be read.
    pub fn unread(&self) -> &BTreeSet<T> {
        &self.unread
    }

    /// Whether the first list is complete.
    pub fn is_listed(&self) -> bool {
        self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_does_not_show_is_gone_read_or_not() {
        let mut list = Listing::default();
        assert!(list.cannot_read("unread") && !list.cannot_read("unread"));
        assert!(!list.is_listed());
        list.begin(["held", "lost", "odd"].iter());
        assert!(!list.saw(&"held"));
        assert!(list.cannot_read("odd"));
        let done = list.complete();
        assert_eq!(done.gone, BTreeSet::from(["lost", "unread"]));
        assert!(done.first && list.is_listed());
        assert!(list.saw(&"unread") && !list.saw(&"lost"));
        assert_eq!(list.unread(), &BTreeSet::from(["odd"]));

        list.begin(["held"].iter());
        assert!(list.saw(&"odd"), "it is read at last");
        let done = list.complete();
        assert_eq!(done.gone, BTreeSet::from(["held"]));
        assert!(!done.first);
    }
}
