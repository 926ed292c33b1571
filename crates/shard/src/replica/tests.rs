//! A replica that is its shard's only voter.

use super::*;
use crate::effect::ConnId;
use wire::{ClientId, Query, RequestNo};
use world::rules::{Character, Crop, Effects};
use world::{Acorns, CharacterId, Command, CropId, FieldId, PlayerName, RuleBook, Terrain, WorldSeed};

const ME: NodeId = NodeId(1);
const SEED: WorldSeed = WorldSeed(7);

fn rules() -> RuleBook {
    let effects = Effects { harvest: 0, ripening: 0, tending: 0 };
    let (name, about) = ("moss".to_owned(), String::new());
    let grows_on = Terrain::ALL.into_iter().collect();
    let crop = Crop { name, glyph: 'm', about, ripens_after_ms: 0, yields: Acorns(3), tending: 0, grows_on };
    RuleBook {
        version: 1,
        name: "test".to_owned(),
        starting_acorns: Acorns(0),
        fields_per_chunk: 64,
        max_price: Acorns(1_000),
        characters: vec![Character { name: "sloth".to_owned(), glyph: 'S', about: String::new(), effects }],
        crops: vec![crop],
        buildings: Vec::new(),
    }
}

/// It, and what it wanted done beside writing, which is done at once.
struct Alone {
    replica: Replica,
    wanted: Vec<Effect>,
    requests: u64,
}

impl Alone {
    fn recovered(recovered: Recovered) -> Self {
        let buckets = (Bucket(0), Bucket(u16::MAX));
        let info = ShardInfo {
            shard: ShardId(1),
            first: buckets.0,
            last: buckets.1,
            voters: vec![ME],
            configuration: 0,
            read: None,
        };
        let genesis = Genesis { seed: SEED, rules: rules(), buckets };
        let quorum = QuorumSystem::majority([ME]).unwrap();
        let replica = Replica::new(&info, ME, genesis, quorum, recovered, None).unwrap();
        Self { replica, wanted: Vec::new(), requests: 0 }
    }

    /// One that leads.
    fn leading() -> Self {
        let mut alone = Self::recovered(Recovered::fresh());
        alone.replica.campaign(&mut |_: NodeId, _: &QuorumSystem| true);
        alone.settle();
        assert!(alone.replica.is_serving());
        alone
    }

    fn step(&mut self) -> bool {
        let mut room = usize::MAX;
        self.replica.step(Millis(1_000), true, &Vantage::blind(Mono(0)), &mut room);
        let mut wrote = false;
        while let Some(effect) = self.replica.poll_effect() {
            match effect {
                Effect::Persist { token, .. } => {
                    wrote = true;
                    self.replica.handle_persisted(token);
                }
                other => self.wanted.push(other),
            }
        }
        wrote
    }

    /// Until nothing more comes of it.
    fn settle(&mut self) {
        while self.step() {}
    }

    fn command(&mut self, player: PlayerName, command: Command) {
        self.requests += 1;
        let number = RequestNo(self.requests);
        let (client, deadline) = (ClientId(1), Millis(100_000));
        let envelope = Envelope { client, number, floor: number, deadline, player, command };
        self.replica.handle_command(Origin { conn: ConnId(1), id: self.requests }, envelope);
        self.settle();
    }

    fn chosen(&self) -> Slot {
        self.replica.paxos().chosen()
    }
}

/// Fields that may be claimed.
fn claimable() -> impl Iterator<Item = FieldId> {
    let terrain = world::TerrainMap::new(SEED);
    (0..64).filter_map(|x| FieldId::new(x, 0).ok()).filter(move |field| terrain.at(*field).claimable())
}

#[test]
fn what_another_version_has_decided_is_told_once_and_nothing_behind_it_is_applied() {
    let value = |bytes: &'static [u8]| (Ballot::ZERO, Value::Command(Bytes::from_static(bytes)));
    let noop = (Ballot::ZERO, Value::Noop);
    let entries = [noop.clone(), value(b"of tomorrow"), noop].into_iter().enumerate();
    let entries = entries.map(|(nth, entry)| (Slot(nth as u64 + 1), entry)).collect();
    let mut alone = Alone::recovered(Recovered { chosen: Slot(3), entries, ..Recovered::fresh() });
    alone.settle();
    alone.settle();
    let told: Vec<_> = alone.wanted.iter().filter(|wanted| matches!(wanted, Effect::Unreadable { .. })).collect();
    assert!(matches!(told[..], [Effect::Unreadable { slot: Slot(2), .. }]), "{told:?}");
    assert_eq!(alone.replica.applied(), Slot(1));
}

#[test]
fn a_payment_that_is_confirmed_twice_is_settled_once() {
    let mut alone = Alone::leading();
    let scrat: PlayerName = "scrat".parse().unwrap();
    let field = claimable().next().unwrap();
    for command in [
        Command::Claim { field, character: CharacterId(0) },
        Command::Plant { field, crop: CropId(0) },
        Command::Harvest { field },
    ] {
        alone.command(scrat, command);
    }
    let pay = alone.wanted.iter().find_map(|wanted| match wanted {
        Effect::Pay { payment } => Some(*payment),
        _ => None,
    });
    let pay = pay.expect("a harvest is paid");
    let before = alone.chosen();
    alone.replica.handle_paid(pay.from, pay.player, pay.seq);
    alone.replica.handle_paid(pay.from, pay.player, pay.seq);
    assert_eq!(alone.replica.queued(), 1);
    alone.settle();
    assert_eq!(alone.chosen(), before.next());
    assert_eq!(alone.replica.state().land().unwrap().payments().next(), None);
}

