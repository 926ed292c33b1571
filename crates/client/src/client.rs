//! The handle that programs hold.

use crate::driver::{Ask, Driver, Shared, Waiting, What};
use crate::error::{ConnectError, Error};
use crate::link::{self, Calling};
use crate::pipeline::{self, Completions, Submitter};
use crate::player::{Player, nonsense};
use crate::profile::{NodeEntry, Profile};
use crate::report::{self, NodeStatus, Shards};
use crate::watch::Watch;
use client_proto::{ClientProto, Read, Success};
use paxos::{NodeId, Slot};
use placement::ShardId;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use transport::{ClientEndpoint, ClientTuning, ClusterCert};
use wire::codec::{MAX_CLIENT_FRAME, MAX_REQUEST_FRAME};
use wire::{Change, ClientId, Hello, Holdings, Level, Receipt, Session};
use world::{
    Block, Census, ChunkId, FieldId, FieldView, Millis, PlayerName, PlayerView, Rect, RuleBook, TerrainMap, WorldSeed,
};

/// Callers that may wait in line for the driver.
const ASKS: usize = 8_192;
/// Frames of answers that may wait for the driver; behind them the network waits.
const NEWS: usize = 256;

/// What an embedder may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Time-outs and bounds of requests.
    pub requests: client_proto::Options,
    /// A connection that does not stand after this is given up, and tried again later.
    pub connect_timeout: Duration,
    /// The pause after the first failure to connect; doubles up to `max_reconnect`.
    pub min_reconnect: Duration,
    /// The longest pause between two tries to connect.
    pub max_reconnect: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            requests: client_proto::Options::default(),
            connect_timeout: Duration::from_secs(3),
            min_reconnect: Duration::from_millis(50),
            max_reconnect: Duration::from_secs(2),
        }
    }
}

/// How sure, and from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// How sure; `None`: as the map says of the shard, or else strong for a field or a player, eventual for a view.
    pub level: Option<Level>,
    /// This node and no other; `None`: whoever can answer best.
    pub from: Option<NodeId>,
}

impl ReadOptions {
    /// Linearizable.
    pub fn strong() -> Self {
        Self::at(Level::Strong)
    }

    /// Some chosen prefix, from the nearest replica.
    pub fn eventual() -> Self {
        Self::at(Level::Eventual)
    }

    /// As is usual.
    pub fn usual() -> Self {
        Self { level: None, from: None }
    }

    /// At this level.
    pub fn at(level: Level) -> Self {
        Self { level: Some(level), from: None }
    }

    /// From this node and no other.
    #[must_use]
    pub fn from(self, node: NodeId) -> Self {
        Self { from: Some(node), ..self }
    }
}

/// A field as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRead {
    /// The field.
    pub field: FieldView,
    /// What the answer is worth.
    pub receipt: Receipt,
}

/// A rectangle as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRead {
    /// Its owned fields, by packed id. What is not here is untouched land.
    pub fields: Vec<FieldView>,
    /// One per shard. There is no snapshot across shards.
    pub receipts: Vec<Receipt>,
}

/// Where a player has land, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstateRead {
    /// The chunks in which it has fields, and how many in each; by chunk.
    pub chunks: Vec<(ChunkId, u16)>,
    /// One per shard. There is no snapshot across shards.
    pub receipts: Vec<Receipt>,
}

/// Land as it was seen from afar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CensusRead {
    /// The cells of the block in which somebody has fields, by their place in it.
    pub cells: Vec<(u16, Census)>,
    /// One per shard that holds a part of the block. There is no snapshot across shards.
    pub receipts: Vec<Receipt>,
}

/// A player as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerRead {
    /// The player, if it ever registered.
    pub player: Option<PlayerView>,
    /// What it has on the land of all shards.
    pub holdings: Holdings,
    /// One per shard and question. There is no snapshot across shards.
    pub receipts: Vec<Receipt>,
}

/// A connected client. Clones share everything; when the last one is dropped, what is under way is finished in the
/// background.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    asks: mpsc::Sender<Ask>,
    shared: Arc<Shared>,
    seed: WorldSeed,
    terrain: TerrainMap,
    nodes: Vec<NodeEntry>,
    player: Option<PlayerName>,
}

