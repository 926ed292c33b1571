//! The hub without a cluster: what it would ask is heard by nobody, and what it hears is made up here.

use super::*;
use crate::live::sources::Question;
use crate::live::tap::Sight;
use wire::News;
use wire::news::Changes;
use world::{FieldId, FieldView, Terrain, Zoom};

const NODE: NodeId = NodeId(1);
const SHARD: ShardId = ShardId(4);

struct Stage {
    state: State,
    heard: mpsc::Receiver<Heard>,
    sights: mpsc::Receiver<Sight>,
    boxes: Vec<Arc<Mailbox>>,
}

/// What a viewer was told of one chunk: all of it or what has changed, up to which slot, and how many fields.
type Frame = (bool, u64, usize);

impl Stage {
    /// With so many viewers, on a node with a replica of the only shard.
    async fn with(viewers: u64) -> Self {
        let (heard_in, heard) = mpsc::channel(HEARD);
        let (sights_in, sights) = mpsc::channel(ASKS);
        let sources = Sources { link: Link::nowhere(), sights: sights_in, heard: heard_in };
        let mut state = State::new(NODE, sources, Meters::noop());
        state.local.insert(SHARD, receipt(0));
        let mut stage = Self { state, heard, sights, boxes: Vec::new() };
        for id in 0..viewers {
            let mailbox = Arc::<Mailbox>::default();
            stage.state.asked(Ask::Join(ViewerId(id), mailbox.clone())).await;
            stage.boxes.push(mailbox);
        }
        stage
    }

    async fn look(&mut self, viewer: u64, columns: std::ops::Range<u32>) -> Result<(), LookError> {
        let blocks = columns.map(|column| (block(column), None)).collect();
        self.state.look(ViewerId(viewer), Sure::Session, blocks).await
    }

    /// The next question that was asked; it has no answer.
    async fn question(&mut self) -> Key {
        loop {
            tokio::select! {
                biased;
                Some(sight) = self.sights.recv() => if let Sight::Look { done, .. } = sight {
                    let _ = done.send(());
                },
                Some(heard) = self.heard.recv() => {
                    let (Heard::Whole(question, _) | Heard::Since(_, question, _)) = heard else { panic!("{heard:?}") };
                    return question.key;
                }
            }
        }
    }

    /// How many questions were asked.
    async fn questions(&mut self) -> usize {
        let asked = self.state.scenes.values().map(|scene| scene.asked as usize).sum();
        for _ in 0..asked {
            self.question().await;
        }
        asked
    }

    fn answer(&mut self, slot: u64, fields: &[FieldView]) {
        self.answered(self.asked(key(0)), receipt(slot), fields);
    }

    fn answered(&mut self, question: Question, receipt: Receipt, fields: &[FieldView]) {
        self.state.heard(Heard::Whole(question, Ok((receipt, fields.to_vec()))));
    }

    /// Nobody can say.
    fn failed(&mut self, key: Key) {
        self.state.heard(Heard::Whole(self.asked(key), Err(client::Error::Closed)));
    }

    /// As it would be asked now.
    fn asked(&self, key: Key) -> Question {
        Question { key, losses: self.state.losses }
    }

    fn scene(&self, key: Key) -> &Scene {
        &self.state.scenes[&key]
    }

    fn change(&mut self, slot: u64, fields: Vec<FieldView>) {
        let changes = Changes { fields, shifts: Vec::new() };
        let news = News { shard: SHARD, slot: Slot(slot), changes: Some(changes) };
        self.state.told(Told { at: Instant::now(), news: Some(vec![news]) });
        self.state.flush();
    }

    /// What is in a viewer's mailbox, which is taken.
    async fn taken(&mut self, viewer: u64) -> Vec<Frame> {
        let mailbox = &self.boxes[usize::try_from(viewer).unwrap()];
        let taken = tokio::time::timeout(Duration::ZERO, mailbox.take()).await;
        let Ok(Some(post)) = taken else { return Vec::new() };
        if post.behind {
            self.state.asked(Ask::Drained(ViewerId(viewer))).await;
        }
        let frames = post.frames.iter().map(|frame| {
            type Raw = (u8, u32, u32, bool, (u32, String, u64, String, Option<u64>), Vec<String>, Vec<Vec<Ignored>>);
            let raw: Raw = rmp_serde::from_slice(frame).unwrap();
            (raw.3, raw.4.2, raw.6.len())
        });
        frames.collect()
    }
}

