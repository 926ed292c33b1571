//! A run, told line by line: who said what to whom, and what came of it.

use crate::clock::Time;
use paxos::{Message, NodeId};
use wire::peer::{Frame, Heard, PeerMessage};
use wire::{Answer, AnswerBody, Request, RequestBody};

/// How many lines a diagram is kept at, at most; the oldest go first.
const KEPT: usize = 2_000_000;

/// The diagram, if anybody wants one.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Option<std::collections::VecDeque<String>>,
}

impl Trace {
    /// One that is kept, or not.
    pub fn new(kept: bool) -> Self {
        Self { lines: kept.then(std::collections::VecDeque::new) }
    }

    /// Writes a line, if anybody wants it.
    pub fn note(&mut self, at: Time, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(format!("{at:>12} {}", line()));
        }
    }

    /// The diagram.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default().into()
    }
}

/// `n1 -> n2  [s1 Accept 3.n1 #5..#6, probe 7]`
pub fn frame(from: NodeId, to: NodeId, frame: &Frame) -> String {
    let messages: Vec<String> = frame.messages.iter().map(peer).collect();
    format!("{from} -> {to}   {}", messages.join("; "))
}

fn peer(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Paxos { shard, configuration: 0, message } => format!("s{shard} {}", paxos(message)),
        PeerMessage::Paxos { shard, configuration, message } => format!("s{shard}/{configuration} {}", paxos(message)),
        PeerMessage::Members { shard, configuration } => format!("s{shard} has members {configuration:?}"),
        PeerMessage::MembersHeard { shard, number, .. } => format!("s{shard} members {number} heard"),
        PeerMessage::Pull { shard, slot, after } => format!("s{shard} pull of {slot:?} behind {after:?}"),
        PeerMessage::Part(part) => {
            format!("s{} part of {}: {} pages, last: {}", part.shard, part.slot, part.pages.len(), part.last)
        }
        PeerMessage::NoPart { shard, slot } => format!("s{shard} has no part of {slot:?}"),
        PeerMessage::Probe(probe) => {
            let released =
                if probe.released.is_empty() { String::new() } else { format!(", releases {:?}", probe.released) };
            format!("probe {} (boot {}, hears {:?}{released})", probe.seq, probe.word.boot, probe.word.hears)
        }
        PeerMessage::Heard(heard) => {
            let Heard { seq, word, epoch, length, cover } = heard;
            format!(
                "heard {seq} (boot {}, hears {:?}, epoch {:x} for {length}, covers {:?})",
                word.boot, word.hears, epoch.0, cover.changed
            )
        }
        PeerMessage::Pay { from, to, payment } => {
            format!("pay s{from} to s{to}: {} acorns to {}, number {}", payment.amount, payment.player, payment.seq)
        }
        PeerMessage::Paid { to, player, seq, .. } => format!("paid s{to}: {player}'s number {seq}"),
    }
}

fn paxos(message: &Message) -> String {
    match message {
        Message::Canvass { ballot } => format!("Canvass {ballot}"),
        Message::Canvassed { ballot, promised, leader: None } => {
            format!("Canvassed {ballot}: yes (promised {promised})")
        }
        Message::Canvassed { ballot, leader: Some(leader), .. } => format!("Canvassed {ballot}: no, follows {leader}"),
        Message::Prepare { ballot, chosen, released } => {
            let released = released.map(|released| format!(" ({released} is released)")).unwrap_or_default();
            format!("Prepare {ballot} after {chosen}{released}")
        }
        Message::Ahead { chosen } => format!("Ahead: chosen {chosen}"),
        Message::Trimmed { first } => format!("Trimmed before {first}"),
        Message::TakeOver { ballot } => format!("TakeOver from {ballot}"),
        Message::Promise { ballot, chosen, accepted, .. } => {
            let accepted: Vec<String> = accepted.iter().map(|a| format!("{} at {}", a.slot, a.ballot)).collect();
            format!("Promise {ballot} chosen {chosen} accepted [{}]", accepted.join(", "))
        }
        Message::Accept { ballot, at, values, chosen, .. } => {
            format!("Accept {ballot} slots {at}+{} chosen {chosen}", values.len())
        }
        Message::Ack { ballot, through, chosen, gap, .. } => {
            format!("Ack {ballot} through {through} chosen {chosen}{}", if *gap { " GAP" } else { "" })
        }
        Message::Refuse { ballot, promised } => format!("Refuse {ballot}: promised {promised}"),
        Message::Watermark { ballot, chosen, .. } => format!("Watermark {ballot} chosen {chosen}"),
        Message::Fetch { after } => format!("Fetch after {after}"),
        Message::Learn { at, values, chosen } => format!("Learn slots {at}+{} of {chosen}", values.len()),
        Message::Confirm { ballot, round } => format!("Confirm {ballot} round {round}"),
        Message::Confirmed { ballot, round } => format!("Confirmed {ballot} round {round}"),
    }
}

/// What a client asks.
pub fn request(request: &Request) -> String {
    match &request.body {
        RequestBody::Command { shard, envelope } => {
            let number = envelope.number.0;
            format!("s{shard} request {number} (floor {}): {:?}", envelope.floor.0, envelope.command)
        }
        RequestBody::Read { shard, query, level, .. } => format!("s{shard} {level} {query:?}"),
        RequestBody::Change { shard, change } => format!("s{shard} change {change:?}"),
        RequestBody::Node => "node?".to_owned(),
        RequestBody::Shards => "shards?".to_owned(),
    }
}

/// What it hears.
pub fn answer(answer: &Answer) -> String {
    match &answer.body {
        AnswerBody::Applied { outcome, receipt } => format!("slot {}: {outcome:?}", receipt.slot),
        AnswerBody::Read { reply, receipt } => format!("slot {}: {reply:?}", receipt.slot),
        AnswerBody::Refused(refusal) => format!("{refusal:?}"),
        AnswerBody::Changed => "changed".to_owned(),
        AnswerBody::Node(_) => "node".to_owned(),
        AnswerBody::Shards(_) => "shards".to_owned(),
    }
}
