//! What the cluster says: answers to questions, and what this node's own replicas apply.

use super::{Key, Scene, State, TRIES, What, worst};
use crate::live::frames;
use crate::live::sources::{Heard, Question};
use crate::live::tap::Told;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use wire::{Level, Receipt};
use world::{Block, Zoom};

impl State {
    pub(super) fn heard(&mut self, heard: Heard) {
        if let Heard::Whole(question, _) | Heard::Since(_, question, _) | Heard::Counted(question, _) = &heard
            && let Some(scene) = self.scenes.get_mut(&question.key)
        {
            scene.asked -= 1;
            if question.losses < scene.lost {
                return self.outdated(&heard);
            }
        }
        match heard {
            Heard::Whole(Question { key, .. }, Ok((receipt, fields))) => {
                let Some(scene) = self.scenes.get_mut(&key) else { return };
                scene.reading = false;
                if !self.settle(key, receipt) {
                    return;
                }
                let Some(scene) = self.scenes.get_mut(&key) else { return };
                if let What::Land(land) = &mut scene.what {
                    land.read(receipt, &fields);
                }
                scene.tries = 1;
                self.relieve(key);
                if let Some(scene) = self.scenes.get_mut(&key)
                    && scene.waiting.is_empty()
                {
                    scene.tries = 0;
                }
            }
            Heard::Whole(Question { key, .. }, Err(error)) | Heard::Counted(Question { key, .. }, Err(error)) => {
                self.failed(key, &error);
            }
            Heard::Since(id, Question { key, .. }, Ok((receipt, fields))) => {
                if !self.settle(key, receipt) {
                    return self.wait(id, key);
                }
                let Some(scene) = self.scenes.get_mut(&key) else { return };
                let What::Land(land) = &mut scene.what else { return };
                land.heard(receipt);
                let Some(viewer) = self.viewers.get_mut(&id) else { return };
                let Some(seen @ None) = viewer.view.get_mut(&key.block) else { return };
                let Some(chunk) = key.block.as_chunk() else { return };
                let frame = frames::land(chunk, false, &receipt, &fields);
                if viewer.full || !viewer.mailbox.put(&frame, None) {
                    // It will be shown all of it.
                    viewer.full = true;
                    viewer.behind.insert(key.block);
                    return;
                }
                *seen = Some(receipt.slot.0);
                self.bring(id, key);
            }
            Heard::Since(id, Question { key, .. }, Err(_)) => self.wait(id, key),
            Heard::Followed(key, receipt, fields) => {
                let Some(scene) = self.scenes.get_mut(&key) else { return };
                scene.heard = Instant::now();
                if let What::Land(land) = &mut scene.what {
                    let any = !fields.is_empty();
                    land.changed(receipt, fields);
                    if any {
                        self.since.get_or_insert_with(Instant::now);
                        self.dirty.insert(key);
                    }
                }
            }
            Heard::Silent(key, error) => {
                tracing::debug!(block = ?key.block, %error, "land cannot be followed just now");
            }
            Heard::Counted(Question { key, .. }, Ok(read)) => {
                let me = self.node;
                let local = |receipt: &&Receipt| self.local.contains_key(&receipt.shard);
                let strayed = key.at.is_none() && read.receipts.iter().filter(local).any(|receipt| receipt.node != me);
                let remote = read.receipts.iter().filter(|receipt| !local(receipt)).map(|receipt| receipt.bound_ms);
                let bounds: Vec<Option<u64>> = remote.collect();
                let Some(scene) = self.scenes.get_mut(&key) else { return };
                scene.reading = false;
                scene.heard = Instant::now();
                if strayed && scene.tries < TRIES {
                    scene.tries += 1;
                    self.stalled.insert(key);
                    return;
                }
                scene.recount = key.at.is_some() || strayed || !bounds.is_empty();
                scene.tries = 0;
                if let What::Tiles(tiles) = &mut scene.what {
                    tiles.bound_ms = worst(bounds);
                    tiles.read(&read.cells, read.receipts.iter().map(|receipt| (receipt.shard, receipt.slot)));
                }
                self.dirty.insert(key);
                self.relieve(key);
            }
        }
    }

