//! Damage to a node's files, as a failing machine does it. The log's layout is that of the crate `storage`: segments of
//! one size, written from the front, zeros behind; each frame begins with a checksum (8 bytes), a kind (4) and the
//! length of its records (4), has a header of 32 bytes, and is padded to 8.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes before a segment's first frame.
const BEGIN: usize = 64;
/// Bytes before a frame's records.
const HEADER: usize = 32;

/// A log segment that is in use, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// Where each frame begins.
    pub frames: Vec<usize>,
    /// Where the frames end.
    pub end: usize,
}

/// The segment that the node in `home` wrote last.
///
/// # Panics
/// If there is none.
pub fn newest_segment(home: &Path) -> Segment {
    let log = home.join("data/log");
    let entries = fs::read_dir(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    // The last one may have been made ahead, and never used.
    let used = paths.into_iter().rev().map(walk).find(|segment| !segment.frames.is_empty());
    used.unwrap_or_else(|| panic!("no segment in {} is in use", log.display()))
}

fn walk(path: PathBuf) -> Segment {
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut frames, mut end) = (Vec::new(), BEGIN);
    while let Some(header) = bytes.get(end..end + HEADER) {
        if &header[8..12] != b"frme" && &header[8..12] != b"seal" {
            break;
        }
        frames.push(end);
        let records = u32::from_le_bytes(header[12..16].try_into().expect("4 bytes"));
        end = (end + HEADER + records as usize).next_multiple_of(8);
    }
    Segment { path, frames, end }
}

impl Segment {
    /// As if the machine had died while more was being written: bytes that are no frame.
    ///
    /// # Panics
    /// If the file cannot be written, here as below.
    pub fn append_garbage(&self) {
        let garbage: Vec<u8> = (0..300_u32).map(|at| (at * 7 + 3).to_le_bytes()[0] | 1).collect();
        self.write(&garbage, self.end);
    }

    /// As if the end of the last frame had never reached the disk.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn tear_last_frame(&self) {
        let last = *self.frames.last().expect("a segment in use");
        let from = last + (self.end - last) / 2;
        self.write(&vec![0; self.end - from], from);
    }

    /// Flips one bit in the records of a frame in the middle; says where.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn flip_a_bit_in_the_middle(&self) -> u64 {
        let frame = self.frames[self.frames.len() / 2];
        let at = (frame + HEADER) as u64;
        let file = self.file();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("within the file");
        file.write_all_at(&[byte[0] ^ 0b100], at).expect("the file can be written");
        frame as u64
    }

    fn write(&self, bytes: &[u8], at: usize) {
        self.file().write_all_at(bytes, at as u64).expect("the file can be written");
    }

    fn file(&self) -> File {
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        file.unwrap_or_else(|error| panic!("{}: {error}", self.path.display()))
    }
}
