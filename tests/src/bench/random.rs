//! Numbers that look random and are the same for the same seed, on every machine.

/// The generator splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
/// 2014): a counter that grows by a fixed odd number, and is mixed by shifts and products for each
/// answer. A few lines give the same for a seed for all time, which no library promises. Good enough
/// to make test data, not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Numbers of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0, below `end`; 0 if that is 0.
    fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.draw()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// An index of a list of this length.
    pub(super) fn index(&mut self, length: usize) -> usize {
        let end = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or(0)
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.index(high - low + 1)
    }

    /// From `low` to `high`, both included.
    pub(super) fn range(&mut self, low: i64, high: i64) -> i64 {
        let end = u64::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.below(end)).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: i64) -> bool {
        self.range(0, 99) < percent
    }

    /// One of a list that is not empty.
    pub(super) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())]
    }
}

/// Deals `total` in proportion to the weights; the shares make exactly `total`.
pub(super) fn deal(total: usize, weights: &[usize]) -> Vec<usize> {
    let all = weights.iter().sum::<usize>().max(1);
    let (mut weight, mut dealt) = (0, 0);
    let mut shares = Vec::with_capacity(weights.len());
    for own in weights {
        weight += own;
        let until = total * weight / all;
        shares.push(until - dealt);
        dealt = until;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let drawn = [random.draw(), random.draw(), random.draw()];
        let known = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(drawn, known);
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut random = Random::new(1);
        for _ in 0..1000 {
            assert!((-2..=3).contains(&random.range(-2, 3)));
            assert!((4..=5).contains(&random.between(4, 5)));
            assert!(random.index(3) < 3);
            assert!(random.percent(100) && !random.percent(0));
        }
    }

    #[test]
    fn everything_is_dealt() {
        assert_eq!(deal(10, &[1, 0, 2]), [3, 0, 7]);
        assert_eq!(deal(333, &[7; 27]).iter().sum::<usize>(), 333);
    }
}
