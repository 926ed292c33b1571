//! Segment files: names, headers, making them; and the disk they are on, as a trait so that tests can make it fail.

use super::LogError;
use crate::{Identity, fsops};
use paxos::Slot;
use placement::ShardId;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::{fs, io};
use xxhash_rust::xxh3::xxh3_64;

/// The format that this program writes and reads.
pub(super) const VERSION: u32 = 1;
/// Bytes before the first frame.
pub(super) const HEADER: usize = 64;
/// The same, as an offset.
pub(super) const BEGIN: u32 = 64;

const _: () = assert!(BEGIN as usize == HEADER && HEADER.is_multiple_of(super::frame::ALIGN));

const MAGIC: &[u8; 8] = b"icefarm\0";
const CHECKED: usize = 16 + Identity::BYTES;

/// A file of the log.
pub(super) trait SegmentFile: Send + Sync {
    /// Asks for `bytes` of disk space.
    fn reserve(&self, bytes: u64) -> io::Result<()>;
    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Fills all of `bytes`.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&self) -> io::Result<()>;
    /// Bytes of the file.
    fn len(&self) -> io::Result<u64>;
}

/// The directory of the log.
pub(super) trait Disk: Send + Sync {
    /// An empty file in place of any that was there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>>;
    /// An existing one.
    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Whether segments may be made ahead on a thread of their own.
    fn in_background(&self) -> bool;
}

/// The machine's.
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        fsops::forget_cached(path);
        Ok(Box::new(RealFile(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fsops::sync_dir(dir)
    }

    fn in_background(&self) -> bool {
        true
    }
}

struct RealFile(fs::File);

impl SegmentFile for RealFile {
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            // Some file systems cannot reserve; the zeros that are written next do it there.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// A segment that is open.
pub(super) struct Segment {
    pub number: u32,
    pub path: PathBuf,
    pub file: Box<dyn SegmentFile>,
    /// Bytes of the file.
    pub capacity: u32,
    /// The lowest and highest slot that each shard has in it.
    pub slots: BTreeMap<ShardId, (Slot, Slot)>,
    /// Bytes of the records in it that are the last of a slot that somebody still needs.
    pub pinned: u64,
}

impl Segment {
    /// The segment holds a record for `slot`.
    pub fn note_slot(&mut self, shard: ShardId, slot: Slot) {
        let (low, high) = self.slots.entry(shard).or_insert((slot, slot));
        *low = slot.min(*low);
        *high = slot.max(*high);
    }
}

/// Where a segment is.
pub(super) fn path_of(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.seg"))
}

/// The number of the segment at `path`, if that is one.
pub(super) fn number_of(path: &Path) -> Option<u32> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    stem.parse().ok().filter(|number| *number > 0 && stem.len() == 10)
}

/// An error of the machine; [`LogError::Full`] if it is that.
pub(super) fn io_error(doing: &'static str, path: &Path, bytes: u64, source: io::Error) -> LogError {
    if fsops::is_full(&source) {
        return LogError::Full { path: path.to_owned(), bytes };
    }
    LogError::Io { doing, path: path.to_owned(), source }
}

/// Makes a segment: prepared under another name, with every byte written and synced, so that whatever carries a
/// segment's name is complete, and so that writing into it later changes no metadata.
pub(super) fn create(
    disk: &dyn Disk,
    dir: &Path,
    number: u32,
    bytes: u32,
    identity: Identity,
) -> Result<Segment, LogError> {
    // Synced piece by piece, so that a sync of the log meanwhile waits for one piece at most.
    const ZEROS: &[u8] = &[0; 1 << 20];
    let (path, temporary) = (path_of(dir, number), dir.join("next.tmp"));
    let made = || {
        let file = disk.create(&temporary)?;
        file.reserve(u64::from(bytes))?;
        let mut at = 0;
        while at < bytes {
            let count = ZEROS.len().min((bytes - at) as usize);
            file.write_at(&ZEROS[..count], u64::from(at))?;
            file.sync()?;
            at += u32::try_from(count).expect("a part of a segment");
        }
        file.write_at(&header(number, identity), 0)?;
        file.sync()?;
        disk.rename(&temporary, &path)?;
        disk.sync_dir(dir)?;
        Ok(file)
    };
    match made() {
        Ok(file) => Ok(Segment { number, path, file, capacity: bytes, slots: BTreeMap::new(), pinned: 0 }),
        Err(error) => {
            // Gives back what little space it took; a leftover is removed when the log is opened.
            let _ = disk.remove(&temporary);
            Err(io_error("make the log segment", &path, u64::from(bytes), error))
        }
    }
}

/// Where a segment that was dropped waits to become another one. (What has this name when the log is opened is removed.)
fn retired_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:010}.tmp"))
}

