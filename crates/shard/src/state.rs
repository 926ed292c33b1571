//! Everything that apply reads or writes. It changes by [`State::apply`] alone, the same way on every replica.

use crate::batch::{Batch, Genesis, Item};
use crate::requests::{Requests, Verdict};
use bytes::Bytes;
use paxos::{Configuration, Slot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use wire::codec::{self, CodecError};
use wire::{ClientId, Refusal};
use world::land::{PageError, PageKey, Readiness};
use world::{Bucket, ChunkId, Land, Millis, Outcome, Shift};

/// Page keys of the requests' table begin with this byte, above all of the land's.
const CLIENT_TAG: u8 = 0xC0;
/// The format of the head.
const HEAD_VERSION: u32 = 3;

/// A checkpoint's difference to the one before: a cut at one slot of everything that apply uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Everything up to here is in it.
    pub slot: Slot,
    /// The small part that every checkpoint writes anew.
    pub head: Bytes,
    /// Pages that changed since the last cut; `None` for one that is gone.
    pub pages: Vec<(Bytes, Option<Bytes>)>,
}

/// A checkpoint as it comes back from the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Everything up to here is in it.
    pub slot: Slot,
    /// The head.
    pub head: Bytes,
    /// All pages but the chunks'.
    pub pages: Vec<(Bytes, Bytes)>,
    /// The keys of the chunks' pages, which stay on the disk until somebody needs them.
    pub chunk_keys: Vec<Bytes>,
}

/// A checkpoint that this version cannot use.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The head or a client's page.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// A page of the land.
    #[error("{0}")]
    Page(#[from] PageError),
    /// Another version's head.
    #[error("the checkpoint has format {found}; this program reads {HEAD_VERSION}")]
    Version {
        /// What it has.
        found: u32,
    },
    /// A client's key that is none.
    #[error("a client's page has a key of {0} bytes")]
    ClientKey(usize),
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    log_time: Millis,
    genesis: Option<Box<Genesis>>,
    configuration: Option<Box<Configuration>>,
    since: Slot,
}

/// What came of one item, for whoever waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effected {
    /// A command, done or rejected by the rules; and what that means for the census.
    Outcome(Outcome, Option<Shift>),
    /// A command that had been applied before, with what came of it then.
    Repeated(Outcome),
    /// A command that was not applied.
    Refused(Refusal),
    /// Anything else.
    Internal,
}

/// The replicated state of one shard.
#[derive(Debug, Default)]
pub struct State {
    genesis: Option<Box<Genesis>>,
    land: Option<Land>,
    requests: Requests,
    log_time: Millis,
    /// Who takes part behind the last applied stop; `None` before the first.
    configuration: Option<Box<Configuration>>,
    /// That stop.
    since: Slot,
}

impl State {
    /// A state as its checkpoint shows it.
    pub fn restore(stored: &Stored) -> Result<Self, RestoreError> {
        let head: Head = codec::decode("checkpoint's head", &stored.head)?;
        if head.version != HEAD_VERSION {
            return Err(RestoreError::Version { found: head.version });
        }
        let mut requests = Requests::default();
        let mut pages = Vec::new();
        for (key, page) in &stored.pages {
            if let Some((&CLIENT_TAG, id)) = key.split_first() {
                let id = <[u8; 16]>::try_from(id).map_err(|_| RestoreError::ClientKey(key.len()))?;
                requests.restore(ClientId(u128::from_be_bytes(id)), page)?;
            } else {
                pages.push((PageKey::from_bytes(key)?, &page[..]));
            }
        }
        let mut chunks = Vec::with_capacity(stored.chunk_keys.len());
        for key in &stored.chunk_keys {
            if let PageKey::Chunk(chunk) = PageKey::from_bytes(key)? {
                chunks.push(chunk);
            }
        }
        let land = match &head.genesis {
            Some(genesis) => {
                let (pages, chunks) = (pages.into_iter(), chunks.into_iter());
                Some(Land::restore(genesis.seed, genesis.rules.clone(), pages, chunks)?)
            }
            None => None,
        };
        let Head { genesis, log_time, configuration, since, .. } = head;
        Ok(Self { genesis, land, requests, log_time, configuration, since })
    }

    /// The land, once the shard's first item is applied.
    pub fn land(&self) -> Option<&Land> {
        self.land.as_ref()
    }

    /// What the shard was born with.
    pub fn genesis(&self) -> Option<&Genesis> {
        self.genesis.as_deref()
    }

    /// The maximum of the leaders' times over the applied prefix.
    pub fn log_time(&self) -> Millis {
        self.log_time
    }

    /// Whether `bucket` is this shard's.
    pub fn holds(&self, bucket: Bucket) -> bool {
        self.genesis.as_ref().is_some_and(|genesis| (genesis.buckets.0..=genesis.buckets.1).contains(&bucket))
    }

    /// What the table says of a command, were it applied now.
    pub fn judge(&self, envelope: &wire::Envelope) -> Verdict {
        self.requests.judge(envelope, self.log_time)
    }

    /// The chunks that must come from the disk before `batch` can be applied.
    pub fn missing(&self, batch: &Batch) -> BTreeSet<ChunkId> {
        let chunks = || {
            batch.items.iter().filter_map(|item| match item {
                Item::Client(envelope) => envelope.command.chunk(),
                Item::Genesis(_) | Item::Receive(_) | Item::Settle { .. } => None,
            })
        };
        let Some(land) = &self.land else { return BTreeSet::new() };
        // Nearly always: nothing.
        if !chunks().any(|chunk| land.readiness(chunk) == Readiness::Stored) {
            return BTreeSet::new();
        }
        self.not_here(chunks())
    }

