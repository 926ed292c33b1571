//! What can be typed.

use crate::founding::InitArgs;
use crate::node::NodeArgs;
use crate::up::UpArgs;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use paxos::NodeId;
use placement::ShardId;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use wire::Level;
use world::{FieldId, PlayerName};

/// Ice Age Farmland: claim fields of one shared world, farm them, and run the cluster that remembers whose they are.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "icefarm",
    version,
    propagate_version = true,
    after_help = "\
First steps:
  icefarm up                                    # start a cluster on this machine
  icefarm view 30960,8180                       # look at the land (from another terminal)
  icefarm claim 30980,8190 --as scrat           # take a field
  icefarm plant 30980,8190 lichen --as scrat    # `icefarm rules` lists crops, characters, buildings
  icefarm admin status                          # how the cluster is

Exit status: 0 done; 1 a bug; 2 wrong usage; 3 rejected by the game's rules; 4 not available; 5 not allowed;
6 this machine (port, data, disk)."
)]
pub struct Cli {
    /// For every verb.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// For every verb that talks to a cluster.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Talking to a cluster")]
pub struct Globals {
    /// The cluster's profile
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "ICEFARM_CLUSTER",
        default_value = "./icefarm-data/client.toml"
    )]
    pub cluster: PathBuf,
    /// Who plays [default: the profile's player]; a new name is registered on first use
    #[arg(long = "as", value_name = "PLAYER", global = true)]
    pub player: Option<PlayerName>,
    /// Print one JSON object on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Give up after this long, for example 10s or 500ms
    #[arg(long, value_name = "TIME", global = true, default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,
    /// Ask this node's replica, for example n2
    #[arg(long, value_name = "NODE", global = true)]
    pub from: Option<NodeId>,
    /// How sure a read must be: strong, bounded:MS, session or eventual [default: as the world file says of the shard;
    /// otherwise strong, eventual for view and watch; session with --session]
    #[arg(long, value_name = "LEVEL", global = true)]
    pub read: Option<Level>,
    /// Remember in this file what was seen and written, and show at least that next time
    #[arg(long, value_name = "FILE", global = true)]
    pub session: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Start a cluster on this machine, every node a process of its own
    Up(UpArgs),
    /// Run one node in the foreground
    Node(NodeArgs),
    /// Make the files of a cluster on several machines
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Take a free field
    #[command(after_help = "Example:\n  icefarm claim 30980,8190 --as scrat --character mammoth")]
    Claim {
        /// The field, as X,Y
        field: FieldId,
        /// Who shall live there (see `icefarm rules`) [default: squirrel, or the first it lists]
        #[arg(long, value_name = "NAME")]
        character: Option<String>,
    },
    /// Sow a crop on your field
    #[command(after_help = "Example:\n  icefarm plant 30980,8190 lichen --as scrat")]
    Plant {
        /// The field, as X,Y
        field: FieldId,
        /// What to sow (see `icefarm rules`)
        crop: String,
    },
    /// Tend a growing crop, once: it ripens sooner
    Tend {
        /// The field, as X,Y
        field: FieldId,
    },
    /// Bring in a ripe crop; its acorns travel to your wallet
    Harvest {
        /// The field, as X,Y
        field: FieldId,
    },
    /// Put up a building
    #[command(after_help = "Example:\n  icefarm build 30980,8190 hut --as scrat")]
    Build {
        /// The field, as X,Y
        field: FieldId,
        /// Which building (see `icefarm rules`)
        building: String,
    },
    /// Name the price of your field, or take it off the market
    #[command(
        after_help = "Examples:\n  icefarm offer 30980,8190 250 --as scrat\n  icefarm offer 30980,8190 none --as scrat"
    )]
    Offer {
        /// The field, as X,Y
        field: FieldId,
        /// Acorns, or `none`
        #[arg(value_parser = parse_price)]
        price: Price,
    },
    /// Give your field up, with all that is on it
    Abandon {
        /// The field, as X,Y
        field: FieldId,
    },
    /// Show one field
    Field {
        /// The field, as X,Y
        field: FieldId,
    },
    /// Draw the land south-east of X,Y
    #[command(
        after_help = "Examples:\n  icefarm view 30960,8180\n  icefarm view 30960,8180 --size 100x40 --as scrat   # scrat's land stands out"
    )]
    View {
        /// The north-west corner, as X,Y
        corner: FieldId,
        /// Width and height; at most 65536 fields in all
        #[arg(long, value_name = "WxH", default_value = "64x32", value_parser = parse_size)]
        size: (u32, u32),
    },
    /// Draw the land south-east of X,Y, and tell what changes there until interrupted
    #[command(
        after_help = "Examples:\n  icefarm watch 30960,8180\n  icefarm watch 30960,8180 --json | while read -r line; do ...; done   # one object a line"
    )]
    Watch {
        /// The north-west corner, as X,Y
        corner: FieldId,
        /// Width and height; at most 65536 fields in all
        #[arg(long, value_name = "WxH", default_value = "64x32", value_parser = parse_size)]
        size: (u32, u32),
    },
    /// Show a player: wallet, acorns on their way, land
    Player {
        /// Who [default: the one who plays]
        name: Option<PlayerName>,
    },
    /// List crops, characters and buildings
    Rules,
    /// Look after a cluster
    #[command(subcommand)]
    Admin(AdminVerb),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  source <(icefarm completions bash)")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Making clusters.