/// A part of a frame that does not matter here.
type Ignored = serde::de::IgnoredAny;

fn block(column: u32) -> Block {
    Block::new(Zoom::FIELDS, column, 0).unwrap()
}

fn key(column: u32) -> Key {
    Key { block: block(column), at: None }
}

fn receipt(slot: u64) -> Receipt {
    Receipt { shard: SHARD, node: NODE, slot: Slot(slot), level: Level::Eventual, bound_ms: Some(1) }
}

/// The first fields of the first chunk.
fn fields(count: u32, version: u32) -> Vec<FieldView> {
    let field = |nth: u32| FieldView {
        field: FieldId::new(nth % 64, nth / 64).unwrap(),
        terrain: Terrain::Snow,
        owner: Some("scrat".parse().unwrap()),
        character: None,
        crop: None,
        structures: Vec::new(),
        price: None,
        version,
    };
    (0..count).map(field).collect()
}

#[tokio::test]
async fn a_block_is_read_once_however_many_see_it_and_then_all_hear_what_changes() {
    let mut stage = Stage::with(3).await;
    for viewer in 0..3 {
        stage.look(viewer, 0..1).await.unwrap();
    }
    assert_eq!(stage.questions().await, 1);
    stage.answer(10, &fields(5, 1));
    stage.change(11, fields(2, 2));
    for viewer in 0..3 {
        assert_eq!(stage.taken(viewer).await, [(true, 10, 5), (false, 11, 2)]);
    }
    stage.look(2, 7..8).await.unwrap();
    stage.change(12, fields(1, 3));
    assert_eq!(stage.taken(1).await, [(false, 12, 1)]);
    assert_eq!(stage.taken(2).await, [], "it sees something else now");
}

#[tokio::test]
async fn what_changed_while_it_was_read_is_told_behind_it() {
    let mut stage = Stage::with(1).await;
    stage.look(0, 0..1).await.unwrap();
    assert_eq!(stage.questions().await, 1);
    stage.change(11, fields(1, 2));
    assert_eq!(stage.taken(0).await, [], "nobody knows yet what was before");
    stage.answer(10, &fields(5, 1));
    assert_eq!(stage.taken(0).await, [(true, 10, 5), (false, 11, 1)]);
}

#[tokio::test]
async fn who_takes_nothing_is_behind_then_hears_each_field_once_and_if_that_is_too_much_all_of_it() {
    let mut stage = Stage::with(2).await;
    stage.look(0, 0..1).await.unwrap();
    stage.look(1, 0..1).await.unwrap();
    stage.questions().await;
    stage.answer(10, &fields(4_096, 1));
    assert_eq!(stage.taken(1).await, [(true, 10, 4_096)]);
    // The other has taken nothing: what it is sent has a bound.
    for slot in 11..=210 {
        stage.change(slot, fields(1_000, 2));
        assert_eq!(stage.taken(1).await, [(false, slot, 1_000)]);
    }
    let first = stage.taken(0).await;
    assert!(first[0] == (true, 10, 4_096) && first.len() < 12, "{first:?}");
    // More has changed since than is remembered: it is read again, and shown as a whole.
    assert_eq!(stage.questions().await, 1);
    stage.answer(210, &fields(4_096, 2));
    assert_eq!(stage.taken(0).await, [(true, 210, 4_096)]);
    // And where what it has missed is still remembered it hears of each field once.
    for slot in 211..=214 {
        stage.change(slot, fields(4_000, 3));
    }
    for slot in 215..=217 {
        stage.change(slot, fields(20, 4));
    }
    assert_eq!(stage.taken(0).await, [(false, 211, 4_000), (false, 212, 4_000), (false, 213, 4_000)]);
    assert_eq!(stage.taken(0).await, [(false, 217, 4_000)]);
}

