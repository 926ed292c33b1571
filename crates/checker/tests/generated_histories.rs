//! Histories made by running clients against one field: honest ones pass, every kind of lie is caught, large ones are
//! fast, and the search agrees with trying all orders.

use checker::{At, FieldModel, FieldOp, FieldRet, History, Model, check};
use world::PlayerName;

/// A small deterministic generator (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u32) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let below = (bits ^ bits >> 31) % u64::from(limit);
        usize::try_from(below).expect("below a u32")
    }
}

/// The real field, which the model is held against.
#[derive(Default)]
struct Field {
    owner: Option<PlayerName>,
    version: u32,
}

impl Field {
    fn execute(&mut self, op: FieldOp) -> FieldRet {
        match op {
            FieldOp::Read => FieldRet::Is { owner: self.owner, version: self.version },
            FieldOp::Claim(player) => {
                if let Some(owner) = self.owner {
                    return FieldRet::AlreadyOwned(owner);
                }
                (self.owner, self.version) = (Some(player), self.version + 1);
                FieldRet::Claimed(self.version)
            }
            FieldOp::Abandon(player) | FieldOp::Work(player) if self.owner != Some(player) => {
                FieldRet::NotOwner(self.owner)
            }
            FieldOp::Abandon(_) => {
                (self.owner, self.version) = (None, self.version + 1);
                FieldRet::Abandoned(self.version)
            }
            FieldOp::Work(_) => {
                self.version += 1;
                FieldRet::Worked(self.version)
            }
        }
    }
}

/// `count` operations of `clients` clients, each busy with one at a time; one in `timeouts` is never answered and takes
/// effect at some time or not at all.
fn run(seed: u64, count: usize, clients: u32, timeouts: u32) -> History<FieldOp, FieldRet> {
    let mut dice = Dice(seed);
    let mut history = History::new();
    let mut field = Field::default();
    // Per client: what it waits for. Asked; then done with this answer; then told.
    let mut waiting: Vec<Option<(checker::OpId, FieldOp, Option<FieldRet>)>> = (0..clients).map(|_| None).collect();
    let mut late: Vec<FieldOp> = vec![];
    let (mut asked, mut now) = (0, 0);
    while asked < count || waiting.iter().any(Option::is_some) {
        now += 1;
        let client = dice.below(clients);
        if dice.below(8) == 0 && !late.is_empty() {
            let op = late.swap_remove(dice.below(u32::try_from(late.len()).expect("few")));
            field.execute(op);
        }
        match &mut waiting[client] {
            None if asked < count => {
                asked += 1;
                let player = PlayerName::new(["sid", "scrat", "diego"][dice.below(3)]).expect("a name");
                let op = match dice.below(6) {
                    0 | 1 => FieldOp::Claim(player),
                    2 => FieldOp::Abandon(player),
                    3 => FieldOp::Work(player),
                    _ => FieldOp::Read,
                };
                let id = history.invoke(client as u64, op, At(now));
                if dice.below(timeouts) == 0 {
                    late.push(op);
                } else {
                    waiting[client] = Some((id, op, None));
                }
            }
            None => {}
            Some((_, op, done @ None)) => *done = Some(field.execute(*op)),
            Some((id, _, Some(ret))) => {
                history.answer(*id, *ret, At(now));
                waiting[client] = None;
            }
        }
    }
    history
}

#[test]
fn honest_histories_with_time_outs_pass() {
    for seed in 0..300 {
        let history = run(seed, 60, 8, 12);
        if let Err(violation) = check(&FieldModel, &history) {
            panic!("seed {seed}: {violation}");
        }
    }
}

#[test]
fn five_hundred_operations_of_thirty_clients_are_checked_quickly() {
    for seed in 0..5 {
        let history = run(seed, 500, 30, 50);
        check(&FieldModel, &history).expect("honest");
    }
}

