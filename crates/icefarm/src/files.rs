//! Files that a crash or a full disk must leave whole: the old one or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Puts `text` in the place of what the file held, durably. A draft beside it takes all that may go wrong.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let replaced = File::create(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&draft, path));
    if let Err(error) = replaced {
        // Nobody refers to the draft; the first error is the one worth reporting.
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all_and_no_draft_is_left() {
        let dir = std::env::temp_dir().join(format!("icefarm-files-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("node.toml");
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let taken = dir.join("taken");
        fs::create_dir(&taken).unwrap();
        replace(&taken, "three").unwrap_err();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "node.toml and taken");
        fs::remove_dir_all(&dir).unwrap();
    }
}
