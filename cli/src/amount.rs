//! Amounts as people write them, exactly: minor units inside, decimals outside.

use std::fmt;
use std::str::FromStr;

use edge_ledger_core::limits::AMOUNT_MAX;

/// More digits than any amount has.
const DIGITS_MAX: usize = 30;

/// What is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AmountError {
    /// Anything but digits, with or without a decimal point among them.
    #[error("an amount is written in digits, such as 12 or 12.50")]
    Format,
    /// More decimals than the unit has.
    #[error("this unit has {0} decimals, and the amount has more")]
    Decimals(u32),
    /// Nothing, or more than an entry can hold.
    #[error("an amount is from 1 to {AMOUNT_MAX} of the smallest unit")]
    Range,
}

/// An amount as it was typed, before the unit is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed {
    whole: String,
    fraction: String,
}

impl FromStr for Typed {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits = |part: &str| {
            let sound = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            sound.then(|| part.to_owned()).ok_or(AmountError::Format)
        };
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (digits(whole)?, digits(fraction)?),
            None => (digits(text)?, String::new()),
        };
        Ok(Self { whole, fraction })
    }
}

/// What a deployment counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    name: String,
    decimals: u32,
}

impl Unit {
    pub(crate) fn new(name: &str, decimals: u32) -> Self {
        Self {
            name: name.to_owned(),
            decimals,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn decimals(&self) -> u32 {
        self.decimals
    }

    /// The minor units that were typed.
    pub(crate) fn minor(&self, typed: &Typed) -> Result<u64, AmountError> {
        let places = usize::try_from(self.decimals).unwrap_or(usize::MAX);
        let missing = places.checked_sub(typed.fraction.len());
        let missing = missing.ok_or(AmountError::Decimals(self.decimals))?;
        let digits = format!(
            "{}{}{}",
            typed.whole.trim_start_matches('0'),
            typed.fraction,
            "0".repeat(missing)
        );
        if digits.len() > DIGITS_MAX {
            return Err(AmountError::Range);
        }
        let amount = match digits.as_str() {
            "" => 0,
            digits => digits.parse::<u128>().map_err(|_| AmountError::Format)?,
        };
        let amount = u64::try_from(amount).map_err(|_| AmountError::Range)?;
        let in_range = (1..=AMOUNT_MAX).contains(&amount);
        in_range.then_some(amount).ok_or(AmountError::Range)
    }

    /// An amount with its decimals and the unit's name.
    pub(crate) fn show(&self, minor: impl Into<i128>) -> String {
        let minor = minor.into();
        format!("{} {}", self.digits(minor), Plural(&self.name, minor))
    }

    /// An amount with its decimals.
    pub(crate) fn digits(&self, minor: i128) -> String {
        let sign = if minor < 0 { "-" } else { "" };
        let places = usize::try_from(self.decimals).unwrap_or(0);
        let digits = format!("{:0>1$}", minor.unsigned_abs(), places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let point = if places == 0 { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}")
    }
}

/// A word like "credit" gets an s; a name like "EUR" does not.
struct Plural<'a>(&'a str, i128);

impl fmt::Display for Plural<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, amount) = self;
        let is_word = name.bytes().all(|b| b.is_ascii_lowercase()) && !name.ends_with('s');
        let s = if is_word && *amount != 1 { "s" } else { "" };
        write!(f, "{name}{s}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(decimals: u32, text: &str) -> Result<u64, AmountError> {
        Unit::new("credit", decimals).minor(&text.parse()?)
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (decimals, text, expected) in [
            (0, "1", 1),
            (0, "007", 7),
            (0, "9007199254740991", AMOUNT_MAX),
            (2, "12", 1_200),
            (2, "12.5", 1_250),
            (2, "12.05", 1_205),
            (2, "0.01", 1),
            (18, "0.000000000000000001", 1),
            (18, "0.009007199254740991", AMOUNT_MAX),
        ] {
            assert_eq!(minor(decimals, text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "", " 1", "1 ", "-1", "+1", "1e3", "0x10", "1_000", "1,5", ".5", "5.", "1.2.3", "٣",
            "NaN", "abc",
        ] {
            assert_eq!(minor(2, text), Err(AmountError::Format), "{text}");
        }
        assert_eq!(minor(0, "1.0"), Err(AmountError::Decimals(0)));
        assert_eq!(minor(2, "1.005"), Err(AmountError::Decimals(2)));
        let long = "9".repeat(400);
        for (decimals, text) in [
            (0, "0"),
            (2, "0.00"),
            (0, "9007199254740992"),
            (2, "90071992547409.92"),
            (0, "18446744073709551616"),
            (18, long.as_str()),
        ] {
            assert_eq!(minor(decimals, text), Err(AmountError::Range), "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_exactly() {
        let whole = Unit::new("credit", 0);
        assert_eq!(whole.show(1_u64), "1 credit");
        assert_eq!(whole.show(0_u64), "0 credits");
        assert_eq!(whole.show(-1_205_i128), "-1205 credits");
        let cents = Unit::new("EUR", 2);
        assert_eq!(cents.show(5_u64), "0.05 EUR");
        assert_eq!(cents.show(-1_205_i128), "-12.05 EUR");
        assert_eq!(
            cents.digits(i128::MIN),
            "-1701411834604692317316873037158841057.28"
        );
    }
}