/// A report waits so long for nodes that have not been reached for the first time.
const FIRST_CONTACT: Duration = Duration::from_millis(1_500);

impl Client {
    /// Connects to all nodes of `profile`, and is there as soon as one of them has welcomed us. The others are connected,
    /// and all are reconnected, in the background. Call it inside a tokio runtime, whose tasks then do the work.
    pub async fn connect(profile: Profile, options: Options) -> Result<Self, ConnectError> {
        let Profile { cluster, ca, token, nodes, player } = profile;
        let certificate = ClusterCert::load(&ca, cluster)?;
        let tuning = ClientTuning {
            connect: options.connect_timeout,
            frame: MAX_CLIENT_FRAME,
            request: MAX_REQUEST_FRAME,
            ..ClientTuning::default()
        };
        let endpoint = ClientEndpoint::with_tuning(&certificate, tuning)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let proto = ClientProto::new(ClientId(u128::from_le_bytes(id)), getrandom::u64()?, options.requests);
        let calling = Arc::new(Calling {
            endpoint,
            hello: Hello { version: wire::client::VERSION, token: token.as_bytes().to_vec() },
            greeting_timeout: options.connect_timeout,
            min_pause: options.min_reconnect,
            max_pause: options.max_reconnect,
        });
        let (news_in, news) = mpsc::channel(NEWS);
        let (asks_in, asks) = mpsc::channel(ASKS);
        let mut links = JoinSet::new();
        for (link, node) in nodes.iter().enumerate() {
            links.spawn(link::keep(link, node.clone(), calling.clone(), news_in.clone()));
        }
        let mut driver = Driver::new(proto, nodes.clone(), asks, news, links);
        let (shared, seed) = driver.first_welcome().await?;
        tokio::spawn(driver.run());
        let terrain = TerrainMap::new(seed);
        Ok(Self { inner: Arc::new(Inner { asks: asks_in, shared, seed, terrain, nodes, player }) })
    }

    /// Plays as `name`. Asks nobody: a player that never registered hears so with its first command.
    pub fn player(&self, name: &str) -> Result<Player, Error> {
        Ok(Player::new(self.clone(), PlayerName::new(name)?))
    }

    /// Plays as the profile's own player, if it names one.
    pub fn default_player(&self) -> Option<Player> {
        self.inner.player.map(|name| Player::new(self.clone(), name))
    }

    /// Reads one field.
    pub async fn field(&self, field: FieldId, options: ReadOptions) -> Result<FieldRead, Error> {
        match self.read(Read::Field(field), options).await? {
            Success::Field { field, receipt } => Ok(FieldRead { field, receipt }),
            _ => Err(nonsense()),
        }
    }

    /// Reads the owned fields of a rectangle.
    pub async fn view(&self, rect: Rect, options: ReadOptions) -> Result<ViewRead, Error> {
        self.view_of(Read::View(rect), options).await
    }

    /// Reads all fields of a rectangle that anybody ever owned: how one begins who goes on with [`Client::changes`].
    pub async fn touched(&self, rect: Rect, options: ReadOptions) -> Result<ViewRead, Error> {
        self.view_of(Read::Watch(rect), options).await
    }

    /// Reads what has changed in a shard's part of a rectangle behind a slot, the one of an earlier receipt. If nothing has,
    /// and `wait` is set, the answer waits for a while.
    pub async fn changes(
        &self,
        shard: ShardId,
        rect: Rect,
        seen: Slot,
        wait: bool,
        options: ReadOptions,
    ) -> Result<ViewRead, Error> {
        self.view_of(Read::Changes { shard, rect, seen, wait }, options).await
    }

    /// Reads how many fields of each cell of a block belong to whom.
    pub async fn census(&self, block: Block, options: ReadOptions) -> Result<CensusRead, Error> {
        match self.read(Read::Census(block), options).await? {
            Success::Census { cells, receipts } => Ok(CensusRead { cells, receipts }),
            _ => Err(nonsense()),
        }
    }

