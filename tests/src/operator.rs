//! The SDK for tests that are not asynchronous themselves.

use crate::wait::until;
use client::{Client, Options, Profile, ReadOptions, Shards};
use paxos::{NodeId, Slot};
use placement::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use world::{FieldId, PlayerName, Rect};

/// The side of the squares that the land is read in.
const SQUARE: u32 = 256;

/// A client with a runtime of its own.
#[derive(Debug)]
pub struct Operator {
    client: Client,
    runtime: Runtime,
}

impl Operator {
    /// Connects.
    ///
    /// # Panics
    /// If no node takes us.
    pub fn connect(profile: Profile) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let client = runtime.block_on(Client::connect(profile, Options::default()));
        let client = client.unwrap_or_else(|error| panic!("{error}"));
        Self { client, runtime }
    }

    /// The client itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs something with it.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// What the nodes say of their shards.
    ///
    /// # Panics
    /// If the client is closed.
    pub fn shards(&self) -> Shards {
        self.run(self.client.shards()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The node that leads most shards, and which.
    ///
    /// # Panics
    /// If nobody leads any.
    pub fn busiest(&self) -> (NodeId, BTreeSet<ShardId>) {
        let mut led: BTreeMap<NodeId, BTreeSet<ShardId>> = BTreeMap::new();
        for shard in self.shards().shards {
            if let Some(leader) = shard.leader {
                led.entry(leader).or_default().insert(shard.shard);
            }
        }
        led.into_iter().max_by_key(|(_, shards)| shards.len()).expect("somebody leads something")
    }

    /// Waits until every voter of every shard answers and has applied all that is chosen.
    ///
    /// # Panics
    /// If that takes longer than `within`.
    pub fn wait_caught_up(&self, within: Duration) {
        until("every replica has caught up", within, || {
            let Shards { shards, missing } = self.shards();
            if let Some((node, why)) = missing.first_key_value() {
                return Err(format!("{node} does not answer: {why}"));
            }
            for shard in shards {
                let applied: Vec<(NodeId, Option<Slot>)> =
                    shard.voters.iter().map(|node| (*node, shard.replicas.get(node).map(|r| r.applied))).collect();
                if shard.leader.is_none() || applied.iter().any(|(_, applied)| *applied != Some(shard.chosen)) {
                    let (leader, chosen) = (shard.leader, shard.chosen);
                    return Err(format!("{:?}, leader {leader:?}, chosen {chosen}: {applied:?}", shard.shard));
                }
            }
            Ok(())
        });
    }

    /// Who owns what around `fields`, as the replicas of one node have it.
    ///
    /// # Panics
    /// If the node does not answer.
    pub fn owners_at(&self, node: NodeId, fields: impl Iterator<Item = FieldId>) -> BTreeMap<FieldId, PlayerName> {
        let corner = |at: u32| at / SQUARE * SQUARE;
        let squares: BTreeSet<(u32, u32)> = fields.map(|field| (corner(field.y()), corner(field.x()))).collect();
        let mut owners = BTreeMap::new();
        for (y, x) in squares {
            let corner = FieldId::new(x, y).expect("west and north of a field");
            let rect = Rect::new(corner, SQUARE, SQUARE).expect("as large as a view may be");
            let view = self.run(self.client.view(rect, ReadOptions::eventual().from(node)));
            let view = view.unwrap_or_else(|error| panic!("view of {rect:?} from {node}: {error}"));
            assert!(view.receipts.iter().all(|receipt| receipt.node == node), "{:?} for {node}", view.receipts);
            owners.extend(view.fields.into_iter().filter_map(|field| field.owner.map(|owner| (field.field, owner))));
        }
        owners
    }
}
