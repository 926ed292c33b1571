//! What is due now and then: telling how fresh things are, and forgetting.

use super::{CACHED, KEPT_TICKS, Key, Scene, State, What, worst};
use crate::live::frames;
use placement::ShardId;
use std::collections::BTreeMap;
use wire::Receipt;

impl State {
    /// Tells each viewer how fresh what it sees is.
    pub(super) fn tell_fresh(&mut self) {
        let Some(time) = self.sources.link.now().map(|client| client.time()) else { return };
        let node = self.node.to_string();
        let local = worst(self.local.values().map(|receipt| receipt.bound_ms));
        for viewer in self.viewers.values() {
            let mut receipts = BTreeMap::<ShardId, Receipt>::new();
            let mut afar = None;
            for block in viewer.view.keys() {
                let Some(scene) = self.scenes.get(&viewer.key(*block)) else { continue };
                let passed = u64::try_from(scene.heard.elapsed().as_millis()).unwrap_or(u64::MAX);
                match &scene.what {
                    What::Land(land) => {
                        let Some(receipt) = land.receipt() else { continue };
                        let now = match self.local.get(&receipt.shard) {
                            Some(local) if scene.follower.is_none() => *local,
                            _ => Receipt { bound_ms: receipt.bound_ms.map(|bound| bound + passed), ..*receipt },
                        };
                        receipts.insert(receipt.shard, now);
                    }
                    What::Tiles(tiles) if tiles.is_known() => {
                        let bound = if scene.recount { tiles.bound_ms.map(|bound| bound + passed) } else { Some(0) };
                        let bound = worst([bound, local]);
                        afar = Some(afar.map_or(bound, |afar| worst([afar, bound])));
                    }
                    What::Tiles(_) => {}
                }
            }
            let receipts = receipts.values().map(Into::into);
            let receipts: Vec<_> = receipts.chain(afar.map(|bound| frames::of_all(&node, bound))).collect();
            if !receipts.is_empty() {
                // Who is behind has other things to read.
                viewer.mailbox.put(&frames::fresh(time, receipts), None);
            }
        }
    }

    /// Forgets scenes that nobody has seen for a while, and what is kept only to be quick if that is much.
    pub(super) async fn forget(&mut self) {
        let old = |scene: &Scene| scene.left.is_some_and(|left| self.ticks - left >= KEPT_TICKS);
        let gone: Vec<Key> = self.scenes.iter().filter(|(_, scene)| old(scene)).map(|(key, _)| *key).collect();
        for key in gone {
            let Some(scene) = self.scenes.remove(&key) else { continue };
            if let Some(follower) = scene.follower {
                follower.abort();
            }
            if scene.looked {
                self.sources.look_away(key.block).await;
            }
        }
        let cached: usize = self.scenes.values().map(Scene::cached).sum();
        if cached > CACHED {
            self.scenes.values_mut().for_each(Scene::forget_cached);
        }
    }
}
