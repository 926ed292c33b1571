//! The directory that a node keeps its data in.
//!
//! | name | content |
//! |---|---|
//! | `LOCK` | locked while a process uses the directory; names its pid |
//! | `VERSION` | format, cluster, node, incarnation, boots, support; text with a checksum |
//! | `RESERVE` | nothing: disk space that is there when the disk is full |
//! | `SPARE` | nothing: the same for `VERSION` and `PEERS` alone, without which a node could not even start |
//! | `PEERS` | the lives of other nodes' disks that this node met first; text with a checksum |
//! | `log/` | the log's segments |
//! | `pages.redb` | the checkpoints |

mod error;
mod inspection;
mod meta;
mod peers;
#[cfg(test)]
mod tests;

pub use error::DataError;
pub use inspection::{InspectedShard, Inspection, Progress};

use crate::{Checkpointed, FileLog, FilePages, Identity, Incarnation, LogOptions, Pages, Reserve, fsops};
use meta::Meta;
use paxos::{NodeId, Recovered};
use placement::{ClusterId, Membership, ShardId};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Space for the small files and the names of what replaces them.
const SPARE_BYTES: u64 = 64 << 10;

/// A data directory that this process holds; let go when dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    meta: Meta,
    met: BTreeMap<NodeId, Incarnation>,
    reserve: Reserve,
    /// What the log and the checkpoints never take.
    spare: Reserve,
    /// Unlocked when closed.
    _lock: File,
}

/// How the stores are opened.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// The log's layout.
    pub log: LogOptions,
    /// Bytes of memory that redb may use as its cache.
    pub cache_bytes: usize,
    /// Bytes of disk kept back for when it is full.
    pub reserve_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { log: LogOptions::default(), cache_bytes: 16 << 20, reserve_bytes: 0 }
    }
}

/// Both stores, open.
pub struct Stores {
    /// The log.
    pub log: FileLog,
    /// The checkpoints.
    pub pages: FilePages,
    /// What each replica starts from, for every shard that either store knows and that this node has not left.
    pub recovered: BTreeMap<ShardId, Recovered>,
    /// Which shards this node has joined or left.
    pub memberships: BTreeMap<ShardId, Membership>,
}

impl DataDir {
    /// Locks the directory, makes it if need be, checks that it is this node's, and counts the boot. `new_incarnation`
    /// (random) is used only if the directory is new; else it keeps the one it has.
    pub fn open(
        path: &Path,
        cluster: ClusterId,
        node: NodeId,
        new_incarnation: Incarnation,
    ) -> Result<Self, DataError> {
        fsops::create_dir_durably(path).map_err(failed("create", path))?;
        let (lock, known) = hold(path)?;
        let mut meta = if let Some(meta) = known {
            let Identity { cluster: found_cluster, node: found_node, .. } = meta.identity;
            if found_cluster != cluster {
                let path = path.to_owned();
                return Err(DataError::OtherCluster { path, found: found_cluster, expected: cluster });
            }
            if found_node != node {
                return Err(DataError::OtherNode { path: path.to_owned(), found: found_node, expected: node });
            }
            meta
        } else {
            Meta {
                identity: Identity { cluster, node, incarnation: new_incarnation },
                boots: 0,
                stores: false,
                support_ms: 0,
            }
        };
        let met = peers::read(&path.join("PEERS"))?;
        meta.boots += 1;
        let [reserve, spare] = ["RESERVE", "SPARE"].map(|name| Reserve::found(&path.join(name)));
        let data = Self { path: path.to_owned(), meta, met, reserve, spare, _lock: lock };
        data.write_meta()?;
        data.spare.resize(SPARE_BYTES);
        Ok(data)
    }

    /// Opens both stores: the checkpoints, then the log from where they end. On the first boot, makes them; later a
    /// store that is not there is an error, for a node without its log has forgotten its promises.
    pub fn open_stores(&mut self, options: StoreOptions) -> Result<Stores, DataError> {
        let (identity, log, pages) = (self.identity(), self.log_dir(), self.pages_path());
        if !self.meta.stores {
            // Nothing was ever promised from here, so what an interrupted first boot left is worth nothing.
            remove_if_there(&pages, |path| fs::remove_file(path))?;
            remove_if_there(&log, |path| fs::remove_dir_all(path))?;
            fs::create_dir(&log).map_err(failed("create", &log))?;
            drop(FilePages::create(&pages, identity, options.cache_bytes)?);
            drop(FileLog::create(&log, identity, options.log)?);
            fsops::sync_dir(&self.path).map_err(failed("sync", &self.path))?;
            self.meta.stores = true;
            self.write_meta()?;
        }
        self.reserve.resize(options.reserve_bytes);
        let pages = FilePages::open(&pages, identity, options.cache_bytes)?.with_reserve(self.reserve.clone());
        let (known, memberships) = known_to(&pages)?;
        let (log, mut recovered) = FileLog::open(&log, identity, options.log, &known)?;
        let log = log.with_reserve(self.reserve.clone());
        for (shard, membership) in &memberships {
            if let &Membership::Joined(floor) = membership {
                recovered.entry(*shard).or_insert_with(Recovered::fresh).floor = floor;
            }
        }
        Ok(Stores { log, pages, recovered, memberships })
    }

