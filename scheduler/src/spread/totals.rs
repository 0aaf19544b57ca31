//! The totals that a part of the fleet can take, as spans of whole numbers.
//!
//! Parts that start at one number and have no gaps are summed by sorting. Others (a least number
//! above 1, no skew allowed, a fixed number of groups) are counted in tables of bits.

use super::bits::Bits;

/// Whole numbers from the first to the last; none when the last is smaller.
pub(super) type Span = (i64, i64);

/// The most steps, of 64 cells each, that the tables of one division may take. Above it, of each
/// part only the widest span without gaps is looked at: what is found then is still right, and a
/// division that exists can be missed.
pub(super) const WORK: u64 = 1 << 25;

/// What a constraint asks of the groups of one scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The fewest groups in use.
    pub(super) least: i64,
    /// The most groups in use.
    pub(super) most: Option<i64>,
    /// The most by which two in use may differ.
    pub(super) skew: Option<i64>,
}

impl Limits {
    /// Nothing.
    pub(super) const NONE: Self = Self {
        least: 1,
        most: None,
        skew: None,
    };

    /// The fewest groups that `total` replicas must use: no more than there are replicas.
    pub(super) fn least_groups(self, total: i64) -> i64 {
        self.least.min(total).max(1)
    }

    fn any(self) -> bool {
        self.least <= 1 && self.most.is_none() && self.skew.is_none()
    }
}

/// The totals above 0 that something can take.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    whole: Span,
    /// Ascending spans with gaps between them; empty: there are no gaps.
    parts: Vec<Span>,
}

impl Default for Totals {
    fn default() -> Self {
        Self::span((1, 0))
    }
}

impl Totals {
    /// One span without gaps.
    pub(super) fn span(span: Span) -> Self {
        Self {
            whole: span,
            parts: Vec::new(),
        }
    }

    fn of(spans: Vec<Span>) -> Self {
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return Self::default();
        };
        let whole = (first.0, last.1);
        let parts = if spans.len() > 1 { spans } else { Vec::new() };
        Self { whole, parts }
    }

    /// Ascending spans.
    pub(super) fn spans(&self) -> &[Span] {
        if self.parts.is_empty() {
            std::slice::from_ref(&self.whole)
        } else {
            &self.parts
        }
    }

    /// The smallest and the largest.
    pub(super) fn ends(&self) -> Span {
        self.whole
    }

    /// Whether some numbers between the ends are none of them.
    pub(super) fn gaps(&self) -> bool {
        !self.parts.is_empty()
    }
}

/// Whether spans all start at one number.
pub(super) fn level(spans: &[Span]) -> bool {
    let first = spans.first().map(|span| span.0);
    spans.iter().all(|span| Some(span.0) == first)
}

/// The totals, up to `cap`, of parts that take nothing or something of their span. All spans start
/// at one number. Exact but for a skew of 0, where the parts stand at their least.
///
/// Of a given number of parts, those with most room can take every total that any can: from all at
/// their least, one replica after the other, to all as high as the skew lets them.
pub(super) fn of_level(spans: &mut [Span], limits: Limits, cap: i64) -> Totals {
    spans.sort_unstable_by_key(|span| std::cmp::Reverse(span.1));
    let lo = spans.first().map_or(1, |span| span.0);
    let mut found: Vec<Span> = Vec::new();
    let mut sum = 0_i64;
    // The parts, and their room, that reach above what the skew allows: ever more of them.
    let (mut cut, mut above) = (0_usize, 0_i64);
    for (before, span) in spans.iter().enumerate() {
        let number = i64::try_from(before).unwrap_or(i64::MAX).saturating_add(1);
        let least = number.saturating_mul(lo);
        if least > cap || limits.most.is_some_and(|most| number > most) {
            break;
        }
        sum = sum.saturating_add(span.1);
        let mut top = sum;
        if let Some(skew) = limits.skew {
            let lid = span.1.saturating_add(skew);
            while let Some(high) = spans.get(cut).filter(|high| high.1 > lid) {
                above = above.saturating_add(high.1);
                cut = cut.saturating_add(1);
            }
            let lids = lid.saturating_mul(i64::try_from(cut).unwrap_or(i64::MAX));
            top = sum.saturating_sub(above).saturating_add(lids);
            if skew == 0 {
                top = least;
            }
        }
        if number >= limits.least {
            join(&mut found, (least, top.min(cap)));
        } else if lo == 1 {
            // So few replicas need so few groups.
            join(&mut found, (number, number));
        }
    }
    Totals::of(found)
}

