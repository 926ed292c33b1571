//! What comes over the network and should not: garbage, cut off, too long, replayed, foreign. It is refused, the connection
//! is closed at worst, and the node goes on serving everybody else.

use client::{Client, ConnectError, Profile, ReadOptions};
use cluster_tests::raw::Raw;
use cluster_tests::wait::until;
use cluster_tests::{Cluster, Operator, Options};
use paxos::NodeId;
use std::time::Duration;
use transport::{ClusterCa, NodeIdentity, Subject, Token, TokenKey, draw_cluster_id};
use wire::codec::{MAX_CLIENT_FRAME, encode, encode_named};
use wire::{
    Answer, AnswerBody, ClientId, Envelope, Greeting, Hello, Level, Query, Refusal, Reply, Request, RequestBody,
    RequestNo,
};
use world::{CharacterId, Command, FieldId, Millis, Outcome};

const SMALL: Options = Options { nodes: 1, shards: 2 };

struct Site {
    cluster: Cluster,
    operator: Operator,
    profile: Profile,
    pid: u32,
}

impl Site {
    fn new(name: &str) -> Self {
        let cluster = Cluster::start(name, SMALL);
        let (operator, profile, pid) = (cluster.operator(), cluster.profile(), cluster.pid(NodeId(1)));
        Self { cluster, operator, profile, pid }
    }

    async fn stranger(&self) -> Raw {
        Raw::connect(&self.profile, &self.profile.nodes[0]).await
    }

    async fn guest(&self) -> Raw {
        Raw::welcomed(&self.profile, &self.profile.nodes[0]).await
    }

    /// A client that behaves is served by the very same process.
    async fn assert_serves(&self, after: &str) {
        let read = self.operator.client().field(field(0), ReadOptions::strong()).await;
        assert!(read.is_ok(), "after {after}: {read:?}");
        assert_eq!(self.cluster.running(NodeId(1)), Some(self.pid), "after {after}");
    }
}

#[test]
fn garbage_cut_off_and_oversized_frames_before_a_greeting_close_that_connection_alone() {
    let mut site = Site::new("frames-stranger");
    site.operator.run(async {
        for (what, body) in [
            ("garbage", vec![0xC1; 300]),
            ("nothing", Vec::new()),
            ("half a greeting", half(&encode_named(&hello(&site.profile)))),
            ("a greeting and more", [&encode_named(&hello(&site.profile))[..], &[0]].concat()),
            ("an endless nesting", vec![0x91; 100_000]),
            ("an array of four billion", vec![0xDD, 0xFF, 0xFF, 0xFF, 0xFF]),
            ("requests before a greeting", encode(&vec![read(1, 0)]).to_vec()),
        ] {
            let mut raw = site.stranger().await;
            raw.frame(&body).await;
            let reason = raw.until_closed().await;
            assert!(!reason.is_empty(), "{what}: closed without a word");
            println!("{what}: {reason}");
            site.assert_serves(what).await;
        }
        let mut raw = site.stranger().await;
        raw.write(&u32::MAX.to_le_bytes()).await;
        assert!(raw.until_closed().await.contains("4294967295"), "the length that was announced is named");
        site.assert_serves("a frame of 4 GiB").await;

        let mut raw = site.stranger().await;
        raw.write(&[200, 0, 0, 0, 1, 2, 3]).await;
        raw.finish();
        println!("a frame cut off: {}", raw.until_closed().await);
        site.assert_serves("a frame cut off").await;
        // The node tells all of them but the requests, which are sound, and come too early.
        let bad = bad_frames(&site.cluster);
        assert!(bad >= 8, "{bad} bad frames were counted");
    });
    site.cluster.down();
}