#[derive(Clone, Debug, Subcommand)]
pub enum ClusterVerb {
    /// Make authority, identities and configurations
    #[command(
        after_help = "Example:\n  icefarm cluster init farm --node 10.0.0.1:4400,8080 --node 10.0.0.2:4400,8080 --node 10.0.0.3:4400,8080"
    )]
    Init(InitArgs),
}

/// Looking after clusters.
#[derive(Clone, Debug, Subcommand)]
pub enum AdminVerb {
    /// How the cluster is, on one screen
    Status,
    /// The nodes, and what they lead
    Nodes,
    /// The shards, and who leads them
    Shards,
    /// One shard, replica by replica
    Shard {
        /// Its number
        #[arg(value_parser = parse_shard)]
        id: ShardId,
    },
    /// How busy the nodes are, again and again until interrupted
    #[command(after_help = "Examples:\n  icefarm admin top\n  icefarm admin top --every 5s --rounds 3 --json")]
    Top {
        /// Between two looks
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time)]
        every: Duration,
        /// Stop after so many
        #[arg(long, value_name = "N")]
        rounds: Option<u32>,
    },
    /// Change who holds a shard
    #[command(subcommand)]
    Replica(ReplicaVerb),
    /// Give a node whose disk was wiped everything back, in all its shards; can be interrupted and said again
    #[command(after_help = "Example:\n  icefarm admin repair n3 --dry-run\n  icefarm admin repair n3")]
    Repair {
        /// Which node: up, with an empty disk
        node: NodeId,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Read all data of nodes that do not run, and say whether it is sound; nothing is changed
    #[command(
        after_help = "Examples:\n  icefarm admin verify icefarm-data/n2     # one node\n  icefarm admin verify icefarm-data        # each of a local cluster"
    )]
    Verify {
        /// A node's data directory, its home, or the directory of a local cluster
        data: PathBuf,
    },
    /// Let another voter lead a shard
    #[command(name = "transfer-leader", after_help = "Example:\n  icefarm admin transfer-leader 7 n2")]
    TransferLeader {
        /// The shard's number
        #[arg(value_parser = parse_shard)]
        shard: ShardId,
        /// Who shall lead it
        node: NodeId,
    },
}

/// Changing who holds a shard. Each can be interrupted and said again.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ReplicaVerb {
    /// Give a node a replica that does not vote (a standby); also to a member whose disk was replaced, in the place of what it was
    #[command(after_help = "Example:\n  icefarm admin replica add 7 n4")]
    Add {
        /// The shard's number
        #[arg(value_parser = parse_shard)]
        shard: ShardId,
        /// Who gets it
        node: NodeId,
    },
    /// Let a standby vote, once it has everything
    #[command(after_help = "Example:\n  icefarm admin replica promote 7 n4")]
    Promote {
        /// The shard's number
        #[arg(value_parser = parse_shard)]
        shard: ShardId,
        /// Which standby
        node: NodeId,
    },
    /// Take a node's replica away; not if too few of the voters left are heard
    #[command(after_help = "Example:\n  icefarm admin replica remove 7 n1")]
    Remove {
        /// The shard's number
        #[arg(value_parser = parse_shard)]
        shard: ShardId,
        /// Whose
        node: NodeId,
    },
    /// Move a voter's replica to another node: add, wait until it has everything, swap
    #[command(after_help = "Example:\n  icefarm admin replica replace 7 n1 n4")]
    Replace {
        /// The shard's number
        #[arg(value_parser = parse_shard)]
        shard: ShardId,
        /// Who goes
        old: NodeId,
        /// Who comes
        new: NodeId,
    },
}

