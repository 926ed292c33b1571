//! Imports run one way only, pure crates are built on pure ones, and what tests need changes nothing that is tested.

use super::{Finding, tree::Tree};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No clock, no OS randomness, no tokio: values in, values out.
    Pure,
    /// Deterministic too, but a program: the simulator.
    Deterministic,
    /// Talks to the world.
    Io,
}
use Kind::{Deterministic, Io, Pure};

/// One crate and what it may know.
pub struct Layer {
    pub name: &'static str,
    pub kind: Kind,
    /// Crates of ours that it may name.
    pub knows: &'static [&'static str],
}

const fn layer(name: &'static str, kind: Kind, knows: &'static [&'static str]) -> Layer {
    Layer { name, kind, knows }
}

/// Lowest first: each knows only crates above its own line here, so there can be no cycle. `ARCHITECTURE.md` tells why.
pub const LAYERS: &[Layer] = &[
    layer("world", Pure, &[]),
    layer("paxos", Pure, &[]),
    layer("placement", Pure, &["world", "paxos"]),
    layer("wire", Pure, &["world", "paxos", "placement"]),
    layer("shard", Pure, &["world", "paxos", "placement", "wire"]),
    layer("host", Pure, &["world", "paxos", "placement", "wire", "shard"]),
    layer("client-proto", Pure, &["world", "paxos", "placement", "wire"]),
    layer("checker", Pure, &["world", "paxos", "placement", "wire"]),
    layer("storage", Io, &["world", "paxos", "placement"]),
    layer("transport", Io, &["world", "paxos", "placement", "wire"]),
    layer("client", Io, &["world", "paxos", "placement", "wire", "client-proto", "transport"]),
    layer("json", Io, &["world", "paxos", "placement", "wire", "client"]),
    layer("gateway", Io, &["world", "paxos", "placement", "wire", "transport", "client", "json"]),
    layer(
        "node",
        Io,
        &["world", "paxos", "placement", "wire", "shard", "host", "storage", "transport", "client", "json", "gateway"],
    ),
    layer("icefarm", Io, &["world", "paxos", "placement", "wire", "storage", "transport", "client", "json", "node"]),
    layer(
        "sim",
        Deterministic,
        &["world", "paxos", "placement", "wire", "shard", "host", "client-proto", "checker", "storage"],
    ),
    layer(
        "icefarm-load",
        Io,
        &["world", "paxos", "placement", "wire", "checker", "storage", "transport", "client-proto", "client"],
    ),
    layer(
        "cluster-tests",
        Io,
        &["world", "paxos", "placement", "wire", "checker", "storage", "transport", "client-proto", "client"],
    ),
    layer("xtask", Io, &[]),
];

/// What a pure crate may name itself. A new one is a decision: it must be deterministic and read nothing.
const PURE_EXTERNALS: [&str; 11] = [
    "base64",
    "bytes",
    "rand_core",
    "rand_xoshiro",
    "rmp-serde",
    "serde",
    "serde_bytes",
    "thiserror",
    "toml",
    "unicode-normalization",
    "xxhash-rust",
];

/// What may not be linked into a pure crate, however deep, with what it would bring.
const IMPURE: [(&str, &str); 17] = [
    ("ahash", "maps of random order"),
    ("async-std", "a runtime"),
    ("chrono", "the clock"),
    ("dashmap", "maps shared between threads"),
    ("getrandom", "the system's randomness"),
    ("hyper", "the network"),
    ("mio", "the network"),
    ("quinn", "the network"),
    ("quinn-proto", "the network"),
    ("rand", "the system's randomness"),
    ("rayon", "threads"),
    ("redb", "files"),
    ("ring", "the system's randomness"),
    ("rustls", "the system's randomness"),
    ("socket2", "the network"),
    ("time", "the clock"),
    ("tokio", "a runtime"),
];

/// What the simulator may not link: with these it would no longer be one thread under one seed.
const UNDETERMINISTIC: [&str; 6] = ["getrandom", "mio", "quinn", "rand", "rayon", "tokio"];

/// What may not be in the build at all.
const NEVER: [(&str, &str); 3] = [
    ("aws-lc-rs", "a second TLS provider beside ring makes rustls panic at run time"),
    ("aws-lc-sys", "a second TLS provider beside ring makes rustls panic at run time"),
    ("openssl-sys", "we verify certificates with rustls alone"),
];

/// The row of a crate.
pub fn of(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &tree.members {
        let manifest = format!("{}/Cargo.toml", member.folder);
        let mut error = |problem: String| findings.push(Finding::error(manifest.as_str(), 0, problem));
        let Some(layer) = of(&member.name) else {
            error(format!("'{}' has no layer: give it one in crates/xtask/src/tidy/layers.rs", member.name));
            continue;
        };
        for sibling in member.siblings.iter().filter(|sibling| !layer.knows.contains(&sibling.as_str())) {
            error(format!("{} must not know {sibling} (see LAYERS in crates/xtask/src/tidy/layers.rs)", member.name));
        }
        if layer.kind == Pure {
            for external in member.externals.iter().filter(|name| !PURE_EXTERNALS.contains(&name.as_str())) {
                error(format!("{} is pure and must not be built on {external}", member.name));
            }
            for (name, brings) in IMPURE.iter().filter(|(name, _)| member.reaches.contains(*name)) {
                error(format!("{} is pure, but {name} is linked into it, which brings {brings}", member.name));
            }
        }
        if layer.kind == Deterministic {
            for name in UNDETERMINISTIC.iter().filter(|name| member.reaches.contains(**name)) {
                error(format!("{} is one thread under one seed, but {name} is linked into it", member.name));
            }
        }
    }
    let asked = |feature: &String| tree.members.iter().any(|member| member.features.contains(feature));
    for member in &tree.members {
        for feature in member.test_features.iter().filter(|feature| !asked(feature)) {
            let problem = format!(
                "only tests of {} ask for {feature}: programs would be built twice, and tested otherwise than they run",
                member.name
            );
            findings.push(Finding::error(format!("{}/Cargo.toml", member.folder), 0, problem));
        }
    }
    let never = NEVER.iter().filter(|(name, _)| tree.packages.contains(*name));
    findings.extend(never.map(|(name, why)| Finding::error("Cargo.lock", 0, format!("{name} is in the build: {why}"))));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::Member;

    fn tree(name: &str, change: impl FnOnce(&mut Member)) -> Tree {
        let mut member = Member { name: name.to_owned(), folder: format!("crates/{name}"), ..Member::default() };
        change(&mut member);
        Tree { members: vec![member], ..Tree::default() }
    }

    fn problems(tree: &Tree) -> Vec<String> {
        check(tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_row_knows_only_rows_above_it() {
        for (at, layer) in LAYERS.iter().enumerate() {
            for known in layer.knows {
                assert!(LAYERS[..at].iter().any(|above| above.name == *known), "{} knows {known}", layer.name);
            }
        }
    }

    #[test]
    fn a_pure_crate_knows_only_pure_crates() {
        for layer in LAYERS.iter().filter(|layer| layer.kind == Pure) {
            for known in layer.knows {
                assert!(of(known).is_some_and(|known| known.kind == Pure), "{} knows {known}", layer.name);
            }
        }
    }

    #[test]
    fn a_lower_layer_that_imports_a_higher_one_is_found() {
        let found = problems(&tree("paxos", |member| {
            member.siblings.insert("world".to_owned());
        }));
        assert!(found.len() == 1 && found[0].contains("paxos must not know world"), "{found:?}");
        let found = problems(&tree("client-proto", |member| {
            member.siblings.insert("host".to_owned());
        }));
        assert!(found.len() == 1 && found[0].contains("client-proto must not know host"), "{found:?}");
        assert!(
            problems(&tree("host", |member| {
                member.siblings.insert("shard".to_owned());
            }))
            .is_empty()
        );
    }

    #[test]
    fn a_pure_crate_on_a_runtime_is_found_however_deep_the_runtime_sits() {
        let found = problems(&tree("shard", |member| {
            member.reaches.insert("tokio".to_owned());
        }));
        assert!(found.len() == 1 && found[0].contains("brings a runtime"), "{found:?}");
        assert!(
            problems(&tree("node", |member| {
                member.reaches.insert("tokio".to_owned());
            }))
            .is_empty()
        );
    }

    #[test]
    fn a_pure_crate_on_an_unapproved_dependency_is_found() {
        let found = problems(&tree("world", |member| {
            member.externals.insert("rand".to_owned());
        }));
        assert!(found.len() == 1 && found[0].contains("must not be built on rand"), "{found:?}");
    }

    #[test]
    fn a_feature_for_tests_alone_is_found() {
        let testing = |member: &mut Member| _ = member.test_features.insert("tokio/test-util".to_owned());
        let found = problems(&tree("gateway", testing));
        assert!(found.len() == 1 && found[0].contains("tokio/test-util: programs would be built twice"), "{found:?}");
        let both = |member: &mut Member| {
            testing(member);
            member.features.insert("tokio/test-util".to_owned());
        };
        assert_eq!(problems(&tree("gateway", both)), [""; 0]);
    }

    #[test]
    fn a_simulator_with_threads_of_its_own_is_found() {
        let found = problems(&tree("sim", |member| {
            member.reaches.insert("rayon".to_owned());
        }));
        assert!(found.len() == 1 && found[0].contains("rayon"), "{found:?}");
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        let found = problems(&tree("helpers", |_| {}));
        assert!(found.len() == 1 && found[0].contains("has no layer"), "{found:?}");
    }

    #[test]
    fn a_second_tls_provider_is_found() {
        let tree = Tree { packages: ["aws-lc-sys".to_owned()].into(), ..Tree::default() };
        let found = problems(&tree);
        assert!(found.len() == 1 && found[0].starts_with("Cargo.lock: aws-lc-sys"), "{found:?}");
    }
}
