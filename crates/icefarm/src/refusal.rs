//! From what the SDK says to a [`Failure`]: status, sentence, hint, and the object for scripts.

use crate::exit::{Exit, Failure};
use crate::words;
use client::{Applied, ConnectError, Error, Reason};
use json::{Problem, building_name, crop_name};
use paxos::NodeId;
use wire::Level;
use world::command::EntryKind;
use world::{Millis, Rejection, RuleBook};

/// What is needed to put an error into words.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What was tried, for example `claim 31000,8200`.
    pub doing: &'a str,
    /// Names.
    pub rules: &'a RuleBook,
    /// The cluster's time.
    pub now: Millis,
    /// The level that was asked for, if it was a read.
    pub level: Option<Level>,
}

/// An operation failed.
pub fn failure(error: &Error, context: Context<'_>) -> Failure {
    let doing = context.doing;
    match error {
        Error::Rejected(rejection, receipt) => rejected(rejection, receipt, context),
        Error::Unavailable { applied, reason, missing, retry_after_ms } => {
            let problem = Problem::unavailable(applied.word(), reason.word(), missing, *retry_after_ms);
            let (message, hint) = unavailable(error, *applied, *reason, missing, context);
            Failure::new(Exit::Unavailable, message).hint(hint).with_problem(problem)
        }
        Error::NotAllowed { .. } => Failure::new(Exit::NotAllowed, format!("{doing}: {error}"))
            .hint("ask the cluster's operator for a profile whose token allows it"),
        Error::Invalid { .. } => Failure::new(Exit::Usage, format!("{doing}: {error}")),
        Error::Closed => Failure::new(Exit::Bug, format!("{doing}: {error}")),
    }
}

fn unavailable(
    error: &Error,
    applied: Applied,
    reason: Reason,
    missing: &[NodeId],
    context: Context<'_>,
) -> (String, String) {
    let doing = context.doing;
    let hint = match (applied, reason) {
        (Applied::Unknown, _) => "look with `icefarm field X,Y` before you try again: it may have taken effect".into(),
        (_, Reason::DiskFull) => format!(
            "nothing was done; free space on the disk of {} (`icefarm admin nodes` says where the data is): it goes on by itself",
            words::list(missing.iter())
        ),
        (_, Reason::NotLeader) => "leave --from out, or add --read eventual".into(),
        (_, Reason::TooStale | Reason::Behind) => {
            let level = context.level.map_or_else(String::new, |level| format!(" '{level}'"));
            format!("the level{level} asks for more than could be shown: try again, ask for less, or leave --from out")
        }
        (_, Reason::NoReplica) => "leave --from out, or name another node (see `icefarm admin shards`)".into(),
        _ if missing.is_empty() => "nothing was done; try again, and see `icefarm admin status`".into(),
        _ => format!(
            "nothing was done; restart {} (`icefarm node --config DATA/{}/node.toml`), and see `icefarm admin nodes`",
            words::list(missing.iter()),
            missing[0]
        ),
    };
    (format!("{doing}: {error}"), hint)
}