/// Adds a span that starts no lower than the last one.
fn join(spans: &mut Vec<Span>, next: Span) {
    match spans.last_mut() {
        Some(last) if next.0 <= last.1.saturating_add(1) => last.1 = last.1.max(next.1),
        _ => spans.push(next),
    }
}

/// The totals, up to `cap`, of parts whatever their spans. `None` when that takes more work than
/// is left.
pub(super) fn of_any(
    parts: &[Vec<Span>],
    limits: Limits,
    cap: i64,
    work: &mut u64,
) -> Option<Totals> {
    let mut all = Bits::new(cap);
    if limits.any() {
        let mut sums = Bits::zero(cap);
        for part in parts {
            let before = sums.clone();
            for span in part {
                spend(work, before.cost(*span))?;
                sums.add(&before, *span);
            }
        }
        return Some(Totals::of(sums.spans()));
    }
    for window in windows(parts, limits, cap) {
        let mut rows = vec![Bits::zero(cap)];
        for part in parts {
            rows = next(rows, part, window, limits, work)?;
        }
        for (number, row) in rows.iter().enumerate().skip(1) {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            if number >= limits.least {
                spend(work, row.words())?;
                all.add(row, (0, 0));
            } else if row.has(number) {
                all.set(number);
            }
        }
    }
    Some(Totals::of(all.spans()))
}

/// The spans of height in which all parts in use can stand, one for each height of the lowest.
fn windows(parts: &[Vec<Span>], limits: Limits, cap: i64) -> impl Iterator<Item = Span> {
    let skew = limits.skew.filter(|skew| *skew < cap);
    let mut floors: Vec<Span> = match skew {
        None => vec![(1, 1)],
        Some(_) => parts.iter().flatten().copied().collect(),
    };
    floors.sort_unstable();
    let mut next = 1_i64;
    floors
        .into_iter()
        .flat_map(move |(low, high)| {
            let from = low.max(next);
            next = next.max(high.saturating_add(1));
            from..=high.min(cap)
        })
        .map(move |floor| (floor, skew.map_or(cap, |skew| floor.saturating_add(skew))))
}

/// The sums with one more part, by how many parts are in use.
pub(super) fn next(
    mut rows: Vec<Bits>,
    part: &[Span],
    window: Span,
    limits: Limits,
    work: &mut u64,
) -> Option<Vec<Bits>> {
    let inside: Vec<Span> = part
        .iter()
        .map(|span| (span.0.max(window.0), span.1.min(window.1)))
        .filter(|span| span.0 <= span.1)
        .collect();
    if inside.is_empty() {
        return Some(rows);
    }
    let most = limits
        .most
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX);
    if rows.len() <= most
        && let Some(last) = rows.last()
    {
        let more = last.empty();
        rows.push(more);
    }
    for number in (1..rows.len()).rev() {
        let (before, after) = rows.split_at_mut(number);
        if let (Some(before), Some(row)) = (before.last(), after.first_mut()) {
            for span in &inside {
                spend(work, before.cost(*span))?;
                row.add(before, *span);
            }
        }
    }
    Some(rows)
}

/// Takes from the work that is left. `None` when there is not enough.
fn spend(work: &mut u64, cost: u64) -> Option<()> {
    *work = work.checked_sub(cost)?;
    Some(())
}

/// Of each part the widest span, cut so that all start at one number; nothing where that is above
/// the span.
pub(super) fn widest(parts: &[Vec<Span>]) -> Vec<Span> {
    let width = |span: &Span| span.1.saturating_sub(span.0);
    let widest: Vec<Span> = parts
        .iter()
        .map(|part| part.iter().max_by_key(|span| width(span)))
        .map(|span| span.copied().unwrap_or((1, 0)))
        .collect();
    let usable = widest.iter().filter(|span| span.0 <= span.1);
    let start = usable.map(|span| span.0).max().unwrap_or(1);
    widest.iter().map(|span| (start, span.1)).collect()
}
