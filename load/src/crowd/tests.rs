use super::*;
use client::Success;
use std::collections::BTreeMap;
use wire::Receipt;
use world::rules::World;
use world::{Deed, FieldView, Outcome, Rejection};

const VILLAGE: &str = "
about = ''
[players]
count = 50
homes = 'cities'
cities = 2
land = 4
[arrival]
rate = 1
[mix]
claim = 2
farm = 5
look = 2
visit = 3
abandon = 0.5
[reads]
visit = 'strong'
";

fn crowd(profile: &str) -> Crowd {
    let world = World::ice_age();
    let profile = Profile::parse("test", profile).unwrap();
    Crowd::new(&profile, 7, Part { nth: 0, of: 1 }, TerrainMap::new(world.seed), &world.rules).unwrap()
}

fn receipt() -> Receipt {
    let (shard, node, slot) = (placement::ShardId(1), paxos::NodeId(1), paxos::Slot(1));
    Receipt { shard, node, slot, level: Level::Strong, bound_ms: Some(0) }
}

/// A world that does what it is asked.
#[derive(Default)]
struct Truth {
    fields: BTreeMap<FieldId, FieldView>,
}

impl Truth {
    fn field(&self, field: FieldId, terrain: Terrain) -> FieldView {
        let (owner, character, crop, structures, price) = (None, None, None, Vec::new(), None);
        let new = FieldView { field, terrain, owner, character, crop, structures, price, version: 0 };
        self.fields.get(&field).cloned().unwrap_or(new)
    }

    fn answer(&mut self, crowd: &Crowd, player: u32, ask: Ask) -> Success {
        let receipt = receipt();
        match ask {
            Ask::Do(Command::Register) => {
                let name = crowd.name(player);
                let player = world::PlayerView { name, acorns: world::Acorns(100) };
                Success::Command { outcome: Outcome::Registered { player, new: true }, receipt }
            }
            Ask::Do(command) => {
                let id = command.field().unwrap();
                let mut field = self.field(id, crowd.terrain.at(id));
                field.version += 1;
                let deed = match command {
                    Command::Claim { .. } => Deed::Claimed,
                    Command::Plant { .. } => Deed::Planted,
                    Command::Tend { .. } => Deed::Tended,
                    Command::Harvest { .. } => Deed::Harvested(world::Acorns(1)),
                    Command::Build { .. } => Deed::Built,
                    Command::Abandon { .. } => Deed::Abandoned,
                    other => panic!("nobody does {other:?}"),
                };
                field.owner = (deed != Deed::Abandoned).then(|| crowd.name(player));
                self.fields.insert(id, field.clone());
                Success::Command { outcome: Outcome::Done { deed, field }, receipt }
            }
            Ask::Show(Read::Field(id), _) => Success::Field { field: self.field(id, crowd.terrain.at(id)), receipt },
            Ask::Show(Read::View(rect), _) => {
                let owned = |field: &&FieldView| rect.contains(field.field) && field.owner.is_some();
                Success::View { fields: self.fields.values().filter(owned).cloned().collect(), receipts: vec![receipt] }
            }
            other @ Ask::Show(..) => panic!("nobody asks {other:?}"),
        }
    }
}

/// Everybody acts so many times, and is answered at once.
fn play(crowd: &mut Crowd, truth: &mut Truth, rounds: u32) -> BTreeMap<Doing, u32> {
    let mut counts = BTreeMap::new();
    for round in 0..rounds {
        for player in 0..crowd.count() {
            let now = round * 1_000;
            let action = crowd.act(player, now);
            *counts.entry(action.doing).or_default() += 1;
            let answer = truth.answer(crowd, player, action.ask);
            assert_eq!(crowd.learn(player, &action, &answer, now), Ok(Came::Done), "{action:?}");
        }
    }
    counts
}

/// A village where everybody has some land, and wants more.
fn settled(truth: &mut Truth) -> Crowd {
    let mut crowd = crowd(VILLAGE);
    play(&mut crowd, truth, 60);
    crowd.land = 64;
    crowd
}

