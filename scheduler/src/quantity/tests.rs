use proptest::prelude::*;

use super::*;

fn printed(text: &str) -> String {
    canonical(&Quantity::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

/// What is written, what Kubernetes prints for it, units rounded up, thousandths rounded up.
const CASES: &[(&str, &str, i64, i64)] = &[
    // Zero in any dress.
    ("0", "0", 0, 0),
    ("0.0", "0", 0, 0),
    ("-0", "0", 0, 0),
    ("0Ki", "0", 0, 0),
    ("0e5", "0", 0, 0),
    // Every decimal suffix.
    ("1n", "1n", 1, 1),
    ("1u", "1u", 1, 1),
    ("1m", "1m", 1, 1),
    ("1", "1", 1, 1_000),
    ("1k", "1k", 1_000, 1_000_000),
    ("1M", "1M", 1_000_000, 1_000_000_000),
    ("1G", "1G", 1_000_000_000, 1_000_000_000_000),
    ("1T", "1T", 1_000_000_000_000, 1_000_000_000_000_000),
    ("1P", "1P", 1_000_000_000_000_000, 1_000_000_000_000_000_000),
    // Every binary suffix.
    ("1Ki", "1Ki", 1 << 10, 1_000 << 10),
    ("1Mi", "1Mi", 1 << 20, 1_000 << 20),
    ("1Gi", "1Gi", 1 << 30, 1_000 << 30),
    ("1Ti", "1Ti", 1 << 40, 1_000 << 40),
    ("1Pi", "1Pi", 1 << 50, 1_000 << 50),
    // Fractions, in either family.
    ("0.5", "500m", 1, 500),
    (".5", "500m", 1, 500),
    ("5.", "5.", 5, 5_000),
    ("1.5", "1500m", 2, 1_500),
    ("100.035k", "100.035k", 100_035, 100_035_000),
    ("1.5Gi", "1536Mi", 3 << 29, 1_000 * (3 << 29)),
    ("0.1Ki", "102400m", 103, 102_400),
    ("0.0005Ki", "512m", 1, 512),
    ("0.3Mi", "314572800m", 314_573, 314_572_800),
    ("1.Gi", "1.Gi", 1 << 30, 1_000 << 30),
    // Finer than nano is rounded away from zero.
    ("0.1n", "1n", 1, 1),
    ("1.1n", "2n", 1, 1),
    ("0.0000000001", "1n", 1, 1),
    ("1.0000000001", "1000000001n", 2, 1_001),
    ("1e-20", "1e-9", 1, 1),
    ("-0.1n", "-1n", -1, -1),
    ("0.00000000000000000001Ki", "1n", 1, 1),
    // Exponents, and E that is none.
    ("1e3", "1e3", 1_000, 1_000_000),
    ("1E3", "1E3", 1_000, 1_000_000),
    ("12e+4", "120e3", 120_000, 120_000_000),
    ("1e-3", "1e-3", 1, 1),
    ("1.5e-1", "150e-3", 1, 150),
    ("1e4", "10e3", 10_000, 10_000_000),
    ("4.2e0", "4200e-3", 5, 4_200),
    // The suffix grows as far as nothing is lost.
    ("1000", "1k", 1_000, 1_000_000),
    ("1000m", "1", 1, 1_000),
    ("1500m", "1500m", 2, 1_500),
    ("1000000k", "1G", 1_000_000_000, 1_000_000_000_000),
    ("1024Ki", "1Mi", 1 << 20, 1_000 << 20),
    ("1536Ki", "1536Ki", 3 << 19, 1_000 * (3 << 19)),
    ("1024", "1024", 1_024, 1_024_000),
    ("0.9765625Mi", "1000Ki", 1_024_000, 1_024_000_000),
    ("976.5625Ki", "1000000", 1_000_000, 1_000_000_000),
    // Kept as written, since Kubernetes takes it for canonical.
    ("1.500", "1.500", 2, 1_500),
    ("+1", "+1", 1, 1_000),
    ("01", "01", 1, 1_000),
    ("+3Ki", "+3Ki", 3_072, 3_072_000),
    (
        "+12345678901Ki",
        "+12345678901Ki",
        12_345_678_901 << 10,
        12_345_678_901_000 << 10,
    ),
    (
        "+12345679Mi",
        "+12345679Mi",
        12_345_679 << 20,
        12_345_679_000 << 20,
    ),
    ("+12345Gi", "+12345Gi", 12_345 << 30, 12_345_000 << 30),
    ("+13Ti", "+13Ti", 13 << 40, 13_000 << 40),
    (
        "+123456789012345678n",
        "+123456789012345678n",
        123_456_790,
        123_456_789_013,
    ),
    // Not kept: more digits, finer, or a multiple of what the suffix could take.
    (
        "+123456789013Ki",
        "123456789013Ki",
        123_456_789_013 << 10,
        123_456_789_013_000 << 10,
    ),
    (
        "+123456789Mi",
        "123456789Mi",
        123_456_789 << 20,
        123_456_789_000 << 20,
    ),
    ("+123457Gi", "123457Gi", 123_457 << 30, 123_457_000 << 30),
    ("+123Ti", "123Ti", 123 << 40, 123_000 << 40),
    ("+1Pi", "1Pi", 1 << 50, 1_000 << 50),
    (
        "+1234567890123456789n",
        "1234567890123456789n",
        1_234_567_891,
        1_234_567_890_124,
    ),
    ("1.123456789012", "1123456790n", 2, 1_124),
    ("+8Ki", "8Ki", 8_192, 8_192_000),
    ("+1.10", "1100m", 2, 1_100),
    ("+0.5", "500m", 1, 500),
    ("+1000", "1k", 1_000, 1_000_000),
    ("+10.00", "10", 10, 10_000),
    ("+1.000", "1", 1, 1_000),
    // Negative ones.
    ("-1", "-1", -1, -1_000),
    ("-1.5", "-1500m", -2, -1_500),
    ("-1024Ki", "-1Mi", -(1 << 20), -(1_000 << 20)),
    // Numbers that are missing where Kubernetes does not miss them.
    ("+", "0", 0, 0),
    (".", "0", 0, 0),
    ("m", "0", 0, 0),
    ("Ki", "0", 0, 0),
    ("e-9", "0", 0, 0),
];

#[test]
fn quantities_are_what_kubernetes_makes_of_them() {
    for (text, prints, units, milli) in CASES {
        let quantity = Quantity::parse(text).unwrap();
        assert_eq!(canonical(&quantity), *prints, "print of {text}");
        assert_eq!(quantity.units_rounded_up(), Ok(*units), "units of {text}");
        assert_eq!(
            quantity.milli_rounded_up(),
            Ok(*milli),
            "thousandths of {text}"
        );
        assert_eq!(quantity.is_negative(), *units < 0, "sign of {text}");
    }
}

#[test]
fn a_binary_quantity_below_one_is_a_decimal_one() {
    let format = |text: &str| Quantity::parse(text).unwrap().format();
    assert_eq!(format("0.0005Ki"), Format::DecimalSi);
    assert_eq!(format("0.5Ki"), Format::BinarySi);
    assert_eq!(format("0.0Ki"), Format::BinarySi);
    assert_eq!(format("1e0"), Format::DecimalExponent);
    assert_eq!(format("1E"), Format::DecimalSi);
}

#[test]
fn binary_quantities_are_capped_and_decimal_ones_refused_when_counted() {
    for text in [
        "8Ei",
        "9Ei",
        "9223372036854775808Ki",
        "9999999999999999999999999999999999999999Ki",
    ] {
        assert_eq!(printed(text), "9223372036854775807", "{text}");
        assert_eq!(amount("memory", text), Ok(i64::MAX), "{text}");
    }
    assert_eq!(amount("memory", "7Ei"), Ok(7 << 60));
    assert_eq!(amount("memory", "9223372036854775807"), Ok(i64::MAX));
    assert_eq!(printed("10E"), "10E");
    for text in [
        "9223372036854775808",
        "10E",
        "1e30",
        "9223372036854775807.1",
    ] {
        let refused = amount("memory", text).unwrap_err();
        assert!(
            matches!(refused, QuantityError::TooLarge { .. }),
            "{text}: {refused}"
        );
    }
    assert_eq!(
        amount("cpu", "10P").unwrap_err().to_string(),
        "quantity \"10P\" is too large: the most is 9223372036854775807m; write a smaller one"
    );
    assert_eq!(amount("cpu", "9223372036854775.807"), Ok(i64::MAX));
    // Beyond the largest suffix the exponent says what the number is.
    assert_eq!(printed("1000E"), "1e21");
    let endless = "9".repeat(40);
    assert!(matches!(
        Quantity::parse(&endless),
        Err(QuantityError::TooLarge { .. })
    ));
    assert!(matches!(
        Quantity::parse("1e99999999999"),
        Err(QuantityError::TooLarge { .. })
    ));
    assert!(matches!(
        Quantity::parse("1e-99999999999"),
        Err(QuantityError::TooLarge { .. })
    ));
}

#[test]
fn malformed_quantities_are_refused() {
    let malformed = [
        " 1",
        "1 ",
        "1 Gi",
        "1.1.M",
        "1+1.0M",
        "aoeu",
        "1,5",
        "1Gi ",
        "0x10",
        "１",
        "1.2.3",
        "-3.01e-+1",
        "1Ki5x",
        "∞",
        "Pi",
        "Ei",
        ".5a",
        "1MI",
        "e-10",
    ];
    for text in malformed {
        let refused = Quantity::parse(text).unwrap_err();
        assert!(
            matches!(refused, QuantityError::Malformed { .. }),
            "{text}: {refused}"
        );
    }
    let unknown = [
        "1i", "1mi", "1K", "1ki", "1ee3", "1e", "1E+", "1Ee3", "1kk", "1Ki3", "5-3", "--1",
    ];
    for text in unknown {
        let refused = Quantity::parse(text).unwrap_err();
        assert!(
            matches!(refused, QuantityError::Suffix { .. }),
            "{text}: {refused}"
        );
    }
    assert_eq!(Quantity::parse(""), Err(QuantityError::Empty));
}

#[test]
fn errors_name_the_value_and_the_fix() {
    assert_eq!(
        amount("memory", "1 Gi").unwrap_err().to_string(),
        "quantity \"1 Gi\" is malformed at \" Gi\": write digits and then one of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent such as e3, without spaces, for example \"1.5Gi\""
    );
    assert_eq!(
        amount("memory", "512mi").unwrap_err().to_string(),
        "quantity \"512mi\" has the unknown suffix \"mi\": use one of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent such as e3 (case matters)"
    );
    assert_eq!(
        amount("cpu", "-1").unwrap_err().to_string(),
        "quantity \"-1\" of cpu is negative: write 0 or more"
    );
    let long = "字".repeat(500);
    assert!(amount("cpu", &long).unwrap_err().to_string().len() < 500);
}

#[test]
fn amounts_are_millicores_or_whole_units() {
    assert_eq!(amount("cpu", "1.5"), Ok(1_500));
    assert_eq!(amount("cpu", "0.0001"), Ok(1));
    assert_eq!(amount("requests.cpu", "2"), Ok(2_000));
    assert_eq!(amount("limits.cpu", "100m"), Ok(100));
    assert_eq!(amount("memory", "64Gi"), Ok(64 << 30));
    assert_eq!(amount("memory", "128974848000m"), Ok(128_974_848));
    assert_eq!(amount("memory", "100m"), Ok(1));
    assert_eq!(amount("nvidia.com/gpu", "2"), Ok(2));
    assert_eq!(amount("pods", "1k"), Ok(1_000));
}

#[test]
fn amounts_are_written_as_people_write_them() {
    let cases = [
        ("cpu", 1_500, "1500m"),
        ("cpu", 2_000, "2"),
        ("cpu", 0, "0"),
        ("cpu", -2_500, "-2500m"),
        ("memory", 1 << 30, "1Gi"),
        ("memory", 3 << 29, "1536Mi"),
        ("memory", 1_000, "1000"),
        ("memory", 0, "0"),
        ("requests.storage", 5 << 40, "5Ti"),
        (
            "fast.storageclass.storage.k8s.io/requests.storage",
            1 << 20,
            "1Mi",
        ),
        ("hugepages-2Mi", 4 << 20, "4Mi"),
        ("pods", 1_024, "1024"),
        ("nvidia.com/gpu", 8, "8"),
        ("memory", i64::MIN, "-8Ei"),
    ];
    for (resource, number, text) in cases {
        assert_eq!(
            format_amount(resource, number),
            text,
            "{number} of {resource}"
        );
    }
}

#[test]
fn json_gives_text_numbers_or_nothing() {
    let json = |value: serde_json::Value| Quantity::from_json(&value).map(|it| canonical(&it));
    assert_eq!(json(serde_json::json!(" 500m ")), Ok("500m".to_owned()));
    assert_eq!(json(serde_json::json!(2)), Ok("2".to_owned()));
    assert_eq!(json(serde_json::json!(0.5)), Ok("500m".to_owned()));
    assert_eq!(json(serde_json::json!(null)), Ok("0".to_owned()));
    assert!(matches!(
        json(serde_json::json!([1])),
        Err(QuantityError::NotText { .. })
    ));
}

#[test]
fn equal_numbers_are_equal_however_written() {
    let parse = |text: &str| Quantity::parse(text).unwrap();
    for (left, right) in [
        ("1", "1000m"),
        ("1Ki", "1024"),
        ("1e3", "1k"),
        ("1.500", "1500m"),
    ] {
        assert_eq!(parse(left), parse(right));
    }
    let ascending = [
        "-1e40",
        "-2",
        "-1500m",
        "0",
        "1n",
        "999m",
        "1",
        "1k",
        "1Ki",
        "10E",
        "1e2000000000",
    ];
    for pair in ascending.windows(2) {
        assert!(parse(pair[0]) < parse(pair[1]), "{pair:?}");
    }
}

/// A written quantity with the number it stands for, in nano, by its own arithmetic.
fn written() -> impl Strategy<Value = (String, i128)> {
    let suffix = prop::sample::select(vec![
        ("n", 1_i128),
        ("u", 1_000),
        ("m", 1_000_000),
        ("", 1_000_000_000),
        ("k", 1_000_000_000_000),
        ("M", 1_000_000_000_000_000),
        ("e2", 100_000_000_000),
        ("E-2", 10_000_000),
        ("Ki", 1_024_000_000_000),
        ("Mi", 1_048_576_000_000_000),
        ("Gi", 1_073_741_824_000_000_000),
    ]);
    let fraction = prop::option::of((0_u32..1_000_000, 1_u32..7));
    (any::<bool>(), 0_i64..100_000_000, fraction, suffix).prop_map(
        |(negative, whole, fraction, (suffix, nano))| {
            let sign = if negative { "-" } else { "" };
            let mut text = format!("{sign}{whole}");
            let mut number = i128::from(whole) * nano;
            if let Some((part, places)) = fraction {
                let (part, scale) = (part % 10_u32.pow(places), 10_i128.pow(places));
                text = format!("{text}.{part:0width$}", width = places as usize);
                let product = i128::from(part) * nano;
                // Rounded up as a whole: the rest is a whole number of nano.
                number += product / scale + i128::from(product % scale != 0);
            }
            (text + suffix, if negative { -number } else { number })
        },
    )
}

fn up(number: i128, unit: i128) -> Option<i64> {
    let size = number.abs();
    let size = size / unit + i128::from(size % unit != 0);
    i64::try_from(size * number.signum()).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_exact((text, nano) in written()) {
        let quantity = Quantity::parse(&text).unwrap();
        prop_assert_eq!(quantity.units_rounded_up().ok(), up(nano, 1_000_000_000));
        prop_assert_eq!(quantity.milli_rounded_up().ok(), up(nano, 1_000_000));
        prop_assert_eq!(quantity.is_zero(), nano == 0);
    }

    #[test]
    fn printing_loses_nothing_and_settles((text, _) in written()) {
        let print = |text: &str| canonical(&Quantity::parse(text).unwrap());
        let once = print(&text);
        prop_assert_eq!(Quantity::parse(&once).unwrap(), Quantity::parse(&text).unwrap());
        // A binary quantity that 1024 does not divide is printed without suffix, and reads back
        // as a decimal one: only from there on nothing changes.
        let twice = print(&once);
        prop_assert_eq!(print(&twice), twice);
    }

    #[test]
    fn order_is_that_of_numbers((left, a) in written(), (right, b) in written()) {
        let (left, right) = (Quantity::parse(&left).unwrap(), Quantity::parse(&right).unwrap());
        prop_assert_eq!(left.cmp(&right), a.cmp(&b));
    }

    #[test]
    fn amounts_survive_being_written(number in 0_i64..=i64::MAX, shift in 0_u32..63) {
        for number in [number, number >> shift, (number >> shift) << shift] {
            for resource in ["cpu", "memory", "requests.storage", "pods", "nvidia.com/gpu"] {
                prop_assert_eq!(amount(resource, &format_amount(resource, number)), Ok(number));
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-+0-9.eEinumkKMGTP ]{0,40}|\\PC{0,12}") {
        if let Ok(quantity) = Quantity::parse(&text) {
            let _ = (quantity.units_rounded_up(), quantity.milli_rounded_up());
            let again = Quantity::parse(&canonical(&quantity)).unwrap();
            prop_assert_eq!(again, quantity);
        }
    }
}
