//! Prices: from the platform's books to what a member costs at one moment.

use std::collections::BTreeMap;

use heyun_crds::PriceBook;

/// Seconds by which a day begins earlier in China than in UTC.
const CHINA: i64 = 8 * 3600;
/// Decimal places of a price that count.
const PLACES: usize = 6;

/// Price per resource, by flavor, as [`heyun_scheduler::snapshot::Member::prices`] has it.
pub type OfMember = BTreeMap<String, BTreeMap<String, i64>>;

/// By flavor and resource: from which second on what price counts, in millionths.
type Book = BTreeMap<(String, String), BTreeMap<i64, i64>>;

/// All price books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    general: Book,
    of_provider: BTreeMap<String, Book>,
    of_member: BTreeMap<String, Book>,
}

impl Prices {
    /// The prices of these books. What cannot be read, which admission refuses, is no price.
    pub fn of(books: &[&PriceBook]) -> Self {
        let mut prices = Self::default();
        for book in books {
            let spec = &book.spec;
            let into = match (&spec.member, &spec.provider) {
                (Some(member), _) => prices.of_member.entry(member.clone()).or_default(),
                (None, Some(provider)) => prices.of_provider.entry(provider.clone()).or_default(),
                (None, None) => &mut prices.general,
            };
            for price in &spec.prices {
                if let (Some(from), Some(amount)) = (first_second(&price.from), read(&price.price))
                {
                    let key = (price.flavor.clone(), price.resource.clone());
                    into.entry(key).or_default().insert(from, amount);
                }
            }
        }
        prices
    }

    /// What a member costs: of each flavor and resource the latest price that has begun, of its own
    /// book, else of its provider's, else of the general one.
    pub fn at(&self, member: &str, provider: &str, now: i64) -> OfMember {
        let books = [
            Some(&self.general),
            self.of_provider.get(provider),
            self.of_member.get(member),
        ];
        let mut found = OfMember::new();
        for ((flavor, resource), from) in books.into_iter().flatten().flatten() {
            if let Some((_, price)) = from.range(..=now).next_back() {
                let of_flavor = found.entry(flavor.clone()).or_default();
                of_flavor.insert(resource.clone(), *price);
            }
        }
        found
    }

    /// Since when no price has changed by the time alone, in seconds since 1970; `None`: none has
    /// begun yet.
    pub fn unchanged_since(&self, now: i64) -> Option<i64> {
        let books = self.of_member.values().chain(self.of_provider.values());
        let begun = books.chain([&self.general]).flatten();
        let begun = begun.filter_map(|(_, from)| from.range(..=now).next_back());
        begun.map(|(from, _)| *from).max()
    }
}

/// The first second of a day in China.
fn first_second(day: &str) -> Option<i64> {
    let day: jiff::civil::Date = day.parse().ok()?;
    let midnight = day.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    midnight.timestamp().as_second().checked_sub(CHINA)
}

/// A decimal in millionths, exactly; `None` where it is none, or has places beyond them.
fn read(price: &str) -> Option<i64> {
    let (whole, places) = price.split_once('.').unwrap_or((price, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(places) || places.len() > PLACES {
        return None;
    }
    format!("{whole}{places:0<PLACES$}").parse().ok()
}

#[cfg(test)]
mod tests;
