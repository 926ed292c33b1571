//! Who sees what, and the order of things.
//!
//! A block that somebody sees is a *scene*. A scene is *near* when what this node's own replicas apply is told of it; otherwise
//! it is followed by questions that wait elsewhere, or (from afar) read again now and then. A viewer's view says of each
//! block how much of it the viewer was told.

mod hearing;
mod keeping;
#[cfg(test)]
mod tests;
mod viewing;

use super::land::Land;
use super::mailbox::Mailbox;
use super::sources::{Heard, Sources};
use super::tap::{Tap, Told};
use super::tiles::Tiles;
use crate::limits::Limit;
use crate::link::Link;
use crate::meters::Meters;
use crate::socket::messages::Have;
use paxos::{NodeId, Slot};
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use wire::{Level, Receipt};
use world::Block;

/// Wishes of viewers that may wait.
const ASKS: usize = 4_096;
/// Answers of the cluster that may wait; behind them the questions do.
const HEARD: usize = 1_024;
/// Changes of so long become one frame.
const GATHER: Duration = Duration::from_millis(33);
/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(250);
/// Viewers hear once in so many ticks how fresh what they see is.
const FRESH_TICKS: u64 = 4;
/// What is not told is read again once in so many ticks.
const RECOUNT_TICKS: u64 = 4;
/// A scene that nobody sees is kept for so many ticks: whoever turns back finds it.
const KEPT_TICKS: u64 = 40;
/// Blocks that are seen at a time, by all viewers together.
const SCENES: usize = 65_536;
/// Encoded blocks that are kept only to be quick, in bytes.
const CACHED: usize = 64 << 20;
/// Changes that are remembered, of all scenes together.
const REMEMBERED: usize = 262_144;
/// What a viewer may turn to in a second, and twice as much at once: each block that it has not seen counts one, and each
/// view one and a sixteenth of its blocks.
const LOOKS_PER_S: u32 = 512;
/// Who has seen more elsewhere waits for so many ticks until this node has caught up.
const PATIENCE_TICKS: u64 = 12;
/// Shards of which is known what one viewer has seen elsewhere.
const ELSEWHERE: usize = 4_096;
/// A replica of this node that another answered for is asked again so often.
const TRIES: u32 = 3;

/// One viewer, for as long as its connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewerId(pub u64);

/// How sure a viewer wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    /// At least what it has seen and written.
    Session,
    /// Whatever the nearest replica has.
    Eventual,
    /// Each time it is told something, that was read at this level.
    At(Level),
}

/// Why a view is refused. What was seen before is seen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// More blocks than may be seen on one node, by all viewers together.
    #[error("this node shows as many blocks as it may ({SCENES}): go on with another node, or come back later")]
    TooMuch,
    /// This viewer turns to new land more often than it may.
    #[error("this viewer asks for new land faster than a node allows ({LOOKS_PER_S} blocks a second)")]
    TooFast {
        /// When it may come back, in milliseconds.
        retry_after_ms: u64,
    },
}

/// A block, and how sure: `None`, from near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub block: Block,
    pub at: Option<Level>,
}

/// How often something that happened was not heard. A question carries what it was when it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Losses(u64);

enum Ask {
    Join(ViewerId, Arc<Mailbox>),
    Look {
        viewer: ViewerId,
        sure: Sure,
        blocks: Vec<(Block, Option<Have>)>,
        done: oneshot::Sender<Result<(), LookError>>,
    },
    Seen(ViewerId, ShardId, Slot),
    Drained(ViewerId),
    Leave(ViewerId),
}

/// The way to the hub. Clones share it.
#[derive(Clone, Debug)]
pub struct Hub(mpsc::Sender<Ask>);

impl Hub {
    /// Begins one, for a node; it ends when nobody holds a way to it any more.
    pub fn begin(node: NodeId, link: Link, tap: Tap, meters: Meters) -> Self {
        let (asks_in, asks) = mpsc::channel(ASKS);
        let (heard_in, heard) = mpsc::channel(HEARD);
        let Tap { sights, told } = tap;
        let state = State::new(node, Sources { link, sights, heard: heard_in }, meters);
        tokio::spawn(state.run(asks, heard, told));
        Self(asks_in)
    }

    /// Somebody who sees nothing yet.
    pub async fn join(&self, viewer: ViewerId, mailbox: Arc<Mailbox>) {
        self.ask(Ask::Join(viewer, mailbox)).await;
    }

