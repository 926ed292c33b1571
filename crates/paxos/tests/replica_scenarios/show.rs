//! Messages, records and values as plays write them.

use paxos::{Accepted, Configuration, Message, NodeId, Record, Slot, Value};

/// `-` for a no-op, the text of a command.
pub fn value(value: &Value) -> String {
    match value {
        Value::Noop => "-".to_owned(),
        Value::Command(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Stop(next) => configuration(next),
    }
}

/// `stop(1: n1 n2 n3 + n4)`: the next configuration's number, voters and standbys.
pub fn configuration(configuration: &Configuration) -> String {
    let list = |nodes: &mut dyn Iterator<Item = &NodeId>| nodes.map(NodeId::to_string).collect::<Vec<_>>().join(" ");
    let voters = list(&mut configuration.quorum.voters().iter());
    let standbys = list(&mut configuration.standbys.iter());
    let plus = if standbys.is_empty() { "" } else { " + " };
    format!("stop({}: {voters}{plus}{standbys})", configuration.number)
}

/// The first word is the message's kind, as directions name it.
pub fn message(message: &Message) -> String {
    match message {
        Message::Canvass { ballot } => format!("canvass {ballot}"),
        Message::Canvassed { ballot, leader: None, .. } => format!("canvassed {ballot} yes"),
        Message::Canvassed { ballot, leader: Some(leader), .. } => format!("canvassed {ballot} no, follows {leader}"),
        Message::Prepare { ballot, chosen, released: None } => format!("prepare {ballot} after {chosen}"),
        Message::Prepare { ballot, chosen, released: Some(released) } => {
            format!("prepare {ballot} after {chosen}, {released} is released")
        }
        Message::TakeOver { ballot } => format!("takeover from {ballot}"),
        Message::Promise { ballot, chosen, accepted, .. } => {
            let accepted: Vec<String> = accepted.iter().map(accepted_entry).collect();
            let accepted = if accepted.is_empty() { "none".to_owned() } else { accepted.join(", ") };
            format!("promise {ballot} chosen {chosen} ({accepted})")
        }
        Message::Accept { ballot, start, at, values, chosen, kept } => {
            format!("accept {ballot} {} (start {start}, chosen {chosen}, kept {kept})", run(*at, values))
        }
        Message::Ack { ballot, through, chosen, safe, gap } => {
            let gap = if *gap { ", gap" } else { "" };
            format!("ack {ballot} through {through} (chosen {chosen}, safe {safe}{gap})")
        }
        Message::Refuse { ballot, promised } => format!("refuse {ballot} (promised {promised})"),
        Message::Watermark { ballot, start, chosen, kept } => {
            format!("watermark {ballot} (start {start}, chosen {chosen}, kept {kept})")
        }
        Message::Fetch { after } => format!("fetch after {after}"),
        Message::Learn { at, values, chosen } => format!("learn {} (chosen {chosen})", run(*at, values)),
        Message::Ahead { chosen } => format!("ahead (chosen {chosen})"),
        Message::Trimmed { first } => format!("trimmed before {first}"),
        Message::Confirm { ballot, round } => format!("confirm {ballot} round {round}"),
        Message::Confirmed { ballot, round } => format!("confirmed {ballot} round {round}"),
    }
}

/// What a crash loses.
pub fn record(record: &Record) -> String {
    match record {
        Record::Promise { ballot } => format!("promise {ballot}"),
        Record::Retire => "retire".to_owned(),
        Record::Accept { slot, ballot, value: held, .. } => format!("accept {ballot} {slot}={}", value(held)),
        Record::Learn { slot, value: held } => format!("learn {slot}={}", value(held)),
    }
}

fn accepted_entry(accepted: &Accepted) -> String {
    format!("{}={} of {}", accepted.slot, value(&accepted.value), accepted.ballot)
}

fn run(at: Slot, values: &[Value]) -> String {
    let pairs: Vec<String> = (at.0..).zip(values).map(|(slot, held)| format!("{slot}={}", value(held))).collect();
    pairs.join(" ")
}
