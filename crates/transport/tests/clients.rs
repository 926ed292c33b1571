//! Client to node.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is a finding")]

mod support;

use bytes::Bytes;
use std::time::Duration;
use support::{LONG, N1, N2, authority, bind, config, next, until, unused};
use tokio::time::timeout;
use transport::{
    ClientEndpoint, ClientSendError, ClientTuning, CloseCode, ConnId, ConnectError, Event, SendClientError, SendError,
    Tuning,
};

#[tokio::test]
async fn a_client_and_a_node_talk_and_each_hears_why_the_other_goes() {
    let ca = authority();
    let (node, mut events, addr) = bind(config(&ca, N1, &[]));
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let mut client = endpoint.connect(addr, N1).await.unwrap();
    let Event::ClientUp { conn, remote } = next(&mut events).await else { panic!("no client") };
    assert!(remote.ip().is_loopback());
    client.send(Bytes::from_static(b"hello")).unwrap();
    assert_eq!(next(&mut events).await, Event::ClientFrame { conn, frame: Bytes::from_static(b"hello") });
    node.send_client(conn, Bytes::from_static(b"goodbye")).unwrap();
    node.close_client(conn, "the token has expired");
    assert_eq!(node.send_client(conn, Bytes::new()), Err(SendClientError::NotConnected(conn)));
    assert_eq!(client.recv().await.unwrap(), Bytes::from_static(b"goodbye"));
    let closed = timeout(LONG, client.recv()).await.unwrap().unwrap_err();
    assert_eq!(closed.code, Some(CloseCode::Requested));
    assert!(closed.reason.contains("the token has expired"), "{closed}");
    assert_eq!(next(&mut events).await, Event::ClientDown { conn });

    let (sender, _receiver) = endpoint.connect(addr, N1).await.unwrap().split();
    assert!(matches!(next(&mut events).await, Event::ClientUp { .. }));
    sender.send(Bytes::from_static(b"last")).unwrap();
    sender.close("enough for today");
    assert_eq!(sender.send(Bytes::new()), Err(ClientSendError::Closed));
    assert!(matches!(next(&mut events).await, Event::ClientFrame { frame, .. } if &frame[..] == b"last"));
    assert!(matches!(next(&mut events).await, Event::ClientDown { .. }));
    assert_eq!(node.stats().clients_now, 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_and_then_ends_is_gone_at_once() {
    let ca = authority();
    let (node, mut events, addr) = bind(config(&ca, N1, &[]));
    // A runtime that ends as soon as the client has hung up, with all that it had not sent by then.
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
            let (sender, _receiver) = endpoint.connect(addr, N1).await.unwrap().split();
            sender.hang_up("enough for today").await;
            // Nothing is left to be said.
            sender.hang_up("really").await;
        });
    });
    assert!(matches!(next(&mut events).await, Event::ClientUp { .. }));
    // Sooner than a connection that only falls silent would be.
    let gone = timeout(Tuning::default().client_idle / 2, next(&mut events)).await.expect("it has said that it goes");
    assert!(matches!(gone, Event::ClientDown { .. }));
    client.join().unwrap();
    assert_eq!(node.stats().clients_now, 0);
}

#[tokio::test]
async fn a_client_is_never_taken_for_a_peer() {
    let ca = authority();
    let (node, mut events, addr) = bind(config(&ca, N1, &[(N2, unused())]));
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let client = endpoint.connect(addr, N1).await.unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientUp { .. }));
    client.send(Bytes::from_static(b"I am n2, believe me")).unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientFrame { .. }));
    assert_eq!(node.send(N2, Bytes::new()), Err(SendError::NotConnected(N2)));
    assert_eq!(node.stats().peers_now, 0);
}

