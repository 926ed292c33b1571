//! What is under way: begun when its time has come, held against what is known when it is answered.

use super::tally::{Second, Tally, note};
use crate::Failure;
use crate::crowd::arrivals::{Arrivals, Turn};
use crate::crowd::{About, Action, Ask, Came, Crowd, Wrong};
use crate::profile::Doing;
use crate::truth::{Histories, Noted, Receipts};
use checker::FieldOp;
use client::{Applied, Completion, Failure as Unanswered, Job, Read, ReadOptions, Submitter, Success};
use std::time::Duration;
use wire::{Level, Receipt};
use world::{Command, FieldId, FieldView};

/// Something under way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    turn: Turn,
    action: Action,
    connection: usize,
    sent: Duration,
    noted: Option<Noted>,
    /// A watcher that has been shown the land, and waits for a change there: nothing that is measured.
    waits: bool,
}

/// Everything under way, and everything it is held against.
#[derive(Debug)]
pub struct Flights {
    pub crowd: Crowd,
    arrivals: Arrivals,
    receipts: Receipts,
    histories: Histories,
    pub tally: Tally,
    /// By connection.
    submitters: Vec<Submitter>,
    /// To be begun; by connection.
    batches: Vec<Vec<(Job, u64)>>,
    /// By tag.
    under_way: Vec<Option<Flight>>,
    free: Vec<u64>,
    /// What is measured begins and ends here.
    from: Duration,
    to: Duration,
}

impl Flights {
    /// With `room` for so many.
    pub fn new(
        crowd: Crowd,
        arrivals: Arrivals,
        receipts: Receipts,
        histories: Histories,
        submitters: Vec<Submitter>,
        room: usize,
    ) -> Self {
        Self {
            crowd,
            arrivals,
            receipts,
            histories,
            tally: Tally::new(),
            batches: submitters.iter().map(|_| Vec::new()).collect(),
            submitters,
            under_way: std::iter::repeat_with(|| None).take(room).collect(),
            free: (0..room as u64).rev().collect(),
            from: Duration::ZERO,
            to: Duration::MAX,
        }
    }

    /// What is due between these counts.
    #[must_use]
    pub fn measuring(mut self, from: Duration, to: Duration) -> Self {
        (self.from, self.to) = (from, to);
        self
    }

    /// It ends here already.
    pub fn ends(&mut self, now: Duration) {
        self.to = self.to.min(now);
    }

    /// How many are under way.
    pub fn in_flight(&self) -> usize {
        self.under_way.len() - self.free.len()
    }

    /// Whether there is room, and yet somebody waits whose time has come this long ago.
    pub fn is_behind(&self, now: Duration, late: Duration) -> bool {
        !self.free.is_empty() && self.arrivals.is_behind(now, late)
    }

    /// When something is to be begun next, if not when something has been answered.
    pub fn wake(&self) -> Option<Duration> {
        if self.free.is_empty() { None } else { self.arrivals.wake() }
    }

    /// How many players are doing what.
    pub fn doing(&self) -> [usize; Doing::ALL.len()] {
        let mut doing = [0; Doing::ALL.len()];
        for flight in self.under_way.iter().flatten() {
            doing[flight.action.doing.index()] += 1;
        }
        doing
    }

    /// A second is over.
    pub fn tick(&mut self, now: Duration) -> Second {
        self.receipts.prune(now);
        let in_flight = self.in_flight();
        self.tally.tick(in_flight).clone()
    }

    /// Begins what is due, as far as there is room.
    pub async fn begin_due(&mut self, now: Duration) -> Result<(), Failure> {
        while !self.free.is_empty() {
            let Some(turn) = self.arrivals.next(now) else { break };
            let action = self.crowd.act(turn.player, millis(now));
            let connection = turn.player as usize % self.submitters.len();
            let noted = self.note(turn.player, &action, now);
            if self.measures(turn) {
                note(&mut self.tally.late, now.saturating_sub(turn.at));
            }
            self.begin(Flight { turn, action, connection, sent: now, noted, waits: false }, job(self, turn, &action));
        }
        self.submit().await
    }

    fn begin(&mut self, flight: Flight, job: Job) {
        let tag = self.free.pop().expect("whoever begins something has seen that there is room");
        self.batches[flight.connection].push((job, tag));
        self.under_way[usize::try_from(tag).expect("an index")] = Some(flight);
    }

    async fn submit(&mut self) -> Result<(), Failure> {
        for (submitter, batch) in self.submitters.iter().zip(&mut self.batches) {
            if !batch.is_empty() {
                submitter.submit_all(batch.drain(..)).await?;
            }
        }
        Ok(())
    }

    /// Keeps what is done to some contested fields.
    fn note(&mut self, player: u32, action: &Action, now: Duration) -> Option<Noted> {
        let (About::Contested { place }, Ask::Do(command)) = (action.about, action.ask) else { return None };
        let name = self.crowd.name(player);
        let op = match command {
            Command::Claim { .. } => FieldOp::Claim(name),
            Command::Abandon { .. } => FieldOp::Abandon(name),
            _ => FieldOp::Work(name),
        };
        self.histories.asked(usize::from(place), player, op, now)
    }

    fn measures(&self, turn: Turn) -> bool {
        (self.from..self.to).contains(&turn.at)
    }

