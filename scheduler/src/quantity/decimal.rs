//! Exact decimals: a mantissa of 128 bits and a power of ten.

use std::cmp::Ordering;

use super::Format;
use super::scan::{Parts, Suffix};

/// `mantissa` x 10^`exponent`, without trailing zeros in the mantissa, so that equal numbers are
/// equal values; zero has exponent zero. The exponent is never below [`NANO`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    mantissa: i128,
    exponent: i64,
}

/// The finest place a quantity has.
const NANO: i64 = -9;

/// The cap of binary quantities: 2^63 - 1.
const CAP: i128 = i64::MAX as i128;

/// The number of a quantity in parts, rounded and capped as Kubernetes does, and the format it is
/// printed in. None when it has more digits than 128 bits hold.
pub(super) fn value(parts: &Parts<'_>, suffix: Suffix) -> Option<(Decimal, Format)> {
    let digits = parts.whole.bytes().chain(parts.fraction.bytes());
    let mut digits: Vec<u8> = digits.map(|digit| digit.wrapping_sub(b'0')).collect();
    let places = i64::try_from(parts.fraction.len()).ok()?;
    let binary = suffix.format == Format::BinarySi;
    let mut exponent = if binary {
        for _ in 0..suffix.exponent.checked_div(10)? {
            multiply_by_1024(&mut digits);
        }
        places.checked_neg()?
    } else {
        i64::from(suffix.exponent).checked_sub(places)?
    };
    if exponent < NANO {
        round_up(&mut digits, NANO.checked_sub(exponent)?);
        exponent = NANO;
    }
    while digits.last() == Some(&0) {
        digits.pop();
        exponent = exponent.checked_add(1)?;
    }
    let parsed = digits.iter().try_fold(0_i128, |value, digit| {
        value.checked_mul(10)?.checked_add(i128::from(*digit))
    });
    let mut size = match parsed {
        Some(mantissa) => Decimal::new(mantissa, exponent)?,
        None if binary => Decimal::new(CAP, 0)?,
        None => return None,
    };
    let mut format = suffix.format;
    if binary {
        size = size.min(Decimal::new(CAP, 0)?);
        if !size.is_zero() && size < Decimal::new(1, 0)? {
            format = Format::DecimalSi;
        }
    }
    let signed = if parts.negative {
        size.mantissa.checked_neg()?
    } else {
        size.mantissa
    };
    Some((
        Decimal {
            mantissa: signed,
            exponent: size.exponent,
        },
        format,
    ))
}

/// Multiplies a number in decimal digits, most significant first.
fn multiply_by_1024(digits: &mut Vec<u8>) {
    let mut carry = 0_u32;
    for digit in digits.iter_mut().rev() {
        let product = u32::from(*digit).saturating_mul(1024).saturating_add(carry);
        *digit = low_digit(product);
        carry = product.checked_div(10).unwrap_or(0);
    }
    let mut front = Vec::new();
    while carry > 0 {
        front.push(low_digit(carry));
        carry = carry.checked_div(10).unwrap_or(0);
    }
    digits.splice(0..0, front.into_iter().rev());
}

fn low_digit(number: u32) -> u8 {
    number
        .checked_rem(10)
        .and_then(|digit| u8::try_from(digit).ok())
        .unwrap_or(0)
}

/// Drops the last `places` digits; one that was not zero adds one to what remains.
fn round_up(digits: &mut Vec<u8>, places: i64) {
    let places = usize::try_from(places).unwrap_or(usize::MAX);
    let dropped = digits.split_off(digits.len().saturating_sub(places));
    if dropped.iter().all(|digit| *digit == 0) {
        return;
    }
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit = digit.saturating_add(1);
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

impl Decimal {
    fn new(mantissa: i128, exponent: i64) -> Option<Self> {
        if mantissa == 0 {
            return Some(Self {
                mantissa: 0,
                exponent: 0,
            });
        }
        let (mut mantissa, mut exponent) = (mantissa, exponent);
        while mantissa.checked_rem(10)? == 0 {
            mantissa = mantissa.checked_div(10)?;
            exponent = exponent.checked_add(1)?;
        }
        Some(Self { mantissa, exponent })
    }

    pub(super) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    pub(super) fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The number in units of 10^`place`, rounded away from zero; None beyond 64 bits.
    pub(super) fn rounded_at(self, place: i64) -> Option<i64> {
        let up = self.exponent.checked_sub(place)?;
        let power = 10_i128.checked_pow(u32::try_from(up.unsigned_abs()).ok()?);
        let rounded = if up >= 0 {
            self.mantissa.checked_mul(power?)?
        } else {
            let power = power?;
            let whole = self.mantissa.checked_div(power)?;
            match self.mantissa.checked_rem(power)? {
                0 => whole,
                _ => whole.checked_add(self.mantissa.signum())?,
            }
        };
        i64::try_from(rounded).ok()
    }

    /// The canonical text in a format.
    pub(super) fn print(self, format: Format) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        if format == Format::BinarySi
            && let Some(text) = self.print_binary()
        {
            return text;
        }
        // Down to a multiple of three, so that a suffix exists.
        let zeros = self.exponent.rem_euclid(3);
        let exponent = self.exponent.saturating_sub(zeros);
        let zeros = match zeros {
            0 => "",
            1 => "0",
            _ => "00",
        };
        let suffix = match (format, exponent) {
            (_, 0) => String::new(),
            (Format::DecimalExponent, _) => format!("e{exponent}"),
            (_, -9) => "n".to_owned(),
            (_, -6) => "u".to_owned(),
            (_, -3) => "m".to_owned(),
            (_, 3) => "k".to_owned(),
            (_, 6) => "M".to_owned(),
            (_, 9) => "G".to_owned(),
            (_, 12) => "T".to_owned(),
            (_, 15) => "P".to_owned(),
            (_, 18) => "E".to_owned(),
            _ => format!("e{exponent}"),
        };
        format!("{}{zeros}{suffix}", self.mantissa)
    }

    /// With a binary suffix, unless the number is below 1024 or has a fraction.
    fn print_binary(self) -> Option<String> {
        let power = 10_i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let mut number = self.mantissa.checked_mul(power)?;
        if number.unsigned_abs() < 1024 {
            return None;
        }
        let mut suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter();
        let mut suffix = suffixes.next()?;
        while number.checked_rem(1024)? == 0 {
            number = number.checked_div(1024)?;
            suffix = suffixes.next()?;
        }
        Some(format!("{number}{suffix}"))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_sign = self.mantissa.signum().cmp(&other.mantissa.signum());
        if by_sign != Ordering::Equal || self.is_zero() {
            return by_sign;
        }
        let by_size = self.size().cmp(&other.size());
        if self.is_negative() {
            by_size.reverse()
        } else {
            by_size
        }
    }
}

impl Decimal {
    /// The size of a number that is not zero, as what compares like it: the power of ten of its
    /// first digit, then its digits.
    fn size(self) -> (i64, String) {
        let digits = self.mantissa.unsigned_abs().to_string();
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        (self.exponent.saturating_add(length), digits)
    }
}
