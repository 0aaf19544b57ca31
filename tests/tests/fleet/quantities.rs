//! Our quantities are those of a real API server: it takes the same texts, for the same numbers,
//! and prints them alike.
//!
//! They are sent in a ResourceSlice, whose capacities are quantities of any sign and size: no rule
//! judges them, and no default rounds them as one does in a list of requests. So whoever refuses
//! one is the parser.

use heyun_scheduler::quantity::{Quantity, QuantityError, canonical};
use heyun_tests::fleet::fleet;
use serde_json::{Value, json};

use crate::dry_run;

/// What the API server says of a text that is no quantity.
const NO_QUANTITY: [&str; 3] = [
    "quantities must match the regular expression",
    "unable to parse numeric part of quantity",
    "unable to parse quantity's suffix",
];

/// The most digits that we hold.
const DIGITS_MAX: usize = 38;

#[test]
fn quantities_are_those_of_an_api_server() {
    let (shared, _turn) = fleet();
    let sent = samples();
    let path = "/apis/resource.k8s.io/v1/resourceslices";
    let objects: Vec<(String, Value)> = sent
        .iter()
        .map(|quantity| (path.to_owned(), holding(quantity)))
        .collect();
    let answers = dry_run::create(shared, &objects);
    let wrong: Vec<String> = sent
        .iter()
        .zip(&answers)
        .filter_map(|(sent, answer)| fault(sent, answer))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        sent.len(),
        wrong.join("\n")
    );
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.len() - taken;
    assert!(
        taken > 300 && refused > 100,
        "of both sorts there are many: {taken} taken, {refused} refused"
    );
}

/// An object that holds a quantity.
fn holding(quantity: &Value) -> Value {
    json!({
        "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": "quantity"},
        "spec": {
            "driver": "quantities.heyun.dev", "allNodes": true,
            "pool": {"name": "one", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "one", "capacity": {"amount": {"value": quantity}}}],
        },
    })
}

/// In what we and the API server differ, if in anything.
fn fault(sent: &Value, answer: &Result<Value, String>) -> Option<String> {
    let found = match (answer, Quantity::from_json(sent)) {
        (Err(said), _) if !NO_QUANTITY.iter().any(|words| said.contains(*words)) => {
            format!("is refused, but not as a quantity: {said}")
        }
        (Err(_), Err(_)) => return None,
        (Err(said), Ok(ours)) => format!("is {ours} for us, and refused: {said}"),
        (Ok(object), ours) => {
            let said = object["spec"]["devices"][0]["capacity"]["amount"]["value"]
                .as_str()
                .unwrap_or_default();
            match ours {
                Ok(ours) => difference(sent, said, &ours)?,
                Err(error) => excess(said, &error)?,
            }
        }
    };
    Some(format!("{sent} {found}"))
}

/// What the API server takes and we do not has more digits than we hold.
fn excess(said: &str, error: &QuantityError) -> Option<String> {
    let digits = Number::of(said).map_or(0, |number| number.digits.len());
    if digits > DIGITS_MAX && matches!(error, QuantityError::TooLarge { .. }) {
        return None;
    }
    Some(format!("is taken as {said}, and refused by us: {error}"))
}

/// Both take it: they print it alike, and what we count is the number that the API server prints.
fn difference(sent: &Value, said: &str, ours: &Quantity) -> Option<String> {
    // A dry run goes through the form that is stored: what is printed is read and printed again.
    let printed = Quantity::parse(&canonical(ours)).map(|again| canonical(&again));
    let printed = printed.unwrap_or_else(|error| error.to_string());
    let number = if printed == said {
        Number::of(said)
    } else if is_said_without_suffix(&printed, said) {
        Number::of(sent.as_str().unwrap_or_default().trim())
    } else {
        return Some(format!("is printed as {said}, and by us as {printed}"));
    };
    let Some(number) = number else {
        return Some(format!("is printed as {said}, which is no canonical text"));
    };
    let counted = (
        ours.is_negative(),
        ours.units_rounded_up().ok(),
        ours.milli_rounded_up().ok(),
    );
    let wanted = (number.negative, number.rounded(0), number.rounded(-3));
    (counted != wanted).then(|| format!("is {said}: {wanted:?}, and for us {counted:?}"))
}

/// From 10^21 on Kubernetes has no suffix of the decimal family and prints the digits alone, which
/// are another number; we print an exponent.
fn is_said_without_suffix(printed: &str, said: &str) -> bool {
    printed
        .strip_prefix(said)
        .and_then(|rest| rest.strip_prefix('e'))
        .and_then(|exponent| exponent.parse::<u32>().ok())
        .is_some_and(|exponent| exponent >= 21)
}

/// A number by its decimal digits. It shares nothing with the product's.
struct Number {
    negative: bool,
    /// Without zeros at either end: empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i32,
}

impl Number {
    /// What a text stands for that an API server prints.
    fn of(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let (factor, power) = unit(suffix)?;
        let mut digits = format!("{whole}{fraction}");
        if factor != 1 {
            digits = digits
                .parse::<u128>()
                .ok()?
                .checked_mul(factor)?
                .to_string();
        }
        let last = digits.trim_end_matches('0').len();
        let zeros = i32::try_from(digits.len() - last).ok()?;
        let digits = digits[..last].trim_start_matches('0').to_owned();
        let places = i32::try_from(fraction.len()).ok()?;
        Some(Self {
            negative: text.starts_with('-') && !digits.is_empty(),
            digits,
            exponent: power - places + zeros,
        })
    }

