//! The clients' side of a cluster: connections, what players do, what they hear.

use crate::clock::{MS, SECOND};
use crate::cluster::{Cluster, Event};
use crate::judge::{self, PlayerNo};
use crate::meddle::Fate;
use crate::network::index;
use crate::player::{Intent, Pending, Player};
use crate::trace;
use checker::{FieldOp, FieldRet};
use client_proto::{Applied, Failure, OpId, Read, Success};
use paxos::NodeId;
use shard::ConnId;
use std::collections::BTreeMap;
use wire::{Answer, AnswerBody, Level, Query, Refusal, Request, RequestBody, Welcome};
use world::{Command, Deed, FieldId, Outcome, Rejection};

/// How often a player looks at several fields at once, in a million.
const GLANCES: u32 = 60_000;
/// At how many more than two, fewer than this.
const HANDFUL: usize = 6;

impl Cluster {
    /// Player `player` begins to do something; `None` if it cannot just now.
    pub fn begin(&mut self, player: PlayerNo, intent: Intent) -> Option<OpId> {
        self.start_op(player, intent, None)
    }

    /// The same with several things at one moment.
    pub fn begin_all(&mut self, player: PlayerNo, intents: impl IntoIterator<Item = Intent>) -> Vec<OpId> {
        let ops = intents.into_iter().filter_map(|intent| self.enqueue_op(player, intent, None)).collect();
        self.flush(player);
        ops
    }

    /// What came of it, once something has.
    pub fn result(&self, player: PlayerNo, op: OpId) -> Option<&Result<Success, Failure>> {
        self.players[player].results.get(&op)
    }

    pub(crate) fn start_op(&mut self, number: PlayerNo, intent: Intent, audition: Option<usize>) -> Option<OpId> {
        let op = self.enqueue_op(number, intent, audition)?;
        self.flush(number);
        Some(op)
    }

    /// Begins it without sending anything yet: what is begun before the next flush is ready at the same moment.
    pub(crate) fn enqueue_op(&mut self, number: PlayerNo, intent: Intent, audition: Option<usize>) -> Option<OpId> {
        let player = &mut self.players[number];
        let now = player.now(self.now);
        let started = match intent {
            Intent::Do(command) => player.proto.start_command(now, player.name, command),
            Intent::Ask(read, level, from) => player.proto.start_read(now, read, Some(level), from),
        };
        let Ok(op) = started else { return None };
        let at = judge::at(self.now);
        let (begun, reached) = (self.now, self.judge.session(number));
        let history = field_op(player, intent)
            .map(|(field, op)| (field, self.judge.fields.entry(field).or_default().invoke(number as u64, op, at)));
        let request = player.proto.request_no(op);
        player.pending.insert(op, Pending { intent, history, number: request, audition, begun, reached });
        self.stats.commands += u64::from(matches!(intent, Intent::Do(_)));
        self.digest.mix((number as u64) << 32 | op.slot() as u64);
        Some(op)
    }

    /// Looks at a handful of fields of one shard at once.
    fn glance(&mut self, number: PlayerNo) {
        let sites = self.random.index(self.sites.len());
        let level = *self.random.pick(&[Level::Strong, Level::Strong, Level::Eventual, Level::Session]);
        for nth in 0..self.random.index(HANDFUL) + 2 {
            if let Some(field) = self.sites[sites].field(nth) {
                self.enqueue_op(number, Intent::Ask(Read::Field(field), level, None), None);
            }
        }
        self.flush(number);
    }

    pub(crate) fn act(&mut self, number: PlayerNo) {
        if !self.is_playing() {
            return;
        }
        self.look_around(number);
        let count = self.players.len();
        let player = &mut self.players[number];
        let intent = player.think(&mut self.random, &self.sites, &self.hot, number, count);
        self.enqueue_op(number, intent, None);
        // What the look around asks goes out too, even where this could not begin.
        self.flush(number);
        if self.random.chance(GLANCES) {
            self.glance(number);
        }
        // Players that were kept from playing hurry towards the end.
        let every = if self.now >= self.plan.act_until { self.plan.act_every / 8 } else { self.plan.act_every };
        let pause = every / 2 + self.random.below(every);
        self.agenda.plan(self.now.plus(pause), Event::Act(number));
    }

