//! The grammar: sign, number and suffix of a quantity.

use super::{Format, QuantityError, shortened};

/// A quantity taken apart.
pub(super) struct Parts<'a> {
    pub(super) negative: bool,
    /// Digits before the point, without leading zeros; empty for zero.
    pub(super) whole: &'a str,
    /// Digits after the point.
    pub(super) fraction: &'a str,
    /// Whether the number has any digit, leading zeros too.
    pub(super) has_digits: bool,
    pub(super) suffix: &'a str,
}

/// What a suffix stands for.
#[derive(Clone, Copy)]
pub(super) struct Suffix {
    pub(super) format: Format,
    /// Of ten, or of two where the format is binary.
    pub(super) exponent: i32,
}

/// Splits a text into its parts, or says where it does not follow the grammar.
pub(super) fn split(text: &str) -> Result<Parts<'_>, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Empty);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (integer, rest) = take(unsigned, |character| character.is_ascii_digit());
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => take(rest, |character| character.is_ascii_digit()),
        None => ("", rest),
    };
    let (_, rest) = take(suffix, |character| "eEinumkKMGTP".contains(character));
    let exponent = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    let (_, rest) = take(exponent, |character| character.is_ascii_digit());
    if !rest.is_empty() {
        return Err(malformed(text, rest));
    }
    Ok(Parts {
        negative: text.starts_with('-'),
        whole: integer.trim_start_matches('0'),
        fraction,
        has_digits: !integer.is_empty() || !fraction.is_empty(),
        suffix,
    })
}

pub(super) fn malformed(text: &str, at: &str) -> QuantityError {
    QuantityError::Malformed {
        value: shortened(text),
        at: shortened(at),
    }
}

fn take(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text
        .find(|character| !belongs(character))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// What the suffix stands for. `E` alone is 10^18; with a number after it, it is an exponent.
pub(super) fn suffix(text: &str, suffix: &str) -> Result<Suffix, QuantityError> {
    let (format, exponent) = match suffix {
        "n" => (Format::DecimalSi, -9),
        "u" => (Format::DecimalSi, -6),
        "m" => (Format::DecimalSi, -3),
        "" => (Format::DecimalSi, 0),
        "k" => (Format::DecimalSi, 3),
        "M" => (Format::DecimalSi, 6),
        "G" => (Format::DecimalSi, 9),
        "T" => (Format::DecimalSi, 12),
        "P" => (Format::DecimalSi, 15),
        "E" => (Format::DecimalSi, 18),
        "Ki" => (Format::BinarySi, 10),
        "Mi" => (Format::BinarySi, 20),
        "Gi" => (Format::BinarySi, 30),
        "Ti" => (Format::BinarySi, 40),
        "Pi" => (Format::BinarySi, 50),
        "Ei" => (Format::BinarySi, 60),
        _ => (Format::DecimalExponent, exponent(text, suffix)?),
    };
    Ok(Suffix { format, exponent })
}

fn exponent(text: &str, suffix: &str) -> Result<i32, QuantityError> {
    let unknown = || QuantityError::Suffix {
        value: shortened(text),
        suffix: shortened(suffix),
    };
    let number = suffix.strip_prefix(['e', 'E']).ok_or_else(unknown)?;
    // The scanner let through at most a sign and digits, so only the size can be wrong here.
    let is_number = number.ends_with(|character: char| character.is_ascii_digit())
        && !number.starts_with(|character: char| character.is_ascii_alphabetic());
    match number.parse::<i32>() {
        Ok(exponent) => Ok(exponent),
        Err(_) if is_number => Err(QuantityError::TooLarge {
            value: shortened(text),
            most: "an exponent of 32 bits",
        }),
        Err(_) => Err(unknown()),
    }
}

/// How Kubernetes prints a quantity back.
pub(super) struct Spelled {
    /// It is parsed by the fast path: 64-bit arithmetic on few digits.
    pub(super) exact: bool,
    /// It is printed as it was written.
    pub(super) kept: bool,
}

/// The digits that the fast path takes.
const FAST_DIGITS: usize = 18;

/// Whether Kubernetes takes its fast path, which alone remembers what was written.
///
/// It does so when few enough digits are given, and then keeps a text that it takes to be in
/// canonical form, by a test that is cheaper than it is exact.
pub(super) fn is_printed_as_written(parts: &Parts<'_>, suffix: Suffix) -> Spelled {
    let whole = if parts.whole.is_empty() {
        "0"
    } else {
        parts.whole
    };
    let fraction = parts.fraction;
    if suffix.format == Format::BinarySi {
        let (room, low_bits) = match suffix.exponent {
            10 => (11, low_bits(whole)),
            20 => (8, low_bits(whole)),
            30 => (5, low_bits(whole)),
            40 => (2, low_bits(whole)),
            _ => (0, 0),
        };
        let exact = fraction.is_empty() && whole.len() <= room;
        return Spelled {
            exact,
            kept: exact && low_bits != 0,
        };
    }
    let digits = whole.len().saturating_add(fraction.len());
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let scale = i64::from(suffix.exponent).saturating_sub(places);
    let exact = digits <= FAST_DIGITS && scale >= -9;
    let ends_in_thousands = if fraction.is_empty() {
        whole.ends_with("000")
    } else if fraction.len() >= 3 {
        fraction.ends_with("000")
    } else {
        fraction.bytes().all(|digit| digit == b'0')
            && whole.ends_with("000".get(fraction.len()..).unwrap_or_default())
    };
    let kept =
        exact && scale.checked_rem(3) == Some(0) && !ends_in_thousands && !whole.starts_with('0');
    Spelled { exact, kept }
}

/// The number modulo eight.
fn low_bits(whole: &str) -> u64 {
    whole.parse::<u64>().unwrap_or(0) & 7
}
