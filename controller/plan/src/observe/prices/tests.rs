use heyun_crds::PriceBook;
use heyun_crds::price_book::{Price, PriceBookSpec};
use proptest::prelude::*;

use super::{Prices, read};

fn book(member: Option<&str>, provider: Option<&str>, prices: &[(&str, &str, &str)]) -> PriceBook {
    let prices = prices.iter().map(|(resource, price, from)| Price {
        flavor: "general".into(),
        resource: (*resource).into(),
        price: (*price).into(),
        from: (*from).into(),
    });
    let spec = PriceBookSpec {
        member: member.map(str::to_owned),
        provider: provider.map(str::to_owned),
        prices: prices.collect(),
    };
    PriceBook::new("book", spec)
}

fn second(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[test]
fn the_most_specific_book_counts_for_each_resource_alone() {
    let day = "2026-01-01";
    let books = [
        book(None, None, &[("cpu", "0.1", day), ("memory", "0.02", day)]),
        book(None, Some("huawei"), &[("cpu", "0.2", day)]),
        book(
            Some("gz-1"),
            None,
            &[("memory", "0.05", day), ("cpu", "9", "2100-01-01")],
        ),
    ];
    let prices = Prices::of(&books.iter().collect::<Vec<_>>());
    let at = |member: &str, provider: &str| {
        let found = prices.at(member, provider, second("2026-06-01T00:00:00Z"));
        let of = found.get("general").unwrap();
        (of.get("cpu").copied(), of.get("memory").copied())
    };
    assert_eq!(at("a", "alibaba"), (Some(100_000), Some(20_000)));
    assert_eq!(at("b", "huawei"), (Some(200_000), Some(20_000)));
    // Its own price of cpu is still to come.
    assert_eq!(at("gz-1", "huawei"), (Some(200_000), Some(50_000)));
}

#[test]
fn a_price_counts_from_the_first_second_of_its_day_in_china() {
    let books = [book(
        None,
        None,
        &[("cpu", "1", "2026-01-01"), ("cpu", "2", "2027-01-01")],
    )];
    let prices = Prices::of(&books.iter().collect::<Vec<_>>());
    let begins = second("2026-12-31T16:00:00Z");
    let at = |now| {
        let found = prices.at("a", "", now);
        found.get("general").and_then(|of| of.get("cpu").copied())
    };
    let first = second("2025-12-31T16:00:00Z");
    assert_eq!(at(first - 1), None);
    assert_eq!(
        (at(first), at(begins - 1)),
        (Some(1_000_000), Some(1_000_000))
    );
    assert_eq!(at(begins), Some(2_000_000));
    assert_eq!(prices.unchanged_since(first - 1), None);
    assert_eq!(prices.unchanged_since(begins - 1), Some(first));
    assert_eq!(prices.unchanged_since(begins + 9), Some(begins));
}

#[test]
fn what_cannot_be_read_is_no_price() {
    for text in [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "1.2345678",
        "1e3",
        "0x1",
        "１",
        "1 ",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    let books = [book(
        None,
        None,
        &[("cpu", "dear", "2026-01-01"), ("memory", "1", "2026-02-30")],
    )];
    let prices = Prices::of(&books.iter().collect::<Vec<_>>());
    assert_eq!(prices, Prices::default());
}

proptest! {
    /// Decimals are read exactly, however many of their places are written.
    #[test]
    fn decimals_are_exact(millionths in 0_i64..999_999_999_999_999, zeros in any::<bool>()) {
        let (whole, places) = (millionths / 1_000_000, millionths % 1_000_000);
        let mut text = format!("{whole}.{places:06}");
        if !zeros {
            let short = text.trim_end_matches('0').trim_end_matches('.').to_owned();
            text = short;
        }
        prop_assert_eq!(read(&text), Some(millionths));
    }

    /// Between two moments between which no price is said to begin, none does.
    #[test]
    fn nothing_changes_while_it_says_so(
        days in prop::collection::vec((1_u8..29, 0_u8..3, 0_u8..2), 0..8),
        moments in (0_i64..30 * 86_400, 0_i64..30 * 86_400),
    ) {
        let books: Vec<PriceBook> = days.iter().enumerate().map(|(index, (day, scope, resource))| {
            let (day, price) = (format!("2026-01-{day:02}"), index.to_string());
            let resource = ["cpu", "memory"][usize::from(*resource)];
            let (member, provider) = [(None, None), (None, Some("p")), (Some("m"), None)][usize::from(*scope)];
            book(member, provider, &[(resource, &price, &day)])
        }).collect();
        let prices = Prices::of(&books.iter().collect::<Vec<_>>());
        let start = second("2026-01-01T00:00:00Z");
        let (one, two) = (start + moments.0, start + moments.1);
        if prices.unchanged_since(one) == prices.unchanged_since(two) {
            prop_assert_eq!(prices.at("m", "p", one), prices.at("m", "p", two));
        }
    }
}