    /// Reads where a player has land.
    pub async fn estate(&self, name: &str, options: ReadOptions) -> Result<EstateRead, Error> {
        match self.read(Read::Estate(PlayerName::new(name)?), options).await? {
            Success::Estate { chunks, receipts } => Ok(EstateRead { chunks, receipts }),
            _ => Err(nonsense()),
        }
    }

    /// Reads the owned fields of a rectangle, and goes on telling what changes there.
    ///
    /// ```no_run
    /// # async fn look(client: client::Client, rect: world::Rect) -> Result<(), client::Error> {
    /// use client::{Event, ReadOptions};
    ///
    /// let (view, mut watch) = client.watch(rect, ReadOptions::usual()).await?;
    /// println!("{} fields are owned", view.fields.len());
    /// loop {
    ///     if let Event::Changed { field, .. } = watch.next().await? {
    ///         println!("{} belongs to {:?} now", field.field, field.owner);
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn watch(&self, rect: Rect, options: ReadOptions) -> Result<(ViewRead, Watch), Error> {
        Watch::begin(self.clone(), rect, options).await
    }

    pub(crate) async fn view_of(&self, read: Read, options: ReadOptions) -> Result<ViewRead, Error> {
        match self.read(read, options).await? {
            Success::View { fields, receipts } => Ok(ViewRead { fields: fields.unpack(), receipts }),
            _ => Err(nonsense()),
        }
    }

    /// Reads a player's wallet, and sums up what it has on every shard's land.
    pub async fn player_summary(&self, name: &str, options: ReadOptions) -> Result<PlayerRead, Error> {
        match self.read(Read::Player(PlayerName::new(name)?), options).await? {
            Success::Player { player, holdings, receipts } => Ok(PlayerRead { player, holdings, receipts }),
            _ => Err(nonsense()),
        }
    }