#[test]
fn garbage_cut_off_and_oversized_frames_after_a_greeting_close_that_connection_alone() {
    let mut site = Site::new("frames-guest");
    site.operator.run(async {
        for (what, body) in [
            ("garbage", vec![0xC1; 300]),
            ("half a list", half(&encode(&vec![read(1, 0), read(2, 1)]))),
            ("a list and more", [&encode(&vec![read(1, 0)])[..], &[0]].concat()),
            ("an array of four billion", vec![0xDD, 0xFF, 0xFF, 0xFF, 0xFF]),
            ("a second greeting", encode_named(&hello(&site.profile)).to_vec()),
            ("a field off the grid", off_the_grid()),
        ] {
            let mut raw = site.guest().await;
            raw.frame(&body).await;
            let reason = raw.until_closed().await;
            assert!(!reason.is_empty(), "{what}: closed without a word");
            println!("{what}: {reason}");
            site.assert_serves(what).await;
        }
        let mut raw = site.guest().await;
        raw.write(&u32::try_from(MAX_CLIENT_FRAME + 1).expect("8 MiB").to_le_bytes()).await;
        assert!(raw.until_closed().await.contains("8388609"), "the length that was announced is named");
        site.assert_serves("one byte too many").await;

        // Something of the greatest length that is allowed, and still no list of requests.
        let mut raw = site.guest().await;
        raw.frame(&vec![0xC1; MAX_CLIENT_FRAME]).await;
        raw.until_closed().await;
        site.assert_serves("8 MiB of garbage").await;

        // Well-formed, and about shards and levels that do not exist: answers, not endings.
        let mut raw = site.guest().await;
        let foreign = Request {
            id: 7,
            body: RequestBody::Read {
                shard: placement::ShardId(77),
                query: Query::Field(field(0)),
                level: Level::Strong,
                after: paxos::Slot::ZERO,
            },
        };
        let answers = raw.ask(&[foreign]).await;
        let refused = matches!(&answers[..], [Answer { id: 7, body: AnswerBody::Refused(Refusal::Moved { .. }) }]);
        assert!(refused, "{answers:?}");
        // Too many fields at once, and one that another shard holds.
        let asked = |id, shard, count| {
            let query = Query::Fields(vec![field(0); count]);
            let (level, after) = (Level::Eventual, paxos::Slot::ZERO);
            Request { id, body: RequestBody::Read { shard, query, level, after } }
        };
        let home = shard_of(&site.operator, 0);
        let other = placement::ShardId(if home.0 == 1 { 2 } else { 1 });
        let most = wire::client::MAX_FIELDS;
        for (request, word) in [(asked(9, home, most + 1), "Invalid"), (asked(10, other, 2), "Moved")] {
            let answers = raw.ask(&[request]).await;
            let refused = matches!(&answers[..], [Answer { body: AnswerBody::Refused(_), .. }]);
            assert!(refused && format!("{answers:?}").contains(word), "{word} expected: {answers:?}");
        }
        let answers = raw.ask(&[asked(11, home, most)]).await;
        let whole = matches!(&answers[..], [Answer { body: AnswerBody::Read { reply: Reply::Fields(all), .. }, .. }] if all.len() == most);
        assert!(whole, "{answers:?}");
        assert_eq!(raw.ask(&[read(8, 0)]).await[0].id, 8, "the connection goes on");
    });
    site.cluster.down();
}

#[test]
fn a_replayed_claim_is_applied_once_and_hears_its_first_answer_again() {
    let mut site = Site::new("frames-replay");
    site.operator.run(async {
        let mut raw = site.guest().await;
        let deadline = Millis(site.operator.client().time().0 + 60_000);
        let claim = |id: u64, number: u64, client: u128, player: &str, at: u32| Request {
            id,
            body: RequestBody::Command {
                shard: shard_of(&site.operator, at),
                envelope: Envelope {
                    client: ClientId(client),
                    number: RequestNo(number),
                    floor: RequestNo(1),
                    deadline,
                    player: player.parse().expect("a name"),
                    command: Command::Claim { field: field(at), character: CharacterId(0) },
                },
            },
        };
        let first = outcome(raw.ask(&[claim(1, 1, 99, "sid", 0)]).await);
        assert!(matches!(first, Outcome::Done { .. }), "{first:?}");
        // The same frame, again and again, here and on another connection, and twice in one frame.
        for _ in 0..3 {
            assert_eq!(outcome(raw.ask(&[claim(1, 1, 99, "sid", 0)]).await), first);
        }
        let mut other = site.guest().await;
        assert_eq!(outcome(other.ask(&[claim(2, 1, 99, "sid", 0)]).await), first);
        let seen = site.operator.client().field(field(0), ReadOptions::strong()).await.expect("it serves");
        assert_eq!((seen.field.version, seen.field.owner), (1, Some("sid".parse().expect("a name"))));
        // A new number is a new claim.
        let again = outcome(raw.ask(&[claim(3, 2, 99, "sid", 0)]).await);
        assert!(matches!(again, Outcome::Rejected(_)), "{again:?}");
        site.assert_serves("replays").await;
    });
    site.cluster.down();
}

