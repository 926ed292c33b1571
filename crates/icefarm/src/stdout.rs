//! What goes to stdout, and to stderr. A reader that closes the pipe (`| head`) has what it wants; any other trouble is told, because a
//! script that got half an answer must not take it for a whole one.

use crate::exit::{Exit, Failure};
use serde::Serialize;
use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Writes text as it is.
pub fn text(text: &str) -> Result<(), Failure> {
    heard(text).map(|_| ())
}

/// The same; says whether anybody still listens.
pub fn heard(text: &str) -> Result<bool, Failure> {
    written(write_to(&mut io::stdout().lock(), text.as_bytes()))
}

/// Writes an object on a line of its own.
pub fn json(object: &impl Serialize) -> Result<(), Failure> {
    json_line(object).map(|_| ())
}

/// The same; says whether anybody still listens.
pub fn json_line(object: &impl Serialize) -> Result<bool, Failure> {
    let mut line = serde_json::to_string(object).expect("our objects have a JSON form");
    line.push('\n');
    heard(&line)
}

/// Says something on stderr, on the side: where nobody listens any more, what is being done goes on.
pub fn aside(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn write_to(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes).and_then(|()| out.flush())
}

fn written(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Machine, format!("cannot write to stdout: {error}"))
                .hint("what was asked for has been done; only the answer is lost"))
        }
        Err(_) => Ok(false),
        Ok(()) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let result = write_to(&mut writer, b"land");
        assert_eq!(result.as_ref().unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(written(result), Ok(false));
    }

    #[test]
    fn an_answer_that_is_lost_is_told() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let failure = written(write_to(&mut full, b"land")).unwrap_err();
        assert_eq!(failure.status, Exit::Machine);
    }
}