    /// Whether players still do things.
    pub(crate) fn is_playing(&self) -> bool {
        self.now < self.plan.act_until || self.stats.commands < self.plan.min_commands
    }

    /// Claims a fresh field of a shard, to see that the shard is alive.
    pub(crate) fn audition(&mut self, shard: usize) {
        let number = shard % self.players.len();
        let attempt = self.auditions[shard].attempts;
        let Some(field) = Player::audition_field(&self.sites[shard], attempt) else { return };
        let claim = Command::Claim { field, character: world::CharacterId(0) };
        if self.start_op(number, Intent::Do(claim), Some(shard)).is_some() {
            self.auditions[shard].attempts += 1;
            self.auditions[shard].under_way = true;
        }
    }

    pub(crate) fn wake(&mut self, number: PlayerNo) {
        let player = &mut self.players[number];
        if player.wake_at.is_some_and(|at| at <= self.now) {
            player.wake_at = None;
            player.proto.handle_timeout(player.now(self.now));
            self.flush(number);
        }
    }

    /// Sends what a client wants sent, takes what came out, sets its timer.
    fn flush(&mut self, number: PlayerNo) {
        let mut outgoing: BTreeMap<NodeId, Vec<Request>> = BTreeMap::new();
        loop {
            let player = &mut self.players[number];
            while let Some((node, request)) = player.proto.poll_transmit() {
                if let RequestBody::Command { envelope, .. } = &request.body {
                    player.attempts.insert(request.id, envelope.number);
                }
                let together = matches!(&request.body, RequestBody::Read { query: Query::Fields(_), .. });
                self.stats.bunches += u64::from(together);
                outgoing.entry(node).or_default().push(request);
            }
            // A command that was dated wrong goes on under another number.
            for (op, pending) in &mut player.pending {
                pending.number = player.proto.request_no(*op).or(pending.number);
            }
            let mut came_out = false;
            while let Some((op, result)) = self.players[number].proto.poll_outcome() {
                self.came_out(number, op, result);
                came_out = true;
            }
            // Whoever hears an answer may have something more to ask.
            if !came_out {
                break;
            }
        }
        for (node, mut requests) in outgoing {
            self.plan.sabotage.mislead(&mut requests);
            self.send_requests(number, node, requests);
        }
        let player = &mut self.players[number];
        if let Some(when) = player.proto.next_timeout() {
            let at = player.clock.when(host::Mono(when.0)).max(self.now.plus(1));
            if player.wake_at.is_none_or(|wake| wake > at) {
                player.wake_at = Some(at);
                self.agenda.plan(at, Event::Wake(number));
            }
        }
    }

    fn came_out(&mut self, number: PlayerNo, op: OpId, result: Result<Success, Failure>) {
        let time = self.now;
        let Some(pending) = self.players[number].pending.remove(&op) else {
            return self.judge.object(time, "clients", format!("{op:?} of client {number} has a second outcome"));
        };
        self.trace.note(time, || format!("p{number}         {:?} came out: {result:?}", pending.intent));
        let is_command = matches!(pending.intent, Intent::Do(_));
        match &result {
            Ok(Success::Command { outcome, receipt }) => {
                self.judge.saw_write(time, number, &pending.reached, receipt);
                if matches!(outcome, Outcome::Rejected(_)) {
                    self.stats.rejected += 1;
                } else {
                    self.stats.done += 1;
                }
                if let Some((field, id)) = pending.history {
                    self.answer_history(field, id, FieldRet::from(outcome));
                }
                self.learn(number, &pending, outcome);
            }
            Ok(success) => {
                self.stats.reads += 1;
                self.heard_reading(number, &pending, success);
            }
            Err(failure) => {
                let unknown = matches!(failure, Failure::Unavailable { applied: Applied::Unknown, .. });
                match (is_command, unknown) {
                    (false, _) => self.stats.failed_reads += 1,
                    (true, true) => self.stats.unknown += 1,
                    (true, false) => self.stats.refused += 1,
                }
                if let Some((field, id)) = pending.history
                    && !(is_command && unknown)
                    && let Some(history) = self.judge.fields.get_mut(&field)
                {
                    history.withdraw(id);
                }
                if let (true, Some((field, id)), Some(number_of)) =
                    (is_command && unknown, pending.history, pending.number)
                {
                    let client = self.players[number].client;
                    self.judge.left_open(judge::Open { client, number: number_of, field, id });
                }
                if is_command
                    && !unknown
                    && pending.number.is_some_and(|request| self.judge.is_answered(number, request))
                {
                    let what =
                        format!("client {number} was told that {:?} is not applied, after an answer", pending.intent);
                    self.judge.object(time, "exactly once", what);
                }
                if unknown && matches!(pending.intent, Intent::Do(Command::Harvest { .. })) {
                    self.judge.harvests.unknown += 1;
                }
                if let Some(shard) = pending.audition {
                    // The observer begins another when it looks next.
                    self.auditions[shard].under_way = false;
                }
            }
        }
        if let Intent::Ask(read, ..) = pending.intent {
            self.watched(number, read, result.as_ref().ok());
        }
        if self.plan.act_every == 0 {
            self.players[number].results.insert(op, result);
        }
    }

