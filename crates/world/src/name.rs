//! Player names: immutable, 1 to 32 bytes of UTF-8 in Unicode normal form C. A player *is* its name.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME: usize = 32;

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No byte at all.
    #[error("a player's name must not be empty")]
    Empty,
    /// Over [`MAX_NAME`] bytes.
    #[error("the name '{name}' has {bytes} bytes: at most {MAX_NAME} bytes of UTF-8 are allowed")]
    TooLong {
        /// The name, or as much of it as is worth showing.
        name: String,
        /// How long it was.
        bytes: usize,
    },
    /// A line break, a tab, an escape: what would spoil a log line or a terminal.
    #[error("the name {0:?} has a control character in it")]
    Control(String),
    /// Not in normal form C (only when decoding: names that people type are normalised).
    #[error("the name '{0}' is not in Unicode normal form C")]
    NotNormal(String),
}

/// A player's name. Kept inline (no allocation), since every command carries one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlayerName {
    len: u8,
    bytes: [u8; MAX_NAME],
}

impl PlayerName {
    /// A name as a person typed it: put into normal form C, then checked.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if is_nfc_quick(text.chars()) == IsNormalized::Yes {
            Self::checked(text)
        } else {
            Self::checked(&text.nfc().collect::<String>())
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("checked when it was made")
    }

    fn checked(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong { name: text.chars().take(MAX_NAME).collect(), bytes: text.len() });
        }
        // (Without a way out of the loop, it looks at many bytes at once.)
        let plain = text.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte));
        if !plain && text.chars().any(char::is_control) {
            return Err(NameError::Control(text.to_owned()));
        }
        let mut bytes = [0; MAX_NAME];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { len: u8::try_from(text.len()).expect("at most 32"), bytes })
    }
}

impl PartialOrd for PlayerName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PlayerName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // As the strings compare: what is behind a name is 0, which no name contains.
        self.bytes.cmp(&other.bytes)
    }
}

impl fmt::Display for PlayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for PlayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for PlayerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl Serialize for PlayerName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PlayerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = PlayerName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a player's name of 1 to {MAX_NAME} bytes in normal form C")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PlayerName, E> {
                if !text.is_ascii()
                    && text.len() <= MAX_NAME
                    && is_nfc_quick(text.chars()) != IsNormalized::Yes
                    && text.nfc().ne(text.chars())
                {
                    return Err(E::custom(NameError::NotNormal(text.to_owned())));
                }
                PlayerName::checked(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_32_bytes_and_no_control_character() {
        assert_eq!(PlayerName::new("scrat").unwrap().as_str(), "scrat");
        assert_eq!(PlayerName::new(""), Err(NameError::Empty));
        assert!(PlayerName::new(&"a".repeat(32)).is_ok());
        assert!(matches!(PlayerName::new(&"ä".repeat(17)), Err(NameError::TooLong { bytes: 34, .. })));
        for bad in ["a\nb", "\u{1b}[31m", "a\0b", "a\u{9b}b"] {
            assert_eq!(PlayerName::new(bad), Err(NameError::Control(bad.to_owned())));
        }
    }

    #[test]
    fn typed_names_are_normalised_and_decoded_ones_must_be() {
        assert_eq!(PlayerName::new("a\u{308}"), PlayerName::new("ä"));
        let decode = |text: &str| rmp_serde::from_slice::<PlayerName>(&rmp_serde::to_vec(text).unwrap());
        assert_eq!(decode("ä").unwrap(), PlayerName::new("ä").unwrap());
        for bad in ["a\u{308}", "", "a\nb", &"x".repeat(33)] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_sort_as_their_text_does() {
        let mut names = ["b", "ab", "a", "ä", "a b", "z", "冰"].map(|text| PlayerName::new(text).unwrap());
        names.sort_unstable();
        let mut texts = names.map(|name| name.as_str().to_owned());
        assert!(texts.is_sorted());
        texts.sort_unstable();
        assert_eq!(texts, names.map(|name| name.as_str().to_owned()));
    }
}