#[tokio::test]
async fn a_client_does_not_take_another_node_or_another_cluster_for_its_own() {
    let ca = authority();
    let (_node, _events, addr) = bind(config(&ca, N1, &[]));
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let error = endpoint.connect(addr, N2).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotTheNode { node: N2, .. }), "{error}");
    let stranger = ClientEndpoint::new(authority().cert()).unwrap();
    let error = stranger.connect(addr, N1).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotTheNode { node: N1, .. }), "{error}");
    assert!(error.to_string().contains("another cluster"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_a_time_out_that_says_where() {
    let ca = authority();
    let settings = ClientTuning { connect: Duration::from_millis(200), ..ClientTuning::default() };
    let endpoint = ClientEndpoint::with_tuning(ca.cert(), settings).unwrap();
    let error = endpoint.connect(unused(), N1).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { addr, .. } if addr == unused()), "{error}");
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_its_connection_with_a_reason_and_no_other() {
    let ca = authority();
    let mut settings = config(&ca, N1, &[]);
    settings.limits.client_request = 1_000;
    let (node, mut events, addr) = bind(settings);
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let good = endpoint.connect(addr, N1).await.unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientUp { conn: ConnId(1), .. }));
    let mut bad = endpoint.connect(addr, N1).await.unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientUp { conn: ConnId(2), .. }));
    bad.send(vec![1; 1_000].into()).unwrap();
    bad.send(vec![2; 1_001].into()).unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientFrame { frame, .. } if frame.len() == 1_000));
    assert_eq!(next(&mut events).await, Event::ClientDown { conn: ConnId(2) });
    let closed = timeout(LONG, bad.recv()).await.unwrap().unwrap_err();
    assert_eq!(closed.code, Some(CloseCode::BadFrame));
    assert!(closed.reason.contains("1001 bytes") && closed.reason.contains("at most 1000"), "{closed}");
    assert_eq!(node.stats().bad_frames, 1);
    good.send(Bytes::from_static(b"still here")).unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientFrame { conn: ConnId(1), .. }));
}

