//! Reads of single fields that are ready at the same moment and meant for the same replica travel as one question. Each
//! part keeps its own attempt, so whatever becomes of one of them changes nothing for the others.

use crate::attempt::index_of;
use crate::op::Success;
use crate::proto::{Body, ClientProto, Part, Place, State};
use crate::slab::Key;
use paxos::NodeId;
use wire::client::MAX_FIELDS;
use wire::{Answer, AnswerBody, Level, Query, Reply, Request, RequestBody};
use world::FieldId;

/// In labels: this is a bunch, and the low bits are its index.
const BUNCH: u64 = 1 << 63;
const INDEX_BITS: u32 = 24;
/// Bunches under way; beyond that each field is asked for by itself.
const MAX_BUNCHES: usize = 4_096;

/// Not an answer to a question about a field.
const NONSENSE: AnswerBody = AnswerBody::Changed;

/// What is still to be sent together.
#[derive(Debug)]
struct Open {
    node: NodeId,
    row: usize,
    level: Level,
    parts: Vec<Key>,
}

/// What was sent together.
#[derive(Debug)]
struct Sent {
    label: u64,
    node: NodeId,
    /// The parts' own labels, in the order of their fields.
    labels: Vec<u64>,
}

/// All bunches.
#[derive(Debug, Default)]
pub(crate) struct Bunches {
    /// The last is filled first; `open_of` finds it by the shard's row.
    open: Vec<Open>,
    open_of: Vec<usize>,
    sent: Vec<Option<Sent>>,
    free: Vec<usize>,
    count: u64,
}

impl Bunches {
    /// `part` is to be sent to `node`, which holds the shard of this row.
    fn add(&mut self, part: Key, node: NodeId, row: usize, level: Level) {
        if row >= self.open_of.len() {
            self.open_of.resize(row + 1, 0);
        }
        let fits =
            |open: &&mut Open| (open.node, open.row, open.level) == (node, row, level) && open.parts.len() < MAX_FIELDS;
        if let Some(open) = self.open.get_mut(self.open_of[row]).filter(fits) {
            return open.parts.push(part);
        }
        self.open_of[row] = self.open.len();
        self.open.push(Open { node, row, level, parts: vec![part] });
    }

    /// The connection to `node` is gone: nothing of it will be answered.
    pub fn lose(&mut self, node: NodeId) {
        for (index, sent) in self.sent.iter_mut().enumerate() {
            if sent.take_if(|sent| sent.node == node).is_some() {
                self.free.push(index);
            }
        }
    }

    fn take(&mut self, label: u64, node: NodeId) -> Option<Sent> {
        let index = usize::try_from(label & ((1 << INDEX_BITS) - 1)).ok()?;
        let sent = self.sent.get_mut(index)?.take_if(|sent| sent.label == label && sent.node == node)?;
        self.free.push(index);
        Some(sent)
    }

    fn put(&mut self, node: NodeId, labels: Vec<u64>) -> u64 {
        self.count += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.sent.push(None);
            self.sent.len() - 1
        });
        let label = BUNCH | self.count << INDEX_BITS | index as u64;
        self.sent[index] = Some(Sent { label, node, labels });
        label
    }

    fn is_full(&self) -> bool {
        self.sent.len() - self.free.len() >= MAX_BUNCHES
    }
}

impl ClientProto {
    /// Puts a part with others for the same node, if it is one of those that may travel together.
    pub(crate) fn bunch(&mut self, key: Key, node: NodeId) -> bool {
        let Some((_, level, bucket)) = self.parts.get(key).and_then(field_read) else { return false };
        if self.bunches.is_full() {
            return false;
        }
        self.bunches.add(key, node, self.routes.index(bucket), level);
        true
    }

    /// The next bunch to send.
    pub(crate) fn send_bunch(&mut self) -> Option<(NodeId, Request)> {
        while let Some(Open { node, level, mut parts, .. }) = self.bunches.open.pop() {
            // (An answer may have come in between.)
            parts.retain(|key| self.parts.get(*key).is_some_and(|part| part.state == State::Ready));
            if let [key] = parts[..] {
                return Some((node, self.send(key, node)));
            }
            let Some(&first) = parts.first() else { continue };
            let mut labels = Vec::with_capacity(parts.len());
            let mut fields = Vec::with_capacity(parts.len());
            for key in parts {
                fields.extend(self.parts.get(key).and_then(field_read).map(|(field, ..)| field));
                labels.push(self.fly(key, node));
            }
            let Some((_, _, bucket)) = self.parts.get(first).and_then(field_read) else { continue };
            let shard = self.routes.row(bucket).shard;
            let after = self.seen(shard, level);
            let body = RequestBody::Read { shard, query: Query::Fields(fields), level, after };
            return Some((node, Request { id: self.bunches.put(node, labels), body }));
        }
        None
    }

    /// An answer to several parts, or to none that we know of.
    pub(crate) fn answer_bunch(&mut self, node: NodeId, answer: Answer) {
        let Some(sent) = self.bunches.take(answer.id, node) else { return };
        match answer.body {
            AnswerBody::Read { reply: Reply::Fields(rows), receipt } if rows.len() == sent.labels.len() => {
                self.session.saw(receipt.shard, receipt.slot);
                let mut rows = rows.unpack();
                for (nth, label) in sent.labels.into_iter().enumerate() {
                    let Some(Ok(field)) = rows.next() else {
                        self.answer(node, Answer { id: label, body: NONSENSE });
                        continue;
                    };
                    // Who leads and how long it took, the first says for all.
                    if let Some(op) = self.flying(label, node, field.field).filter(|_| nth > 0) {
                        self.finish(op, Ok(Success::Field { field, receipt }));
                    } else {
                        let body = AnswerBody::Read { reply: Reply::Field(field), receipt };
                        self.answer(node, Answer { id: label, body });
                    }
                }
            }
            AnswerBody::Refused(refusal) => {
                for label in sent.labels {
                    self.answer(node, Answer { id: label, body: AnswerBody::Refused(refusal.clone()) });
                }
            }
            _ => {
                for label in sent.labels {
                    self.answer(node, Answer { id: label, body: NONSENSE });
                }
            }
        }
    }
}

impl ClientProto {
    /// The operation of the part whose attempt at `field`, with this label, is under way at `node`.
    fn flying(&self, label: u64, node: NodeId, field: FieldId) -> Option<Key> {
        let (_, part) = self.parts.at(index_of(label))?;
        let meant = matches!(part.state, State::Flying { label: now, node: at, .. } if now == label && at == node);
        let asked = matches!(part.body, Body::Read { query: Query::Field(asked), .. } if asked == field);
        (meant && asked).then_some(part.op)
    }
}

/// Whether a label is that of a bunch.
pub(crate) fn is_bunch(label: u64) -> bool {
    label & BUNCH != 0
}

fn field_read(part: &Part) -> Option<(FieldId, Level, world::Bucket)> {
    match (&part.body, part.place) {
        (&Body::Read { query: Query::Field(field), level }, Place::Bucket(bucket)) => Some((field, level, bucket)),
        _ => None,
    }
}
