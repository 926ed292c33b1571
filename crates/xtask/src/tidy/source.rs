//! Just enough of Rust's lexing to tell code from comments and literals, and to list the paths that code names.

/// A source, split; both parts keep the line breaks, so that line numbers hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Without comments, and with empty literals.
    pub code: String,
    /// The comments alone.
    pub comments: String,
}

/// Splits Rust or TypeScript.
pub fn split(text: &str) -> Parts {
    Splitter { rest: text.chars().collect(), at: 0, parts: Parts::default() }.run()
}

struct Splitter {
    rest: Vec<char>,
    at: usize,
    parts: Parts,
}

impl Splitter {
    fn run(mut self) -> Parts {
        while let Some(next) = self.peek(0) {
            match next {
                '/' if self.peek(1) == Some('/') => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.comment();
                    }
                }
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                'r' if self.starts_raw_string() => self.raw_string(),
                '\'' => self.quote(),
                _ => self.code(),
            }
        }
        self.parts
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn code(&mut self) {
        let next = self.rest[self.at];
        self.parts.code.push(next);
        if next == '\n' {
            self.parts.comments.push(next);
        }
        self.at += 1;
    }

    fn comment(&mut self) {
        let next = self.rest[self.at];
        self.parts.comments.push(next);
        if next == '\n' {
            self.parts.code.push(next);
        }
        self.at += 1;
    }

    /// Passes over a part of a literal, or over nothing at the end.
    fn skip(&mut self) {
        if self.peek(0) == Some('\n') {
            self.parts.code.push('\n');
            self.parts.comments.push('\n');
        }
        self.at += 1;
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.rest.len() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    self.comment();
                    continue;
                }
            }
            self.comment();
            self.comment();
            if depth == 0 {
                break;
            }
        }
    }

    fn string(&mut self) {
        self.code();
        while let Some(next) = self.peek(0) {
            match next {
                '"' => return self.code(),
                '\\' => {
                    self.skip();
                    self.skip();
                }
                _ => self.skip(),
            }
        }
    }

    /// `r"`, `r#"`, ... that does not end an identifier such as `for` (but may follow the `b` or `c` of a prefix).
    fn starts_raw_string(&self) -> bool {
        let word = |at: usize| self.rest.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_');
        let before = self.at.wrapping_sub(1);
        let prefixed = matches!(self.rest.get(before), Some('b' | 'c')) && !word(before.wrapping_sub(1));
        let mut end = self.at + 1;
        while self.rest.get(end) == Some(&'#') {
            end += 1;
        }
        (!word(before) || prefixed) && self.rest.get(end) == Some(&'"')
    }

    fn raw_string(&mut self) {
        self.code();
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            hashes += 1;
            self.skip();
        }
        self.code();
        while let Some(next) = self.peek(0) {
            if next == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.code();
                (0..hashes).for_each(|_| self.skip());
                return;
            }
            self.skip();
        }
    }

    /// A character literal, or a lifetime.
    fn quote(&mut self) {
        self.code();
        if self.peek(0) == Some('\\') {
            self.skip();
            self.skip();
            while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
                self.skip();
            }
        } else if self.peek(1) == Some('\'') {
            self.skip();
        } else {
            return;
        }
        if self.peek(0) == Some('\'') {
            self.code();
        }
    }
}

/// Every path that `code` names (`std::fs::read`, `HashMap`, ...), imports spelled out, with its line from 1.
pub fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for (at, line) in code.lines().enumerate() {
        let runs = line.split(|c| !in_path(c)).map(|run| run.trim_matches(':'));
        found.extend(runs.filter(|run| !run.is_empty()).map(|run| (at + 1, run.to_owned())));
    }
    for (at, _) in code.match_indices("use ") {
        let starts_word = code[..at].chars().next_back().is_none_or(|c| !in_path(c));
        if let (true, Some(end)) = (starts_word, code[at..].find(';')) {
            let line = 1 + code[..at].matches('\n').count();
            let mut spelled = Vec::new();
            spell_out("", &code[at + 4..at + end], &mut spelled);
            found.extend(spelled.into_iter().map(|path| (line, path)));
        }
    }
    found
}

/// `std::{fs, io::{self, Read as R}}` is `std::fs`, `std::io`, `std::io::Read`.
fn spell_out(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap_or(tree).trim();
        let path = format!("{prefix}{name}");
        found.push(path.strip_suffix("::self").unwrap_or(&path).to_owned());
        return;
    };
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len()).max(open + 1)];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                spell_out(&prefix, &inner[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        spell_out(&prefix, &inner[start..], found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        split(text).code
    }

    #[test]
    fn comments_and_code_part_ways_and_keep_their_lines() {
        let parts = split("a // b\n/* c /* d */\ne */ f\n");
        assert_eq!(parts.code, "a \n\n f\n");
        assert_eq!(parts.comments, "// b\n/* c /* d */\ne */\n");
    }

    #[test]
    fn literals_are_emptied() {
        assert_eq!(code(r#"f("x // y \" z", 'q', '"', '\'', '\u{1F}') // c"#), r#"f("", '', '', '', '') "#);
        assert_eq!(code("r#\"a \" // b\"# + br\"c\" + for\"d\""), "r\"\" + br\"\" + for\"\"");
        assert_eq!(code("\"two\nlines\" x"), "\"\n\" x");
    }

    #[test]
    fn lifetimes_are_no_literals() {
        assert_eq!(
            code("fn f<'a>(x: &'a str) -> &'static str { \"s\" }"),
            "fn f<'a>(x: &'a str) -> &'static str { \"\" }"
        );
    }

    #[test]
    fn what_is_never_closed_ends_with_the_file() {
        for text in ["\"abc", "/* abc", "r#\"abc\"", "'\\", "'"] {
            split(text);
        }
    }

    #[test]
    fn imports_are_spelled_out() {
        let found = paths(
            "pub use std::{\n    env,\n    collections::{BTreeMap, HashMap as Map},\n    fs::{self, File},\n};\n",
        );
        for path in ["std::env", "std::collections::BTreeMap", "std::collections::HashMap", "std::fs", "std::fs::File"]
        {
            assert!(found.contains(&(1, path.to_owned())), "{path} in {found:?}");
        }
    }

    #[test]
    fn paths_within_code_come_with_their_line() {
        let found = paths("let x =\n    std::thread::spawn(f::<u8>);");
        assert!(found.contains(&(2, "std::thread::spawn".to_owned())), "{found:?}");
        assert!(found.contains(&(2, "f".to_owned())), "{found:?}");
    }
}
