//! Kubernetes quantities (`500m`, `1.5Gi`, `1e3`), parsed as its API server does, in exact
//! integers.
//!
//! The rules are those of `resource.Quantity`: a decimal number with a decimal (`n u m k M G T P
//! E`), binary (`Ki` to `Ei`) or exponent (`e3`, `E3`) suffix; more than nine decimal places are
//! rounded away from zero; a binary quantity is capped at 2^63 - 1. It also takes what Kubernetes
//! takes by accident: a missing number before most suffixes is zero (`"Ki"`, `"."`, `"+"`).
//!
//! It differs in what no scheduler can count: more than 38 significant digits and exponents
//! beyond 32 bits are refused, and a decimal quantity of 10^21 or more is printed with an
//! exponent, where Kubernetes 1.36 drops its suffix and prints another number.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod amount;
mod decimal;
mod scan;

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that goes wrong here fails, as it should"
)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

pub use amount::{amount, format_amount, is_cpu};

use decimal::Decimal;

/// The family of suffixes that a quantity was written with, and is printed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `m`, `k`, `M`: powers of 1000; also no suffix.
    DecimalSi,
    /// `Ki`, `Mi`: powers of 1024.
    BinarySi,
    /// `e3`, `E3`.
    DecimalExponent,
}

/// A Kubernetes quantity: an exact decimal number and how it is printed.
///
/// Two quantities are equal when their numbers are, however they are written.
#[derive(Clone, Debug)]
pub struct Quantity {
    value: Decimal,
    format: Format,
    /// As written, where Kubernetes prints it back as it was.
    spelling: Option<Box<str>>,
}

/// Why a text is not a quantity, or not one that can be counted here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No text at all.
    #[error("quantity is empty: write a number such as \"500m\", \"2\" or \"1Gi\"")]
    Empty,
    /// The text does not follow the grammar.
    #[error(
        "quantity \"{value}\" is malformed at \"{at}\": write digits and then one of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent such as e3, without spaces, for example \"1.5Gi\""
    )]
    Malformed {
        /// The text, shortened.
        value: String,
        /// From the first character that does not fit, shortened.
        at: String,
    },
    /// The suffix is not one that Kubernetes knows.
    #[error(
        "quantity \"{value}\" has the unknown suffix \"{suffix}\": use one of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent such as e3 (case matters)"
    )]
    Suffix {
        /// The text, shortened.
        value: String,
        /// The suffix, shortened.
        suffix: String,
    },
    /// The number does not fit.
    #[error("quantity \"{value}\" is too large: the most is {most}; write a smaller one")]
    TooLarge {
        /// The text or the number, shortened.
        value: String,
        /// The largest that fits.
        most: &'static str,
    },
    /// The number is negative where an amount is wanted.
    #[error("quantity \"{value}\" of {resource} is negative: write 0 or more")]
    Negative {
        /// The text, shortened.
        value: String,
        /// Name of the resource.
        resource: String,
    },
    /// A JSON value that is neither text nor a number.
    #[error("quantity {value} is neither text nor a number: write for example \"500m\"")]
    NotText {
        /// The JSON value, shortened.
        value: String,
    },
}

impl Quantity {
    /// Parses a quantity; surrounding spaces are refused, as in Go's `ParseQuantity`.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let parts = scan::split(text)?;
        let suffix = scan::suffix(text, parts.suffix)?;
        let spelled = scan::is_printed_as_written(&parts, suffix);
        if !spelled.exact && !parts.has_digits {
            // Where its fast path does not apply, Kubernetes too wants a digit.
            return Err(scan::malformed(text, parts.suffix));
        }
        let (value, format) =
            decimal::value(&parts, suffix).ok_or_else(|| QuantityError::TooLarge {
                value: shortened(text),
                most: "38 digits",
            })?;
        let spelling = spelled.kept.then(|| Box::from(text));
        Ok(Self {
            value,
            format,
            spelling,
        })
    }

    /// Parses a quantity as it stands in JSON: text with spaces around it trimmed, a number, or
    /// null, which is zero.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, QuantityError> {
        match value {
            serde_json::Value::String(text) => Self::parse(text.trim()),
            serde_json::Value::Number(number) => Self::parse(&number.to_string()),
            serde_json::Value::Null => Self::parse("0"),
            other => Err(QuantityError::NotText {
                value: shortened(&other.to_string()),
            }),
        }
    }

    /// The number in thousandths, rounded away from zero.
    pub fn milli_rounded_up(&self) -> Result<i64, QuantityError> {
        self.value
            .rounded_at(-3)
            .ok_or_else(|| self.too_large("9223372036854775807m"))
    }

    /// The number in whole units, rounded away from zero.
    pub fn units_rounded_up(&self) -> Result<i64, QuantityError> {
        self.value
            .rounded_at(0)
            .ok_or_else(|| self.too_large("9223372036854775807"))
    }

    /// Whether the number is below zero.
    pub fn is_negative(&self) -> bool {
        self.value.is_negative()
    }

    /// Whether the number is zero.
    pub fn is_zero(&self) -> bool {
        self.value.is_zero()
    }

    /// The family of suffixes it is printed with.
    pub fn format(&self) -> Format {
        self.format
    }

    fn too_large(&self, most: &'static str) -> QuantityError {
        QuantityError::TooLarge {
            value: shortened(&canonical(self)),
            most,
        }
    }
}

/// The text that Kubernetes prints for a quantity.
///
/// It is the number without fraction and with the largest suffix of its family that loses
/// nothing (`1.5Gi` is `1536Mi`); like Kubernetes, a text that was near enough to that form is
/// given back as it was written (`1.500`, `+1`).
pub fn canonical(quantity: &Quantity) -> String {
    match &quantity.spelling {
        Some(spelling) => spelling.to_string(),
        None => quantity.value.print(quantity.format),
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&canonical(self))
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.cmp(&other.value)
    }
}

/// The most characters of a refused text that an error repeats.
const SHOWN: usize = 48;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