impl Cli {
    /// What was typed, the program's name first.
    pub fn from_args<I, T>(args: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        Self::from_arg_matches(&command().try_get_matches_from(args)?)
    }
}

/// The whole command line. Verbs that talk to no cluster do not list the options for it.
pub fn command() -> clap::Command {
    let hide = |verb: clap::Command| verb.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    let mut command = Cli::command();
    command.build();
    for verb in ["up", "node", "completions"] {
        command = command.mut_subcommand(verb, hide);
    }
    command.mut_subcommand("cluster", |cluster| cluster.mut_subcommand("init", hide))
}

/// A price, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price(pub Option<u64>);

fn parse_price(text: &str) -> Result<Price, String> {
    if text == "none" {
        return Ok(Price(None));
    }
    text.parse().map(|price| Price(Some(price))).map_err(|_| "write a whole number of acorns, or none".into())
}

fn parse_shard(text: &str) -> Result<ShardId, String> {
    text.parse().map(ShardId).map_err(|_| "shards are numbered 1, 2, ... (see `icefarm admin shards`)".into())
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let wrong = || "write width x height, for example 64x32".to_owned();
    let (w, h) = text.split_once('x').ok_or_else(wrong)?;
    Ok((w.parse().map_err(|_| wrong())?, h.parse().map_err(|_| wrong())?))
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time such as 10s or 500ms".to_owned();
    let (number, unit) = text.split_at(text.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" | "min" => Duration::from_secs(number.saturating_mul(60)),
        _ => return Err(wrong()),
    };
    if time.is_zero() { Err("0 is no time to wait".into()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn help_lists_what_a_verb_takes_and_no_more() {
        let help = |line: &str| Cli::from_args(line.split(' ')).unwrap_err().to_string();
        let (up, claim) = (help("icefarm up --help"), help("icefarm claim --help"));
        assert!(up.contains("--bots") && !up.contains("--timeout"), "{up}");
        assert!(claim.contains("--character") && claim.contains("--timeout"), "{claim}");
    }

    #[test]
    fn the_crop_that_help_sows_exists_and_grows_on_all_that_can_be_claimed() {
        let rules = samples::rules();
        let help = command().render_help().to_string();
        let crop = help.split("plant 30980,8190 ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let crop = rules.crop(rules.crop_named(crop).unwrap()).unwrap();
        for terrain in world::Terrain::ALL.into_iter().filter(|terrain| terrain.claimable()) {
            assert!(crop.grows_on.contains(terrain), "{terrain}");
        }
    }

    #[test]
    fn options_stand_before_or_behind_the_verb() {
        for line in ["icefarm --json --as scrat tend 1,2", "icefarm tend 1,2 --as scrat --json"] {
            let cli = Cli::from_args(line.split(' ')).unwrap();
            assert!(cli.globals.json);
            assert_eq!(cli.globals.player, Some("scrat".parse().unwrap()));
            assert!(matches!(cli.verb, Verb::Tend { field } if (field.x(), field.y()) == (1, 2)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anything_is_asked() {
        for line in [
            "icefarm claim 1000000,0",
            "icefarm claim 7",
            "icefarm offer 1,2 much",
            "icefarm view 1,2 --size 8",
            "icefarm field 1,2 --read sometimes",
            "icefarm field 1,2 --timeout 0s",
            "icefarm field 1,2 --timeout soon",
            "icefarm field 1,2 --from 2",
            "icefarm tend 1,2 --as 123456789012345678901234567890123",
            "icefarm admin shard one",
            "icefarm admin replica add 1 4",
            "icefarm admin replica replace 1 n1",
        ] {
            assert!(Cli::from_args(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn times_sizes_and_prices_are_read() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("2min"), Ok(Duration::from_mins(2)));
        assert_eq!(parse_size("100x40"), Ok((100, 40)));
        assert_eq!((parse_price("none"), parse_price("7")), (Ok(Price(None)), Ok(Price(Some(7)))));
    }
}
