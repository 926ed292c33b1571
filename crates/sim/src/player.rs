//! One client: a player of its own, its connections, and what it takes into its head to do.

use crate::clock::{Clock, Time};
use crate::network::index;
use crate::random::Random;
use crate::sites::Sites;
use crate::watch::Watch;
use checker::sessions::Reached;
use client_proto::{ClientProto, Failure, Now, OpId, Options, Read, Success};
use paxos::NodeId;
use shard::ConnId;
use std::collections::{BTreeMap, BTreeSet};
use wire::{ClientId, Level, RequestNo};
use world::{Acorns, BuildingId, CharacterId, Command, CropId, FieldId, PlayerName};

/// The first of the fields kept for the test of liveness.
const KEPT_FROM: usize = 150;
/// How many are kept.
const KEPT: usize = 40;

/// What a player does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// This command.
    Do(Command),
    /// This question.
    Ask(Read, Level, Option<NodeId>),
}

/// Something under way.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What.
    pub intent: Intent,
    /// Where the field's history has it.
    pub history: Option<(FieldId, checker::OpId)>,
    /// Its number, if it is a command.
    pub number: Option<RequestNo>,
    /// The shard that it shows to be alive.
    pub audition: Option<usize>,
    /// When it began.
    pub begun: Time,
    /// What its client had read and written by then.
    pub reached: Reached,
}

/// A client.
#[derive(Debug)]
pub struct Player {
    /// Its name in the world.
    pub name: PlayerName,
    /// The machine it is near to: what cuts that off, cuts it off.
    pub home: NodeId,
    /// Which client of the protocol it is.
    pub client: ClientId,
    /// The machinery under test.
    pub proto: ClientProto,
    /// Its clock.
    pub clock: Clock,
    /// Its connections, by node.
    pub conns: Vec<Option<ConnId>>,
    /// Connections known to break.
    pub breaking: BTreeSet<ConnId>,
    /// What is under way.
    pub pending: BTreeMap<OpId, Pending>,
    /// The number of the command that each attempt sent.
    pub attempts: BTreeMap<u64, RequestNo>,
    /// When it is woken next.
    pub wake_at: Option<Time>,
    /// Results, for whoever gave the orders.
    pub results: BTreeMap<OpId, Result<Success, Failure>>,
    /// Whether its player is in the world.
    pub registered: bool,
    /// What it watches.
    pub watch: Option<Watch>,
    /// Fields it believes to own.
    mine: Vec<FieldId>,
    /// Fields it has claimed for itself so far.
    claimed: usize,
}

impl Player {
    /// Client `number` of a run.
    pub fn new(number: usize, nodes: u32, clock: Clock, options: Options, random: &mut Random) -> Self {
        let home = NodeId(u32::try_from(number).expect("few") % nodes + 1);
        let client = ClientId((u128::from(random.bits()) << 64) | u128::from(random.bits()));
        Self {
            name: PlayerName::new(&format!("p{number}")).expect("a name"),
            home,
            client,
            proto: ClientProto::new(client, random.bits(), options),
            clock,
            conns: vec![None; nodes as usize],
            breaking: BTreeSet::new(),
            pending: BTreeMap::new(),
            attempts: BTreeMap::new(),
            wake_at: None,
            results: BTreeMap::new(),
            registered: false,
            watch: None,
            mine: Vec::new(),
            claimed: 0,
        }
    }

    /// What its clock shows.
    pub fn now(&self, time: Time) -> Now {
        Now(self.clock.read(time).mono.0)
    }

    /// Its connection to `node`.
    pub fn conn(&self, node: NodeId) -> Option<ConnId> {
        self.conns[index(node)]
    }

    /// The field whose claim shows that a shard is alive.
    pub fn audition_field(sites: &Sites, attempt: usize) -> Option<FieldId> {
        sites.field(KEPT_FROM + attempt % KEPT)
    }

    /// Makes up what to do next. `hot`: the fields that all fight for. `me` of `players`.
    pub fn think(
        &mut self,
        random: &mut Random,
        sites: &[Sites],
        hot: &[FieldId],
        me: usize,
        players: usize,
    ) -> Intent {
        if !self.registered && random.chance(300_000) {
            return Intent::Do(Command::Register);
        }
        let field = *random.pick(hot);
        let character = CharacterId(0);
        match random.below(100) {
            0..18 => Intent::Do(Command::Claim { field, character }),
            18..26 => Intent::Do(Command::Abandon { field }),
            26..34 => Intent::Ask(Read::Field(field), Level::Strong, None),
            34..37 => Intent::Ask(Read::Field(field), Level::Eventual, None),
            37..42 => Intent::Ask(Read::Field(field), Level::Session, None),
            42..46 => {
                Intent::Ask(Read::Field(field), Level::Bounded(*random.pick(&[50, 100, 300, 1_000, 5_000])), None)
            }
            46..48 => {
                let level = *random.pick(&[Level::Strong, Level::Session, Level::Bounded(500)]);
                Intent::Ask(Read::Player(self.name), level, None)
            }
            48..66 => {
                let shard = &sites[random.index(sites.len())];
                let nth = hot.len() + me + players * (self.claimed / sites.len());
                self.claimed += 1;
                match shard.field(nth).filter(|_| nth < KEPT_FROM) {
                    Some(field) => Intent::Do(Command::Claim { field, character }),
                    None => Intent::Do(Command::Claim { field, character }),
                }
            }
            _ => Intent::Do(self.work(random, field)),
        }
    }

    /// It was told that `field` is its own.
    pub fn gained(&mut self, field: FieldId) {
        if !self.mine.contains(&field) {
            self.mine.push(field);
        }
    }

    fn work(&mut self, random: &mut Random, hot: FieldId) -> Command {
        let field = if self.mine.is_empty() || random.chance(150_000) { hot } else { *random.pick(&self.mine) };
        match random.below(10) {
            0..4 => Command::Plant { field, crop: CropId(u8::try_from(random.below(2)).unwrap_or(0)) },
            4..8 => Command::Harvest { field },
            8 => Command::Tend { field },
            _ if random.chance(500_000) => Command::Build { field, building: BuildingId(0) },
            _ => Command::Offer { field, price: Some(Acorns(random.below(900))) },
        }
    }
}
