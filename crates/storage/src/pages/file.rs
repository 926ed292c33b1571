//! The pages in redb.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `identity` | 4 bytes; cluster, incarnation and node |
//! | `heads` | shard | xxh3, slot, head |
//! | `pages` | shard (4 bytes, big-endian), key | xxh3, page |
//!
//! redb checks its own structure only when told to, so opening the store reads it whole, once; and each value carries a
//! checksum of itself and its key, for what happens later. Commits save the allocator's state, so that a crash leaves
//! nothing to repair.

use super::{Cut, Pages, PagesError, ShardPages};
use crate::{Identity, fsops};
use bytes::Bytes;
use paxos::Slot;
use placement::ShardId;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const HEADS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("heads");
const PAGES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pages");
/// The layout told above.
const FORMAT: u32 = 1;

/// Opens the database; tests give one whose disk fails.
type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

/// Checkpoints in one redb file.
pub struct FilePages {
    path: PathBuf,
    opener: Opener,
    /// `None` after the disk was full, until reopening succeeds.
    database: Option<Database>,
    poisoned: Option<String>,
}

impl FilePages {
    /// Makes an empty store at `path`, where there must be none. `cache_bytes` bounds redb's cache.
    pub fn create(path: &Path, identity: Identity, cache_bytes: usize) -> Result<Self, PagesError> {
        let failed = |doing| move |source| PagesError::Io { doing, path: path.to_owned(), source };
        let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(failed("create"))?;
        let made = guarded(|| {
            let database = builder(cache_bytes).create_file(file)?;
            let transaction = database.begin_write()?;
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert("format", FORMAT.to_le_bytes().as_slice())?;
                meta.insert("identity", identity.to_bytes().as_slice())?;
                transaction.open_table(HEADS)?;
                transaction.open_table(PAGES)?;
            }
            transaction.commit()?;
            Ok(database)
        });
        let database = made.map_err(|fault| fault.explain("create", path))?;
        fsops::sync_dir(path.parent().unwrap_or(Path::new("."))).map_err(failed("sync the directory of"))?;
        let opener = opener(path, cache_bytes);
        Ok(Self { path: path.to_owned(), opener, database: Some(database), poisoned: None })
    }

    /// Opens the store at `path`, which must be that of `identity`.
    pub fn open(path: &Path, identity: Identity, cache_bytes: usize) -> Result<Self, PagesError> {
        if !path.exists() {
            return Err(PagesError::Missing { file: path.to_owned() });
        }
        Self::open_with(path, identity, opener(path, cache_bytes))
    }

    pub(super) fn open_with(path: &Path, identity: Identity, opener: Opener) -> Result<Self, PagesError> {
        let database = open_and_check(path, &opener)?;
        let meta = guarded(|| {
            let meta = database.begin_read()?.open_table(META)?;
            let format = meta.get("format")?.map(|value| value.value().to_vec());
            let identity = meta.get("identity")?.map(|value| value.value().to_vec());
            Ok((format, identity))
        });
        let (format, found) = meta.map_err(|fault| fault.explain("read", path))?;
        let damaged = |what: &str| PagesError::Damaged { file: path.to_owned(), what: what.to_owned() };
        let format = format.and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)));
        let format = format.ok_or_else(|| damaged("it does not say its format"))?;
        if format != FORMAT {
            return Err(PagesError::OtherVersion { file: path.to_owned(), found: format, expected: FORMAT });
        }
        let found = found.and_then(|bytes| Some(Identity::from_bytes(bytes.as_slice().try_into().ok()?)));
        let found = found.ok_or_else(|| damaged("it does not say whose it is"))?;
        if found != identity {
            return Err(PagesError::OtherIdentity { file: path.to_owned(), found, expected: identity });
        }
        Ok(Self { path: path.to_owned(), opener, database: Some(database), poisoned: None })
    }

    fn database(&self) -> Result<&Database, PagesError> {
        if let Some(why) = &self.poisoned {
            return Err(PagesError::Poisoned { file: self.path.clone(), why: why.clone() });
        }
        self.database.as_ref().ok_or_else(|| PagesError::Full { file: self.path.clone() })
    }

    fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, PagesError> {
        let database = self.database()?;
        guarded(|| read(database)).map_err(|fault| fault.explain("read", &self.path))
    }

    fn damaged(&self, what: String) -> PagesError {
        PagesError::Damaged { file: self.path.clone(), what }
    }

    fn head(&self, shard: ShardId, stored: &[u8]) -> Result<(Slot, Bytes), PagesError> {
        let head = unsealed(&shard.0.to_be_bytes(), stored).and_then(|value| value.split_first_chunk::<8>());
        let (slot, head) = head.ok_or_else(|| self.damaged(format!("the checksum of the head of shard {shard}")))?;
        Ok((Slot(u64::from_le_bytes(*slot)), Bytes::copy_from_slice(head)))
    }
}