/// What was answered to each label, in order.
fn answers(alone: &Alone) -> Vec<(u64, &AnswerBody)> {
    let answers = alone.wanted.iter().filter_map(|wanted| match wanted {
        Effect::Answer { answer, .. } => Some((answer.id, &answer.body)),
        _ => None,
    });
    answers.collect()
}

fn register(name: &str) -> (PlayerName, Command) {
    (name.parse().unwrap(), Command::Register)
}

#[test]
fn a_cut_has_what_is_new_and_there_is_one_at_a_time() {
    let mut alone = Alone::leading();
    let born = alone.replica.applied();
    assert!(alone.replica.uncut_bytes() > 0);
    let cut = alone.replica.take_cut().unwrap();
    assert_eq!((cut.slot, alone.replica.uncut_bytes(), alone.replica.checkpointed()), (born, 0, Slot::ZERO));
    let (scrat, command) = register("scrat");
    alone.command(scrat, command);
    assert!(alone.replica.take_cut().is_none(), "one is being written");
    assert!(!alone.replica.begin_install(), "nor is another put in its place meanwhile");
    alone.replica.handle_checkpointed(born);
    assert_eq!(alone.replica.checkpointed(), born);
    assert!(alone.replica.begin_install());
    assert!(alone.replica.take_cut().is_none(), "one is being put in its place");
    alone.replica.end_install();
    let next = alone.replica.take_cut().unwrap();
    assert_eq!((next.slot, next.pages.is_empty()), (born.next(), false));
    alone.replica.handle_checkpointed(next.slot);
    assert!(alone.replica.take_cut().is_none(), "nothing is new");
}

#[test]
fn the_log_keeps_what_is_not_checkpointed_and_what_somebody_needs() {
    let mut alone = Alone::leading();
    for name in ["scrat", "sid", "manny"] {
        let (player, command) = register(name);
        alone.command(player, command);
    }
    alone.replica.release(false, None);
    assert_eq!(alone.replica.released(), Slot::ZERO);
    let cut = alone.replica.take_cut().unwrap();
    alone.replica.handle_checkpointed(cut.slot);
    alone.replica.release(true, Some(Slot(2)));
    assert_eq!(alone.replica.released(), Slot(2));
    alone.replica.release(false, Some(Slot(1)));
    assert_eq!(alone.replica.released(), Slot(2), "what is gone is gone");
    alone.replica.release(false, None);
    assert_eq!(alone.replica.released(), cut.slot);
}

#[test]
fn beyond_what_may_wait_commands_and_reads_are_refused_and_those_before_are_answered() {
    let mut alone = Alone::leading();
    let (player, command) = register("scrat");
    let origin = |id| Origin { conn: ConnId(1), id };
    for number in 1..=QUEUE as u64 + 1 {
        let (client, floor, deadline) = (ClientId(u128::from(number)), RequestNo(1), Millis(100_000));
        let envelope = Envelope { client, number: RequestNo(1), floor, deadline, player, command };
        alone.replica.handle_command(origin(number), envelope);
    }
    assert_eq!((alone.replica.queued(), alone.replica.waiting()), (QUEUE, QUEUE));
    alone.settle();
    let refused = AnswerBody::Refused(Refusal::Overloaded { retry_after_ms: RETRY_AFTER_MS });
    assert_eq!(answers(&alone)[0], (QUEUE as u64 + 1, &refused));
    let done = answers(&alone).into_iter().skip(1).map(|(id, _)| id);
    assert!(done.eq(1..=QUEUE as u64), "in the order of arrival");
    assert_eq!(
        alone.replica.batches(),
        (17, QUEUE as u64 + 1),
        "16 of 1,024, and the one with which the shard was born"
    );
    alone.wanted.clear();
    let (most, all) = (16_384_u64, 16_384_usize);
    for id in 1..=most + 1 {
        alone.replica.handle_read(Mono(0), origin(id), Query::Player(player), Level::Eventual, Slot::ZERO);
    }
    assert_eq!((alone.replica.waiting_reads(), alone.replica.waiting()), (all, all));
    let mut room = 100;
    alone.replica.step(Millis(1_000), true, &Vantage::blind(Mono(0)), &mut room);
    assert_eq!((room, alone.replica.waiting_reads()), (0, all - 100));
    assert!(alone.replica.is_cut_short());
    alone.settle();
    assert!(!alone.replica.is_cut_short() && alone.replica.waiting_reads() == 0);
    assert_eq!(answers(&alone)[0], (most + 1, &refused));
    assert!(answers(&alone).into_iter().skip(1).map(|(id, _)| id).eq(1..=most));
}

#[test]
fn a_report_tells_what_the_replica_has() {
    let mut alone = Alone::leading();
    let scrat: PlayerName = "scrat".parse().unwrap();
    for field in claimable().take(3) {
        alone.command(scrat, Command::Claim { field, character: CharacterId(0) });
    }
    let cut = alone.replica.take_cut().unwrap();
    alone.replica.handle_checkpointed(cut.slot);
    alone.command(scrat, Command::Register);
    let report = alone.replica.report();
    let applied = alone.replica.applied();
    assert_eq!(applied, cut.slot.next());
    assert_eq!((report.shard, report.buckets, report.leader), (ShardId(1), (0, u16::MAX), Some(ME)));
    assert_eq!((report.chosen, report.applied, report.checkpointed), (applied, applied, cut.slot));
    assert_eq!((report.fields, report.configuration, report.voters, report.standbys), (3, 0, vec![ME], vec![]));
    assert_eq!((alone.replica.me(), report.ballot), (ME, alone.replica.paxos().promised()));
    assert!(alone.replica.chunk_bytes() > 0);
}
