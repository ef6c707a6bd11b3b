//! The recovery key as 24 words, which a person writes down.
//!
//! They are the 32 bytes of the key's seed by BIP-39: its English words, and its checksum, so that
//! a slip of the pen is noticed. There is no passphrase, and nothing is derived.

use std::str::FromStr;

use bip39::{Language, Mnemonic};
use edge_ledger_core::keys::SecretKey;
use zeroize::Zeroizing;

/// How many words there are.
pub const RECOVERY_WORDS: usize = 24;
/// Longest text that is looked at, in bytes: far more than any 24 words take.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Why words are no recovery key. None of them is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Too few, or too many.
    #[error("a recovery key has {RECOVERY_WORDS} words, and these are {0}")]
    Count(usize),
    /// A word that is not in the list.
    #[error("word {0} is not in the list")]
    Unknown(usize),
    /// All are in the list, and do not belong together.
    #[error("a word is wrong, or two are swapped: the checksum does not fit")]
    Checksum,
}

/// A recovery key, to be written down. It has no `Debug`, and is wiped when dropped.
#[expect(missing_debug_implementations, reason = "holds a secret key")]
pub struct RecoveryWords(Zeroizing<[u8; 32]>);

impl RecoveryWords {
    /// A fresh key.
    pub fn generate() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// The words, in their order.
    pub fn words(&self) -> Vec<&'static str> {
        let words = Mnemonic::from_entropy_in(Language::English, &*self.0);
        words
            .expect("32 bytes are an entropy of BIP-39")
            .words()
            .collect()
    }

    pub(crate) fn key(&self) -> SecretKey {
        SecretKey::from_seed(*self.0)
    }
}

impl FromStr for RecoveryWords {
    type Err = WordsError;

    /// Takes words in any case, with anything blank between them.
    fn from_str(text: &str) -> Result<Self, WordsError> {
        let count = text.split_whitespace().count();
        if count != RECOVERY_WORDS || text.len() > TEXT_BYTES_MAX {
            return Err(WordsError::Count(count));
        }
        let text = Zeroizing::new(text.to_ascii_lowercase());
        let words = Mnemonic::parse_in_normalized(Language::English, &text);
        let words = words.map_err(|error| match error {
            bip39::Error::UnknownWord(index) => WordsError::Unknown(index + 1),
            bip39::Error::BadWordCount(count) => WordsError::Count(count),
            bip39::Error::InvalidChecksum
            | bip39::Error::BadEntropyBitCount(_)
            | bip39::Error::AmbiguousLanguages(_) => WordsError::Checksum,
        })?;
        let (entropy, _) = words.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(&entropy[..32]);
        Ok(Self(seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> WordsError {
        text.parse::<RecoveryWords>().err().unwrap()
    }

    /// Vectors of BIP-39, which others wrote.
    #[test]
    fn words_are_those_of_bip_39() {
        for (seed, text) in [
            ([0x00; 32], format!("{}art", "abandon ".repeat(23))),
            ([0xff; 32], format!("{}vote", "zoo ".repeat(23))),
            (
                [0x7f; 32],
                "legal winner thank year wave sausage worth useful legal winner thank year wave \
                 sausage worth useful legal winner thank year wave sausage worth title"
                    .to_owned(),
            ),
        ] {
            let words = RecoveryWords(Zeroizing::new(seed));
            assert_eq!(words.words().join(" "), text);
            assert_eq!(*text.parse::<RecoveryWords>().unwrap().0, seed);
        }
    }

    #[test]
    fn what_was_written_down_comes_back_as_it_was_typed() {
        let words = RecoveryWords::generate();
        let typed = words.words().join("\n  ").to_uppercase();
        let again: RecoveryWords = format!(" {typed}\n").parse().unwrap();
        assert_eq!(again.0, words.0);
        assert_ne!(RecoveryWords::generate().0, words.0);
    }

    #[test]
    fn slips_are_told_and_no_word_is_repeated() {
        let words = RecoveryWords(Zeroizing::new([7; 32])).words();
        assert_eq!(why(""), WordsError::Count(0));
        assert_eq!(why(&words[1..].join(" ")), WordsError::Count(23));
        assert_eq!(why(&"zoo ".repeat(25)), WordsError::Count(25));
        assert_eq!(
            why(&format!("{}x", "zoo ".repeat(23))),
            WordsError::Unknown(24)
        );
        let long = format!("{}{}", " ".repeat(TEXT_BYTES_MAX), words.join(" "));
        assert_eq!(why(&long), WordsError::Count(24));
        let mut swapped = words.clone();
        swapped.swap(0, 1);
        assert_eq!(why(&swapped.join(" ")), WordsError::Checksum);
        let mut other = words;
        other[5] = if other[5] == "zoo" { "zone" } else { "zoo" };
        assert_eq!(why(&other.join(" ")), WordsError::Checksum);
    }
}
