//! The crate `openraft`, on one thread, with a store in memory of the plainest kind: a `VecDeque`.

use super::{Command, Meter};
use crate::Failure;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage, RaftStateMachine, Snapshot};
use openraft::{
    BasicNode, Config, Entry, EntryPayload, LogId, Raft, RaftLogReader, RaftSnapshotBuilder, SnapshotMeta,
    SnapshotPolicy, StorageError, StorageIOError, StoredMembership, Vote,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::io::Cursor;
use std::ops::{Bound, RangeBounds};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

openraft::declare_raft_types!(
    /// What is decided, and by whom.
    Types: D = Command, R = (), NodeId = u64, Node = BasicNode
);

type Node = Raft<Types>;
type Stored<T> = Result<T, StorageError<u64>>;

/// Commands decided a second, with so many in flight.
pub fn rate(in_flight: usize, time: Duration) -> Result<f64, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let nodes = Network::default();
        for id in 1..=3 {
            let config = Config {
                // (Elections have no part in this.)
                heartbeat_interval: 500,
                election_timeout_min: 2_000,
                election_timeout_max: 4_000,
                snapshot_policy: SnapshotPolicy::Never,
                max_payload_entries: 4_096,
                ..Config::default()
            };
            let config = Arc::new(config.validate()?);
            let node = Node::new(id, config, nodes.clone(), Log::default(), Machine::default()).await?;
            nodes.0.borrow_mut().insert(id, node);
        }
        let leader = nodes.of(1);
        leader.initialize(BTreeMap::from([1, 2, 3].map(|id| (id, BasicNode::default())))).await?;
        leader
            .wait(Some(Duration::from_secs(10)))
            .state(openraft::ServerState::Leader, "the first stands alone")
            .await?;
        let mut meter = Meter::new(time);
        let mut under_way = FuturesUnordered::new();
        while meter.is_open() {
            while under_way.len() < in_flight {
                under_way.push(leader.client_write_ff([7; 16]).await?);
            }
            // What has been decided meanwhile is taken together.
            let mut decided = usize::from(under_way.next().await.transpose()?.is_some());
            while let Some(Some(done)) = futures_util::FutureExt::now_or_never(under_way.next()) {
                done?.map_err(|error| format!("openraft: {error}"))?;
                decided += 1;
            }
            meter.add(decided);
        }
        let rate = meter.rate();
        let all: Vec<Node> = nodes.0.borrow().values().cloned().collect();
        for node in all {
            node.shutdown().await?;
        }
        Ok(rate)
    })
}

/// Everybody's handle: a message is a call.
#[derive(Clone, Default)]
struct Network(Rc<RefCell<BTreeMap<u64, Node>>>);

impl Network {
    fn of(&self, id: u64) -> Node {
        self.0.borrow()[&id].clone()
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> Peer {
        Peer { target, nodes: self.clone() }
    }
}

struct Peer {
    target: u64,
    nodes: Network,
}

type Answer<T, E> = Result<T, RPCError<u64, BasicNode, RaftError<u64, E>>>;

impl Peer {
    fn told<T, E: std::error::Error>(&self, answer: Result<T, RaftError<u64, E>>) -> Answer<T, E> {
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, error)))
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Answer<AppendEntriesResponse<u64>, openraft::error::Infallible> {
        self.told(self.nodes.of(self.target).append_entries(request).await)
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Answer<InstallSnapshotResponse<u64>, InstallSnapshotError> {
        self.told(self.nodes.of(self.target).install_snapshot(request).await)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Answer<VoteResponse<u64>, openraft::error::Infallible> {
        self.told(self.nodes.of(self.target).vote(request).await)
    }
}

/// A log in memory; its readers are the same.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Entries>>);

#[derive(Default)]
struct Entries {
    /// The first one has this index.
    first: u64,
    entries: VecDeque<Entry<Types>>,
    purged: Option<LogId<u64>>,
    vote: Option<Vote<u64>>,
}

impl Entries {
    fn place(&self, index: u64) -> usize {
        usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.entries.len())
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug>(
        &mut self,
        range: R,
    ) -> Stored<Vec<Entry<Types>>> {
        let log = self.0.borrow();
        let from = match range.start_bound() {
            Bound::Included(&index) => index,
            Bound::Excluded(&index) => index + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&index) => index + 1,
            Bound::Excluded(&index) => index,
            Bound::Unbounded => u64::MAX,
        };
        let (from, to) = (log.place(from), log.place(to));
        Ok(log.entries.range(from..to.max(from)).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        let log = self.0.borrow();
        let last_log_id = log.entries.back().map(|entry| entry.log_id).or(log.purged);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        self.0.borrow_mut().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        Ok(self.0.borrow().vote)
    }

    async fn append<I: IntoIterator<Item = Entry<Types>>>(
        &mut self,
        entries: I,
        flushed: LogFlushed<Types>,
    ) -> Stored<()> {
        self.0.borrow_mut().entries.extend(entries);
        flushed.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Stored<()> {
        let mut log = self.0.borrow_mut();
        let place = log.place(from.index);
        log.entries.truncate(place);
        Ok(())
    }

    async fn purge(&mut self, through: LogId<u64>) -> Stored<()> {
        let mut log = self.0.borrow_mut();
        let place = log.place(through.index + 1);
        log.entries.drain(..place);
        (log.first, log.purged) = (through.index + 1, Some(through));
        Ok(())
    }
}

/// Remembers what it has applied, and nothing of it.
#[derive(Default)]
struct Machine {
    applied: Option<LogId<u64>>,
    members: StoredMembership<u64, BasicNode>,
}

/// Nobody is ever so far behind.
fn no_snapshot() -> StorageError<u64> {
    StorageIOError::read_snapshot(None, &std::io::Error::from(std::io::ErrorKind::Unsupported)).into()
}

struct NoSnapshots;

impl RaftSnapshotBuilder<Types> for NoSnapshots {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        Err(no_snapshot())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = NoSnapshots;

    async fn applied_state(&mut self) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>)> {
        Ok((self.applied, self.members.clone()))
    }

    async fn apply<I: IntoIterator<Item = Entry<Types>>>(&mut self, entries: I) -> Stored<Vec<()>> {
        let mut answers = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            if let EntryPayload::Membership(members) = entry.payload {
                self.members = StoredMembership::new(Some(entry.log_id), members);
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> NoSnapshots {
        NoSnapshots
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        Err(no_snapshot())
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta<u64, BasicNode>, _: Box<Cursor<Vec<u8>>>) -> Stored<()> {
        Err(no_snapshot())
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        Ok(None)
    }
}
