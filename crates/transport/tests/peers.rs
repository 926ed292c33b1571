//! Node to node.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is a finding")]

mod support;

use bytes::Bytes;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::{LONG, N1, N2, N3, Scratch, anywhere, authority, bind, config, next, until, until_trouble, unused};
use tokio::sync::oneshot;
use tokio::time::timeout;
use transport::{ClusterCa, Event, NodeIdentity, SendError, Transport, TransportConfig, TransportError};

#[tokio::test]
async fn two_nodes_talk_in_order_and_in_every_size() {
    let ca = authority();
    let (one, mut at_one, addr) = bind(config(&ca, N1, &[(N2, unused())]));
    let (two, mut at_two, _) = bind(config(&ca, N2, &[(N1, addr)]));
    assert_eq!(next(&mut at_one).await, Event::PeerUp(N2));
    assert_eq!(next(&mut at_two).await, Event::PeerUp(N1));
    let sizes = [0_usize, 1, 128, 4_095, 4_096, 70_000, 3 << 20, 5, 16 << 20];
    let frames: Vec<Bytes> = sizes.iter().map(|&size| (0..=250).cycle().take(size).collect()).collect();
    for frame in &frames {
        one.send(N2, frame.clone()).unwrap();
        two.send(N1, frame.clone()).unwrap();
    }
    for frame in &frames {
        assert_eq!(next(&mut at_two).await, Event::PeerFrame { from: N1, frame: frame.clone() });
        assert_eq!(next(&mut at_one).await, Event::PeerFrame { from: N2, frame: frame.clone() });
    }
    assert_eq!(one.stats().frames_in, 9);
    assert_eq!(one.stats().bytes_out, sizes.iter().sum::<usize>() as u64);
    assert_eq!(one.send(N3, Bytes::new()), Err(SendError::NotConnected(N3)));
    assert_eq!(
        one.send(N2, vec![0; (16 << 20) + 1].into()),
        Err(SendError::TooLarge { len: (16 << 20) + 1, max: 16 << 20 })
    );
}

#[tokio::test]
async fn a_dialled_node_of_another_authority_is_refused_and_the_trouble_says_so() {
    let ca = authority();
    // The same cluster by name, so that only the signature differs.
    let impostor = ClusterCa::create(ca.cert().cluster()).unwrap();
    let (one, mut at_one, addr) = bind(config(&ca, N1, &[(N2, unused())]));
    let (two, mut at_two, _) = bind(config(&impostor, N2, &[(N1, addr)]));
    until_trouble(
        &two,
        N1,
        "not who it should be (the cryptographic handshake failed: error 51: invalid peer certificate",
    )
    .await;
    until("n1 has noticed", || one.stats().handshakes_failed > 0).await;
    assert_eq!((at_one.try_recv(), at_two.try_recv()), (None, None));
}

#[tokio::test]
async fn a_dialling_node_of_another_authority_is_refused_and_the_trouble_says_so() {
    let ca = authority();
    let impostor = ClusterCa::create(ca.cert().cluster()).unwrap();
    // Trusts the right authority, but was signed by the wrong one.
    let directory = Scratch::new();
    impostor.issue_node(N2).unwrap().save(directory.path()).unwrap();
    ca.cert().save(&directory.path().join("ca.crt")).unwrap();
    let forged = NodeIdentity::load(directory.path(), ca.cert().cluster(), N2).unwrap();
    let (one, mut at_one, addr) = bind(config(&ca, N1, &[(N2, unused())]));
    let (two, mut at_two, _) = bind(TransportConfig::new(forged, anywhere(), vec![(N1, addr)]));
    until_trouble(&two, N1, "does not accept our certificate").await;
    until("n1 has refused", || one.stats().handshakes_failed > 0).await;
    assert_eq!((at_one.try_recv(), at_two.try_recv()), (None, None));
    assert_eq!(one.stats().peers_now, 0);
}

#[tokio::test]
async fn n3_at_the_address_of_n1_is_not_taken_for_n1() {
    let ca = authority();
    let (three, mut at_three, addr) = bind(config(&ca, N3, &[(N2, unused())]));
    let (two, mut at_two, _) = bind(config(&ca, N2, &[(N1, addr)]));
    until_trouble(&two, N1, "not valid for name").await;
    assert_eq!(at_two.try_recv(), None);
    assert_eq!(at_three.try_recv(), None);
    drop(three);
}

