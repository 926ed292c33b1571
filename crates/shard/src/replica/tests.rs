//! A replica that is its shard's only voter.

use super::*;
use crate::effect::ConnId;
use wire::{ClientId, RequestNo};
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
    let terrain = world::TerrainMap::new(SEED);
    let claimable = |field: &FieldId| terrain.at(*field).claimable();
    let field = (0..64).filter_map(|x| FieldId::new(x, 0).ok()).find(claimable).unwrap();
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
