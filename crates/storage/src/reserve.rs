//! Disk space kept back, so that a node whose disk is full can still do what gives space back: finish the writes under way,
//! checkpoint, drop old segments.
//!
//! The space is a file, `RESERVE`, that holds nothing. Whichever store meets a full disk removes it and tries again; the
//! node then takes in nothing new until the file could be made once more. So a node never runs into the very end of its
//! disk, where not even a checkpoint could be written that would let the log be trimmed.

use crate::fsops;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The reserve of a data directory. Its clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Reserve(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    path: PathBuf,
    /// What is to be kept back; 0: nothing ever is, and nothing is missed.
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// The file at `path` as an earlier life left it, perhaps not at all.
    pub(crate) fn found(path: &Path) -> Self {
        let bytes = fs::metadata(path).map_or(0, |file| file.len());
        Self(Arc::new(Mutex::new(State { path: path.to_owned(), bytes, held: bytes > 0 })))
    }

    /// From now on so much is kept back, as soon as there is space for it.
    pub(crate) fn resize(&self, bytes: u64) {
        let mut state = self.state();
        state.bytes = bytes;
        // A copied file may be long and take no space.
        let keeps = |file: fs::Metadata| file.len() == bytes && file.blocks() * 512 >= bytes;
        state.held = bytes > 0 && fs::metadata(&state.path).is_ok_and(keeps);
        drop(state);
        self.restore();
    }

    /// Whether all that is to be kept back is.
    pub fn is_held(&self) -> bool {
        let state = self.state();
        state.held || state.bytes == 0
    }

    /// Bytes kept back now.
    pub fn bytes(&self) -> u64 {
        let state = self.state();
        if state.held { state.bytes } else { 0 }
    }

    /// Gives the space back to the disk. `false`: there was nothing to give.
    pub(crate) fn give_way(&self) -> bool {
        let mut state = self.state();
        let gave = state.held && fs::remove_file(&state.path).is_ok();
        state.held = false;
        gave
    }

    /// Takes the space again, if it is there. `true`: it is held.
    pub fn restore(&self) -> bool {
        let mut state = self.state();
        if !state.held && state.bytes > 0 {
            state.held = make(&state.path, state.bytes).is_ok();
            if !state.held {
                // A part of it would help nobody.
                let _ = fs::remove_file(&state.path);
            }
        }
        state.held || state.bytes == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(path: &Path, bytes: u64) -> io::Result<()> {
    fsops::allocate(&File::create(path)?, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn what_is_kept_back_takes_space_until_it_gives_way_and_is_taken_again() {
        let dir = Scratch::new();
        let path = dir.path().join("RESERVE");
        let reserve = Reserve::found(&path);
        assert!(!reserve.give_way(), "there is none yet");
        reserve.resize(1 << 20);
        let taken = || fs::metadata(&path).map_or(0, |file| file.blocks() * 512);
        assert!(reserve.is_held() && taken() >= 1 << 20);
        let other = reserve.clone();
        assert!(other.give_way());
        assert!(!reserve.is_held() && taken() == 0 && reserve.bytes() == 0);
        assert!(!reserve.give_way(), "once only");
        assert!(reserve.restore() && other.is_held() && taken() >= 1 << 20);
        drop((reserve, other));
        assert!(Reserve::found(&path).give_way(), "also that of an earlier life");
    }

    #[test]
    fn a_file_without_blocks_and_one_of_another_size_are_made_anew() {
        let dir = Scratch::new();
        let path = dir.path().join("RESERVE");
        File::create(&path).and_then(|file| file.set_len(1 << 20)).expect("room");
        for bytes in [1 << 20, 1 << 16] {
            let reserve = Reserve::found(&path);
            reserve.resize(bytes);
            let file = fs::metadata(&path).expect("made");
            assert!(reserve.is_held() && file.len() == bytes && file.blocks() * 512 >= bytes);
        }
    }

    #[test]
    fn more_than_the_disk_has_is_not_held_and_leaves_nothing_behind() {
        let dir = Scratch::new();
        let path = dir.path().join("RESERVE");
        let reserve = Reserve::found(&path);
        reserve.resize(1 << 60);
        assert!(!reserve.is_held() && !path.exists());
        reserve.resize(4096);
        assert!(reserve.is_held());
    }

    #[test]
    fn where_nothing_is_kept_back_nothing_is_missed() {
        let none = Reserve::default();
        assert!(none.is_held() && none.restore() && !none.give_way());
    }
}
