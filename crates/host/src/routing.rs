//! Who is to answer: a client's request, a payment between shards.

use crate::clock::Now;
use crate::host::Host;
use paxos::NodeId;
use placement::ShardId;
use shard::{ConnId, Origin, Replica};
use wire::peer::PeerMessage;
use wire::{Answer, AnswerBody, Change, Level, NodeReport, Query, Refusal, ReplicaReport, Request, RequestBody};
use world::Bucket;
use world::land::Payment;

/// Clients' requests that wait, at all replicas together; beyond that the answer is `Overloaded`. A replica has its own bounds,
/// but there may be thousands of them.
const WAITING: usize = 262_144;
/// Clients that watch and wait for a change. They wait all the time, and must keep nobody from anything else.
const WATCHING: usize = 262_144;
/// What an overloaded node asks for.
const RETRY_AFTER_MS: u64 = 100;

impl Host {
    /// A client's request.
    pub fn handle_request(&mut self, now: Now, conn: ConnId, request: Request) {
        let origin = Origin { conn, id: request.id };
        if matches!(request.body, RequestBody::Command { .. } | RequestBody::Read { .. }) {
            let (waiting, watching) = (self.waiting.total(), self.watching.total());
            if is_too_much(&request.body, waiting + self.arrived, watching + self.arrived) {
                let refusal = Refusal::Overloaded { retry_after_ms: RETRY_AFTER_MS };
                return self.answer(origin, AnswerBody::Refused(refusal));
            }
            self.arrived += 1;
        }
        match request.body {
            RequestBody::Command { shard, envelope } => {
                if let Some(refusal) = self.cannot_decide(now, shard) {
                    return self.answer(origin, AnswerBody::Refused(refusal));
                }
                if let Some(replica) = self.shards.get_mut(&shard) {
                    replica.handle_command(origin, envelope);
                    self.touched.insert(shard);
                }
            }
            RequestBody::Read { shard, query, level, after } => {
                let refusal =
                    if level == Level::Strong { self.cannot_decide(now, shard) } else { self.not_here(shard) };
                if let Some(refusal) = refusal {
                    return self.answer(origin, AnswerBody::Refused(refusal));
                }
                if let Some(replica) = self.shards.get_mut(&shard) {
                    replica.handle_read(now.mono, origin, query, level, after);
                    self.touched.insert(shard);
                }
            }
            RequestBody::Change { shard, change } => {
                if let Some(refusal) = self.cannot_decide(now, shard) {
                    return self.answer(origin, AnswerBody::Refused(refusal));
                }
                let until = now.mono.plus(self.config.election_timeout);
                let mut lives = self.config.met.clone();
                if let Change::Add(node) = change {
                    // Whoever joins does so as it is, and not as it was met.
                    lives.remove(&node);
                    lives.extend(self.fabric.incarnation(node).map(|life| (node, life)));
                }
                let unheeded = self.unheeded(shard);
                let fabric = &self.fabric;
                let votes = |node| fabric.hears(now.mono, node) && !unheeded.contains(&node);
                if let Some(replica) = self.shards.get_mut(&shard) {
                    replica.handle_change(origin, change, &lives, &votes, until);
                    self.touched.insert(shard);
                }
            }
            RequestBody::Node => {
                let about = NodeReport {
                    leads: u32::try_from(self.leads()).unwrap_or(u32::MAX),
                    replicas: u32::try_from(self.shards.len()).unwrap_or(u32::MAX),
                    hears: self.fabric.heard().iter().copied().collect(),
                    ..self.config.about.clone()
                };
                self.answer(origin, AnswerBody::Node(Box::new(about)));
            }
            RequestBody::Shards => {
                let report = |(shard, replica): (&ShardId, &Replica)| ReplicaReport {
                    unheeded: self.unheeded(*shard),
                    ..replica.report()
                };
                let reports = self.shards.iter().map(report).collect();
                self.answer(origin, AnswerBody::Shards(reports));
            }
        }
    }

    /// Takes a payment of shard `from` to whoever leads its player's shard.
    pub(crate) fn carry_payment(&mut self, from: ShardId, payment: Payment) {
        let bucket = Bucket::of_player(self.config.seed, &payment.player);
        let info = self.config.map.shard_of(bucket);
        let to = info.shard;
        // Where this node has no replica of that shard, another voter is tried with each retry: in no order that the order of
        // the payments could keep step with.
        let guess = info.voters[scattered(self.retries) % info.voters.len()];
        let known = self.shards.get(&to).and_then(|replica| replica.paxos().leader()).map(|ballot| ballot.node);
        let leader = known.unwrap_or(guess);
        if leader == self.config.me {
            if let Some(replica) = self.shards.get_mut(&to) {
                replica.handle_payment(leader, from, payment);
                self.touched.insert(to);
            }
        } else {
            self.outgoing.entry(leader).or_default().push(PeerMessage::Pay { from, to, payment });
        }
    }

    /// Tells shard `payer` on `node` that its payment has arrived.
    pub(crate) fn carry_receipt(&mut self, node: NodeId, payer: ShardId, payment: Payment) {
        let Payment { from: bucket, player, seq, .. } = payment;
        if node == self.config.me {
            if let Some(replica) = self.shards.get_mut(&payer) {
                replica.handle_paid(bucket, player, seq);
                self.touched.insert(payer);
            }
        } else {
            self.outgoing.entry(node).or_default().push(PeerMessage::Paid { to: payer, bucket, player, seq });
        }
    }

    /// Why this node cannot decide anything for `shard` just now; `None`: it leads.
    fn cannot_decide(&self, now: Now, shard: ShardId) -> Option<Refusal> {
        let Some(replica) = self.shards.get(&shard) else { return self.not_here(shard) };
        let quorum = replica.paxos().quorum();
        if replica.paxos().is_leader() && !self.disk_full {
            return None;
        }
        let leader = replica.paxos().leader().map(|ballot| ballot.node).filter(|&node| node != self.config.me);
        if leader.is_some_and(|node| self.fabric.healthy(now.mono, node, quorum)) {
            return Some(Refusal::NotLeader { leader });
        }
        if self.disk_full {
            return Some(Refusal::DiskFull);
        }
        if self.fabric.healthy(now.mono, self.config.me, quorum) {
            // An election is due here or elsewhere.
            return Some(Refusal::NotLeader { leader: None });
        }
        let silent = |node: &NodeId| !self.fabric.hears(now.mono, *node);
        Some(Refusal::NoQuorum { missing: quorum.voters().iter().copied().filter(silent).collect() })
    }

    fn not_here(&self, shard: ShardId) -> Option<Refusal> {
        if self.shards.contains_key(&shard) {
            return None;
        }
        let hint = self.config.map.get(shard).and_then(|info| info.voters.first().copied());
        Some(Refusal::Moved { hint, map_version: self.config.map.version })
    }

    fn answer(&mut self, origin: Origin, body: AnswerBody) {
        self.answers.push(origin.conn, Answer { id: origin.id, body }, None);
    }
}

/// Whether there is no room for it, while so many requests wait and so many clients watch.
fn is_too_much(body: &RequestBody, waiting: usize, watching: usize) -> bool {
    match body {
        RequestBody::Read { query: Query::Changes { seen: Some(_), wait_ms: 1.., .. }, .. } => watching >= WATCHING,
        _ => waiting >= WAITING,
    }
}

/// Another number for each, as if it were drawn (the first half of `SplitMix64`; Steele and others 2014).
fn scattered(count: usize) -> usize {
    let next = (count as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (next ^ next >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    usize::try_from(mixed >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests;
