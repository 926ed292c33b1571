//! Who holds a shard changes while it is used: replicas added, promoted, moved, removed; leaders that hand over; and a node
//! whose disk is gone.

use client::Error;
use cluster_tests::cluster::MOMENT;
use cluster_tests::storm::{Aftermath, Plan, Storm, land};
use cluster_tests::{Cli, Cluster, Operator, Options, http, until};
use paxos::NodeId;
use placement::ShardId;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use wire::Change;
use world::{CharacterId, FieldId, Rejection};

const LONG: Duration = Duration::from_mins(1);
const SHARDS: u32 = 8;

fn voters(operator: &Operator) -> Vec<(ShardId, BTreeSet<NodeId>)> {
    operator.shards().shards.iter().map(|shard| (shard.shard, shard.voters.iter().copied().collect())).collect()
}

fn done(cli: &Cli, words: &str) {
    let _ = cli.words(words).expect(0);
}

fn refused(cli: &Cli, words: &str, status: i32, says: &[&str]) {
    let _ = cli.words(words).expect(status).says(says);
}

/// Fields that the storm did not claim.
fn spare(operator: &Operator, after: &Aftermath) -> Vec<FieldId> {
    let taken: BTreeSet<FieldId> = after.claims.iter().map(|claim| claim.field).collect();
    let mut land = land(operator.client().terrain(), taken.len() + 100, 20);
    land.retain(|field| !taken.contains(field));
    land
}

/// A latecomer claims them; at the first that fails, says why.
fn claim(operator: &Operator, fields: &[FieldId]) -> Result<(), Error> {
    operator.run(async {
        let farmer = operator.client().player("latecomer")?;
        farmer.register().await?;
        for field in fields {
            farmer.claim(*field, CharacterId(0)).await?;
        }
        Ok(())
    })
}

fn claim_all(operator: &Operator, fields: &[FieldId]) {
    // A leader may just be missed.
    for field in fields {
        until("claims are served", LONG, || match claim(operator, &[*field]) {
            Ok(()) => Ok(()),
            // By an earlier try.
            Err(Error::Rejected(Rejection::AlreadyOwned { owner, .. }, _)) if owner.as_str() == "latecomer" => Ok(()),
            Err(error) => Err(error.to_string()),
        });
    }
}

/// A change that a shard whose leader is just moving may need to be told twice.
fn change(operator: &Operator, shard: ShardId, change: Change) {
    until(&format!("{change:?} of shard {}", shard.0), LONG, || {
        operator.run(operator.client().change(shard, change)).map_err(|error| error.to_string())
    });
}

/// All shards leave n1 and n2 for the other three nodes, under load, their leaders too. Then those two are empty, may die
/// without anybody noticing, and everything is where it was after a restart of all.
#[test]
fn shards_move_from_two_nodes_to_two_others_under_a_storm_of_claims() {
    let plan = Plan { clients: 32, distinct: 8_000, contested: 1_000, patience: Duration::from_secs(50) };
    let mut cluster = Cluster::prepare("members-move", Options { nodes: 5, shards: SHARDS });
    cluster.up_with(&["--voters", "3"]);
    let operator = cluster.operator();
    let wanted: BTreeSet<NodeId> = [3, 4, 5].map(NodeId).into();
    let storm = Storm::begin(cluster.profile(), plan);
    storm.wait_percent(10, LONG);
    let cli = cluster.cli();
    let (begin, mut moves) = (Instant::now(), 0);
    for (shard, has) in voters(&operator) {
        for (old, new) in has.difference(&wanted).zip(wanted.difference(&has)) {
            done(&cli, &format!("admin replica replace {} {old} {new}", shard.0));
            moves += 1;
        }
    }
    assert!(moves >= SHARDS, "five nodes share the shards, so most have a replica on n1 or n2: {moves} moves");
    println!("{moves} replicas moved in {:?}, with {} claims answered", begin.elapsed(), storm.answered());
    let after = storm.end(plan);
    assert!(voters(&operator).iter().all(|(_, has)| *has == wanted), "{:?}", voters(&operator));
    until("n1 and n2 are empty", LONG, || {
        let shards = operator.shards().shards;
        let left = shards.iter().find(|shard| shard.replicas.keys().any(|node| !wanted.contains(node)));
        left.map_or(Ok(()), |shard| Err(format!("shard {}: {:?}", shard.shard.0, shard.replicas.keys())))
    });
    operator.wait_caught_up(LONG);
    after.is_at(&operator, wanted.iter().copied());
    cluster.down();

    cluster.up();
    let operator = cluster.operator();
    assert!(voters(&operator).iter().all(|(_, has)| *has == wanted), "after a restart: {:?}", voters(&operator));
    cluster.kill_together(&[NodeId(1), NodeId(2)]);
    let owners = operator.owners_at(NodeId(4), after.claims.iter().map(|claim| claim.field));
    assert_eq!(owners.len(), after.ownership().len());
    let begin = Instant::now();
    claim_all(&operator, &spare(&operator, &after)[..100]);
    println!("100 claims without n1 and n2 in {:?}", begin.elapsed());
    assert!(begin.elapsed() < LONG / 4, "n1 and n2 are missed");
}