    /// The answer to a question that was asked before something was lost: what was lost may lie behind it.
    fn outdated(&mut self, heard: &Heard) {
        match *heard {
            Heard::Whole(Question { key, .. }, _) | Heard::Counted(Question { key, .. }, _) => {
                let Some(scene) = self.scenes.get_mut(&key) else { return };
                scene.reading = false;
                if !scene.viewers.is_empty() {
                    self.read(key);
                }
            }
            Heard::Since(id, Question { key, .. }, _) => self.wait(id, key),
            Heard::Followed(..) | Heard::Silent(..) => {}
        }
    }

    /// Sees to it that what changes in a chunk of the receipt's shard is heard from now on. `false`: it must be read again.
    pub(super) fn settle(&mut self, key: Key, receipt: Receipt) -> bool {
        let here = self.local.contains_key(&receipt.shard);
        let Some(scene) = self.scenes.get_mut(&key) else { return false };
        scene.heard = Instant::now();
        if key.at.is_none() && here && receipt.node == self.node {
            return true;
        }
        if key.at.is_none() && here && scene.tries < TRIES {
            // Another has answered for this node, which may know more already than was told of it.
            scene.tries += 1;
            self.stalled.insert(key);
            return false;
        }
        if scene.viewers.is_empty() {
            // Whoever asked has gone.
            return false;
        }
        if scene.follower.is_none() {
            scene.follower = Some(self.sources.follow(key, receipt.shard, receipt.slot));
        }
        true
    }

    pub(super) fn failed(&mut self, key: Key, error: &client::Error) {
        tracing::debug!(block = ?key.block, %error, "land cannot be read just now");
        if let Some(scene) = self.scenes.get_mut(&key) {
            scene.reading = false;
            self.stalled.insert(key);
        }
    }

    pub(super) fn told(&mut self, Told { at, news }: Told) {
        let Some(news) = news else {
            tracing::warn!("the gateway does not keep up with its node: what is seen is read again");
            return self.lost(|_| true);
        };
        self.since.get_or_insert(at);
        for news in news {
            let Some(changes) = news.changes else {
                self.lost(|shard| shard == news.shard);
                continue;
            };
            let bound_ms = self.local.get(&news.shard).and_then(|receipt| receipt.bound_ms);
            let receipt =
                Receipt { shard: news.shard, node: self.node, slot: news.slot, level: Level::Eventual, bound_ms };
            let mut by_chunk = BTreeMap::<_, Vec<_>>::new();
            for field in changes.fields {
                by_chunk.entry(Block::of(Zoom::FIELDS, field.field)).or_default().push(field);
            }
            for (block, fields) in by_chunk {
                let key = Key { block, at: None };
                if let Some(Scene { what: What::Land(land), follower: None, .. }) = self.scenes.get_mut(&key) {
                    land.changed(receipt, fields);
                    self.dirty.insert(key);
                }
            }
            let mut blocks = BTreeSet::new();
            for (field, _) in &changes.shifts {
                blocks.extend(Zoom::all().skip(1).map(|zoom| Block::of(zoom, *field)));
            }
            for block in blocks {
                let key = Key { block, at: None };
                if let Some(Scene { what: What::Tiles(tiles), .. }) = self.scenes.get_mut(&key)
                    && tiles.shifted(news.shard, news.slot, &changes.shifts)
                {
                    self.dirty.insert(key);
                }
            }
        }
    }

    /// What happened in these shards was not heard: what is seen of them is read again.
    pub(super) fn lost(&mut self, of: impl Fn(ShardId) -> bool) {
        self.losses.0 += 1;
        let mut again = Vec::new();
        for (key, scene) in self.scenes.iter_mut().filter(|(key, _)| key.at.is_none()) {
            match &mut scene.what {
                What::Land(land) if scene.follower.is_none() && land.shard().is_none_or(&of) => {
                    scene.lost = self.losses;
                    land.lost();
                    self.dirty.insert(*key);
                }
                What::Tiles(tiles) => {
                    scene.lost = self.losses;
                    tiles.lost();
                    again.push(*key);
                }
                What::Land(_) => {}
            }
        }
        for key in again {
            self.read(key);
        }
    }
}