    /// The lives of other nodes' disks that this node met first.
    pub fn met(&self) -> &BTreeMap<NodeId, Incarnation> {
        &self.met
    }

    /// This node has met `node`, for the first time, in this life of its disk: remembered from now on.
    pub fn meet(&mut self, node: NodeId, incarnation: Incarnation) -> Result<(), DataError> {
        self.met.entry(node).or_insert(incarnation);
        self.with_room(|| peers::write(&self.path.join("PEERS"), &self.met))
    }

    /// From now on this node supports others for `support` at a time. Says for how long at most it did so before, as far as
    /// that may still bind it: until so long after its start.
    pub fn give_support(&mut self, support: Duration) -> Result<Duration, DataError> {
        let (ms, before) = (millis(support), self.meta.support_ms);
        if ms > before {
            self.meta.support_ms = ms;
            self.write_meta()?;
        }
        Ok(Duration::from_millis(before))
    }

    /// What earlier lives have promised binds nobody any more: only `support` does.
    pub fn outlived_support(&mut self, support: Duration) -> Result<(), DataError> {
        if self.meta.support_ms != millis(support) {
            self.meta.support_ms = millis(support);
            self.write_meta()?;
        }
        Ok(())
    }

    /// What is kept back for when the disk is full.
    pub fn reserve(&self) -> &Reserve {
        &self.reserve
    }

    fn write_meta(&self) -> Result<(), DataError> {
        self.with_room(|| self.meta.write(&self.path.join("VERSION")))
    }

    /// Writes something small in the place of what is there, if need be with the spare space, which is then whole again.
    fn with_room(&self, write: impl Fn() -> Result<(), DataError>) -> Result<(), DataError> {
        let written = match write() {
            Err(error) if error.is_full() && self.spare.give_way() => write(),
            done => done,
        };
        self.spare.restore();
        written
    }

    /// Whose data this is.
    pub fn identity(&self) -> Identity {
        self.meta.identity
    }

    /// How often the directory has been opened, this time included: never the same twice.
    pub fn boots(&self) -> u64 {
        self.meta.boots
    }

    /// Whether this is the first boot of this incarnation, or no earlier one got as far as having stores.
    pub fn is_new(&self) -> bool {
        !self.meta.stores
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log is.
    pub fn log_dir(&self) -> PathBuf {
        log_dir(&self.path)
    }

    /// Where the checkpoints are.
    pub fn pages_path(&self) -> PathBuf {
        pages_path(&self.path)
    }
}

/// Locks the directory, and reads whose it is; `None`: nobody's yet.
fn hold(path: &Path) -> Result<(File, Option<Meta>), DataError> {
    let lock = lock(path)?;
    let version = path.join("VERSION");
    match fs::read(&version) {
        Ok(bytes) => Ok((lock, Some(Meta::parse(&version, &bytes)?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match [log_dir(path), pages_path(path)].into_iter().find(|stray| stray.exists()) {
                Some(stray) => Err(DataError::NoVersion { file: version, stray }),
                None => Ok((lock, None)),
            }
        }
        Err(error) => Err(failed("read", &version)(error)),
    }
}

/// What the checkpoints say of the shards: how much of the log is to be there, and which the node has joined or left.
fn known_to(pages: &FilePages) -> Result<(Checkpointed, BTreeMap<ShardId, Membership>), DataError> {
    let memberships: BTreeMap<ShardId, Membership> = pages.memberships()?.into_iter().collect();
    let left = memberships.iter().filter(|(_, membership)| matches!(membership, Membership::Left(_)));
    let left = left.map(|(shard, _)| *shard).collect();
    let (applied, bases) = (pages.shards()?.into_iter().collect(), pages.bases()?.into_iter().collect());
    Ok((Checkpointed { applied, bases, left }, memberships))
}

/// In milliseconds, rounded up.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

fn log_dir(path: &Path) -> PathBuf {
    path.join("log")
}

fn pages_path(path: &Path) -> PathBuf {
    path.join("pages.redb")
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataError {
    move |source| DataError::Io { doing, path: path.to_owned(), source }
}

fn remove_if_there(path: &Path, remove: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), DataError> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn lock(dir: &Path) -> Result<File, DataError> {
    let path = dir.join("LOCK");
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The pid is a courtesy: without it the message is still right.
            let _ = (&file).read_to_string(&mut text);
            return Err(DataError::InUse { path: dir.to_owned(), pid: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
    }
    let pid = format!("{}\n", std::process::id());
    // Over what is there, from the beginning: on a full disk there is no other space.
    let written = file.write_all_at(pid.as_bytes(), 0).and_then(|()| file.set_len(pid.len() as u64));
    written.map_err(failed("write", &path))?;
    Ok(file)
}
