//! Keys, certificates and tokens.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is a finding")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::{N1, N2, Scratch, authority};
use transport::{
    ClusterCa, ClusterCert, ClusterId, IdentityError, KeyFileError, NodeIdentity, SignedToken, Subject, Token,
    TokenError, TokenKey, TokenKeyError, TokenPublic, draw_cluster_id,
};
use world::{Millis, PlayerName};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_written_for_their_owner_only_and_load_again() {
    let directory = Scratch::new();
    let ca = authority();
    let cluster = ca.cert().cluster();
    ca.save(directory.path()).unwrap();
    let node = directory.path().join("n1");
    ca.issue_node(N1).unwrap().save(&node).unwrap();
    let token_key = directory.path().join("token.key");
    let key = TokenKey::create().unwrap();
    key.save(&token_key).unwrap();
    for secret in [directory.path().join("ca.key"), node.join("node.key"), token_key.clone()] {
        assert_eq!(mode(&secret), 0o600, "{}", secret.display());
    }
    let again = ClusterCa::load(directory.path(), cluster).unwrap();
    assert_eq!(again.cert(), ca.cert());
    let identity = NodeIdentity::load(&node, cluster, N1).unwrap();
    assert_eq!((identity.node(), identity.cluster()), (N1, cluster));
    assert_eq!(TokenKey::load(&token_key).unwrap().public(), key.public());
    let shown = format!("{ca:?} {identity:?} {key:?}");
    assert!(!shown.contains("PRIVATE") && shown.len() < 250, "{shown}");
}

#[tokio::test]
async fn a_node_signed_by_a_loaded_authority_is_accepted() {
    let directory = Scratch::new();
    let ca = authority();
    ca.save(directory.path()).unwrap();
    let again = ClusterCa::load(directory.path(), ca.cert().cluster()).unwrap();
    let (_one, mut at_one, addr) = support::bind(support::config(&ca, N1, &[(N2, support::unused())]));
    let (_two, _at_two, _) = support::bind(support::config(&again, N2, &[(N1, addr)]));
    assert_eq!(support::next(&mut at_one).await, transport::Event::PeerUp(N2));
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let directory = Scratch::new();
    let path = directory.path().join("token.key");
    TokenKey::create().unwrap().save(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = TokenKey::load(&path).unwrap_err();
    assert!(matches!(error, TokenKeyError::File(KeyFileError::Exposed { mode: 0o640, .. })));
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn files_that_do_not_fit_are_refused_by_name() {
    let directory = Scratch::new();
    let ca = authority();
    let cluster = ca.cert().cluster();
    let (one, two) = (directory.path().join("n1"), directory.path().join("n2"));
    let missing = NodeIdentity::load(&one, cluster, N1).unwrap_err().to_string();
    assert!(missing.contains(&one.join("ca.crt").display().to_string()), "{missing}");
    ca.issue_node(N1).unwrap().save(&one).unwrap();
    ca.issue_node(N2).unwrap().save(&two).unwrap();
    assert!(matches!(NodeIdentity::load(&one, cluster, N2), Err(IdentityError::SomebodyElse { .. })));
    let other = ClusterId(cluster.0 ^ 1);
    assert!(matches!(ClusterCert::load(&one.join("ca.crt"), other), Err(IdentityError::SomebodyElse { .. })));
    std::fs::copy(two.join("node.key"), one.join("node.key")).unwrap();
    assert!(matches!(NodeIdentity::load(&one, cluster, N1), Err(IdentityError::KeyMismatch { .. })));
    std::fs::write(one.join("node.crt"), "not a certificate").unwrap();
    assert!(matches!(NodeIdentity::load(&one, cluster, N1), Err(IdentityError::Malformed { .. })));
}

const NOW: Millis = Millis(1_000_000);

fn token(cluster: ClusterId) -> Token {
    let subject = Subject::Player(PlayerName::new("scrat").unwrap());
    Token { cluster, subject, issued: NOW, expires: Some(NOW.plus(1_000)) }
}

#[test]
fn a_token_says_what_was_signed() {
    let key = TokenKey::create().unwrap();
    let cluster = draw_cluster_id().unwrap();
    for token in [token(cluster), Token { subject: Subject::LocalOperator, expires: None, ..token(cluster) }] {
        let signed: SignedToken = key.issue(&token).to_hex().parse().unwrap();
        let public: TokenPublic = key.public().to_string().parse().unwrap();
        assert_eq!(public.verify(signed.as_bytes(), NOW, cluster), Ok(token));
    }
}

#[test]
fn a_token_with_any_bit_changed_is_refused() {
    let key = TokenKey::create().unwrap();
    let cluster = draw_cluster_id().unwrap();
    let signed = key.issue(&token(cluster));
    for bit in 0..signed.as_bytes().len() * 8 {
        let mut changed = signed.as_bytes().to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.public().verify(&changed, NOW, cluster), Err(TokenError::Signature), "bit {bit}");
    }
}

#[test]
fn tokens_of_another_key_another_cluster_another_time_or_no_token_at_all_are_refused() {
    let key = TokenKey::create().unwrap();
    let cluster = draw_cluster_id().unwrap();
    let signed = key.issue(&token(cluster));
    let verify = |now, ours| key.public().verify(signed.as_bytes(), now, ours);
    let other = ClusterId(cluster.0 ^ 1);
    assert_eq!(verify(NOW, other), Err(TokenError::OtherCluster { theirs: cluster, ours: other }));
    let end = NOW.plus(1_000);
    assert_eq!(verify(end, cluster), Err(TokenError::Expired { expired: end, now: end }));
    assert!(verify(Millis(end.0 - 1), cluster).is_ok());
    let stranger = TokenKey::create().unwrap().public();
    assert_eq!(stranger.verify(signed.as_bytes(), NOW, cluster), Err(TokenError::Signature));
    for length in [0, 1, 64, 513, 1 << 20] {
        assert_eq!(key.public().verify(&vec![0; length], NOW, cluster), Err(TokenError::Length(length)));
    }
}

#[test]
fn a_cluster_id_is_its_text_and_two_are_never_the_same() {
    let one = draw_cluster_id().unwrap();
    assert_eq!(one.to_string().parse(), Ok(one));
    assert_eq!(one.to_string().len(), 32);
    assert_ne!(one, draw_cluster_id().unwrap());
    for wrong in ["", "0", "x", &"0".repeat(31), &"0".repeat(33), &"é".repeat(16)] {
        assert!(wrong.parse::<ClusterId>().is_err(), "{wrong}");
    }
}