#[tokio::test]
async fn who_has_said_nothing_yet_may_say_little() {
    let ca = authority();
    let mut settings = config(&ca, N1, &[]);
    (settings.limits.client_greeting, settings.limits.client_request) = (100, 1_000);
    let (node, mut events, addr) = bind(settings);
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let mut stranger = endpoint.connect(addr, N1).await.unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientUp { .. }));
    stranger.send(Bytes::from(vec![1; 101])).unwrap();
    assert_eq!(stranger.recv().await.unwrap_err().code, Some(CloseCode::BadFrame));
    assert!(matches!(next(&mut events).await, Event::ClientDown { .. }));
    assert_eq!(node.stats().bad_frames, 1);
    let client = endpoint.connect(addr, N1).await.unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientUp { .. }));
    for len in [100, 1_000] {
        client.send(Bytes::from(vec![1; len])).unwrap();
        assert!(matches!(next(&mut events).await, Event::ClientFrame { frame, .. } if frame.len() == len));
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_disconnected_and_the_others_go_on() {
    let ca = authority();
    let mut settings = config(&ca, N1, &[]);
    settings.limits.client_frame = 64 << 10;
    settings.limits.client_queue = 256 << 10;
    let (node, mut events, addr) = bind(settings);
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let mut slow = endpoint.connect(addr, N1).await.unwrap();
    let Event::ClientUp { conn: at_slow, .. } = next(&mut events).await else { panic!("no client") };
    let mut good = endpoint.connect(addr, N1).await.unwrap();
    let Event::ClientUp { conn: at_good, .. } = next(&mut events).await else { panic!("no client") };
    let frame = Bytes::from(vec![9; 32 << 10]);
    let mut sent = 0_usize;
    // Until the network's windows and then the queue are full.
    let flood = async {
        loop {
            match node.send_client(at_slow, frame.clone()) {
                Ok(()) => sent += frame.len(),
                Err(error) => return error,
            }
            if sent.is_multiple_of(128 << 10) {
                node.send_client(at_good, Bytes::from_static(b"tick")).unwrap();
                assert_eq!(good.recv().await.unwrap(), Bytes::from_static(b"tick"));
            }
        }
    };
    assert_eq!(timeout(LONG, flood).await.unwrap(), SendClientError::TooSlow(at_slow));
    assert!(sent < 32 << 20, "{sent} bytes were taken for a client that does not read");
    assert_eq!(next(&mut events).await, Event::ClientDown { conn: at_slow });
    assert_eq!(node.send_client(at_slow, frame), Err(SendClientError::NotConnected(at_slow)));
    assert_eq!(node.stats().clients_too_slow, 1);
    node.send_client(at_good, Bytes::from_static(b"tock")).unwrap();
    assert_eq!(good.recv().await.unwrap(), Bytes::from_static(b"tock"));
    let mut last = slow.recv().await;
    while last.is_ok() {
        last = slow.recv().await;
    }
    assert_eq!(last.unwrap_err().code, Some(CloseCode::TooSlow));
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_keep_its_place_when_it_is_to_go() {
    let ca = authority();
    let mut settings = config(&ca, N1, &[]);
    settings.limits.client_queue = 64 << 20;
    let (node, mut events, addr) = bind(settings);
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let slow = endpoint.connect(addr, N1).await.unwrap();
    let Event::ClientUp { conn, .. } = next(&mut events).await else { panic!("no client") };
    // More than the network's windows take.
    let frame = Bytes::from(vec![9; 32 << 10]);
    for _ in 0..1_280 {
        node.send_client(conn, frame.clone()).unwrap();
    }
    node.close_client(conn, "enough");
    let gone = timeout(LONG, next(&mut events)).await.expect("it is let go of");
    assert_eq!(gone, Event::ClientDown { conn });
    drop(slow);
}

#[tokio::test]
async fn a_client_too_many_is_refused_in_words() {
    let ca = authority();
    let mut settings = config(&ca, N1, &[]);
    settings.limits.clients = 1;
    let (node, mut events, addr) = bind(settings);
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let first = endpoint.connect(addr, N1).await.unwrap();
    assert!(matches!(next(&mut events).await, Event::ClientUp { .. }));
    let error = endpoint.connect(addr, N1).await.unwrap_err();
    assert!(error.to_string().contains("1 clients already"), "{error}");
    assert_eq!(node.stats().refused, 1);
    drop(first);
    assert!(matches!(next(&mut events).await, Event::ClientDown { .. }));
    until("the place is free", || node.stats().clients_now == 0).await;
    endpoint.connect(addr, N1).await.unwrap();
}

#[tokio::test]
async fn a_node_that_shuts_down_sends_what_is_queued_and_says_why_it_goes() {
    let ca = authority();
    let (node, mut events, addr) = bind(config(&ca, N1, &[]));
    let endpoint = ClientEndpoint::new(ca.cert()).unwrap();
    let mut client = endpoint.connect(addr, N1).await.unwrap();
    let Event::ClientUp { conn, .. } = next(&mut events).await else { panic!("no client") };
    for i in 0..1_000_u32 {
        node.send_client(conn, Bytes::copy_from_slice(&i.to_le_bytes())).unwrap();
    }
    let reading = tokio::spawn(async move {
        for i in 0..1_000_u32 {
            assert_eq!(client.recv().await.unwrap(), Bytes::copy_from_slice(&i.to_le_bytes()));
        }
        client.recv().await.unwrap_err()
    });
    timeout(LONG, node.shutdown("closed for the winter", Duration::from_secs(2))).await.unwrap();
    let closed = timeout(LONG, reading).await.unwrap().unwrap();
    assert_eq!(closed.code, Some(CloseCode::Shutdown));
    assert!(closed.reason.contains("closed for the winter"), "{closed}");
    assert_eq!(next(&mut events).await, Event::ClientDown { conn });
    assert_eq!(timeout(LONG, events.recv()).await.unwrap(), None);
}