    /// In units of a power of ten, rounded away from zero; none beyond 64 bits.
    fn rounded(&self, place: i32) -> Option<i64> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let up = self.exponent - place;
        let zeros = usize::try_from(up).unwrap_or(0).min(64);
        let cut = usize::try_from(-up).unwrap_or(0).min(self.digits.len());
        let kept = &self.digits[..self.digits.len() - cut];
        let whole = format!("0{kept}{}", "0".repeat(zeros));
        // The last digit is not zero, so neither is what is cut off.
        let size = whole.parse::<i128>().ok()? + i128::from(cut > 0);
        i64::try_from(if self.negative { -size } else { size }).ok()
    }
}

/// What a suffix stands for: a factor, and a power of ten.
fn unit(suffix: &str) -> Option<(u128, i32)> {
    Some(match suffix {
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "" => (1, 0),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        exponent => (1, exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const DECIMAL: [&str; 12] = ["", "", "", "n", "u", "m", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// Around the ends of 64 bits, of 18 digits, and of a binary suffix.
const EDGES: [&str; 10] = [
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "999999999999999999",
    "1000000000000000000",
    "8",
    "1023",
    "1024",
    "1025",
];
/// What is put where it may not belong. No digit and no exponent: a large one keeps an API server
/// busy for long.
const STRAY: [&str; 14] = [
    " ", ".", "-", "+", "_", ",", "x", "i", "K", "k", "m", "µ", "１", "∞",
];

/// Texts of each sort, with `|` between them; those of the last lines are not taken.
const TEXTS: &[&str] = &[
    "0|-0|+0|00|0.0|0Ki|0e5|.5|5.|+5.|-.5|1.500|+1.10|01|100m|100.035k|1000000k|1.Gi|+3Ki|+8Ki",
    "0.1m|0.1n|-0.1n|1.1n|0.000000001|0.0000000001|1.0000000001|1e-20|-1e-20|0.0005Ki",
    "0.1Ki|0.3Mi|976.5625Ki|0.9765625Mi|1024Ki|1536Ki|1023.9999Ei|7Ei|8Ei|-8Ei|-9Ei",
    "9223372036854775807|9223372036854775808|9E|10E|999E|1000E|-5000E|1E18|1e21|1e0|1e+3|12e+4|1.5e-1",
    " 5|5 | 5Gi ",
    // Its scanner takes a missing number for zero.
    "+|-|.|+.|m|k|Ki|.Mi|e-9|E|-E3",
    "| |Pi|Ei|+Ei|e-10|1e|1E+|1e-|1ee3|1Ee3|1e3e|1e3.5|1e3m|1e99999999999999999999",
    "1 Gi|1. 5|- 1|--1|++1|+-1|1-|1+1|1..5|1.5.5|1,5|1_000|0x1|0x10|0b1|0o7|1%|4 cores|1B|1KiB",
    "1K|1ki|1KI|1mi|1MI|1gi|1i|1iK|1Kii|1kk|1KiKi|1Kim|1Ki5|1Ki-5|1g|1t|1N|1U|1Zi|1Yi",
    "aoeu|NaN|Inf|infinity|null|true|１|٣|1µ|∞|½",
];

/// What is sent: texts of the grammar, texts beside it, and what is no text.
fn samples() -> Vec<Value> {
    let mut texts: Vec<String> = TEXTS
        .iter()
        .flat_map(|line| line.split('|'))
        .map(str::to_owned)
        .collect();
    texts.extend([
        "9".repeat(DIGITS_MAX),
        "9".repeat(DIGITS_MAX + 1),
        "7".repeat(60),
        format!("1{}", "0".repeat(60)),
        format!("0.{}1", "0".repeat(60)),
        format!("{}Ki", "9".repeat(40)),
    ]);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for _ in 0..320 {
        texts.push(written(&mut dice));
    }
    for _ in 0..120 {
        let mut text = written(&mut dice);
        let at = dice.below(text.len() + 1);
        text.insert_str(at, dice.one(&STRAY));
        texts.push(text);
    }
    let others = [
        json!(null),
        json!(0),
        json!(5),
        json!(-3),
        json!(0.5),
        json!(1e3),
        json!(u64::MAX),
        json!(true),
        json!([1]),
        json!({}),
    ];
    texts.into_iter().map(Value::String).chain(others).collect()
}

/// A text of the grammar, now and then without a number.
fn written(dice: &mut Dice) -> String {
    let sign = dice.one(&["", "", "", "", "-", "+"]);
    let whole = match dice.below(8) {
        0 => String::new(),
        1 => "0".to_owned(),
        2 => format!("00{}", dice.digits(3)),
        3 => dice.one(&EDGES).to_owned(),
        4 => dice.digits(20),
        5 => format!("{}000", dice.digits(4)),
        _ => dice.digits(5),
    };
    let fraction = match dice.below(8) {
        0 => ".".to_owned(),
        1 => ".0".to_owned(),
        2 => ".500".to_owned(),
        3 => format!(".{}", dice.digits(12)),
        _ => String::new(),
    };
    let suffix = match dice.below(3) {
        0 => dice.one(&BINARY).to_owned(),
        1 => {
            let (letter, sign) = (dice.one(&["e", "E"]), dice.one(&["", "+", "-"]));
            format!("{letter}{sign}{}", dice.below(25))
        }
        _ => dice.one(&DECIMAL).to_owned(),
    };
    format!("{sign}{whole}{fraction}{suffix}")
}

/// Numbers as of dice, and the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound).unwrap();
        usize::try_from((self.0 >> 11) % bound).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// At most so many digits, and at least one.
    fn digits(&mut self, most: usize) -> String {
        let count = 1 + self.below(most);
        (0..count).map(|_| self.one(&DIGITS)).collect()
    }
}
