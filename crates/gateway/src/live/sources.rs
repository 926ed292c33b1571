//! Questions to the cluster: each is a task that tells the hub what it has heard.

use super::hub::{Key, Losses, ViewerId};
use super::tap::Sight;
use crate::link::Link;
use client::{CensusRead, Client, Error, ReadOptions, ViewRead};
use paxos::Slot;
use placement::ShardId;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use wire::{Level, Receipt};
use world::{Block, ChunkId, FieldView, Rect};

/// Between two tries where something is wrong.
const PAUSE: Duration = Duration::from_millis(500);

/// A question about a scene.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    pub key: Key,
    /// What was lost when it was asked: the answer knows of nothing that is lost later.
    pub losses: Losses,
}

/// What the hub hears.
#[derive(Debug)]
pub enum Heard {
    /// All fields of a chunk that anybody ever owned.
    Whole(Question, Result<(Receipt, Vec<FieldView>), Error>),
    /// What has changed in a chunk since one viewer saw it last.
    Since(ViewerId, Question, Result<(Receipt, Vec<FieldView>), Error>),
    /// What has changed in a chunk that is followed.
    Followed(Key, Receipt, Vec<FieldView>),
    /// A chunk that is followed cannot be seen just now.
    Silent(Key, Error),
    /// Whose the fields of each cell of a block are.
    Counted(Question, Result<CensusRead, Error>),
}

/// Asks for the hub.
#[derive(Clone, Debug)]
pub struct Sources {
    pub link: Link,
    pub sights: mpsc::Sender<Sight>,
    pub heard: mpsc::Sender<Heard>,
}

impl Sources {
    /// Reads a chunk. If `look`, what changes there is told from before that on.
    pub fn whole(&self, question: Question, look: bool) {
        let key = question.key;
        let Some(chunk) = key.block.as_chunk() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            if look {
                this.look(key.block).await;
            }
            let read = match this.link.client().await {
                Some(client) => client.touched(rect(chunk), key.options()).await.and_then(one),
                None => Err(Error::Closed),
            };
            this.tell(Heard::Whole(question, read)).await;
        });
    }

    /// Reads what has changed in a chunk since `viewer` saw it.
    pub fn since(&self, viewer: ViewerId, question: Question, shard: ShardId, seen: Slot, look: bool) {
        let key = question.key;
        let Some(chunk) = key.block.as_chunk() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            if look {
                this.look(key.block).await;
            }
            let read = match this.link.client().await {
                Some(client) => client.changes(shard, rect(chunk), seen, false, key.options()).await.and_then(one),
                None => Err(Error::Closed),
            };
            this.tell(Heard::Since(viewer, question, read)).await;
        });
    }

    /// Tells how a chunk changes, from behind `seen` on, until it is aborted.
    pub fn follow(&self, key: Key, shard: ShardId, seen: Slot) -> AbortHandle {
        let this = self.clone();
        let follow = async move {
            let (Some(chunk), Some(client)) = (key.block.as_chunk(), this.link.client().await) else { return };
            this.follow_on(&client, key, chunk, shard, seen).await;
        };
        tokio::spawn(follow).abort_handle()
    }

    async fn follow_on(&self, client: &Client, key: Key, chunk: ChunkId, shard: ShardId, mut seen: Slot) {
        loop {
            match client.changes(shard, rect(chunk), seen, true, key.options()).await.and_then(one) {
                Ok((receipt, fields)) => {
                    seen = receipt.slot;
                    self.tell(Heard::Followed(key, receipt, fields)).await;
                }
                Err(error) => {
                    self.tell(Heard::Silent(key, error)).await;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Counts a block. If `look`, who comes and goes there is told from before that on.
    pub fn count(&self, question: Question, look: bool) {
        let key = question.key;
        let this = self.clone();
        tokio::spawn(async move {
            if look {
                this.look(key.block).await;
            }
            let read = match this.link.client().await {
                Some(client) => client.census(key.block, key.options()).await,
                None => Err(Error::Closed),
            };
            this.tell(Heard::Counted(question, read)).await;
        });
    }

    /// How fresh each of this node's replicas is; nothing if the node does not say.
    pub async fn fresh(&self) -> Vec<Receipt> {
        let (answer, receipts) = oneshot::channel();
        if self.sights.send(Sight::Fresh(answer)).await.is_err() {
            return Vec::new();
        }
        receipts.await.unwrap_or_default()
    }

    /// What happens there is of no interest any more.
    pub async fn look_away(&self, block: Block) {
        // A node that has ended tells nothing anyway.
        let _ = self.sights.send(Sight::Away(block)).await;
    }

    async fn look(&self, block: Block) {
        let (done, looks) = oneshot::channel();
        if self.sights.send(Sight::Look { block, done }).await.is_ok() {
            let _ = looks.await;
        }
    }

    async fn tell(&self, heard: Heard) {
        // Without a hub nobody wants to know.
        let _ = self.heard.send(heard).await;
    }
}

impl Key {
    fn options(self) -> ReadOptions {
        ReadOptions::at(self.at.unwrap_or(Level::Eventual))
    }
}

fn rect(chunk: ChunkId) -> Rect {
    let corner = chunk.field(0).expect("the first field of a chunk is on the grid");
    Rect::new(corner, world::grid::CHUNK, world::grid::CHUNK).expect("a chunk is small")
}

/// A chunk is of one shard.
fn one(read: ViewRead) -> Result<(Receipt, Vec<FieldView>), Error> {
    let ViewRead { fields, receipts } = read;
    let receipt = receipts.first().copied();
    receipt
        .map(|receipt| (receipt, fields))
        .ok_or_else(|| Error::Invalid { reason: "an answer without a receipt".into() })
}