impl Pages for FilePages {
    fn commit(&mut self, cuts: &[Cut]) -> Result<(), PagesError> {
        if self.database.is_none() && self.poisoned.is_none() {
            self.database = Some(open(&self.path, &self.opener)?);
        }
        let database = self.database()?;
        let fault = match guarded(|| commit(database, cuts)) {
            Ok(None) => return Ok(()),
            Ok(Some(refusal)) => return Err(refusal),
            Err(fault) => fault,
        };
        let error = fault.explain("commit a checkpoint to", &self.path);
        // redb serves nothing after any failure of the file.
        self.database = None;
        if error.is_full() {
            self.database = open(&self.path, &self.opener).ok();
        } else {
            self.poisoned = Some(error.to_string());
        }
        Err(error)
    }

    fn load(&self, shard: ShardId, lazy: u8) -> Result<Option<ShardPages>, PagesError> {
        let loaded = self.read(|database| {
            let transaction = database.begin_read()?;
            let Some(head) = transaction.open_table(HEADS)?.get(shard.0)?.map(|value| value.value().to_vec()) else {
                return Ok(None);
            };
            let (mut pages, mut lazy_keys) = (Vec::new(), Vec::new());
            let first = shard.0.to_be_bytes();
            let next = shard.0.checked_add(1).map(u32::to_be_bytes);
            let end = next.as_ref().map_or(Bound::Unbounded, |next| Bound::Excluded(next.as_slice()));
            for entry in transaction.open_table(PAGES)?.range::<&[u8]>((Bound::Included(first.as_slice()), end))? {
                let (key, value) = entry?;
                let short = Bytes::copy_from_slice(key.value().get(4..).unwrap_or_default());
                if short.first() == Some(&lazy) {
                    lazy_keys.push(short);
                } else {
                    let value = unsealed(key.value(), value.value()).map(Bytes::copy_from_slice);
                    pages.push((short, value));
                }
            }
            Ok(Some((head, pages, lazy_keys)))
        })?;
        let Some((head, found, lazy_keys)) = loaded else { return Ok(None) };
        let (slot, head) = self.head(shard, &head)?;
        let mut pages = Vec::with_capacity(found.len());
        for (key, value) in found {
            let value = value.ok_or_else(|| self.damaged(format!("the checksum of page {key:?} of shard {shard}")))?;
            pages.push((key, value));
        }
        Ok(Some(ShardPages { slot, head, pages, lazy_keys }))
    }

    fn page(&self, shard: ShardId, key: &[u8]) -> Result<Option<Bytes>, PagesError> {
        let full = full_key(shard, key);
        let found = self.read(|database| {
            let table = database.begin_read()?.open_table(PAGES)?;
            let value = table.get(full.as_slice())?;
            Ok(value.map(|value| unsealed(&full, value.value()).map(Bytes::copy_from_slice)))
        })?;
        match found {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => {
                let key = Bytes::copy_from_slice(key);
                Err(self.damaged(format!("the checksum of page {key:?} of shard {shard}")))
            }
        }
    }

    fn shards(&self) -> Result<Vec<(ShardId, Slot)>, PagesError> {
        let found = self.read(|database| {
            let mut found = Vec::new();
            for entry in database.begin_read()?.open_table(HEADS)?.iter()? {
                let (shard, head) = entry?;
                found.push((ShardId(shard.value()), head.value().to_vec()));
            }
            Ok(found)
        })?;
        found.into_iter().map(|(shard, head)| Ok((shard, self.head(shard, &head)?.0))).collect()
    }
}