    fn answer_history(&mut self, field: FieldId, id: checker::OpId, ret: FieldRet) {
        if let Some(history) = self.judge.fields.get_mut(&field) {
            history.answer(id, ret, judge::at(self.now));
        }
    }

    /// A player draws its conclusions.
    fn learn(&mut self, number: PlayerNo, pending: &Pending, outcome: &Outcome) {
        match outcome {
            Outcome::Registered { .. } => self.players[number].registered = true,
            Outcome::Done { deed: Deed::Claimed, field } => {
                self.players[number].gained(field.field);
                let name = self.players[number].name;
                if !self.hot.contains(&field.field)
                    && self.plan.act_every > 0
                    && let Err(error) = self.judge.ownership.acknowledged(field.field, name)
                {
                    self.judge.object(self.now, "one owner", error);
                }
            }
            _ => {}
        }
        if let Some(shard) = pending.audition {
            match outcome {
                Outcome::Done { deed: Deed::Claimed, .. } => self.auditions[shard].passed = true,
                // An earlier attempt came through after all.
                Outcome::Rejected(Rejection::AlreadyOwned { owner, .. }) if *owner == self.players[number].name => {
                    self.auditions[shard].passed = true;
                }
                other => {
                    let what = format!(
                        "a fresh field of shard {} could not be claimed: {other:?}",
                        self.map.shards()[shard].shard
                    );
                    self.judge.object(self.now, "liveness", what);
                }
            }
        }
    }

    fn heard_reading(&mut self, number: PlayerNo, pending: &Pending, success: &Success) {
        let Intent::Ask(_, level, _) = pending.intent else { return };
        let receipts = match success {
            Success::Field { receipt, .. } | Success::Wallet { receipt, .. } => std::slice::from_ref(receipt),
            Success::View { receipts, .. } | Success::Player { receipts, .. } => receipts,
            _ => &[],
        };
        for receipt in receipts {
            self.judge.saw_receipt(self.now, number, (pending.begun, &pending.reached), level, receipt);
        }
        if let (Some((field, id)), Success::Field { field: view, .. }) = (pending.history, success) {
            self.answer_history(field, id, FieldRet::from(view));
        }
    }

    pub(crate) fn connect(&mut self, player: PlayerNo, node: NodeId) {
        let home = self.players[player].home;
        let machine = &mut self.machines[index(node)];
        let now = machine.now(self.now);
        let reachable = machine.is_awake() && self.network.is_open_both_ways(home, node);
        let Some(host) = machine.host.as_ref().filter(|_| reachable) else {
            let later = self.now.plus(self.random.between(150, 400) * MS);
            return self.agenda.plan(later, Event::Connect(player, node));
        };
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        machine.conns.insert(conn);
        self.conns.insert(conn, player);
        let welcome = Box::new(host.welcome(now));
        let delay = self.network.delay(&mut self.random, home, node) + self.network.delay(&mut self.random, node, home);
        self.agenda.plan(self.now.plus(delay), Event::Welcome(player, node, conn, welcome));
    }

    pub(crate) fn welcome(&mut self, number: PlayerNo, node: NodeId, conn: ConnId, welcome: &Welcome) {
        if !self.machines[index(node)].conns.contains(&conn) {
            let later = self.now.plus(self.random.between(50, 300) * MS);
            return self.agenda.plan(later, Event::Connect(number, node));
        }
        let player = &mut self.players[number];
        player.conns[index(node)] = Some(conn);
        if let Err(error) = player.proto.handle_welcome(player.now(self.now), node, welcome) {
            self.judge.object(self.now, "clients", error);
        }
        self.flush(number);
    }

