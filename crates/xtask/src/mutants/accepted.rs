//! The survivors that may live: mutants that are equivalent, or change only what something costs. The list is data, and
//! each entry gives its reason.

use super::report::Survivor;
use crate::{Failure, tidy::tree::Tree};
use serde_json::Value;

/// Where the list is.
pub const LIST: &str = ".cargo/accepted-mutants.json";

/// One entry, which names a mutant so that other lines of its file may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file it is in.
    pub file: String,
    /// What is done to the code, in the tool's words: `replace > with >= in Tail::run`.
    pub mutant: String,
    /// How the code goes on from the mutated place.
    pub at: String,
    /// Why nobody needs to notice.
    pub reason: String,
}

impl Entry {
    pub fn accepts(&self, survivor: &Survivor) -> bool {
        self.file == survivor.file && self.mutant == survivor.mutant && survivor.code.starts_with(&self.at)
    }
}

/// The list.
#[derive(Debug, Default)]
pub struct Accepted {
    pub entries: Vec<Entry>,
}

impl Accepted {
    pub fn read(tree: &Tree) -> Result<Self, Failure> {
        Self::parse(tree.text(LIST).unwrap_or("[]"))
            .map_err(|problem| Failure::Malformed { path: LIST.to_owned(), problem })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let list: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let entries = list.iter().map(|entry| {
            let field = |name: &str| match entry[name].as_str() {
                Some(text) if !text.is_empty() => Ok(text.to_owned()),
                _ => Err(format!("no '{name}' in {entry}")),
            };
            Ok(Entry { file: field("file")?, mutant: field("mutant")?, at: field("at")?, reason: field("reason")? })
        });
        Ok(Self { entries: entries.collect::<Result<_, String>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let text = r#"[{"file": "a.rs", "mutant": "replace > with >= in f", "at": "> b", "reason": "cost"}]"#;
        Accepted::parse(text).unwrap().entries.remove(0)
    }

    #[test]
    fn an_entry_accepts_its_mutant_at_its_place_only() {
        let survivor = |file: &str, mutant: &str, code: &str| Survivor {
            file: file.to_owned(),
            line: 1,
            mutant: mutant.to_owned(),
            code: code.to_owned(),
        };
        assert!(entry().accepts(&survivor("a.rs", "replace > with >= in f", "> b || c > d {")));
        assert!(!entry().accepts(&survivor("a.rs", "replace > with >= in f", "> d {")));
        assert!(!entry().accepts(&survivor("a.rs", "replace > with == in f", "> b || c > d {")));
        assert!(!entry().accepts(&survivor("b.rs", "replace > with >= in f", "> b || c > d {")));
    }

    #[test]
    fn an_entry_without_a_reason_is_refused() {
        let text = r#"[{"file": "a.rs", "mutant": "replace > with >= in f", "at": "> b", "reason": ""}]"#;
        assert!(Accepted::parse(text).unwrap_err().starts_with("no 'reason' in "));
    }
}
