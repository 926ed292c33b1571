//! What is due now and then: telling how fresh things are, and forgetting.

use super::{CACHED, FRESH_TICKS, KEPT_TICKS, Key, REMEMBERED, Scene, State, Viewer, ViewerId, What, worst};
use crate::live::frames;
use crate::socket::messages;
use placement::ShardId;
use std::collections::BTreeMap;
use wire::Receipt;

impl State {
    /// These are the node's own replicas now. Of one that has left the node nothing more is told: what is seen of it is read
    /// again, and then followed.
    pub(super) fn replicas(&mut self, receipts: Vec<Receipt>) {
        let now = receipts.into_iter().map(|receipt| (receipt.shard, receipt)).collect();
        let mut left = std::mem::replace(&mut self.local, now);
        left.retain(|shard, _| !self.local.contains_key(shard));
        if !left.is_empty() {
            self.lost(|shard| left.contains_key(&shard));
        }
    }

    /// Tells each viewer how fresh what it sees is.
    pub(super) fn tell_fresh(&mut self) {
        let Some(time) = self.sources.link.now().map(|client| client.time()) else { return };
        for (id, viewer) in self.up_to_date() {
            let receipts = self.freshness(*id, viewer);
            if !receipts.is_empty() {
                viewer.mailbox.put(&frames::fresh(time, receipts), None);
            }
        }
    }

    /// All but those who are behind: they have other things to read, and do not see what it would be about.
    pub(super) fn up_to_date(&self) -> impl Iterator<Item = (&ViewerId, &Viewer)> {
        self.viewers.iter().filter(|(_, viewer)| !viewer.full)
    }

    /// How fresh what a viewer sees is: a receipt for each shard, and one for what comes from many.
    pub(super) fn freshness(&self, id: ViewerId, viewer: &Viewer) -> Vec<messages::Receipt> {
        let local = worst(self.local.values().map(|receipt| receipt.bound_ms));
        let mut receipts = BTreeMap::<ShardId, Receipt>::new();
        let mut of_many = Vec::new();
        for block in viewer.view.keys() {
            let Some(scene) = self.scenes.get(&viewer.key(*block)) else { continue };
            let since = scene.waits.filter(|_| scene.waiting.contains(&id));
            if since.is_some_and(|since| self.ticks - since >= FRESH_TICKS) {
                // Nobody could answer for a while.
                of_many.push(None);
            }
            let passed = u64::try_from(scene.heard.elapsed().as_millis()).unwrap_or(u64::MAX);
            match &scene.what {
                What::Land(land) => {
                    let Some(receipt) = land.receipt() else { continue };
                    let now = match self.local.get(&receipt.shard) {
                        Some(local) if scene.follower.is_none() => *local,
                        _ => Receipt { bound_ms: receipt.bound_ms.map(|bound| bound + passed), ..*receipt },
                    };
                    let of_shard = receipts.entry(receipt.shard).or_insert(now);
                    if worst([of_shard.bound_ms, now.bound_ms]) == now.bound_ms {
                        *of_shard = now;
                    }
                }
                What::Tiles(tiles) if tiles.is_known() => {
                    let bound = if scene.recount { tiles.bound_ms.map(|bound| bound + passed) } else { Some(0) };
                    of_many.push(worst([bound, local]));
                }
                What::Tiles(_) => {}
            }
        }
        let of_many = (!of_many.is_empty()).then(|| frames::of_all(&self.node.to_string(), worst(of_many)));
        receipts.values().map(Into::into).chain(of_many).collect()
    }

    /// Forgets scenes that nobody has seen for a while, and what is kept only to be quick if that is much.
    pub(super) async fn forget(&mut self) {
        let old = |scene: &Scene| scene.is_left() && scene.left.is_some_and(|left| self.ticks - left >= KEPT_TICKS);
        let gone: Vec<Key> = self.scenes.iter().filter(|(_, scene)| old(scene)).map(|(key, _)| *key).collect();
        for key in gone {
            self.drop_scene(key).await;
        }
        let cached: usize = self.scenes.values().map(Scene::cached).sum();
        if cached > CACHED {
            self.scenes.values_mut().for_each(Scene::forget_cached);
        }
        let remembered: usize = self.scenes.values().map(Scene::remembered).sum();
        if remembered > REMEMBERED {
            for scene in self.scenes.values_mut() {
                if let What::Land(land) = &mut scene.what {
                    land.forget_half();
                }
            }
        }
    }

    /// What happens there is of no interest any more.
    pub(super) async fn drop_scene(&mut self, key: Key) {
        let Some(scene) = self.scenes.remove(&key) else { return };
        if let Some(follower) = scene.follower {
            follower.abort();
        }
        if scene.looked {
            self.sources.look_away(key.block).await;
        }
    }
}