fn rejected(rejection: &Rejection, receipt: &wire::Receipt, context: Context<'_>) -> Failure {
    let (message, hint) = explain(rejection, context);
    let problem = Problem::rejected(rejection, Some(receipt), context.rules);
    let failure = Failure::new(Exit::Rejected, format!("{}: {message}", context.doing)).with_problem(problem);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What happened, and what to do next.
fn explain(rejection: &Rejection, context: Context<'_>) -> (String, Option<String>) {
    let rules = context.rules;
    let own = rejection.to_string();
    match *rejection {
        Rejection::AlreadyOwned { field, .. } => {
            (own, Some(format!("look for free land nearby: icefarm view {}", words::around(field))))
        }
        Rejection::NotOwner { field, owner: None } => {
            (format!("nobody owns {field}"), Some(format!("claim it first: icefarm claim {field}")))
        }
        Rejection::AlreadyPlanted { field, crop } => (
            format!("{} grows on {field} already", crop_name(rules, crop)),
            Some(format!("harvest it when it is ripe: icefarm field {field}")),
        ),
        Rejection::NotRipe { field, at } => {
            let wait = words::duration(at.0.saturating_sub(context.now.0));
            (format!("the crop on {field} is not ripe yet: {wait} to go"), None)
        }
        Rejection::WrongTerrain { field, terrain } => {
            let grows = rules.crops.iter().filter(|crop| crop.grows_on.contains(terrain));
            let grows: Vec<&str> = grows.map(|crop| crop.name.as_str()).collect();
            (
                format!("that crop does not grow on {terrain}, which {field} is"),
                Some(format!("{} do", grows.join(", "))),
            )
        }
        Rejection::AlreadyBuilt { field, building } => {
            (format!("{field} has a {} already", building_name(rules, building)), None)
        }
        Rejection::Unknown { kind: EntryKind::Character | EntryKind::Crop | EntryKind::Building, .. } => {
            (own, Some("the rules have changed meanwhile: try again".into()))
        }
        _ => (own, None),
    }
}

/// There is no such player.
pub fn no_such_player(name: &str, receipt: Option<&wire::Receipt>) -> Failure {
    let problem = Problem::no_such_player(name, receipt);
    Failure::new(Exit::Rejected, format!("nobody called '{name}' has entered the world"))
        .hint(format!("a name enters with its first command: icefarm claim X,Y --as {name}"))
        .with_problem(problem)
}

/// No node took us.
pub fn not_connected(error: &ConnectError, profile: &str) -> Failure {
    if error.is_not_allowed() {
        return Failure::new(Exit::NotAllowed, error.to_string()).hint(format!(
            "the token in {profile} is not good for this cluster: ask its operator for another profile"
        ));
    }
    match error {
        ConnectError::Nobody(tried) => {
            let missing: Vec<NodeId> = tried.iter().map(|tried| tried.node).collect();
            let problem = Problem::unavailable("no", Reason::NotConnected.word(), &missing, 500);
            // Most reasons name the node themselves.
            let why = tried.iter().map(|tried| {
                let why = tried.why.to_string();
                if why.starts_with(&format!("{} ", tried.node)) { why } else { tried.to_string() }
            });
            let why: Vec<String> = why.collect();
            Failure::new(Exit::Unavailable, format!("no node can be reached: {}", why.join("; ")))
                .hint(format!("is the cluster of {profile} running? `icefarm up` starts one on this machine"))
                .with_problem(problem)
        }
        _ => Failure::new(Exit::Machine, error.to_string()).hint(format!("the profile in use is {profile}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use world::{Acorns, BuildingId, CropId, FieldId, Terrain};

    fn of(error: &Error) -> Failure {
        let rules = samples::rules();
        failure(error, Context { doing: "plant 5,6", rules: &rules, now: Millis(1_000), level: Some(Level::Session) })
    }

    fn object(failure: &Failure) -> String {
        serde_json::to_string(&failure.problem()).unwrap()
    }

    #[test]
    fn a_rejection_has_its_reason_and_the_offending_values() {
        let field: FieldId = "5,6".parse().unwrap();
        let receipt = r#""receipt":{"shard":12,"node":"n2","slot":811,"level":"strong","bound_ms":0}}"#;
        let cases = [
            (
                Rejection::AlreadyOwned { field, owner: samples::name("scrat") },
                r#""reason":"already_owned","owner":"scrat""#,
            ),
            (Rejection::NotOwner { field, owner: None }, r#""reason":"not_owner","owner":null"#),
            (Rejection::NotClaimable { field, terrain: Terrain::Lake }, r#""reason":"not_claimable","terrain":"lake""#),
            (
                Rejection::TooManyInChunk { field, player: samples::name("scrat"), limit: 64 },
                r#""reason":"too_many_in_chunk","limit":64"#,
            ),
            (Rejection::AlreadyPlanted { field, crop: CropId(0) }, r#""reason":"already_planted","crop":"lichen""#),
            (Rejection::NothingPlanted { field }, r#""reason":"nothing_planted""#),
            (Rejection::NotRipe { field, at: Millis(61_000) }, r#""reason":"not_ripe","ripe_ms":61000"#),
            (
                Rejection::AlreadyBuilt { field, building: BuildingId(0) },
                r#""reason":"already_built","building":"igloo""#,
            ),
            (
                Rejection::PriceTooHigh { price: Acorns(9), max: Acorns(8) },
                r#""reason":"price_too_high","max":8,"price":9"#,
            ),
        ];
        for (rejection, middle) in cases {
            let failure = of(&Error::Rejected(rejection, samples::receipt()));
            assert_eq!(failure.status, Exit::Rejected);
            assert_eq!(object(&failure), format!(r#"{{"outcome":"rejected",{middle},{receipt}"#));
        }
    }

    #[test]
    fn people_hear_how_long_to_wait() {
        let rejection = Rejection::NotRipe { field: "5,6".parse().unwrap(), at: Millis(62_000) };
        let failure = of(&Error::Rejected(rejection, samples::receipt()));
        assert_eq!(failure.message, "plant 5,6: the crop on 5,6 is not ripe yet: 1 min 1 s to go");
    }

    #[test]
    fn unavailable_says_whether_it_was_applied_and_who_is_missing() {
        let error = Error::Unavailable {
            applied: Applied::Unknown,
            reason: Reason::NoQuorum,
            missing: vec![NodeId(2), NodeId(3)],
            retry_after_ms: 500,
        };
        let failure = of(&error);
        assert_eq!(failure.status, Exit::Unavailable);
        assert!(failure.message.contains("n2 and n3"), "{failure}");
        assert_eq!(
            object(&failure),
            r#"{"outcome":"unavailable","applied":"unknown","reason":"no_quorum","missing":["n2","n3"],"retry_after_ms":500}"#
        );
    }

    #[test]
    fn a_level_that_could_not_be_met_is_named() {
        let error = Error::Unavailable {
            applied: Applied::No,
            reason: Reason::TooStale,
            missing: Vec::new(),
            retry_after_ms: 500,
        };
        let failure = of(&error);
        assert_eq!((failure.status, failure.problem()), (Exit::Unavailable, Problem::not_applied("too_stale")));
        assert!(failure.hint.as_deref().unwrap_or_default().contains("'session'"), "{failure}");
    }

    #[test]
    fn not_allowed_and_invalid_have_statuses_of_their_own() {
        let refused = of(&Error::NotAllowed { reason: "not your field hand".into() });
        assert_eq!(refused.status, Exit::NotAllowed);
        assert_eq!(of(&Error::Invalid { reason: "no".into() }).status, Exit::Usage);
        assert!(object(&refused).starts_with(r#"{"outcome":"not_allowed","message":"#));
    }
}