/// Whether some order of all answered and any open operations fits, by trying every one.
fn fits_by_brute_force(history: &History<FieldOp, FieldRet>) -> bool {
    fn go(history: &History<FieldOp, FieldRet>, used: &mut Vec<bool>, state: checker::field::FieldState) -> bool {
        let operations = history.operations();
        let unused = |used: &[bool], i: usize| !used[i];
        if (0..operations.len()).all(|i| used[i] || operations[i].returned.is_none()) {
            return true;
        }
        let frontier = (0..operations.len()).filter(|&i| unused(used, i));
        let first_return = frontier.filter_map(|i| operations[i].returned.map(|(at, _)| at)).min();
        for i in 0..operations.len() {
            if used[i] || first_return.is_some_and(|at| operations[i].invoked > at) {
                continue;
            }
            let ret = operations[i].returned.as_ref().map(|(_, ret)| ret);
            if let Some(next) = FieldModel.step(&state, &operations[i].op, ret) {
                used[i] = true;
                if go(history, used, next) {
                    return true;
                }
                used[i] = false;
            }
        }
        false
    }
    go(history, &mut vec![false; history.len()], FieldModel.initial())
}

#[test]
fn verdicts_on_small_tampered_histories_agree_with_trying_every_order() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..4_000 {
        let honest = run(seed, 7, 4, 6);
        let mut dice = Dice(!seed);
        let mut tampered = History::new();
        let victim = dice.below(7);
        for (index, operation) in honest.operations().iter().enumerate() {
            let id = tampered.invoke(operation.client, operation.op, operation.invoked);
            if let Some((at, ret)) = operation.returned {
                tampered.answer(id, if index == victim { tamper(ret, &mut dice) } else { ret }, at);
            }
        }
        let expected = fits_by_brute_force(&tampered);
        assert_eq!(check(&FieldModel, &tampered).is_ok(), expected, "seed {seed}: {tampered:#?}");
        if expected { good += 1 } else { bad += 1 }
    }
    assert!(good > 500 && bad > 500, "{good} good, {bad} bad: the comparison must see both");
}

fn tamper(ret: FieldRet, dice: &mut Dice) -> FieldRet {
    let owner = PlayerName::new(["sid", "scrat", "diego"][dice.below(3)]).expect("a name");
    let owner = (dice.below(4) > 0).then_some(owner);
    let version = u32::try_from(dice.below(5)).expect("small");
    match ret {
        FieldRet::Is { .. } => FieldRet::Is { owner, version },
        FieldRet::Claimed(_) => FieldRet::Claimed(version),
        FieldRet::Abandoned(_) => FieldRet::Abandoned(version),
        FieldRet::Worked(_) => FieldRet::Worked(version),
        FieldRet::AlreadyOwned(was) => FieldRet::AlreadyOwned(owner.unwrap_or(was)),
        FieldRet::NotOwner(_) => FieldRet::NotOwner(owner),
        FieldRet::Rejected => FieldRet::Rejected,
    }
}

#[test]
fn stale_reads_in_long_histories_are_caught() {
    stale_reads_are_caught(200, |seed| run(seed, 100, 6, 1_000));
}

#[test]
fn stale_reads_among_twenty_clients_with_many_time_outs_are_caught() {
    stale_reads_are_caught(20, |seed| run(seed, 300, 20, 15));
}

fn stale_reads_are_caught(seeds: u64, honest: impl Fn(u64) -> History<FieldOp, FieldRet>) {
    let (mut caught, mut tried) = (0, 0);
    for seed in 0..seeds {
        let honest = honest(seed);
        // The last read tells what the first one told.
        let is_read = |ret: &Option<(At, FieldRet)>| matches!(ret, Some((_, FieldRet::Is { .. })));
        let mut reads = (0..honest.len()).filter(|&i| is_read(&honest.operations()[i].returned));
        let (Some(first), Some(last)) = (reads.next(), reads.next_back()) else { continue };
        let told = |i: usize| honest.operations()[i].returned.expect("a read that was answered").1;
        if told(first) == told(last) {
            continue;
        }
        let mut stale = History::new();
        for (index, operation) in honest.operations().iter().enumerate() {
            let id = stale.invoke(operation.client, operation.op, operation.invoked);
            if let Some((at, ret)) = operation.returned {
                stale.answer(id, if index == last { told(first) } else { ret }, at);
            }
        }
        tried += 1;
        caught += u64::from(check(&FieldModel, &stale).is_err());
    }
    assert!(tried > seeds / 2, "only {tried} histories had two different reads");
    assert_eq!(caught, tried, "versions only rise, so every stale read is a contradiction");
}