#[tokio::test]
async fn a_node_that_is_no_peer_is_refused_in_words() {
    let ca = authority();
    let (one, mut at_one, addr) = bind(config(&ca, N1, &[(N2, unused())]));
    let (three, _at_three, _) = bind(config(&ca, N3, &[(N1, addr)]));
    until_trouble(&three, N1, "names none of the peers of n1").await;
    assert!(one.stats().refused > 0);
    assert_eq!(at_one.try_recv(), None);
}

#[tokio::test]
async fn of_two_nodes_only_the_higher_one_dials() {
    let ca = authority();
    let (two, mut at_two, addr) = bind(config(&ca, N2, &[(N3, unused())]));
    let (three, mut at_three, _) = bind(config(&ca, N3, &[(N2, addr)]));
    assert_eq!(next(&mut at_two).await, Event::PeerUp(N3));
    assert_eq!(next(&mut at_three).await, Event::PeerUp(N2));
    // One connection, one handshake each, and none that failed.
    assert_eq!((two.stats().handshakes, three.stats().handshakes), (1, 1));
    assert_eq!((two.stats().handshakes_failed, three.stats().handshakes_failed), (0, 0));
}

#[tokio::test]
async fn a_lower_peer_that_restarts_is_down_then_up_again() {
    let ca = authority();
    let (one, mut at_one, addr) = bind(config(&ca, N1, &[(N2, unused())]));
    let (two, mut at_two, _) = bind(config(&ca, N2, &[(N1, addr)]));
    assert_eq!(next(&mut at_one).await, Event::PeerUp(N2));
    assert_eq!(next(&mut at_two).await, Event::PeerUp(N1));
    one.shutdown("n1 is being restarted", Duration::from_secs(2)).await;
    assert_eq!(next(&mut at_two).await, Event::PeerDown(N1));
    assert_eq!(two.send(N1, Bytes::new()), Err(SendError::NotConnected(N1)));
    assert_eq!(two.stats().frames_not_connected, 1);
    let mut again = config(&ca, N1, &[(N2, unused())]);
    again.listen = addr;
    let (one, mut at_one, _) = bind_soon(&again).await;
    assert_eq!(next(&mut at_two).await, Event::PeerUp(N1));
    assert_eq!(next(&mut at_one).await, Event::PeerUp(N2));
    one.send(N2, Bytes::from_static(b"back")).unwrap();
    assert_eq!(next(&mut at_two).await, Event::PeerFrame { from: N1, frame: Bytes::from_static(b"back") });
}

#[tokio::test]
async fn a_higher_peer_that_restarts_replaces_its_old_connection() {
    let ca = authority();
    let (one, mut at_one, addr) = bind(config(&ca, N1, &[(N2, unused())]));
    let (_old, mut at_old, _) = bind(config(&ca, N2, &[(N1, addr)]));
    assert_eq!(next(&mut at_one).await, Event::PeerUp(N2));
    assert_eq!(next(&mut at_old).await, Event::PeerUp(N1));
    // The old one still lives, as a connection does for a while after kill -9.
    let (_new, mut at_new, _) = bind(config(&ca, N2, &[(N1, addr)]));
    assert_eq!(next(&mut at_new).await, Event::PeerUp(N1));
    assert_eq!(next(&mut at_one).await, Event::PeerDown(N2));
    assert_eq!(next(&mut at_one).await, Event::PeerUp(N2));
    assert_eq!(next(&mut at_old).await, Event::PeerDown(N1));
    assert_eq!(one.stats().peers_now, 1);
}

#[tokio::test]
async fn a_peer_that_was_killed_is_noticed_when_it_is_back_without_waiting_for_the_time_out() {
    let ca = authority();
    let first = config(&ca, N1, &[(N2, unused())]);
    let (killed, addr) = doomed(first.clone());
    let mut second = config(&ca, N2, &[(N1, addr)]);
    // Only the restarted node's word can end the old connection in time.
    second.tuning.peer_idle = Duration::from_mins(10);
    second.tuning.client_idle = Duration::from_mins(10);
    let (_two, mut at_two, _) = bind(second);
    assert_eq!(next(&mut at_two).await, Event::PeerUp(N1));
    killed.send(()).unwrap();
    let mut again = first;
    again.listen = addr;
    let (_one, mut at_one, _) = bind_soon(&again).await;
    assert_eq!(next(&mut at_two).await, Event::PeerDown(N1));
    assert_eq!(next(&mut at_two).await, Event::PeerUp(N1));
    assert_eq!(next(&mut at_one).await, Event::PeerUp(N2));
}