/// What an operator may get wrong is refused with a reason, and a shard comes back from every step.
#[test]
fn one_replica_goes_round_and_the_leader_goes_where_it_is_told() {
    let mut cluster = Cluster::prepare("members-round", Options { nodes: 4, shards: SHARDS });
    cluster.up_with(&["--voters", "3"]);
    let operator = cluster.operator();
    let cli = cluster.cli();
    let (shard, has) = voters(&operator).swap_remove(0);
    let number = shard.0;
    let outsider = cluster.nodes().find(|node| !has.contains(node)).expect("four nodes, three voters");
    let insider = *has.first().expect("three voters");

    refused(&cli, &format!("admin replica promote {number} {outsider}"), 2, &["not a standby", "add it first"]);
    refused(&cli, &format!("admin transfer-leader {number} {outsider}"), 2, &["does not vote"]);
    refused(&cli, &format!("admin replica add {number} n9"), 2, &["n9"]);
    done(&cli, &format!("admin replica add {number} {outsider}"));
    let standbys = |operator: &Operator| {
        let shards = operator.shards().shards;
        shards.into_iter().find(|status| status.shard == shard).map(|status| status.standbys).unwrap_or_default()
    };
    assert_eq!(standbys(&operator), [outsider]);
    done(&cli, &format!("admin replica promote {number} {outsider}"));
    assert_eq!(voters(&operator)[0].1.len(), 4);
    done(&cli, &format!("admin transfer-leader {number} {outsider}"));
    let leads = |node: NodeId| {
        until(&format!("{node} leads"), MOMENT, || {
            let shards = operator.shards().shards;
            let leader = shards.into_iter().find(|status| status.shard == shard).and_then(|status| status.leader);
            if leader == Some(node) { Ok(()) } else { Err(format!("{leader:?} does")) }
        });
    };
    leads(outsider);
    // The leader is taken out of its own shard: another takes over.
    done(&cli, &format!("admin replica remove {number} {outsider}"));
    until("another leads", MOMENT, || {
        let status = operator.shards().shards.into_iter().find(|status| status.shard == shard).expect("it exists");
        match status.leader {
            Some(leader) if has.contains(&leader) && !status.replicas.contains_key(&outsider) => Ok(()),
            other => Err(format!("{other:?}, replicas at {:?}", status.replicas.keys())),
        }
    });
    assert_eq!(voters(&operator)[0].1, has);
    done(&cli, &format!("admin transfer-leader {number} {insider}"));
    leads(insider);
    // Said again, nothing more happens.
    done(&cli, &format!("admin replica remove {number} {outsider}"));
    cluster.down();
}

/// The disk of n3 is replaced by an empty one. It remembers no promise, so it must not vote, however friendly its answers:
/// with n2 dead too, nothing is acknowledged. Removed and added again it is a voter like any other.
#[test]
fn a_node_with_an_empty_disk_does_not_vote_until_it_is_added_again() {
    let (n1, n2, n3) = (NodeId(1), NodeId(2), NodeId(3));
    let mut cluster = Cluster::start("members-wiped", Options { nodes: 3, shards: SHARDS });
    let plan = Plan { clients: 8, distinct: 400, contested: 0, patience: Duration::from_secs(50) };
    let after = Storm::begin(cluster.profile(), plan).end(plan);
    cluster.kill(n3);
    std::fs::remove_dir_all(cluster.home(n3).join("data")).expect("the disk is replaced");
    cluster.restart(n3);
    let told = until("n3 says why it is not ready", LONG, || match http::get(&cluster.http(n3), "/readyz")? {
        (503, body) if body.contains("another disk") => Ok(body),
        (status, body) => Err(format!("{status} {body}")),
    });
    println!("n3: {told}");
    cluster.kill(n2);
    let operator = cluster.operator();
    let refused = claim(&operator, &spare(&operator, &after)[..1]);
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "nobody can vouch for it: {refused:?}");

    cluster.restart(n2);
    cluster.wait_ready(&[n1, n2], LONG);
    let operator = cluster.operator();
    for (shard, _) in voters(&operator) {
        change(&operator, shard, Change::Remove(n3));
        change(&operator, shard, Change::Add(n3));
        change(&operator, shard, Change::Promote(n3));
    }
    operator.wait_caught_up(LONG);
    cluster.wait_ready(&[n3], LONG);
    after.is_at(&operator, [n3].into_iter());
    cluster.kill(n2);
    // n1 and n3 are a majority again.
    claim_all(&operator, &spare(&operator, &after)[1..41]);
}