    /// It sees these blocks from now on, and no others. What it has of them from before is brought up to date.
    pub async fn look(
        &self,
        viewer: ViewerId,
        sure: Sure,
        blocks: Vec<(Block, Option<Have>)>,
    ) -> Result<(), LookError> {
        let (done, looks) = oneshot::channel();
        self.ask(Ask::Look { viewer, sure, blocks, done }).await;
        // A hub that has ended shows nothing, and the mailbox says so.
        looks.await.unwrap_or(Ok(()))
    }

    /// It knows of `shard` up to `slot`, from elsewhere.
    pub async fn seen(&self, viewer: ViewerId, shard: ShardId, slot: Slot) {
        self.ask(Ask::Seen(viewer, shard, slot)).await;
    }

    /// It has taken what was in its mailbox.
    pub async fn drained(&self, viewer: ViewerId) {
        self.ask(Ask::Drained(viewer)).await;
    }

    /// It has gone.
    pub async fn leave(&self, viewer: ViewerId) {
        self.ask(Ask::Leave(viewer)).await;
    }

    async fn ask(&self, ask: Ask) {
        // Without a hub the mailbox is closed, which ends the viewer.
        let _ = self.0.send(ask).await;
    }
}

struct Viewer {
    mailbox: Arc<Mailbox>,
    looks: Limit,
    sure: Sure,
    /// What it sees, and of each block up to where it was told: a slot of near land, a version from afar.
    view: BTreeMap<Block, Option<u64>>,
    /// Its mailbox is full; these have more for it.
    full: bool,
    behind: BTreeSet<Block>,
    /// What it knows of shards from elsewhere.
    elsewhere: BTreeMap<ShardId, Slot>,
}

impl Viewer {
    fn key(&self, block: Block) -> Key {
        let at = if let Sure::At(level) = self.sure { Some(level) } else { None };
        Key { block, at }
    }

    fn sees(&self, key: Key) -> bool {
        self.view.contains_key(&key.block) && self.key(key.block) == key
    }

    /// It knows of `shard` up to `slot`. (Its word: so many shards are remembered.)
    fn has_seen(&mut self, shard: ShardId, slot: Slot) {
        if self.elsewhere.len() < ELSEWHERE || self.elsewhere.contains_key(&shard) {
            let seen = self.elsewhere.entry(shard).or_default();
            *seen = slot.max(*seen);
        }
    }
}

enum What {
    Land(Land),
    Tiles(Tiles),
}

struct Scene {
    what: What,
    viewers: BTreeSet<ViewerId>,
    /// Who cannot be told anything before it has been read.
    waiting: BTreeSet<ViewerId>,
    reading: bool,
    /// Questions about it that have no answer yet. Until they have, it stays: one may be about to say that somebody looks.
    asked: u32,
    /// What changes there is told by the node's own replicas.
    looked: bool,
    /// How often it was read in vain.
    tries: u32,
    /// Since when somebody waits, in ticks.
    waits: Option<u64>,
    /// What was asked before this [`Losses`] may miss something.
    lost: Losses,
    follower: Option<AbortHandle>,
    /// Parts of it must be read again now and then.
    recount: bool,
    /// When it was last heard of from elsewhere.
    heard: Instant,
    /// Since when nobody sees it, in ticks.
    left: Option<u64>,
}

struct State {
    node: NodeId,
    sources: Sources,
    meters: Meters,
    /// For so many scenes.
    room: usize,
    viewers: HashMap<ViewerId, Viewer>,
    scenes: HashMap<Key, Scene>,
    /// The shards of which this node has a replica, and how fresh it is.
    local: BTreeMap<ShardId, Receipt>,
    /// Scenes with something to tell.
    dirty: BTreeSet<Key>,
    /// Scenes that are to be read again.
    stalled: BTreeSet<Key>,
    losses: Losses,
    /// When the oldest change was applied that was not told.
    since: Option<Instant>,
    flushed: Instant,
    ticks: u64,
}

impl State {
    fn new(node: NodeId, sources: Sources, meters: Meters) -> Self {
        Self {
            node,
            sources,
            meters,
            room: SCENES,
            viewers: HashMap::new(),
            scenes: HashMap::new(),
            local: BTreeMap::new(),
            dirty: BTreeSet::new(),
            stalled: BTreeSet::new(),
            losses: Losses::default(),
            since: None,
            flushed: Instant::now(),
            ticks: 0,
        }
    }