/// What comes of one player's next action of this kind, if the world answers like this.
fn answered(
    crowd: &mut Crowd,
    truth: &mut Truth,
    doing: Doing,
    answer: impl Fn(Success) -> Success,
) -> Result<Came, Wrong> {
    // So that there is nothing else to do on its land.
    let me = &mut crowd.players[3];
    me.sown = if doing == Doing::Plant { 0 } else { me.owned };
    me.tended = if doing == Doing::Build { me.owned } else { 0 };
    me.ripe_ms = if doing == Doing::Harvest { 0 } else { u32::MAX };
    for now in 0..10_000 {
        let before = crowd.players[3];
        let action = crowd.act(3, now * 1_000);
        if action.doing == doing {
            let true_answer = truth.answer(crowd, 3, action.ask);
            return crowd.learn(3, &action, &answer(true_answer), now * 1_000);
        }
        let steps = crowd.players[3].steps;
        crowd.players[3] = Player { steps, ..before };
    }
    panic!("nobody ever wants to {}", doing.word());
}

fn owned_by(success: Success, owner: &str) -> Success {
    let owner = Some(PlayerName::new(owner).unwrap());
    match success {
        Success::Field { field, receipt } => Success::Field { field: FieldView { owner, ..field }, receipt },
        Success::Command { outcome: Outcome::Done { deed, field }, receipt } => {
            Success::Command { outcome: Outcome::Done { deed, field: FieldView { owner, ..field } }, receipt }
        }
        other => other,
    }
}

#[test]
fn players_come_in_look_around_and_then_do_what_the_mix_says() {
    let mut crowd = crowd(VILLAGE);
    let mut truth = Truth::default();
    assert_eq!(play(&mut crowd, &mut truth, 1), [(Doing::Enter, 50)].into());
    assert_eq!(play(&mut crowd, &mut truth, 1), [(Doing::Visit, 50)].into());
    let counts = play(&mut crowd, &mut truth, 400);
    let of = |doing| f64::from(counts[&doing]) / 20_000.0;
    for (doing, share) in [(Doing::Look, 2.0), (Doing::Visit, 3.0), (Doing::Abandon, 0.5)] {
        assert!(of(doing) > 0.8 * share / 12.5, "{}: {}", doing.word(), of(doing));
    }
    for doing in [Doing::Claim, Doing::Plant, Doing::Tend, Doing::Harvest, Doing::Build] {
        assert!(of(doing) > 0.02, "{}: {}", doing.word(), of(doing));
    }
    assert!(crowd.players.iter().all(|player| player.owned.count_ones() <= 4), "nobody wants more land");
}

#[test]
fn the_same_seed_does_the_same() {
    let (mut one, mut other) = (crowd(VILLAGE), crowd(VILLAGE));
    for player in 0..50 {
        assert_eq!(one.act(player, 5), other.act(player, 5));
    }
    assert_eq!(play(&mut one, &mut Truth::default(), 50), play(&mut other, &mut Truth::default(), 50));
}

#[test]
fn who_is_told_that_its_land_is_anothers_or_nobodys_says_so() {
    let mut truth = Truth::default();
    let mut crowd = settled(&mut truth);
    let neighbour = crowd.name(4).to_string();
    for doing in [Doing::Look, Doing::Claim, Doing::Plant, Doing::Harvest, Doing::Build] {
        for owner in ["scrat", &neighbour] {
            let wrong = answered(&mut crowd, &mut truth, doing, |success| owned_by(success, owner));
            assert!(wrong.is_err(), "{} for {owner}", doing.word());
        }
    }
    let nobodys = |success| match success {
        Success::Field { field, receipt } => Success::Field { field: FieldView { owner: None, ..field }, receipt },
        other => other,
    };
    assert!(answered(&mut crowd, &mut truth, Doing::Look, nobodys).is_err());
}

#[test]
fn a_view_that_leaves_out_a_field_or_shows_one_twice_or_elsewhere_is_wrong() {
    let mut truth = Truth::default();
    let mut crowd = settled(&mut truth);
    let fields = |success, change: fn(&mut Vec<FieldView>)| match success {
        Success::View { fields, receipts } => {
            let mut fields = fields.unpack();
            change(&mut fields);
            Success::View { fields: fields.into_iter().collect(), receipts }
        }
        other => other,
    };
    let mut view = |change| answered(&mut crowd, &mut truth, Doing::Visit, |success| fields(success, change));
    assert!(view(|_| {}).is_ok());
    assert!(view(|fields| _ = fields.pop()).is_err());
    assert!(view(|fields| fields.push(fields[0].clone())).is_err());
    assert!(view(|fields| fields[0].field = FieldId::new(5, 5).unwrap()).is_err());
    assert!(view(|fields| fields.swap(0, 1)).is_err());
}