    pub(crate) fn break_connection(&mut self, number: PlayerNo, node: NodeId, conn: ConnId) {
        self.machines[index(node)].conns.remove(&conn);
        self.conns.remove(&conn);
        let player = &mut self.players[number];
        player.breaking.remove(&conn);
        if player.conn(node) != Some(conn) {
            return;
        }
        self.stats.broken += 1;
        player.conns[index(node)] = None;
        player.proto.handle_disconnected(player.now(self.now), node);
        self.trace.note(self.now, || format!("p{number}         has lost its connection to {node}"));
        let later = self.now.plus(self.random.between(20, 400) * MS);
        self.agenda.plan(later, Event::Connect(number, node));
        self.flush(number);
    }

    fn send_requests(&mut self, number: PlayerNo, node: NodeId, requests: Vec<Request>) {
        let home = self.players[number].home;
        let Some(conn) = self.players[number].conn(node) else { return };
        let fate = self.meddler.of_requests(number, node, &requests);
        let [first, again] = self.fated(fate, home, node);
        // The protocol below delivers once; only a hand in the network can repeat what a client asked.
        if let (Some(again), Fate::Again(_)) = (again, fate) {
            self.agenda.plan(self.now.plus(again), Event::Requests(number, node, conn, requests.clone()));
        }
        match first {
            None => self.lose_connection(number, node, conn),
            Some(delay) => self.agenda.plan(self.now.plus(delay), Event::Requests(number, node, conn, requests)),
        }
    }

    pub(crate) fn send_answers(&mut self, node: NodeId, conn: ConnId, answers: Vec<Answer>) {
        let Some(&number) = self.conns.get(&conn) else { return };
        let home = self.players[number].home;
        let fate = self.meddler.of_answers(node, number, &answers);
        match self.fated(fate, node, home) {
            [None, _] => self.lose_connection(number, node, conn),
            [Some(delay), _] => self.agenda.plan(self.now.plus(delay), Event::Answers(number, node, conn, answers)),
        }
    }

    /// Something was lost on a connection, which delivers all or breaks: it will break, sooner or later.
    fn lose_connection(&mut self, number: PlayerNo, node: NodeId, conn: ConnId) {
        if self.players[number].breaking.insert(conn) {
            let at = self.now.plus(100 * MS + self.random.below(2 * SECOND));
            self.agenda.plan(at, Event::Broken(number, node, conn));
        }
    }

    pub(crate) fn at_player(&mut self, number: PlayerNo, node: NodeId, conn: ConnId, mut answers: Vec<Answer>) {
        if self.players[number].conn(node) != Some(conn) {
            return;
        }
        for answer in &mut answers {
            let request = self.players[number].attempts.get(&answer.id).copied();
            let repeated = request.is_some_and(|request| self.judge.is_answered(number, request));
            self.plan.sabotage.pervert(answer, repeated);
            if let (AnswerBody::Applied { outcome, .. }, Some(request)) = (&answer.body, request)
                && self.judge.saw_outcome(self.now, number, request, outcome)
            {
                self.stats.repeats += 1;
            }
            if let (AnswerBody::Refused(Refusal::Expired { .. }), Some(request)) = (&answer.body, request) {
                self.judge.saw_expired(number, request);
            }
            self.trace.note(self.now, || format!("{node} -> p{number}   {}", trace::answer(answer)));
        }
        let player = &mut self.players[number];
        player.proto.handle_answers(player.now(self.now), node, answers);
        self.flush(number);
    }
}

/// How a field's history has it.
fn field_op(player: &Player, intent: Intent) -> Option<(FieldId, FieldOp)> {
    match intent {
        Intent::Do(command) => {
            let op = match command {
                Command::Claim { .. } => FieldOp::Claim(player.name),
                Command::Abandon { .. } => FieldOp::Abandon(player.name),
                _ => FieldOp::Work(player.name),
            };
            command.field().map(|field| (field, op))
        }
        Intent::Ask(Read::Field(field), Level::Strong, _) => Some((field, FieldOp::Read)),
        Intent::Ask(..) => None,
    }
}