    async fn run(
        mut self,
        mut asks: mpsc::Receiver<Ask>,
        mut heard: mpsc::Receiver<Heard>,
        mut told: mpsc::Receiver<Told>,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.flushed + GATHER;
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => self.asked(ask).await,
                    None => break,
                },
                Some(heard) = heard.recv() => self.heard(heard),
                news = told.recv() => match news {
                    Some(news) => self.told(news),
                    None => break,
                },
                _ = tick.tick() => self.tick().await,
                () = sleep_until(due.into()), if !self.dirty.is_empty() => {}
            }
            if !self.dirty.is_empty() && self.flushed.elapsed() >= GATHER {
                self.flush();
            }
            self.meters.watching(self.viewers.len(), self.scenes.len());
        }
        for viewer in self.viewers.values() {
            viewer.mailbox.close();
        }
        for follower in self.scenes.values().filter_map(|scene| scene.follower.as_ref()) {
            follower.abort();
        }
    }

    fn flush(&mut self) {
        for key in std::mem::take(&mut self.dirty) {
            let Some(scene) = self.scenes.get_mut(&key) else { continue };
            if let What::Tiles(tiles) = &mut scene.what {
                tiles.seal();
            }
            let viewers = std::mem::take(&mut scene.viewers);
            for id in &viewers {
                self.bring(*id, key);
            }
            if let Some(scene) = self.scenes.get_mut(&key) {
                scene.viewers = viewers;
            }
        }
        self.since = None;
        self.flushed = Instant::now();
    }

    async fn tick(&mut self) {
        self.ticks += 1;
        for key in std::mem::take(&mut self.stalled) {
            self.give_in(key);
            self.read(key);
        }
        if self.ticks.is_multiple_of(RECOUNT_TICKS) {
            let due: Vec<Key> = self
                .scenes
                .iter()
                .filter(|(_, scene)| scene.recount && !scene.viewers.is_empty())
                .map(|(key, _)| *key)
                .collect();
            for key in due {
                self.read(key);
            }
        }
        if self.ticks % FRESH_TICKS == 1 {
            let receipts = self.sources.fresh().await;
            self.replicas(receipts);
            self.tell_fresh();
        }
        self.forget().await;
    }

    /// Who has seen more elsewhere has waited long enough: it is shown what there is.
    fn give_in(&mut self, key: Key) {
        let Some(scene) = self.scenes.get(&key) else { return };
        if scene.waits.is_none_or(|since| self.ticks - since < PATIENCE_TICKS) {
            return;
        }
        if let What::Land(land) = &scene.what
            && let Some(shard) = land.shard()
        {
            for id in &scene.waiting {
                if let Some(viewer) = self.viewers.get_mut(id) {
                    viewer.elsewhere.remove(&shard);
                }
            }
        }
    }
}

/// The worst of several bounds; `None` if one is not known.
fn worst(bounds: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    bounds.into_iter().try_fold(0, |worst, bound| Some(bound?.max(worst)))
}

impl Scene {
    fn new(block: Block) -> Self {
        let what = match block.as_chunk() {
            Some(chunk) => What::Land(Land::new(chunk)),
            None => What::Tiles(Tiles::new(block)),
        };
        Self {
            what,
            viewers: BTreeSet::new(),
            waiting: BTreeSet::new(),
            reading: false,
            asked: 0,
            looked: false,
            tries: 0,
            waits: None,
            lost: Losses::default(),
            follower: None,
            recount: false,
            heard: Instant::now(),
            left: None,
        }
    }

    /// Whether nobody would miss it.
    fn is_left(&self) -> bool {
        self.left.is_some() && self.asked == 0
    }

    /// Nobody sees it just now: it is followed no longer, and read again when somebody comes back.
    fn rest(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.abort();
            if let What::Land(land) = &mut self.what {
                land.lost();
            }
        }
    }

    fn remembered(&self) -> usize {
        if let What::Land(land) = &self.what { land.remembered() } else { 0 }
    }

    fn cached(&self) -> usize {
        match &self.what {
            What::Land(land) => land.cached(),
            What::Tiles(tiles) => tiles.cached(),
        }
    }

    fn forget_cached(&mut self) {
        match &mut self.what {
            What::Land(land) => land.forget_cached(),
            What::Tiles(tiles) => tiles.forget_cached(),
        }
    }
}
