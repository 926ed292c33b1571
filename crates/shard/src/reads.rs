//! Questions: when they may be answered, and with what.
//!
//! A strong read waits until the leader's ballot is confirmed after it came, and until everything known chosen then is
//! applied. Any read waits for the chunks it needs.

use crate::replica::{Origin, RETRY_AFTER_MS, Replica};
use paxos::replica::ReadTicket;
use std::collections::VecDeque;
use wire::{AnswerBody, Holdings, Level, Query, Refusal, Reply};
use world::land::Readiness;
use world::{Bucket, ChunkId};

/// Reads that wait for a confirmation or a chunk.
const READS: usize = 16_384;

/// A question that cannot be answered yet.
#[derive(Debug)]
pub(crate) struct WaitingRead {
    pub origin: Origin,
    pub query: Query,
    pub level: Level,
    /// A strong read's confirmation; `None` for any other.
    pub ticket: Option<ReadTicket>,
}

impl Replica {
    /// A client's question.
    pub fn handle_read(&mut self, origin: Origin, query: Query, level: Level) {
        let ticket = match level {
            Level::Strong => match self.paxos.begin_read() {
                Ok(ticket) => Some(ticket),
                Err(paxos::replica::NotLeader) => return self.refuse(origin, self.not_leader()),
            },
            Level::Eventual => None,
            Level::Bounded(_) | Level::Session => return self.refuse(origin, Refusal::LevelNotServed { level }),
        };
        if self.reads.len() >= READS {
            return self.refuse(origin, Refusal::Overloaded { retry_after_ms: RETRY_AFTER_MS });
        }
        self.reads.push_back(WaitingRead { origin, query, level, ticket });
    }

    /// Answers the reads that may be answered now; those whose turn has not come keep their order.
    pub(crate) fn serve_reads(&mut self) {
        let mut waiting = VecDeque::with_capacity(0);
        while let Some(read) = self.reads.pop_front() {
            let ready = read.ticket.is_none_or(|t| t.round <= self.confirmed && t.index <= self.applied);
            if !ready {
                waiting.push_back(read);
                continue;
            }
            let missing = self.missing_for(&read.query);
            if !missing.is_empty() {
                for chunk in missing {
                    self.load(chunk);
                }
                waiting.push_back(read);
                continue;
            }
            match self.reply(&read.query) {
                Some(reply) => {
                    let receipt = self.receipt(read.level);
                    self.answer(read.origin, AnswerBody::Read { reply, receipt });
                }
                None => self.refuse(read.origin, self.not_leader()),
            }
        }
        self.reads = waiting;
    }

    fn missing_for(&self, query: &Query) -> Vec<ChunkId> {
        let Some(land) = self.state.land() else { return Vec::new() };
        let stored = |chunk: &ChunkId| land.readiness(*chunk) == Readiness::Stored;
        match query {
            Query::Field(field) => [field.chunk()].into_iter().filter(stored).collect(),
            Query::View(rect) => rect.chunks().filter(stored).collect(),
            Query::Player(_) | Query::Holdings(_) => Vec::new(),
        }
    }

    fn reply(&self, query: &Query) -> Option<Reply> {
        let land = self.state.land()?;
        let seed = self.genesis.seed;
        Some(match query {
            Query::Field(field) => Reply::Field(land.field(*field)),
            Query::View(rect) => {
                Reply::View(land.fields_in(*rect, |chunk| self.state.holds(Bucket::of_chunk(seed, chunk))))
            }
            Query::Player(player) => Reply::Player(land.player(player)),
            Query::Holdings(player) => {
                let (fields, pending) = land.holdings(player);
                Reply::Holdings(Holdings { fields, pending })
            }
        })
    }
}