#[tokio::test]
async fn news_that_were_lost_are_made_good_by_reading_again() {
    let mut stage = Stage::with(1).await;
    stage.look(0, 0..1).await.unwrap();
    stage.questions().await;
    stage.answer(10, &fields(5, 1));
    stage.taken(0).await;
    stage.state.told(Told { at: Instant::now(), news: None });
    stage.state.flush();
    assert_eq!((stage.taken(0).await, stage.questions().await), (vec![], 1));
    stage.answer(15, &fields(6, 2));
    assert_eq!(stage.taken(0).await, [(true, 15, 6)]);
}

#[tokio::test]
async fn who_has_seen_more_elsewhere_waits_for_it_but_not_for_ever() {
    let mut stage = Stage::with(1).await;
    stage.state.asked(Ask::Seen(ViewerId(0), SHARD, Slot(12))).await;
    stage.look(0, 0..1).await.unwrap();
    stage.questions().await;
    stage.answer(10, &fields(5, 1));
    assert_eq!(stage.taken(0).await, [], "this node is behind");
    let mut ticks = 0;
    let shown = loop {
        // It is read again and again, and each time that is not enough.
        stage.state.ticks += 1;
        ticks += 1;
        for key in std::mem::take(&mut stage.state.stalled) {
            stage.state.give_in(key);
            stage.state.read(key);
        }
        if stage.questions().await > 0 {
            stage.answer(10, &fields(5, 1));
        }
        match stage.taken(0).await {
            shown if !shown.is_empty() => break shown,
            _ => assert!(ticks < 2 * PATIENCE_TICKS, "it waits for ever"),
        }
    };
    assert_eq!((shown, ticks), (vec![(true, 10, 5)], PATIENCE_TICKS), "it is shown what there is");
    assert_eq!(stage.scene(key(0)).waits, None);
}

#[tokio::test]
async fn an_answer_that_may_miss_what_was_lost_is_asked_for_again() {
    let mut stage = Stage::with(1).await;
    stage.look(0, 0..1).await.unwrap();
    assert_eq!(stage.questions().await, 1);
    let before = stage.asked(key(0));
    // What slot 101 has changed is dropped before the answer is heard that knows of slot 100 only.
    stage.state.told(Told { at: Instant::now(), news: None });
    stage.answered(before, receipt(100), &fields(5, 1));
    assert_eq!((stage.taken(0).await, stage.questions().await), (vec![], 1));
    stage.answer(101, &fields(5, 2));
    assert_eq!(stage.taken(0).await, [(true, 101, 5)]);
    // And what has changed since it was seen elsewhere.
    stage.look(0, 0..0).await.unwrap();
    stage.state.scenes.get_mut(&key(0)).unwrap().forget_cached();
    let have = Have(0, 0, SHARD.0, 99);
    stage.state.look(ViewerId(0), Sure::Session, vec![(block(0), Some(have))]).await.unwrap();
    assert_eq!(stage.questions().await, 1);
    let before = stage.asked(key(0));
    stage.state.told(Told { at: Instant::now(), news: None });
    stage.state.heard(Heard::Since(ViewerId(0), before, Ok((receipt(101), Vec::new()))));
    assert_eq!((stage.taken(0).await, stage.questions().await), (vec![], 1));
}

#[tokio::test]
async fn land_whose_replica_leaves_the_node_is_read_again_and_followed() {
    let mut stage = Stage::with(1).await;
    stage.look(0, 0..1).await.unwrap();
    stage.questions().await;
    stage.answer(10, &fields(5, 1));
    stage.taken(0).await;
    assert!(stage.scene(key(0)).follower.is_none(), "its own replica tells");
    stage.state.replicas(vec![receipt(10)]);
    stage.state.flush();
    assert_eq!(stage.questions().await, 0);
    stage.state.replicas(Vec::new());
    stage.state.flush();
    assert_eq!(stage.questions().await, 1);
    stage.answered(stage.asked(key(0)), Receipt { node: NodeId(2), ..receipt(12) }, &fields(6, 2));
    assert!(stage.scene(key(0)).follower.is_some());
    stage.state.flush();
    assert_eq!(stage.taken(0).await, [(true, 12, 6)]);
    let moved = Heard::Followed(key(0), Receipt { node: NodeId(2), ..receipt(13) }, fields(1, 3));
    stage.state.heard(moved);
    stage.state.flush();
    assert_eq!(stage.taken(0).await, [(false, 13, 1)]);
}