#[test]
fn tokens_that_are_forged_foreign_or_expired_are_refused_with_a_reason() {
    let mut site = Site::new("frames-tokens");
    let key = TokenKey::load(&site.cluster.data().join("ca/token.key")).expect("founded with the cluster");
    let foreign_key = TokenKey::create().expect("randomness");
    let foreign_cluster = draw_cluster_id().expect("randomness");
    let cluster = site.profile.cluster;
    let token = |cluster, expires| Token { cluster, subject: Subject::LocalOperator, issued: Millis(0), expires };
    let good = key.issue(&token(cluster, None));
    let mut flipped = good.as_bytes().to_vec();
    *flipped.last_mut().expect("not empty") ^= 1;
    site.operator.run(async {
        for (what, bytes, said) in [
            ("another key", foreign_key.issue(&token(cluster, None)).as_bytes().to_vec(), "not this cluster's"),
            ("another cluster", key.issue(&token(foreign_cluster, None)).as_bytes().to_vec(), "is for cluster"),
            ("expired", key.issue(&token(cluster, Some(Millis(1)))).as_bytes().to_vec(), "expired"),
            ("changed", flipped, "not this cluster's"),
            ("none", Vec::new(), "0 bytes"),
            ("far too long", vec![7; 3_000], "3000 bytes"),
        ] {
            let mut raw = site.stranger().await;
            match raw.hello(&bytes).await {
                Greeting::Goodbye { reason, .. } => assert!(reason.contains(said), "{what}: {reason}"),
                Greeting::Welcome(_) => panic!("{what}: welcomed"),
            }
            raw.until_closed().await;
            site.assert_serves(what).await;
        }
        // And a client that is of another cluster altogether does not even take this node for one of its own.
        let elsewhere = ClusterCa::create(foreign_cluster).expect("randomness");
        let folder = site.cluster.folder().join("elsewhere");
        std::fs::create_dir(&folder).expect("ours");
        elsewhere.save(&folder).expect("ours");
        let stranger = Profile { cluster: foreign_cluster, ca: folder.join("ca.crt"), ..site.profile.clone() };
        match Client::connect(stranger, client::Options::default()).await {
            Err(ConnectError::Nobody(tried)) => {
                let why = tried[0].to_string();
                assert!(why.contains("profile of another cluster"), "{why}");
            }
            other => panic!("{other:?}"),
        }
        site.assert_serves("a client of another cluster").await;
    });
    site.cluster.down();
}

/// A node's own certificate in the hands of somebody who sends what no node sends.
#[test]
fn garbage_from_a_genuine_peer_is_dropped_and_counted_and_the_node_goes_on() {
    let mut cluster = Cluster::start("frames-genuine", Options { nodes: 3, shards: 2 });
    let (operator, profile) = (cluster.operator(), cluster.profile());
    let (pid, bad) = (cluster.pid(NodeId(1)), bad_frames(&cluster));
    cluster.kill(NodeId(3));
    let identity = NodeIdentity::load(&cluster.home(NodeId(3)).join("keys"), profile.cluster, NodeId(3));
    let addr = profile.nodes[0].quic.parse().expect("the profile has addresses");
    operator.run(async {
        let listen = ([127, 0, 0, 1], 0).into();
        let mut config = transport::TransportConfig::new(identity.expect("its keys"), listen, vec![(NodeId(1), addr)]);
        config.limits.peer_frame *= 2;
        config.limits.peer_queue *= 2;
        let (transport, _events) = transport::Transport::bind(config).expect("a free port");
        let pull = wire::peer::PeerMessage::Pull { shard: placement::ShardId(1), slot: None, after: None };
        let frame = wire::peer::Frame { messages: vec![pull], ..Default::default() };
        let frames = [vec![0xC1; 300], half(&encode(&frame)), vec![0x91; 100_000], vec![0xDD, 0xFF, 0xFF, 0xFF, 0xFF]];
        let count = frames.len() as u64;
        until("the node takes it for n3", Duration::from_secs(20), || {
            let peers = transport.peers();
            if peers.iter().all(|peer| peer.connected) { Ok(()) } else { Err(format!("{peers:?}")) }
        });
        for body in frames {
            transport.send(NodeId(1), body.into()).expect("it is connected");
        }
        counted(&cluster, bad + count);
        let too_long = vec![0; wire::codec::MAX_PEER_FRAME + 1];
        transport.send(NodeId(1), too_long.into()).expect("there is room");
        counted(&cluster, bad + count + 1);
        let read = operator.client().field(field(0), ReadOptions::strong()).await;
        assert!(read.is_ok(), "{read:?}");
    });
    assert_eq!(cluster.running(NodeId(1)), Some(pid), "the very same process");
    cluster.restart(NodeId(3));
    cluster.wait_ready(&[NodeId(3)], Duration::from_secs(30));
    cluster.down();
}

