use crate::play::*;
use client_proto::{Options, Read, StartError};
use wire::Level;
use world::{CharacterId, Command};

#[test]
fn nothing_starts_before_the_first_welcome() {
    let mut play = Play::unconnected(1, Options::default());
    let command = Command::Register;
    assert_eq!(play.proto.start_command(play.now, scrat(), command), Err(StartError::NotWelcomed));
    play.welcome(N2);
    play.proto.start_command(play.now, scrat(), command).unwrap();
    assert_eq!(play.one_sent().0, N2, "the only one connected");
}

#[test]
fn one_too_many_is_refused_until_an_outcome_is_polled() {
    let mut play = Play::with(1, Options { max_in_flight: 2, ..Options::default() });
    let field = play.field_in(0);
    play.claim(field);
    play.claim(field);
    let third = Command::Claim { field, character: CharacterId(0) };
    let refused = StartError::TooMany { in_flight: 2, max: 2 };
    assert_eq!(play.proto.start_command(play.now, scrat(), third), Err(refused));
    let sent = play.sent();
    play.apply(&sent[0]);
    assert_eq!(play.proto.start_command(play.now, scrat(), third), Err(refused));
    let (ended, _) = play.outcome().unwrap();
    let new = play.proto.start_command(play.now, scrat(), third).unwrap();
    assert_eq!(new.slot(), ended.slot(), "slots are used again");
    assert_ne!(new, ended);
}

#[test]
fn many_parts_count_too() {
    let mut play = Play::with(16, Options { max_in_flight: 4, ..Options::default() });
    play.proto.start_read(play.now, Read::Player(scrat()), Some(Level::Strong), None).unwrap();
    let refused = play.proto.start_read(play.now, Read::Player(scrat()), Some(Level::Strong), None);
    assert_eq!(refused, Err(StartError::TooMany { in_flight: 1, max: 4 }));
}

#[test]
fn the_window_of_numbers_is_bounded_by_the_oldest() {
    let mut play = Play::with(1, Options { max_in_flight: 4, max_window: 4, ..Options::default() });
    let field = play.field_in(0);
    play.claim(field);
    let oldest = play.one_sent();
    for _ in 0..3 {
        play.claim(field);
        let sent = play.one_sent();
        play.apply(&sent);
        assert!(play.outcome().unwrap().1.is_ok());
    }
    let refused = play.proto.start_command(play.now, scrat(), Command::Register);
    assert_eq!(refused, Err(StartError::WindowFull { numbers: 4, max: 4 }));
    play.apply(&oldest);
    play.proto.start_command(play.now, scrat(), Command::Register).unwrap();
}

#[test]
fn the_same_calls_give_the_same_requests() {
    let run = || {
        let mut play = Play::new(8);
        let mut log = Vec::new();
        for row in 0..8 {
            let field = play.field_in(row);
            play.claim(field);
        }
        for _ in 0..50 {
            for sent in play.sent() {
                log.push((play.now, sent.clone()));
                play.refuse(&sent, not_leader(None));
            }
            while let Some(outcome) = play.outcome() {
                log.push((
                    play.now,
                    (N1, wire::Request { id: outcome.0.slot() as u64, body: wire::RequestBody::Node }),
                ));
            }
            let Some(next) = play.proto.next_timeout() else { break };
            play.now = next;
            play.proto.handle_timeout(next);
        }
        log
    };
    assert_eq!(run(), run());
}