/// Commits, or says why the cuts are refused.
fn commit(database: &Database, cuts: &[Cut]) -> Result<Option<PagesError>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut heads = transaction.open_table(HEADS)?;
        let mut pages = transaction.open_table(PAGES)?;
        for cut in cuts {
            let shard = cut.shard;
            let stored = heads.get(shard.0)?.and_then(|head| slot_of(head.value()));
            if let Some(stored) = stored.filter(|stored| *stored > cut.slot) {
                return Ok(Some(PagesError::Backwards { shard, stored, cut: cut.slot }));
            }
            let head = sealed(&shard.0.to_be_bytes(), &[&cut.slot.0.to_le_bytes(), &cut.head]);
            heads.insert(shard.0, head.as_slice())?;
            for (key, value) in &cut.pages {
                let key = full_key(shard, key);
                match value {
                    Some(value) => pages.insert(key.as_slice(), sealed(&key, &[value]).as_slice())?,
                    None => pages.remove(key.as_slice())?,
                };
            }
        }
    }
    transaction.commit()?;
    Ok(None)
}

fn builder(cache_bytes: usize) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    builder
}

fn opener(path: &Path, cache_bytes: usize) -> Opener {
    let path = path.to_owned();
    Box::new(move || Ok(builder(cache_bytes).open(&path)?))
}

fn open(path: &Path, opener: &Opener) -> Result<Database, PagesError> {
    guarded(opener).map_err(|fault| fault.explain("open", path))
}

/// As [`open`], and reads the whole file against redb's checksums, for later it would trust what it finds and panic.
fn open_and_check(path: &Path, opener: &Opener) -> Result<Database, PagesError> {
    let mut database = open(path, opener)?;
    match guarded(|| Ok(database.check_integrity()?)) {
        // "False" is a repair that succeeded. Should it have gone back to an earlier commit, the log either still has
        // what follows or reports the gap.
        Ok(_) => Ok(database),
        Err(fault) => {
            // Closing would write to the damaged file, and panics on some damage. The process is about to end.
            std::mem::forget(database);
            Err(fault.explain("check", path))
        }
    }
}

fn full_key(shard: ShardId, key: &[u8]) -> Vec<u8> {
    [&shard.0.to_be_bytes(), key].concat()
}

fn slot_of(head: &[u8]) -> Option<Slot> {
    Some(Slot(u64::from_le_bytes(head.get(8..16)?.try_into().ok()?)))
}

/// `parts` as one value, behind their checksum.
fn sealed(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut value = vec![0; 8];
    for part in parts {
        value.extend_from_slice(part);
    }
    let checksum = xxh3_64_with_seed(&value[8..], xxh3_64(key));
    value[..8].copy_from_slice(&checksum.to_le_bytes());
    value
}

/// What is behind the checksum, if that is right.
fn unsealed<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (checksum, value) = value.split_first_chunk::<8>()?;
    (xxh3_64_with_seed(value, xxh3_64(key)).to_le_bytes() == *checksum).then_some(value)
}

/// What redb failed with.
enum Fault {
    Error(redb::Error),
    /// It panics on some kinds of damage.
    Panic(String),
}

fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(Fault::Error),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(Fault::Panic(text.unwrap_or_else(|| "redb gave up".to_owned())))
        }
    }
}

impl Fault {
    fn explain(self, doing: &'static str, path: &Path) -> PagesError {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        let file = path.to_owned();
        match self {
            Self::Error(redb::Error::Io(source)) if fsops::is_full(&source) => PagesError::Full { file },
            Self::Error(redb::Error::Io(source)) if matches!(source.kind(), InvalidData | UnexpectedEof) => {
                PagesError::Damaged { file, what: source.to_string() }
            }
            Self::Error(redb::Error::Io(source)) => PagesError::Io { doing, path: file, source },
            Self::Error(redb::Error::DatabaseAlreadyOpen) => PagesError::InUse { file },
            Self::Error(redb::Error::UpgradeRequired(found)) => {
                PagesError::OtherVersion { file, found: u32::from(found), expected: FORMAT }
            }
            Self::Error(other) => PagesError::Damaged { file, what: other.to_string() },
            Self::Panic(what) => PagesError::Damaged { file, what },
        }
    }
}