    /// What came of some of them.
    pub async fn hear(&mut self, batch: Vec<Completion>, now: Duration) -> Result<(), Failure> {
        for Completion { tag, result } in batch {
            let Some(flight) = usize::try_from(tag).ok().and_then(|tag| self.under_way.get_mut(tag)?.take()) else {
                self.wrong(Wrong(format!("an answer to what was not asked, or has been answered: {result:?}")));
                continue;
            };
            self.free.push(tag);
            match result {
                Ok(success) => self.answered(flight, &success, now),
                Err(failure) => self.unanswered(&flight, &failure),
            }
        }
        self.submit().await
    }

    fn answered(&mut self, flight: Flight, success: &Success, now: Duration) {
        let Flight { turn, action, noted, .. } = &flight;
        let measured = self.measures(*turn) && !flight.waits;
        if let Err(wrong) = self.hold_receipts(&flight, success, now, measured) {
            self.wrong(wrong);
        }
        if let (Some(noted), Success::Command { outcome, .. }) = (*noted, success) {
            self.histories.answered(noted, outcome, now);
        }
        if flight.waits {
            // What changed, it has been shown; that it is true, its receipt and the next visit show.
            self.arrivals.ended(*turn, self.crowd.steps(turn.player));
            return;
        }
        match self.crowd.learn(turn.player, action, success, millis(now)) {
            Ok(Came::Done) => {}
            Ok(Came::Rejected) => self.tally.rejected(action.doing),
            Err(wrong) => self.wrong(wrong),
        }
        self.tally.answered(action.doing, now.saturating_sub(turn.at), measured);
        if (self.from..self.to).contains(&now) {
            self.tally.counts(action.doing);
        }
        if let Some((read, level)) = rest_of_watch(action, success).filter(|_| now < self.to) {
            let job = Job::Ask(read, ReadOptions::at(level));
            self.begin(Flight { sent: now, noted: None, waits: true, ..flight }, job);
        } else {
            self.arrivals.ended(*turn, self.crowd.steps(turn.player));
        }
    }

    /// Every receipt says what it was asked to, and is true.
    fn hold_receipts(
        &mut self,
        flight: &Flight,
        success: &Success,
        now: Duration,
        measured: bool,
    ) -> Result<(), Wrong> {
        let connection = flight.connection;
        let one: &[Receipt] = match success {
            Success::Command { receipt, .. } => {
                self.receipts.command(connection, receipt, now);
                return Ok(());
            }
            Success::Field { receipt, .. } | Success::Wallet { receipt, .. } => std::slice::from_ref(receipt),
            Success::View { receipts, .. }
            | Success::Player { receipts, .. }
            | Success::Estate { receipts, .. }
            | Success::Census { receipts, .. } => receipts,
            Success::Changed | Success::Node(_) | Success::Shards(_) => &[],
        };
        let Ask::Show(_, level) = flight.action.ask else { return Ok(()) };
        for receipt in one {
            let age = self.receipts.read(connection, level, receipt, flight.sent, now)?;
            // A watcher's answer waits for news: it is as old as they are, on purpose.
            if level != Level::Strong && !flight.waits {
                self.tally.age(age, measured);
            }
        }
        Ok(())
    }

    fn unanswered(&mut self, flight: &Flight, failure: &Unanswered) {
        let (reason, perhaps_done) = match failure {
            Unanswered::Unavailable { reason, applied, .. } => (reason.word(), *applied == Applied::Unknown),
            Unanswered::NotAllowed { .. } => ("not_allowed", false),
            Unanswered::Invalid { .. } => ("invalid", false),
        };
        let Flight { turn, action, noted, waits, .. } = flight;
        if !waits {
            self.tally.error(reason, self.measures(*turn));
            self.crowd.unanswered(turn.player, action, perhaps_done);
        }
        if let (Some(noted), false) = (*noted, perhaps_done) {
            self.histories.withdrawn(noted);
        }
        self.arrivals.ended(*turn, self.crowd.steps(turn.player));
    }

    /// An answer that cannot be true.
    pub fn wrong(&mut self, wrong: Wrong) {
        self.tally.wrong(wrong.0);
    }

    /// What is under way will not be answered any more.
    pub fn write_off(&mut self) {
        for flight in self.under_way.iter_mut().filter_map(Option::take) {
            if !flight.waits {
                self.tally.error("unanswered", (self.from..self.to).contains(&flight.turn.at));
            }
            self.crowd.unanswered(flight.turn.player, &flight.action, true);
        }
    }

    /// A strong read in the end shows a contested field.
    pub fn seen(&mut self, field: &FieldView, sent: Duration, now: Duration) {
        self.histories.seen(field.field, field.owner, field.version, sent, now);
    }

    /// How many operations on contested fields have an order; what had none is a wrong answer.
    pub fn check_order(&mut self) -> usize {
        let (operations, wrong) = self.histories.check();
        if let Some(sentence) = wrong {
            self.wrong(Wrong(sentence));
        }
        operations
    }

    /// The contested fields whose histories are kept.
    pub fn remembered(&self) -> &[FieldId] {
        self.histories.fields()
    }
}

fn job(flights: &Flights, turn: Turn, action: &Action) -> Job {
    match action.ask {
        Ask::Do(command) => Job::Do(flights.crowd.name(turn.player), command),
        Ask::Show(read, level) => Job::Ask(read, ReadOptions::at(level)),
    }
}

/// How a watch goes on once the land has been shown.
fn rest_of_watch(action: &Action, success: &Success) -> Option<(Read, Level)> {
    let (Doing::Watch, Ask::Show(Read::Watch(rect), level)) = (action.doing, action.ask) else { return None };
    let Success::View { receipts, .. } = success else { return None };
    let [receipt] = receipts[..] else { return None };
    Some((Read::Changes { shard: receipt.shard, rect, seen: receipt.slot, wait: true }, level))
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
