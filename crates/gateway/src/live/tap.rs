//! The way between a node's driver and its gateway: what the gateway looks at goes one way, what changes there the other.
//! Both ends have bounds: a driver never waits for its gateway, it drops news and says that some are lost.

use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use wire::{News, Receipt};
use world::Block;

/// Wishes that may wait for the driver.
const SIGHTS: usize = 1_024;
/// Turns' news that may wait for the gateway.
const TURNS: usize = 256;

/// What the gateway wants of its node.
#[derive(Debug)]
pub enum Sight {
    /// Tell what changes there from now on.
    Look {
        /// Where.
        block: Block,
        /// When that is so.
        done: oneshot::Sender<()>,
    },
    /// No more.
    Away(Block),
    /// How fresh is each replica?
    Fresh(oneshot::Sender<Vec<Receipt>>),
}

/// What one turn has changed.
#[derive(Debug)]
pub struct Told {
    /// When it was applied.
    pub at: Instant,
    /// What; `None`: some turns' news were dropped.
    pub news: Option<Vec<News>>,
}

/// The gateway's end.
#[derive(Debug)]
pub struct Tap {
    pub(crate) sights: mpsc::Sender<Sight>,
    pub(crate) told: mpsc::Receiver<Told>,
}

/// The node's end.
#[derive(Debug)]
pub struct TapEnd {
    sights: mpsc::Receiver<Sight>,
    told: mpsc::Sender<Told>,
    lost: bool,
}

/// Both ends.
pub fn tap() -> (Tap, TapEnd) {
    let (sights_in, sights) = mpsc::channel(SIGHTS);
    let (told_in, told) = mpsc::channel(TURNS);
    (Tap { sights: sights_in, told }, TapEnd { sights, told: told_in, lost: false })
}

impl TapEnd {
    /// The next wish. `None`: the gateway has ended.
    pub async fn wish(&mut self) -> Option<Sight> {
        self.sights.recv().await
    }

    /// The next wish, if there is one.
    pub fn try_wish(&mut self) -> Option<Sight> {
        self.sights.try_recv().ok()
    }

    /// Tells what a turn has changed; never waits.
    pub fn tell(&mut self, news: Vec<News>) {
        let at = Instant::now();
        if self.lost {
            // Only once the gateway knows that it has missed something does it hear anything else.
            self.lost = self.told.try_send(Told { at, news: None }).is_err();
        }
        if !self.lost && !news.is_empty() {
            self.lost = self.told.try_send(Told { at, news: Some(news) }).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::Slot;
    use placement::ShardId;

    #[tokio::test]
    async fn who_cannot_keep_up_hears_that_something_is_lost_before_anything_else() {
        let (mut gateway, mut node) = tap();
        let news = |slot| vec![News { shard: ShardId(1), slot: Slot(slot), changes: None }];
        for slot in 0..TURNS as u64 + 5 {
            node.tell(news(slot));
        }
        for slot in 0..TURNS as u64 {
            assert_eq!(gateway.told.recv().await.unwrap().news, Some(news(slot)));
        }
        node.tell(news(1_000));
        assert_eq!(gateway.told.recv().await.unwrap().news, None);
        assert_eq!(gateway.told.recv().await.unwrap().news, Some(news(1_000)));
        node.tell(Vec::new());
        assert!(gateway.told.try_recv().is_err(), "nothing is not told");
    }
}
