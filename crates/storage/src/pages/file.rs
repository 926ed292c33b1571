//! The pages in one redb file: what it holds open, and what happens when the disk fails.
//!
//! Opening reads the whole file, for redb checks its own structure only when told to; each value carries a checksum besides, for
//! what happens later.

use super::fault::guarded;
use super::tables::{
    self, FORMAT, HEADS, Head, Held, MEMBERS, META, PAGES, STAGED, full_key, other_generation, unsealed, whole,
};
use super::{Cut, HELD, Pages, PagesError, Part, ShardPages, Staged};
use crate::{Identity, Reserve, fsops};
use bytes::Bytes;
use paxos::Slot;
use placement::{Membership, ShardId};
use redb::{Database, ReadableDatabase, ReadableTable};
use std::collections::VecDeque;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// Pages put aside become durable after so many parts, and at the end.
const STAGE_SYNC: u32 = 16;

/// Opens the database; tests give one whose disk fails.
type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

/// Checkpoints in one redb file.
pub struct FilePages {
    path: PathBuf,
    opener: Opener,
    /// `None` after the disk was full, until reopening succeeds.
    database: Option<Database>,
    poisoned: Option<String>,
    /// Checkpoints held for other nodes, the one read last at the back.
    held: VecDeque<Held>,
    /// Parts put aside since the last that was made durable.
    unsynced: u32,
    reserve: Reserve,
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
                transaction.open_table(STAGED)?;
                transaction.open_table(MEMBERS)?;
            }
            transaction.commit()?;
            Ok(database)
        });
        let database = made.map_err(|fault| fault.explain("create", path))?;
        fsops::sync_dir(path.parent().unwrap_or(Path::new("."))).map_err(failed("sync the directory of"))?;
        let opener = opener(path, cache_bytes);
        Ok(Self::of(path, opener, database))
    }

    /// Opens the store at `path`, which must be that of `identity`.
    pub fn open(path: &Path, identity: Identity, cache_bytes: usize) -> Result<Self, PagesError> {
        if !path.exists() {
            return Err(PagesError::Missing { file: path.to_owned() });
        }
        Self::open_with(path, identity, opener(path, cache_bytes))
    }

    pub(super) fn open_with(path: &Path, identity: Identity, opener: Opener) -> Result<Self, PagesError> {
        fsops::forget_cached(path);
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
        Ok(Self::of(path, opener, database))
    }

    fn of(path: &Path, opener: Opener, database: Database) -> Self {
        let (path, held) = (path.to_owned(), VecDeque::new());
        Self { path, opener, database: Some(database), poisoned: None, held, unsynced: 0, reserve: Reserve::default() }
    }

    /// What gives way when the disk is full.
    #[must_use]
    pub fn with_reserve(self, reserve: Reserve) -> Self {
        Self { reserve, ..self }
    }

    fn database(&self) -> Result<&Database, PagesError> {
        if let Some(why) = &self.poisoned {
            return Err(PagesError::Poisoned { file: self.path.clone(), why: why.clone() });
        }
        self.database.as_ref().ok_or_else(|| PagesError::Full { file: self.path.clone() })
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, PagesError> {
        let database = self.database()?;
        guarded(|| read(database)).map_err(|fault| fault.explain("read", &self.path))
    }

    pub(super) fn damaged(&self, what: String) -> PagesError {
        PagesError::Damaged { file: self.path.clone(), what }
    }

    /// The heads of all shards, ascending.
    fn heads(&self) -> Result<Vec<(ShardId, Head)>, PagesError> {
        let found = self.read(|database| {
            let mut found = Vec::new();
            for entry in database.begin_read()?.open_table(HEADS)?.iter()? {
                let (shard, head) = entry?;
                found.push((ShardId(shard.value()), head.value().to_vec()));
            }
            Ok(found)
        })?;
        found.into_iter().map(|(shard, head)| Ok((shard, self.head(shard, &head)?))).collect()
    }

    fn head(&self, shard: ShardId, stored: &[u8]) -> Result<Head, PagesError> {
        Head::read(shard, stored).ok_or_else(|| self.damaged(format!("the checksum of the head of shard {shard}")))
    }

    /// Writes, if need be into the reserve. After a failure it is out of use, or (if the disk was only full) as before.
    fn write<T>(
        &mut self,
        doing: &'static str,
        write: impl Fn(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, PagesError> {
        match self.try_write(doing, &write) {
            Err(error) if error.is_full() && self.reserve.give_way() => self.try_write(doing, &write),
            done => done,
        }
    }

    fn try_write<T>(
        &mut self,
        doing: &'static str,
        write: &impl Fn(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, PagesError> {
        if self.database.is_none() && self.poisoned.is_none() {
            self.database = Some(open(&self.path, &self.opener)?);
        }
        let database = self.database()?;
        let fault = match guarded(|| write(database)) {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let error = fault.explain(doing, &self.path);
        // redb serves nothing after any failure of the file.
        self.held.clear();
        self.database = None;
        if error.is_full() {
            self.database = open(&self.path, &self.opener).ok();
        } else {
            self.poisoned = Some(error.to_string());
        }
        Err(error)
    }
}

impl Pages for FilePages {
    fn commit(&mut self, cuts: &[Cut]) -> Result<(), PagesError> {
        match self.write("commit a checkpoint to", |database| tables::commit(database, cuts))? {
            None => Ok(()),
            Some(refusal) => Err(refusal),
        }
    }

    fn load(&self, shard: ShardId, lazy: u8) -> Result<Option<ShardPages>, PagesError> {
        let loaded = self.read(|database| {
            let transaction = database.begin_read()?;
            let Some(head) = transaction.open_table(HEADS)?.get(shard.0)?.map(|value| value.value().to_vec()) else {
                return Ok(None);
            };
            let (mut pages, mut lazy_keys) = (Vec::new(), Vec::new());
            let generation = Head::read(shard, &head).map_or(0, |head| head.generation);
            let (first, end) = whole(shard, generation);
            for entry in transaction
                .open_table(PAGES)?
                .range::<&[u8]>((Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice())))?
            {
                let (key, value) = entry?;
                let short = Bytes::copy_from_slice(key.value().get(5..).unwrap_or_default());
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
        let Head { slot, rest: head, .. } = self.head(shard, &head)?;
        let mut pages = Vec::with_capacity(found.len());
        for (key, value) in found {
            let value = value.ok_or_else(|| self.damaged(format!("the checksum of page {key:?} of shard {shard}")))?;
            pages.push((key, value));
        }
        Ok(Some(ShardPages { slot, head, pages, lazy_keys }))
    }

    fn page(&self, shard: ShardId, key: &[u8]) -> Result<Option<Bytes>, PagesError> {
        let found = self.read(|database| {
            let transaction = database.begin_read()?;
            let head = transaction.open_table(HEADS)?.get(shard.0)?.map(|value| value.value().to_vec());
            let Some(head) = head else { return Ok(None) };
            // A damaged head says so when the shard is loaded.
            let full = full_key(shard, Head::read(shard, &head).map_or(0, |head| head.generation), key);
            let value = transaction.open_table(PAGES)?.get(full.as_slice())?.map(|value| value.value().to_vec());
            Ok(value.map(|value| unsealed(&full, &value).map(Bytes::copy_from_slice)))
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
        Ok(self.heads()?.into_iter().map(|(shard, head)| (shard, head.slot)).collect())
    }

    fn bases(&self) -> Result<Vec<(ShardId, Slot)>, PagesError> {
        Ok(self.heads()?.into_iter().map(|(shard, head)| (shard, head.base)).collect())
    }

    fn hold(&mut self, shard: ShardId) -> Result<Option<Slot>, PagesError> {
        let found = self.read(|database| {
            let transaction = database.begin_read()?;
            let head = transaction.open_table(HEADS)?.get(shard.0)?.map(|value| value.value().to_vec());
            Ok(head.map(|head| (head, transaction)))
        })?;
        let Some((head, transaction)) = found else { return Ok(None) };
        let Head { slot, generation, rest: head, .. } = self.head(shard, &head)?;
        self.held.retain(|held| held.shard != shard || held.slot != slot);
        if self.held.len() >= HELD {
            self.held.pop_front();
        }
        self.held.push_back(Held { shard, slot, head, generation, transaction });
        Ok(Some(slot))
    }

    fn let_go(&mut self, shard: ShardId) {
        self.held.retain(|held| held.shard != shard);
    }

    fn part(
        &mut self,
        shard: ShardId,
        slot: Slot,
        after: Option<&[u8]>,
        max_bytes: usize,
    ) -> Result<Option<Part>, PagesError> {
        self.database()?;
        let Some(at) = self.held.iter().position(|held| held.shard == shard && held.slot == slot) else {
            return Ok(None);
        };
        let held = self.held.remove(at).expect("found just now");
        let read = guarded(|| held.part(after, max_bytes)).map_err(|fault| fault.explain("read", &self.path));
        self.held.push_back(held);
        let part = read?;
        part.map(Some).ok_or_else(|| self.damaged(format!("the checksum of a page of shard {shard}")))
    }

    fn stage(
        &mut self,
        shard: ShardId,
        slot: Slot,
        after: Option<&[u8]>,
        pages: &[(Bytes, Bytes)],
    ) -> Result<bool, PagesError> {
        self.unsynced += 1;
        let durable = self.unsynced >= STAGE_SYNC;
        if durable {
            self.unsynced = 0;
        }
        self.write("put a checkpoint aside in", |database| tables::stage(database, shard, slot, after, pages, durable))
    }

    fn staged(&self, shard: ShardId) -> Result<Option<Staged>, PagesError> {
        self.read(|database| {
            let transaction = database.begin_read()?;
            let Some(slot) = transaction.open_table(STAGED)?.get(shard.0)?.map(|slot| slot.value()) else {
                return Ok(None);
            };
            let generation = other_generation(shard, &transaction.open_table(HEADS)?)?;
            let (first, end) = whole(shard, generation);
            let table = transaction.open_table(PAGES)?;
            let mut range =
                table.range::<&[u8]>((Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice())))?;
            let last = range.next_back().transpose()?;
            let after = last.map(|(key, _)| Bytes::copy_from_slice(key.value().get(5..).unwrap_or_default()));
            Ok(after.map(|after| Staged { slot: Slot(slot), after }))
        })
    }

    fn install(&mut self, shard: ShardId, slot: Slot, head: &Bytes) -> Result<(), PagesError> {
        self.unsynced = 0;
        match self.write("install a checkpoint in", |database| tables::install(database, shard, slot, head))? {
            None => Ok(()),
            Some(refusal) => Err(refusal),
        }
    }

    fn set_memberships(&mut self, memberships: &[(ShardId, Membership)]) -> Result<(), PagesError> {
        self.write("note memberships in", |database| {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            for &(shard, membership) in memberships {
                let word = match membership {
                    Membership::Left(number) => (0, number),
                    Membership::Joined(number) => (1, number),
                };
                transaction.open_table(MEMBERS)?.insert(shard.0, word)?;
                if matches!(membership, Membership::Left(_)) {
                    transaction.open_table(HEADS)?.remove(shard.0)?;
                    transaction.open_table(STAGED)?.remove(shard.0)?;
                    let mut pages = transaction.open_table(PAGES)?;
                    tables::clear(&mut pages, shard, 0)?;
                    tables::clear(&mut pages, shard, 1)?;
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    fn memberships(&self) -> Result<Vec<(ShardId, Membership)>, PagesError> {
        self.read(|database| {
            let mut found = Vec::new();
            for entry in database.begin_read()?.open_table(MEMBERS)?.iter()? {
                let (shard, word) = entry?;
                let membership = match word.value() {
                    (0, number) => Membership::Left(number),
                    (_, number) => Membership::Joined(number),
                };
                found.push((ShardId(shard.value()), membership));
            }
            Ok(found)
        })
    }
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