    /// Which of `chunks`, all needed at one time, must come from the disk. The others stay until they have.
    pub fn not_here(&self, chunks: impl Iterator<Item = ChunkId>) -> BTreeSet<ChunkId> {
        let Some(land) = &self.land else { return BTreeSet::new() };
        chunks.inspect(|chunk| land.keep(*chunk)).filter(|chunk| self.is_stored(*chunk)).collect()
    }

    /// Whether `chunk` is in the store and not in memory.
    pub fn is_stored(&self, chunk: ChunkId) -> bool {
        self.land.as_ref().is_some_and(|land| land.readiness(chunk) == Readiness::Stored)
    }

    /// A chunk's page, come from the disk.
    pub fn load_chunk(&mut self, chunk: ChunkId, page: &[u8]) -> Result<(), PageError> {
        match &mut self.land {
            Some(land) if land.readiness(chunk) == Readiness::Stored => land.load_chunk(chunk, page),
            _ => Ok(()),
        }
    }

    /// Drops chunks that nobody has used lately until about so many bytes are free; says how many have left.
    pub fn cool(&mut self, bytes: usize) -> usize {
        self.land.as_mut().map_or(0, |land| land.cool(bytes))
    }

    /// Applies a chosen batch whose chunks are all here; tells for each item what came of it.
    pub fn apply(&mut self, batch: Batch) -> Vec<Effected> {
        self.log_time = self.log_time.max(batch.time);
        self.requests.prune(self.log_time);
        batch.items.into_iter().map(|item| self.apply_item(item)).collect()
    }

    fn apply_item(&mut self, item: Item) -> Effected {
        let now = self.log_time;
        if let Item::Genesis(genesis) = item {
            // A second leader may have proposed it too; the first one counts.
            if self.genesis.is_none() {
                self.land = Some(Land::new(genesis.seed, genesis.rules.clone()));
                self.genesis = Some(genesis);
            }
            return Effected::Internal;
        }
        let Some(land) = &mut self.land else {
            return Effected::Refused(Refusal::NotLeader { leader: None });
        };
        match item {
            Item::Client(envelope) => match self.requests.judge(&envelope, now) {
                Verdict::Fresh => {
                    let outcome = land.apply(now, &envelope.player, &envelope.command);
                    self.requests.record(&envelope, now, outcome.clone());
                    let shift = match &outcome {
                        Outcome::Done { deed, .. } => Shift::of(*deed, &envelope.player),
                        Outcome::Registered { .. } | Outcome::Rejected(_) => None,
                    };
                    Effected::Outcome(outcome, shift)
                }
                Verdict::Repeat(outcome) => Effected::Repeated(outcome),
                Verdict::Forgotten => Effected::Refused(Refusal::Forgotten),
                Verdict::Expired => Effected::Refused(Refusal::Expired { log_time: now }),
                Verdict::TooFarAhead => Effected::Refused(Refusal::TooFarAhead { log_time: now }),
                Verdict::Full => Effected::Refused(Refusal::Overloaded { retry_after_ms: 1_000 }),
            },
            Item::Receive(payment) => {
                land.receive(&payment);
                Effected::Internal
            }
            Item::Settle { bucket, player, seq } => {
                land.settle(bucket, &player, seq);
                Effected::Internal
            }
            Item::Genesis(_) => unreachable!("handled above"),
        }
    }

    /// Applies the stop chosen at `slot`.
    pub fn configure(&mut self, slot: Slot, next: Box<Configuration>) {
        (self.configuration, self.since) = (Some(next), slot);
    }

    /// The last stop applied, or 0.
    pub fn since(&self) -> Slot {
        self.since
    }

    /// Who takes part behind what is applied, if that is not as the shard began.
    pub fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_deref()
    }

    /// The difference to the last cut, at `slot`: what was applied last.
    pub fn cut(&mut self, slot: Slot) -> Cut {
        let (genesis, configuration) = (self.genesis.clone(), self.configuration.clone());
        let head = Head { version: HEAD_VERSION, log_time: self.log_time, genesis, configuration, since: self.since };
        // Keys and pages one behind the other in one buffer: tens of thousands of small ones that one thread makes and
        // another frees would cost more than everything else about a checkpoint.
        let mut buffer = Vec::new();
        let mut ends = Vec::new();
        if let Some(land) = &mut self.land {
            land.drain_changes(|key, page| {
                key.write(&mut buffer);
                let key_end = buffer.len();
                buffer.extend_from_slice(page.unwrap_or_default());
                ends.push((key_end, page.map(|_| buffer.len())));
            });
        }
        for (client, page) in self.requests.take_changes() {
            buffer.push(CLIENT_TAG);
            buffer.extend_from_slice(&client.0.to_be_bytes());
            let key_end = buffer.len();
            buffer.extend_from_slice(page.as_deref().unwrap_or_default());
            ends.push((key_end, page.map(|_| buffer.len())));
        }
        let mut rest = Bytes::from(buffer);
        let mut begin = 0;
        let pages = ends.into_iter().map(|(key_end, page_end)| {
            let key = rest.split_to(key_end - begin);
            let page = page_end.map(|end| rest.split_to(end - key_end));
            begin = page_end.unwrap_or(key_end);
            (key, page)
        });
        let pages = pages.collect();
        Cut { slot, head: codec::encode(&head), pages }
    }
}