    /// The rule book, as the nodes last told it.
    pub fn rules(&self) -> Arc<RuleBook> {
        self.inner.shared.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The land's shape.
    pub fn terrain(&self) -> &TerrainMap {
        &self.inner.terrain
    }

    /// What the world grew from.
    pub fn seed(&self) -> WorldSeed {
        self.inner.seed
    }

    /// The nodes' wall clock, as well as this client can tell: what crops ripen by.
    pub fn time(&self) -> Millis {
        let (time, at) = *self.inner.shared.time.lock().unwrap_or_else(PoisonError::into_inner);
        time.plus(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// How many attempts of this client's were refused, since it exists, because a node was overloaded. Each was repeated a
    /// little later, unless its request's time was up.
    pub fn overloads(&self) -> u64 {
        self.inner.shared.overloads.load(Ordering::Relaxed)
    }

    /// Changes who takes part in a shard, as an operator. Done once the change is chosen; asked for again, it does nothing
    /// more. (A transfer of the leadership is done when it has begun.)
    pub async fn change(&self, shard: ShardId, change: Change) -> Result<(), Error> {
        match self.ask(What::Change { shard, change }).await? {
            Success::Changed => Ok(()),
            _ => Err(nonsense()),
        }
    }

    /// What this client has seen and written so far: reads at the level *session* show at least that, here and, resumed from
    /// this token, anywhere.
    pub async fn session(&self) -> Result<Session, Error> {
        let (caller, session) = oneshot::channel();
        self.inner.asks.send(Ask::Session(caller)).await.map_err(|_| Error::Closed)?;
        session.await.map_err(|_| Error::Closed)
    }

    /// Goes on from what another client, or an earlier run of this one, had seen and written.
    pub async fn resume(&self, session: Session) -> Result<(), Error> {
        self.inner.asks.send(Ask::Resume(Box::new(session))).await.map_err(|_| Error::Closed)
    }

    /// Every node of the profile: what it says of itself, or why it does not.
    pub async fn nodes(&self) -> Result<Vec<NodeStatus>, Error> {
        let answers = self.ask_all(What::Node).await?;
        let trouble = self.trouble();
        let nodes = self.inner.nodes.iter().zip(answers).zip(trouble);
        let status = |((entry, answer), trouble): ((&NodeEntry, _), _)| NodeStatus {
            entry: entry.clone(),
            state: report::node_state(answer, trouble),
        };
        Ok(nodes.map(status).collect())
    }

    /// Every shard, put together from what the nodes say of their replicas.
    pub async fn shards(&self) -> Result<Shards, Error> {
        let answers = self.ask_all(What::Shards).await?;
        let trouble = self.trouble();
        let reports = self.inner.nodes.iter().zip(answers).zip(trouble).map(|((entry, answer), trouble)| {
            let replicas = match answer {
                Ok(Success::Shards(replicas)) => Ok(replicas),
                Ok(_) => Err(nonsense().to_string()),
                Err(error) => Err(trouble.unwrap_or_else(|| error.to_string())),
            };
            (entry.id, replicas)
        });
        Ok(report::merge(reports.collect()))
    }

    /// A pipeline for load generators and bots in bulk: up to `depth` submissions at a time, each with a tag that its
    /// completion carries. Costs no task and no channel per submission. (All pipelines and callers together are bounded
    /// by [`max_in_flight`](client_proto::Options::max_in_flight) too; what is beyond waits in line.)
    ///
    /// ```no_run
    /// # async fn load(client: client::Client, fields: Vec<world::FieldId>) -> Result<(), client::Error> {
    /// use world::{CharacterId, Command};
    ///
    /// let (submitter, mut completions) = client.pipeline(4_096);
    /// let scrat = client.player("scrat")?.name();
    /// let count = fields.len();
    /// tokio::spawn(async move {
    ///     for (tag, field) in fields.into_iter().enumerate() {
    ///         let command = Command::Claim { field, character: CharacterId(0) };
    ///         if submitter.submit(scrat, command, tag as u64).await.is_err() {
    ///             return;
    ///         }
    ///     }
    /// });
    /// let mut done = Vec::new();
    /// while done.len() < count {
    ///     completions.recv_many(&mut done).await;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pipeline(&self, depth: usize) -> (Submitter, Completions) {
        pipeline::pipeline(self.inner.asks.clone(), depth)
    }

    /// Takes no more, finishes what is under way (each operation has its time-out), says goodbye to the nodes, and returns
    /// when that has left for them. All clones are closed with it.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.inner.asks.send(Ask::Close(done)).await.is_ok() {
            // An error means that the driver has ended already.
            let _ = closed.await;
        }
    }

    pub(crate) async fn ask(&self, what: What) -> Result<Success, Error> {
        let (answer, outcome) = oneshot::channel();
        self.inner.asks.send(Ask::Start(what, Waiting::One(answer))).await.map_err(|_| Error::Closed)?;
        outcome.await.map_err(|_| Error::Closed)?
    }

    async fn read(&self, read: Read, options: ReadOptions) -> Result<Success, Error> {
        self.ask(What::Read { read, level: options.level, from: options.from }).await
    }

    /// Asks every node of the profile at the same time. What one node does not allow, this client may not ask at all.
    async fn ask_all(&self, what: impl Fn(NodeId) -> What) -> Result<Vec<Result<Success, Error>>, Error> {
        // Who has only just connected has not heard of every node yet, and must not call the others silent.
        let mut tried = self.inner.shared.tried.subscribe();
        let all_tried = tried.wait_for(|tried| tried.len() == self.inner.nodes.len());
        let _ = tokio::time::timeout(FIRST_CONTACT, all_tried).await;
        let mut outcomes = Vec::with_capacity(self.inner.nodes.len());
        for entry in &self.inner.nodes {
            let (answer, outcome) = oneshot::channel();
            let ask = Ask::Start(what(entry.id), Waiting::One(answer));
            self.inner.asks.send(ask).await.map_err(|_| Error::Closed)?;
            outcomes.push(outcome);
        }
        let mut answers = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            match outcome.await.map_err(|_| Error::Closed)? {
                Err(Error::NotAllowed { reason }) => return Err(Error::NotAllowed { reason }),
                answer => answers.push(answer),
            }
        }
        Ok(answers)
    }

    fn trouble(&self) -> Vec<Option<String>> {
        self.inner.shared.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
