use crate::nodes::*;
use client::{Profile, ProfileError};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use world::PlayerName;

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A profile's text that is right, for tests to spoil.
fn good(cluster: &Cluster) -> String {
    let path = cluster.path("good.toml");
    cluster.profile().save(&path).unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_saved_profile_is_a_secret_file_and_loads_as_it_was() {
    let cluster = Cluster::unstarted();
    let mut profile = cluster.profile();
    profile.player = Some(PlayerName::new("scrat \"the\" squirrel").unwrap());
    let path = cluster.path("client.toml");
    write(&path, "an old one, open to all", 0o644);
    profile.save(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Profile::load(&path).unwrap(), profile);
    assert!(std::fs::read_to_string(&path).unwrap().contains("ca = \"ca.pem\""), "relative, so that it can be moved");
    assert!(!format!("{profile:?}").contains(&profile.token.to_hex()), "never in a log");
}

#[test]
fn a_profile_that_others_can_read_is_not_used() {
    let cluster = Cluster::unstarted();
    let path = cluster.path("client.toml");
    cluster.profile().save(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = Profile::load(&path).unwrap_err();
    assert!(matches!(error, ProfileError::Exposed { mode: 0o640, .. }), "{error}");
}

#[test]
fn a_token_may_be_in_a_file_of_its_own_which_is_then_the_secret() {
    let cluster = Cluster::unstarted();
    let token = cluster.profile().token;
    let inline = format!("token = \"{}\"", token.to_hex());
    let text = good(&cluster).replace(&inline, "token_file = \"scrat.token\"");
    let path = cluster.path("client.toml");
    write(&path, &text, 0o644);
    let token_path = cluster.path("scrat.token");
    write(&token_path, &format!("{}\n", token.to_hex()), 0o600);
    assert_eq!(Profile::load(&path).unwrap().token, token);
    write(&token_path, "5d41", 0o600);
    let text = Profile::load(&path).unwrap_err().to_string();
    assert!(text.contains("client.toml:4: token_file = 'scrat.token'"), "{text}");
    write(&token_path, &token.to_hex(), 0o604);
    assert!(matches!(Profile::load(&path).unwrap_err(), ProfileError::Exposed { .. }));
}

#[test]
fn every_mistake_is_named_with_file_line_and_field() {
    let cluster = Cluster::unstarted();
    let good = good(&cluster);
    let addr = cluster.addr(paxos::NodeId(2)).to_string();
    let token = cluster.profile().token.to_hex();
    let mistakes = [
        (good.replace("cluster = \"", "cluster = \"xyz"), "2: cluster: 'xyz"),
        (good.replace("ca = \"ca.pem\"", "ca = \"\""), "3: ca: "),
        (good.replace(&token, "5d41"), "4: token: "),
        (good.replace("id = \"n2\"", "id = \"two\""), "13: id: 'two' is not a node"),
        (good.replace("id = \"n2\"", "id = \"n1\""), "13: id: n1 is listed twice"),
        (good.replace(&addr, "127.0.0.1"), "14: quic: '127.0.0.1' is not an address"),
        (good.replace(&addr, ":9001"), "14: quic: ':9001' is not an address"),
        (good.replace("region", "regoin"), "10: unknown field `regoin`"),
        (good.replacen("cluster =", "player = \"a\\tb\"\ncluster =", 1), "2: player: "),
        (good.replacen("token =", "token_file = \"x\"\ntoken =", 1), "4: token_file: "),
        (good[..good.find("\n[[nodes]]").unwrap()].to_owned(), "1: nodes: 0 of them"),
        (good.replace(&format!("token = \"{token}\""), ""), "1: there is no token"),
    ];
    let path = cluster.path("client.toml");
    for (text, expected) in mistakes {
        assert_ne!(text, good, "a mistake: {expected}");
        write(&path, &text, 0o600);
        let error = Profile::load(&path).unwrap_err().to_string();
        let expected = format!("{}:{expected}", path.display());
        assert!(error.starts_with(&expected), "{error}\nshould begin with\n{expected}");
        assert!(!error.contains(&token), "the token is nobody's business");
    }
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let cluster = Cluster::unstarted();
    let error = Profile::load(&cluster.path("lost.toml")).unwrap_err().to_string();
    assert!(error.contains("cannot open") && error.contains("lost.toml"), "{error}");
}