#[tokio::test]
async fn what_nobody_sees_is_not_followed_and_read_again_for_who_comes_back() {
    let mut stage = Stage::with(1).await;
    let strong = Key { block: block(0), at: Some(Level::Strong) };
    let look = |blocks: Vec<u32>| blocks.into_iter().map(|column| (block(column), None)).collect::<Vec<_>>();
    let sure = Sure::At(Level::Strong);
    stage.state.look(ViewerId(0), sure, look(vec![0])).await.unwrap();
    stage.questions().await;
    stage.answered(stage.asked(strong), receipt(10), &fields(5, 1));
    assert!(stage.scene(strong).follower.is_some());
    assert_eq!(stage.taken(0).await, [(true, 10, 5)]);
    stage.state.look(ViewerId(0), sure, look(vec![1])).await.unwrap();
    assert!(stage.scene(strong).follower.is_none());
    stage.questions().await;
    // An answer that comes too late does not begin it again.
    stage.state.scenes.get_mut(&strong).unwrap().asked += 1;
    stage.answered(stage.asked(strong), receipt(11), &fields(5, 1));
    assert!(stage.scene(strong).follower.is_none());
    stage.state.look(ViewerId(0), sure, look(vec![0, 1])).await.unwrap();
    assert_eq!(stage.question().await, strong);
    stage.answered(stage.asked(strong), receipt(12), &fields(5, 2));
    assert!(stage.scene(strong).follower.is_some());
    assert_eq!(stage.taken(0).await, [(true, 12, 5)]);
}

#[tokio::test]
async fn who_is_behind_is_not_told_that_what_it_sees_is_fresh() {
    let mut stage = Stage::with(1).await;
    stage.look(0, 0..2).await.unwrap();
    stage.questions().await;
    let remote = |bound_ms| Receipt { shard: ShardId(9), node: NodeId(2), bound_ms, ..receipt(10) };
    for (column, bound_ms) in [(0, Some(40)), (1, Some(9_000))] {
        let question = stage.asked(key(column));
        stage.answered(question, remote(bound_ms), &[]);
    }
    let bound = |stage: &Stage| {
        let receipts = stage.state.freshness(ViewerId(0), &stage.state.viewers[&ViewerId(0)]);
        assert_eq!(receipts.len(), 1);
        receipts[0].4.unwrap()
    };
    assert!((9_000..60_000).contains(&bound(&stage)), "of two blocks of one shard, the older counts");
    stage.state.viewers.get_mut(&ViewerId(0)).unwrap().full = true;
    assert!(stage.state.up_to_date().next().is_none());
}

#[tokio::test]
async fn what_nobody_can_answer_for_is_of_unknown_age_and_what_is_heard_is_not() {
    let mut stage = Stage::with(1).await;
    stage.look(0, 0..2).await.unwrap();
    stage.questions().await;
    stage.answer(10, &fields(5, 1));
    let bounds = |stage: &Stage| {
        let receipts = stage.state.freshness(ViewerId(0), &stage.state.viewers[&ViewerId(0)]);
        receipts.into_iter().map(|receipt| (receipt.0, receipt.4)).collect::<Vec<_>>()
    };
    assert_eq!(bounds(&stage), [(SHARD.0, Some(1))], "the other was asked for just now");
    stage.state.ticks += FRESH_TICKS;
    assert_eq!(bounds(&stage), [(SHARD.0, Some(1)), (crate::socket::messages::ALL_SHARDS, None)]);
    stage.look(0, 0..1).await.unwrap();
    assert_eq!(bounds(&stage), [(SHARD.0, Some(1))]);
}

