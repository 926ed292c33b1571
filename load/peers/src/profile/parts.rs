//! Stacks by what they were for.

use std::collections::BTreeMap;

/// What time goes into, in the order in which a stack is asked, each with what names it anywhere in the stack.
const PARTS: [(&str, &[&str]); 11] = [
    ("checkpoints: pages into the store", &["page_thread::"]),
    ("checkpoints: what has changed, as pages", &["take_cut"]),
    ("the log: append, write, sync", &["log_thread::Worker", "storage::log::"]),
    ("applying: game, exactly once, answers", &["replica::Replica::apply"]),
    ("Paxos", &["paxos::"]),
    ("messages to bytes and back", &["wire::codec", "rmp_serde", "wire::"]),
    ("QUIC, TLS, UDP", &["quinn", "rustls", "ring_core", "sendmsg", "recvmmsg", "udp_"]),
    ("a turn's bookkeeping: routing, batches, leases", &["host::", "shard::"]),
    ("threads: waking, waiting, tokio", &["tokio::", "epoll", "futex", "schedule", "mpmc"]),
    ("memory", &["malloc", "realloc", "cfree", "_int_free", "page_fault"]),
    ("all else", &[""]),
];

/// Shares of a process's time.
#[derive(Debug)]
pub struct Costs(BTreeMap<&'static str, f64>);

impl Costs {
    /// From lines of `thread;function;function count`.
    pub fn of(stacks: &[String]) -> Self {
        let mut counts: BTreeMap<&'static str, f64> = BTreeMap::new();
        for line in stacks {
            let Some((stack, count)) = line.rsplit_once(' ') else { continue };
            let named = PARTS.iter().find(|(_, names)| names.iter().any(|name| stack.contains(name)));
            let (part, _) = named.unwrap_or(&PARTS[PARTS.len() - 1]);
            *counts.entry(part).or_default() += count.parse().unwrap_or(0.0);
        }
        let all: f64 = counts.values().sum();
        counts.values_mut().for_each(|count| *count /= all);
        Self(counts)
    }

    /// Of this part.
    pub fn share(&self, part: &str) -> f64 {
        self.0.get(part).copied().unwrap_or(0.0)
    }
}

/// Their names.
pub fn parts() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_counts_for_the_first_part_that_is_named_in_it() {
        let stacks = [
            "pages;start_thread;node::page_thread::Worker<P>::go_on;malloc 1",
            "icefarm;host::stepping::step;shard::replica::Replica::apply;world::land::Land::apply;malloc 2",
            "icefarm;icefarm::node::run;quinn::connection::poll;__libc_sendmsg 3",
            "icefarm;[unknown] 2",
        ];
        let costs = Costs::of(&stacks.map(str::to_owned));
        let near = |part, share: f64| (costs.share(part) - share).abs() < 1e-9;
        assert!(near("checkpoints: pages into the store", 0.125));
        assert!(near("applying: game, exactly once, answers", 0.25));
        assert!(near("QUIC, TLS, UDP", 0.375) && near("all else", 0.25) && near("memory", 0.0));
    }
}