#[tokio::test]
async fn a_peer_that_was_killed_is_down_after_the_idle_time() {
    let ca = authority();
    let (killed, addr) = doomed(config(&ca, N1, &[(N2, unused())]));
    let (_two, mut at_two, _) = bind(config(&ca, N2, &[(N1, addr)]));
    assert_eq!(next(&mut at_two).await, Event::PeerUp(N1));
    killed.send(()).unwrap();
    let since = Instant::now();
    assert_eq!(next(&mut at_two).await, Event::PeerDown(N1));
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[tokio::test]
async fn the_queue_to_a_peer_that_takes_nothing_is_bounded_and_what_was_taken_arrives() {
    let ca = authority();
    let mut first = config(&ca, N1, &[(N2, unused())]);
    first.limits.events = 64 << 10;
    first.tuning.window = 256 << 10;
    let (one, mut at_one, addr) = bind(first);
    let mut second = config(&ca, N2, &[(N1, addr)]);
    second.limits.peer_frame = 64 << 10;
    second.limits.peer_queue = 1 << 20;
    second.tuning.window = 256 << 10;
    let (two, mut at_two, _) = bind(second);
    assert_eq!(next(&mut at_two).await, Event::PeerUp(N1));
    let frame = Bytes::from(vec![7; 32 << 10]);
    let mut taken = 0;
    let mut full_in_a_row = 0;
    // Full for good, not only until the writer has moved some on.
    while full_in_a_row < 200 {
        match two.send(N1, frame.clone()) {
            Ok(()) => (taken, full_in_a_row) = (taken + 1, 0),
            Err(error) => {
                assert_eq!(error, SendError::QueueFull(N1));
                full_in_a_row += 1;
                // The test polls until the queue has been full for 200 attempts on end.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    let bytes = taken * frame.len();
    assert!(bytes < 4 << 20, "{bytes} bytes were taken for a peer that takes nothing");
    assert!(two.stats().frames_queue_full >= 200);
    assert_eq!(next(&mut at_one).await, Event::PeerUp(N2));
    for _ in 0..taken {
        assert_eq!(next(&mut at_one).await, Event::PeerFrame { from: N2, frame: frame.clone() });
    }
    assert_eq!(one.stats().frames_in, taken as u64);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let ca = authority();
    let (_one, _at_one, addr) = bind(config(&ca, N1, &[]));
    let mut second = config(&ca, N2, &[]);
    second.listen = addr;
    let error = Transport::bind(second).unwrap_err();
    assert!(matches!(error, TransportError::Bind { listen, .. } if listen == addr));
    let text = error.to_string();
    assert!(text.contains(&addr.to_string()) && text.contains("another process uses this port"), "{text}");
}

#[tokio::test]
async fn a_node_that_lists_itself_or_a_peer_twice_is_refused() {
    let ca = authority();
    let itself = Transport::bind(config(&ca, N1, &[(N1, unused())]));
    assert!(matches!(itself, Err(TransportError::Peers(N1))));
    let twice = Transport::bind(config(&ca, N1, &[(N2, unused()), (N2, unused())]));
    assert!(matches!(twice, Err(TransportError::Peers(N2))));
}

/// A node on a runtime of its own, which ends without a word, as kill -9 would do it, when told so.
fn doomed(config: TransportConfig) -> (oneshot::Sender<()>, std::net::SocketAddr) {
    let (kill, killed) = oneshot::channel();
    let (started, start) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        let context = runtime.enter();
        let (transport, events, addr) = bind(config);
        drop(context);
        started.send(addr).unwrap();
        runtime.block_on(killed).unwrap();
        // The runtime first: nobody is left to send a farewell.
        drop(runtime);
        drop((transport, events));
    });
    (kill, start.recv_timeout(LONG).unwrap())
}

/// Binds as soon as the address is free.
async fn bind_soon(config: &TransportConfig) -> (Transport, transport::EventReceiver, std::net::SocketAddr) {
    let waiting = async {
        loop {
            match Transport::bind(config.clone()) {
                Ok((transport, events)) => return (transport, events, config.listen),
                // It polls: nothing tells when a port becomes free.
                Err(TransportError::Bind { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                Err(other) => panic!("{other}"),
            }
        }
    };
    timeout(LONG, waiting).await.expect("the address becomes free")
}
