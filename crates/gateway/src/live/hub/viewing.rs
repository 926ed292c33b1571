//! What viewers wish, and what they are told.

use super::{Ask, Key, LOOKS_PER_S, LookError, Scene, State, Sure, Viewer, ViewerId, What};
use crate::limits::Limit;
use crate::live::sources::Question;
use crate::live::{land, tiles};
use crate::socket::messages::Have;
use paxos::Slot;
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use world::{Block, Zoom};

impl State {
    pub(super) async fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Join(id, mailbox) => {
                let viewer = Viewer {
                    mailbox,
                    looks: Limit::new(LOOKS_PER_S),
                    sure: Sure::Session,
                    view: BTreeMap::new(),
                    full: false,
                    behind: BTreeSet::new(),
                    elsewhere: BTreeMap::new(),
                };
                self.viewers.insert(id, viewer);
            }
            Ask::Look { viewer, sure, blocks, done } => {
                // A viewer that has gone meanwhile does not wait for it.
                let _ = done.send(self.look(viewer, sure, blocks).await);
            }
            Ask::Seen(id, shard, slot) => {
                if let Some(viewer) = self.viewers.get_mut(&id) {
                    viewer.has_seen(shard, slot);
                }
            }
            Ask::Drained(id) => {
                let Some(viewer) = self.viewers.get_mut(&id) else { return };
                viewer.full = false;
                let keys: Vec<Key> =
                    std::mem::take(&mut viewer.behind).into_iter().map(|block| viewer.key(block)).collect();
                for key in keys {
                    self.bring(id, key);
                }
            }
            Ask::Leave(id) => {
                if let Some(viewer) = self.viewers.remove(&id) {
                    for block in viewer.view.keys() {
                        self.turn_away(id, viewer.key(*block));
                    }
                    viewer.mailbox.close();
                }
            }
        }
    }

    pub(super) async fn look(
        &mut self,
        id: ViewerId,
        sure: Sure,
        blocks: Vec<(Block, Option<Have>)>,
    ) -> Result<(), LookError> {
        let at = |sure| if let Sure::At(level) = sure { Some(level) } else { None };
        let Some(viewer) = self.viewers.get(&id) else { return Ok(()) };
        let same = at(viewer.sure) == at(sure);
        let is_new = |block: &Block| !same || !viewer.view.contains_key(block);
        let new = blocks.iter().filter(|(block, _)| is_new(block)).count();
        let cost = u32::try_from(1 + blocks.len() / 16 + new).unwrap_or(u32::MAX);
        viewer.looks.take(cost).map_err(|retry_after_ms| LookError::TooFast { retry_after_ms })?;
        let keys = blocks.iter().map(|(block, _)| Key { block: *block, at: at(sure) });
        self.make_room(keys.collect()).await?;

        let Some(viewer) = self.viewers.get_mut(&id) else { return Ok(()) };
        let before = std::mem::take(&mut viewer.view);
        let old = at(viewer.sure);
        viewer.sure = sure;
        let wanted: BTreeSet<Block> = blocks.iter().map(|(block, _)| *block).collect();
        viewer.behind.retain(|block| same && wanted.contains(block));
        for block in before.keys().filter(|block| !same || !wanted.contains(block)) {
            self.turn_away(id, Key { block: *block, at: old });
        }
        let mut resumed = Vec::new();
        for (block, have) in blocks {
            let key = Key { block, at: at(sure) };
            let seen = before.get(&block).copied().filter(|_| same).flatten();
            let scene = self.scenes.entry(key).or_insert_with(|| Scene::new(block));
            scene.viewers.insert(id);
            scene.left = None;
            let Some(viewer) = self.viewers.get_mut(&id) else { return Ok(()) };
            viewer.view.insert(block, seen);
            match have {
                Some(have) if seen.is_none() && block.zoom() == Zoom::FIELDS => resumed.push((key, have)),
                _ if !before.contains_key(&block) || !same => self.bring(id, key),
                _ => {}
            }
        }
        for (key, have) in resumed {
            self.resume(id, key, have);
        }
        Ok(())
    }

    /// Sees to it that there is room for scenes of these: those that nobody sees give way, the longest unseen first.
    async fn make_room(&mut self, keys: Vec<Key>) -> Result<(), LookError> {
        let new = keys.iter().filter(|key| !self.scenes.contains_key(key)).count();
        if self.scenes.len() + new <= self.room {
            return Ok(());
        }
        let wanted: BTreeSet<Key> = keys.into_iter().collect();
        let left = self.scenes.iter().filter(|(key, scene)| scene.is_left() && !wanted.contains(key));
        let mut left: Vec<(u64, Key)> = left.map(|(key, scene)| (scene.left.unwrap_or_default(), *key)).collect();
        left.sort_unstable();
        // Some more than must go: the next who comes need not search again.
        for (_, key) in left.into_iter().take(new.max(self.room / 16)) {
            self.drop_scene(key).await;
        }
        if self.scenes.len() + new <= self.room { Ok(()) } else { Err(LookError::TooMuch) }
    }

    /// A viewer comes with what it had elsewhere: of that it is told what has changed since.
    pub(super) fn resume(&mut self, id: ViewerId, key: Key, Have(_, _, shard, slot): Have) {
        let (shard, slot) = (ShardId(shard), Slot(slot));
        let Some(scene) = self.scenes.get_mut(&key) else { return };
        let What::Land(land) = &mut scene.what else { return };
        if land.shard().is_some_and(|known| known != shard) {
            // It moved to another shard meanwhile.
            return self.bring(id, key);
        }
        if matches!(land.update(Some(slot), Slot::ZERO), land::Update::Unknown) {
            let look = key.at.is_none() && !std::mem::replace(&mut scene.looked, true);
            scene.asked += 1;
            if let Some(viewer) = self.viewers.get_mut(&id) {
                // If all of it must be read in the end, it is not shown less than it has.
                viewer.has_seen(shard, slot);
            }
            return self.sources.since(id, Question { key, losses: self.losses }, shard, slot, look);
        }
        if let Some(seen) = self.viewers.get_mut(&id).and_then(|viewer| viewer.view.get_mut(&key.block)) {
            *seen = Some(slot.0);
        }
        self.bring(id, key);
    }

    pub(super) fn turn_away(&mut self, id: ViewerId, key: Key) {
        if let Some(scene) = self.scenes.get_mut(&key) {
            scene.viewers.remove(&id);
            scene.waiting.remove(&id);
            if scene.waiting.is_empty() {
                scene.waits = None;
            }
            if scene.viewers.is_empty() {
                scene.left = Some(self.ticks);
                scene.rest();
            }
        }
    }

    /// Tells a viewer what there is to tell of a scene, as far as there is room.
    pub(super) fn bring(&mut self, id: ViewerId, key: Key) {
        let (Some(viewer), Some(scene)) = (self.viewers.get_mut(&id), self.scenes.get_mut(&key)) else { return };
        let Some(seen) = viewer.view.get_mut(&key.block) else { return };
        if viewer.full {
            viewer.behind.insert(key.block);
            return;
        }
        let updates = match &mut scene.what {
            What::Land(land) => {
                let elsewhere = land.shard().and_then(|shard| viewer.elsewhere.get(&shard)).copied();
                let at_least = elsewhere.filter(|_| viewer.sure == Sure::Session).unwrap_or_default();
                match land.update(seen.map(Slot), at_least) {
                    land::Update::Nothing => Vec::new(),
                    land::Update::Frames(frames) => frames.into_iter().map(|(frame, slot)| (frame, slot.0)).collect(),
                    land::Update::Unknown => return self.wait(id, key),
                }
            }
            What::Tiles(tiles) => match tiles.update(*seen) {
                tiles::Update::Nothing => Vec::new(),
                tiles::Update::Frame(frame, version) => vec![(frame, version)],
                tiles::Update::Unknown => return self.wait(id, key),
            },
        };
        // What was changed before it was first seen is not late.
        let since = self.since.filter(|_| seen.is_some());
        for (frame, upto) in updates {
            if !viewer.mailbox.put(&frame, since) {
                viewer.full = true;
                viewer.behind.insert(key.block);
                self.meters.held_back();
                return;
            }
            *seen = Some(upto);
        }
    }

    /// A viewer waits until the scene has been read.
    pub(super) fn wait(&mut self, id: ViewerId, key: Key) {
        if !self.viewers.get(&id).is_some_and(|viewer| viewer.sees(key)) {
            return;
        }
        let Some(scene) = self.scenes.get_mut(&key) else { return };
        // (Told in vain meanwhile, it has waited all the same.)
        scene.waits.get_or_insert(self.ticks);
        scene.waiting.insert(id);
        if scene.tries > 0 {
            // It was read a moment ago, and that was not enough.
            self.stalled.insert(key);
        } else {
            self.read(key);
        }
    }

    pub(super) fn read(&mut self, key: Key) {
        let Some(scene) = self.scenes.get_mut(&key) else { return };
        if std::mem::replace(&mut scene.reading, true) {
            return;
        }
        let look = key.at.is_none() && !std::mem::replace(&mut scene.looked, true);
        scene.asked += 1;
        let question = Question { key, losses: self.losses };
        match scene.what {
            What::Land(_) => self.sources.whole(question, look),
            What::Tiles(_) => self.sources.count(question, look),
        }
    }

    /// Those who waited are told, if they can be now.
    pub(super) fn relieve(&mut self, key: Key) {
        let Some(scene) = self.scenes.get_mut(&key) else { return };
        for id in std::mem::take(&mut scene.waiting) {
            self.bring(id, key);
        }
        if let Some(scene) = self.scenes.get_mut(&key)
            && scene.waiting.is_empty()
        {
            scene.waits = None;
        }
    }
}