/// Drops a segment and keeps its file for one to come: bytes that are on disk need not be written with zeros once more.
pub(super) fn retire(disk: &dyn Disk, dir: &Path, mut segment: Segment) -> io::Result<Segment> {
    let path = retired_path(dir, segment.number);
    disk.rename(&segment.path, &path)?;
    disk.sync_dir(dir)?;
    segment.path = path;
    Ok(segment)
}

/// Makes a segment out of a retired one. Its old frames stay where they are: they carry another segment's number, and their
/// checksums are seeded with it.
pub(super) fn recycle(
    disk: &dyn Disk,
    dir: &Path,
    number: u32,
    retired: Segment,
    identity: Identity,
) -> Result<Segment, LogError> {
    let path = path_of(dir, number);
    let made = || {
        retired.file.write_at(&header(number, identity), 0)?;
        retired.file.sync()?;
        disk.rename(&retired.path, &path)?;
        disk.sync_dir(dir)
    };
    made().map_err(|error| io_error("make the log segment", &path, u64::from(retired.capacity), error))?;
    Ok(Segment { number, path, slots: BTreeMap::new(), pinned: 0, ..retired })
}

fn header(number: u32, identity: Identity) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&number.to_le_bytes());
    header[16..CHECKED].copy_from_slice(&identity.to_bytes());
    let checksum = xxh3_64(&header[..CHECKED]);
    header[CHECKED..CHECKED + 8].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Opens segment `number` and checks that it is ours.
pub(super) fn open(disk: &dyn Disk, dir: &Path, number: u32, expected: Identity) -> Result<Segment, LogError> {
    let path = path_of(dir, number);
    let failed = |source| LogError::Io { doing: "open", path: path.clone(), source };
    let damaged = |offset, what| LogError::Damaged { file: path.clone(), offset, what };
    let file = disk.open(&path).map_err(failed)?;
    let len = file.len().map_err(failed)?;
    let capacity = u32::try_from(len).map_err(|_| damaged(0, "the file is longer than any segment"))?;
    if len < HEADER as u64 {
        return Err(damaged(len, "the file ends within its header"));
    }
    let mut bytes = [0; HEADER];
    file.read_at(&mut bytes, 0).map_err(failed)?;
    let number_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    if &bytes[..8] != MAGIC {
        return Err(damaged(0, "not a log segment"));
    }
    if number_at(8) != VERSION {
        return Err(LogError::OtherVersion { file: path, found: number_at(8), expected: VERSION });
    }
    if bytes[CHECKED..CHECKED + 8] != xxh3_64(&bytes[..CHECKED]).to_le_bytes() {
        return Err(damaged(CHECKED as u64, "the header's checksum is wrong"));
    }
    if number_at(12) != number {
        return Err(damaged(12, "the header names another segment: the file was renamed"));
    }
    let found = Identity::from_bytes(bytes[16..CHECKED].try_into().expect("an identity's bytes"));
    if found != expected {
        return Err(LogError::OtherIdentity { file: path, found, expected });
    }
    Ok(Segment { number, path, file, capacity, slots: BTreeMap::new(), pinned: 0 })
}