#[test]
fn no_rejection_is_believed_that_cannot_be() {
    let mut truth = Truth::default();
    let mut crowd = settled(&mut truth);
    let (me, neighbour) = (crowd.name(3), crowd.name(4));
    let field = FieldId::new(1, 1).unwrap();
    let rejected = |rejection| move |_| Success::Command { outcome: Outcome::Rejected(rejection), receipt: receipt() };
    let scrat = PlayerName::new("scrat").unwrap();
    for (doing, rejection, possible) in [
        (Doing::Claim, Rejection::AlreadyOwned { field, owner: me }, false),
        (Doing::Claim, Rejection::AlreadyOwned { field, owner: neighbour }, false),
        (Doing::Claim, Rejection::AlreadyOwned { field, owner: scrat }, true),
        (Doing::Claim, Rejection::NotClaimable { field, terrain: Terrain::Rock }, false),
        (Doing::Plant, Rejection::NotOwner { field, owner: None }, false),
        (Doing::Plant, Rejection::AlreadyPlanted { field, crop: CropId(0) }, false),
        (Doing::Harvest, Rejection::NothingPlanted { field }, false),
        (Doing::Harvest, Rejection::NotRipe { field, at: world::Millis(9) }, true),
        (Doing::Tend, Rejection::Ripe { field }, true),
        (Doing::Tend, Rejection::AlreadyTended { field }, false),
        (Doing::Build, Rejection::AlreadyBuilt { field, building: world::BuildingId(0) }, true),
        (Doing::Abandon, Rejection::NotOwner { field, owner: Some(scrat) }, false),
    ] {
        let heard = answered(&mut crowd, &mut truth, doing, rejected(rejection));
        assert_eq!(heard.is_ok(), possible, "{} and {rejection}: {heard:?}", doing.word());
    }
}

#[test]
fn what_was_not_answered_is_left_alone_and_what_was_certainly_not_done_is_not() {
    let mut crowd = crowd(VILLAGE);
    let mut truth = Truth::default();
    play(&mut crowd, &mut truth, 30);
    let bit = crowd.players[3].owned.trailing_zeros();
    let about = About::Own { bit };
    let field = crowd.home(3).field(bit);
    let abandon = Action { doing: Doing::Abandon, ask: Ask::Do(Command::Abandon { field }), about };
    crowd.players[3].given_up |= 1 << bit;
    crowd.unanswered(3, &abandon, false);
    assert!(crowd.players[3].owned & 1 << bit != 0 && crowd.players[3].given_up == 0);
    crowd.unanswered(3, &abandon, true);
    assert!(crowd.players[3].owned & 1 << bit == 0 && crowd.players[3].given_up == 1 << bit);
    for _ in 0..200 {
        let action = crowd.act(3, 0);
        assert!(action.about != about, "{action:?}");
        let answer = truth.answer(&crowd, 3, action.ask);
        crowd.learn(3, &action, &answer, 0).unwrap();
    }
}

#[test]
fn generators_that_share_a_run_share_neither_players_nor_land() {
    let world = World::ice_age();
    let text = VILLAGE.replace("visit = 3", "visit = 3\ncontest = 1") + "[contest]\nfields = 10\n";
    let profile = Profile::parse("test", &text).unwrap();
    let part = |nth| Crowd::new(&profile, 7, Part { nth, of: 3 }, TerrainMap::new(world.seed), &world.rules).unwrap();
    let mut parts: Vec<Crowd> = (0..3).map(part).collect();
    assert_eq!(parts.iter().map(Crowd::count).collect::<Vec<_>>(), [17, 17, 16]);
    let mut homes = BTreeMap::new();
    let mut contested = Vec::new();
    for crowd in &mut parts {
        for player in 0..crowd.count() {
            let name = crowd.name(player);
            assert_eq!(homes.insert(crowd.home(player), name), None);
            assert_eq!(crowd.names.player(&name).and_then(|number| crowd.local(number)), Some(player));
        }
        contested.extend_from_slice(crowd.contested());
    }
    let whole = crowd(&text);
    contested.sort_unstable();
    assert_eq!((homes.len(), contested.as_slice()), (50, whole.contested()));
}