fn bad_frames(cluster: &Cluster) -> u64 {
    let (_, text) = cluster_tests::http::get(&cluster.http(NodeId(1)), "/metrics").expect("it answers");
    let line = text.lines().find_map(|line| line.strip_prefix("icefarm_bad_frames_total "));
    line.expect("it is there").parse().expect("a count")
}

fn counted(cluster: &Cluster, expected: u64) {
    until("they are counted", Duration::from_secs(20), || match bad_frames(cluster) {
        found if found == expected => Ok(()),
        found => Err(format!("{found} of {expected}")),
    });
}

#[test]
fn a_node_of_another_cluster_is_not_taken_for_a_peer() {
    let mut site = Site::new("frames-peer");
    let foreign = ClusterCa::create(draw_cluster_id().expect("randomness")).expect("randomness");
    let identity: NodeIdentity = foreign.issue_node(NodeId(2)).expect("an authority can");
    let addr = site.profile.nodes[0].quic.parse().expect("the profile has addresses");
    site.operator.run(async {
        let listen = ([127, 0, 0, 1], 0).into();
        let config = transport::TransportConfig::new(identity, listen, vec![(NodeId(1), addr)]);
        let (transport, mut events) = transport::Transport::bind(config).expect("a free port");
        let trouble = async {
            loop {
                let peer = transport.peers().into_iter().next().expect("there is one");
                assert!(!peer.connected, "{peer:?}");
                if let Some(trouble) = peer.trouble {
                    return trouble;
                }
                // It polls.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let trouble = tokio::time::timeout(Duration::from_secs(15), trouble).await.expect("it is refused soon");
        println!("a node of another cluster: {trouble}");
        assert!(events.try_recv().is_none());
        site.assert_serves("a foreign node").await;
    });
    site.cluster.down();
}

fn field(nth: u32) -> FieldId {
    FieldId::new(30_980 + nth, 8_190).expect("on the grid")
}

fn shard_of(operator: &Operator, nth: u32) -> placement::ShardId {
    let seen = operator.client().shards();
    let bucket = world::Bucket::of_chunk(operator.client().seed(), field(nth).chunk()).0;
    let shards = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(seen)).expect("it serves");
    let home = shards.shards.iter().find(|shard| (shard.buckets.0..=shard.buckets.1).contains(&bucket));
    home.expect("every bucket has a shard").shard
}

fn read(id: u64, nth: u32) -> Request {
    let body = RequestBody::Read {
        shard: placement::ShardId(1),
        query: Query::Field(field(nth)),
        level: Level::Eventual,
        after: paxos::Slot::ZERO,
    };
    Request { id, body }
}

fn hello(profile: &Profile) -> Hello {
    Hello { version: wire::client::VERSION, token: profile.token.as_bytes().to_vec() }
}

fn half(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

/// A read of a field whose packed number lies beyond the grid.
fn off_the_grid() -> Vec<u8> {
    let good = encode(&vec![read(1, 0)]);
    let number = encode(&field(0));
    let at = good.windows(number.len()).position(|window| window == &number[..]).expect("the field is in there");
    let mut bad = good.to_vec();
    // The number's high bytes follow its marker: y becomes far too large.
    bad[at + 1..at + number.len()].fill(0xFF);
    bad
}

fn outcome(answers: Vec<Answer>) -> Outcome {
    match answers.into_iter().next().map(|answer| answer.body) {
        Some(AnswerBody::Applied { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}
