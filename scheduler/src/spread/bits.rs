//! Sets of sums, one bit for each.

/// Whole numbers from 0 to a bound.
#[derive(Clone, Debug)]
pub(super) struct Bits {
    words: Vec<u64>,
    most: i64,
}

/// How many numbers a word holds.
const WORD: i64 = 64;

impl Bits {
    /// No number; the largest possible is `most`.
    pub(super) fn new(most: i64) -> Self {
        let words = most.max(0).checked_div(WORD).unwrap_or(0).saturating_add(1);
        Self {
            words: vec![0; usize::try_from(words).unwrap_or(0)],
            most,
        }
    }

    /// The number 0 alone.
    pub(super) fn zero(most: i64) -> Self {
        let mut bits = Self::new(most);
        bits.set(0);
        bits
    }

    /// No number, with the same bound.
    pub(super) fn empty(&self) -> Self {
        Self::new(self.most)
    }

    /// How many words it takes.
    pub(super) fn words(&self) -> u64 {
        u64::try_from(self.words.len()).unwrap_or(u64::MAX)
    }

    /// Adds a number.
    pub(super) fn set(&mut self, number: i64) {
        let (word, bit) = place(number);
        if number <= self.most
            && let Some(word) = self.words.get_mut(word)
        {
            *word |= 1 << bit;
        }
    }

    /// Whether it holds a number.
    pub(super) fn has(&self, number: i64) -> bool {
        let (word, bit) = place(number);
        let inside = (0..=self.most).contains(&number);
        inside && self.words.get(word).is_some_and(|of| of >> bit & 1 == 1)
    }

    /// Words that [`Bits::add`] touches.
    pub(super) fn cost(&self, span: (i64, i64)) -> u64 {
        let length = span.1.saturating_sub(span.0).max(0).saturating_add(1);
        let doublings = u64::from(length.unsigned_abs().ilog2());
        self.words().saturating_mul(doublings.saturating_add(2))
    }

    /// Adds every sum of a number of `from` and one of a span.
    pub(super) fn add(&mut self, from: &Self, span: (i64, i64)) {
        let (low, high) = (span.0.max(0), span.1.min(self.most));
        if low > high || from.words.iter().all(|word| *word == 0) {
            return;
        }
        let wanted = high.saturating_sub(low).saturating_add(1);
        let mut run = from.clone();
        let mut length = 1_i64;
        while length < wanted {
            let step = length.min(wanted.saturating_sub(length));
            run.widen(step);
            length = length.saturating_add(step);
        }
        let (words, bits) = place(low);
        for index in (words..self.words.len()).rev() {
            let moved = shifted(&run.words, index, words, bits);
            if let Some(word) = self.words.get_mut(index) {
                *word |= moved;
            }
        }
    }

    /// Adds every number that is larger by `step`.
    fn widen(&mut self, step: i64) {
        let (words, bits) = place(step);
        // From above, so that what is read is as it was.
        for index in (words..self.words.len()).rev() {
            let moved = shifted(&self.words, index, words, bits);
            if let Some(word) = self.words.get_mut(index) {
                *word |= moved;
            }
        }
    }

    /// The numbers above 0, as ascending spans.
    pub(super) fn spans(&self) -> Vec<(i64, i64)> {
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for number in (1..=self.most).filter(|number| self.has(*number)) {
            match spans.last_mut() {
                Some(last) if last.1.saturating_add(1) == number => last.1 = number,
                _ => spans.push((number, number)),
            }
        }
        spans
    }
}

fn place(number: i64) -> (usize, u32) {
    let number = number.max(0);
    let word = number.checked_div(WORD).unwrap_or(0);
    let bit = number.checked_rem(WORD).unwrap_or(0);
    (
        usize::try_from(word).unwrap_or(usize::MAX),
        u32::try_from(bit).unwrap_or(0),
    )
}

/// The word at `index` of numbers that are moved up by so many words and bits.
fn shifted(from: &[u64], index: usize, words: usize, bits: u32) -> u64 {
    let at = |back: usize| {
        let index = index.checked_sub(back);
        index.and_then(|index| from.get(index)).copied()
    };
    let low = at(words).unwrap_or(0);
    if bits == 0 {
        return low;
    }
    let carried = at(words.saturating_add(1)).unwrap_or(0);
    low << bits | carried >> 64_u32.saturating_sub(bits)
}