#[tokio::test]
async fn who_turns_to_new_land_too_fast_hears_when_to_come_back_and_sees_on_what_it_saw() {
    let mut stage = Stage::with(1).await;
    stage.look(0, 0..1).await.unwrap();
    stage.questions().await;
    stage.answer(10, &fields(5, 1));
    stage.taken(0).await;
    let mut column = 100;
    let wait = loop {
        let mut look = (column..column + 100).collect::<Vec<_>>();
        look.push(0);
        let blocks = look.into_iter().map(|column| (block(column), None)).collect();
        match stage.state.look(ViewerId(0), Sure::Session, blocks).await {
            Ok(()) => column += 100,
            Err(LookError::TooFast { retry_after_ms }) => break retry_after_ms,
            Err(other) => panic!("{other}"),
        }
    };
    assert!((900..=1_200).contains(&column) && (1..=300).contains(&wait), "{column} {wait}");
    stage.change(11, fields(1, 2));
    assert_eq!(stage.taken(0).await, [(false, 11, 1)]);
}

#[tokio::test]
async fn what_nobody_sees_gives_way_to_what_somebody_wants_to_and_what_is_seen_does_not() {
    let mut stage = Stage::with(3).await;
    stage.state.room = 20;
    stage.look(0, 0..10).await.unwrap();
    stage.look(1, 10..20).await.unwrap();
    assert_eq!(stage.look(2, 100..101).await, Err(LookError::TooMuch), "all of it is seen");
    stage.look(1, 10..12).await.unwrap();
    assert_eq!(stage.look(2, 100..101).await, Err(LookError::TooMuch), "they have been asked for, and no answer came");
    assert_eq!(stage.questions().await, 20);
    for column in 0..20 {
        stage.failed(key(column));
    }
    stage.look(2, 100..104).await.unwrap();
    let kept: Vec<bool> = (0..20).map(|column| stage.state.scenes.contains_key(&key(column))).collect();
    assert_eq!((&kept[..12], stage.state.scenes.len()), (&[true; 12][..], 20), "{kept:?}");
    let mut away = 0;
    while let Ok(sight) = stage.sights.try_recv() {
        away += usize::from(matches!(sight, Sight::Away(_)));
    }
    assert_eq!(away, 4, "the node is told that nobody looks there");
}

#[tokio::test]
async fn what_nobody_has_seen_for_a_while_is_forgotten() {
    let mut stage = Stage::with(1).await;
    stage.look(0, 0..2).await.unwrap();
    assert_eq!(stage.questions().await, 2);
    for column in 0..2 {
        stage.failed(key(column));
    }
    stage.look(0, 0..1).await.unwrap();
    stage.state.ticks += KEPT_TICKS - 1;
    stage.state.forget().await;
    assert_eq!(stage.state.scenes.len(), 2, "whoever turns back finds it");
    stage.state.ticks += 1;
    stage.state.forget().await;
    assert_eq!(stage.state.scenes.len(), 1);
}

#[tokio::test]
async fn what_is_remembered_of_all_scenes_together_has_a_bound() {
    let mut stage = Stage::with(1).await;
    let busy = u32::try_from(REMEMBERED / 4_096 + 10).unwrap();
    stage.look(0, 0..busy).await.unwrap();
    for column in 0..busy {
        let Some(Scene { what: What::Land(land), .. }) = stage.state.scenes.get_mut(&key(column)) else { panic!() };
        land.changed(receipt(10), fields(4_096, 1));
    }
    let remembered = |stage: &Stage| stage.state.scenes.values().map(Scene::remembered).sum::<usize>();
    assert!(remembered(&stage) > REMEMBERED);
    stage.state.forget().await;
    assert!(remembered(&stage) <= REMEMBERED);
}

#[test]
fn the_worst_bound_is_the_largest_and_an_unknown_one_is_worse() {
    assert_eq!(worst([Some(3), Some(9), Some(1)]), Some(9));
    assert_eq!(worst([Some(3), None]), None);
    assert_eq!(worst([]), Some(0));
}
