//! A file under redb that is only read: what redb would write (marks, repairs) is kept in memory, so that looking at a damaged
//! file leaves it as it was found.

use redb::StorageBackend;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that are kept together.
const BLOCK: u64 = 4_096;

/// The file, and what has been written over it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// From here on the file counts no more.
    cut: u64,
    /// By their number.
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, written: Mutex::new(Written { len, cut: len, blocks: BTreeMap::new() }) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn block(&self, written: &Written, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = written.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; size(BLOCK)];
        let begin = number * BLOCK;
        let there = written.cut.saturating_sub(begin).min(BLOCK);
        self.file.read_exact_at(&mut block[..size(there)], begin)?;
        Ok(block)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset + out.len() as u64 > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, part) in parts(offset, out.len()) {
            out[part].copy_from_slice(&self.block(&written, number)?[within]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        if len < written.len {
            let mut edge = self.block(&written, len / BLOCK)?;
            edge[size(len % BLOCK)..].fill(0);
            written.cut = written.cut.min(len);
            written.blocks.retain(|number, _| number * BLOCK < len);
            written.blocks.insert(len / BLOCK, edge);
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        for (number, within, part) in parts(offset, data.len()) {
            let mut block = self.block(&written, number)?;
            block[within].copy_from_slice(&data[part]);
            written.blocks.insert(number, block);
        }
        Ok(())
    }
}

/// The blocks that `len` bytes at `offset` lie in: number, where in the block, where in the bytes.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = size(at % BLOCK);
        let count = (size(BLOCK) - within).min(len - done);
        let part = done..done + count;
        done += count;
        (count > 0).then_some((at / BLOCK, within..within + count, part))
    })
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).expect("at most a block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::{Random, Scratch};
    use std::fs;

    #[test]
    fn it_reads_what_was_written_over_the_file_and_the_file_stays_as_it_was() {
        let dir = Scratch::new();
        let path = dir.path().join("file");
        let original: Vec<u8> = (0..20_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        fs::write(&path, &original).expect("room");
        let overlay = Overlay::open(&path).expect("it is there");
        let (mut plain, mut random) = (original.clone(), Random(1));
        for _ in 0..500 {
            if random.below(20) == 0 {
                let len = random.below(30_000);
                overlay.set_len(u64::from(len)).expect("in memory");
                plain.resize(len as usize, 0);
            }
            let len = u32::try_from(plain.len()).expect("small");
            let at = random.below(len + 1);
            let count = random.below(10_000).min(len - at);
            let byte = random.below(256).to_le_bytes()[0];
            overlay.write(u64::from(at), &vec![byte; count as usize]).expect("in memory");
            plain[at as usize..(at + count) as usize].fill(byte);
            let mut all = vec![0; plain.len()];
            overlay.read(0, &mut all).expect("within it");
            assert!(all == plain && overlay.len().expect("known") == u64::from(len));
        }
        assert!(overlay.read(overlay.len().expect("known"), &mut [0]).is_err());
        assert_eq!(fs::read(&path).expect("it is there"), original);
    }
}
