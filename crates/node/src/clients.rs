//! Who is connected, and what they may ask.

use bytes::Bytes;
use host::Mono;
use shard::ConnId;
use std::collections::{HashMap, VecDeque};
use transport::{Subject, TokenKeys};
use wire::client::{Hello, VERSION};
use wire::codec;
use wire::{Answer, AnswerBody, Greeting, Refusal, Request, RequestBody, Welcome};
use world::Millis;

/// A connection that has not greeted by then is closed, in microseconds.
const GREETED_WITHIN: u64 = 10_000_000;

/// Checks tokens; remembers who is who.
#[derive(Debug)]
pub struct Clients {
    keys: TokenKeys,
    known: HashMap<ConnId, Option<Subject>>,
    /// Frames that were not understood.
    garbled: u64,
    /// In the order in which they came; some may have greeted or gone since.
    awaited: VecDeque<(Mono, ConnId)>,
}

/// What to do with a client's frame.
#[derive(Debug)]
pub enum Received {
    /// It said hello and may come in: greet it.
    Greet,
    /// Requests, and answers to those that are not allowed.
    Requests(Vec<Request>, Vec<Answer>),
    /// Say goodbye with this greeting, and close.
    Goodbye(Bytes, String),
    /// Close, for this reason.
    Close(String),
}

impl Clients {
    /// Nobody yet. `keys` verify their tokens.
    pub fn new(keys: TokenKeys) -> Self {
        Self { keys, known: HashMap::new(), garbled: 0, awaited: VecDeque::new() }
    }

    /// A connection, which has proven nothing yet.
    pub fn up(&mut self, conn: ConnId, now: Mono) {
        self.known.insert(conn, None);
        self.awaited.push_back((now, conn));
    }

    /// Those who have had time enough to greet, and have not: what may connect must not be used up by who proves nothing.
    pub fn overdue(&mut self, now: Mono) -> Vec<(ConnId, Received)> {
        let mut overdue = Vec::new();
        while let Some(&(since, conn)) = self.awaited.front()
            && now.since(since) >= GREETED_WITHIN
        {
            self.awaited.pop_front();
            if self.known.get(&conn).is_some_and(Option::is_none) {
                let reason = format!("no greeting came within {} s", GREETED_WITHIN / 1_000_000);
                overdue.push((conn, goodbye(reason)));
            }
        }
        overdue
    }

    /// It is gone.
    pub fn down(&mut self, conn: ConnId) {
        self.known.remove(&conn);
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many frames were not understood.
    pub fn garbled(&self) -> u64 {
        self.garbled
    }

    /// A frame of `conn`.
    pub fn receive(&mut self, conn: ConnId, frame: &[u8], now: Millis) -> Received {
        match self.known.get_mut(&conn) {
            None => Received::Close("this connection is closed".into()),
            Some(subject @ None) => {
                let hello: Hello = match codec::decode("greeting", frame) {
                    Ok(hello) => hello,
                    Err(error) => {
                        self.garbled += 1;
                        return goodbye(format!("the first frame is {error}"));
                    }
                };
                if hello.version != VERSION {
                    return goodbye(format!("you speak version {}, this node speaks {VERSION}", hello.version));
                }
                match self.keys.verify(&hello.token, now) {
                    Ok(who) => {
                        *subject = Some(who);
                        Received::Greet
                    }
                    Err(error) => goodbye(error.to_string()),
                }
            }
            Some(Some(subject)) => match codec::decode::<Vec<Request>>("list of requests", frame) {
                Ok(requests) => {
                    let mut refused = Vec::new();
                    let allowed = requests.into_iter().filter_map(|request| match may(subject, &request.body) {
                        Ok(()) => Some(request),
                        Err(reason) => {
                            let body = AnswerBody::Refused(Refusal::NotAllowed { reason });
                            refused.push(Answer { id: request.id, body });
                            None
                        }
                    });
                    let allowed = allowed.collect();
                    Received::Requests(allowed, refused)
                }
                Err(error) => {
                    self.garbled += 1;
                    Received::Close(error.to_string())
                }
            },
        }
    }
}

/// The greeting for a client that may come in.
pub fn greet(welcome: Welcome) -> Bytes {
    codec::encode_named(&Greeting::Welcome(Box::new(welcome)))
}

fn goodbye(reason: String) -> Received {
    Received::Goodbye(codec::encode_named(&Greeting::Goodbye { version: VERSION, reason: reason.clone() }), reason)
}

/// A player commands only as itself; reports are the operator's.
fn may(subject: &Subject, body: &RequestBody) -> Result<(), String> {
    match (subject, body) {
        (Subject::LocalOperator, _)
        | (Subject::Player(_) | Subject::Gateway(_), RequestBody::Read { .. })
        | (Subject::Gateway(_), RequestBody::Command { .. } | RequestBody::Node | RequestBody::Shards) => Ok(()),
        (Subject::Gateway(node), RequestBody::Change { .. }) => {
            Err(format!("this token is the gateway's of {node}: only an operator may change who takes part in a shard"))
        }
        (Subject::Player(name), RequestBody::Command { envelope, .. }) => {
            if envelope.player == *name {
                Ok(())
            } else {
                Err(format!("this token is {name}'s: it cannot command as {}", envelope.player))
            }
        }
        (Subject::Player(name), RequestBody::Change { .. }) => {
            Err(format!("this token is {name}'s: only an operator may change who takes part in a shard"))
        }
        (Subject::Player(name), RequestBody::Node | RequestBody::Shards) => {
            Err(format!("this token is {name}'s: only an operator may ask for reports"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> TokenKeys {
        let key = || transport::TokenKey::create().expect("a key").public();
        TokenKeys { cluster: transport::ClusterId(1), operator: key(), players: key() }
    }

    #[test]
    fn a_gateway_commands_for_any_player_and_changes_nothing_else() {
        let gateway = Subject::Gateway(paxos::NodeId(2));
        let (shard, player) = (placement::ShardId(1), "scrat".parse().expect("a name"));
        let envelope = wire::Envelope {
            client: wire::ClientId(1),
            number: wire::RequestNo(1),
            floor: wire::RequestNo(1),
            deadline: Millis(1),
            player,
            command: world::Command::Register,
        };
        assert_eq!(may(&gateway, &RequestBody::Command { shard, envelope }), Ok(()));
        assert_eq!(may(&gateway, &RequestBody::Shards), Ok(()));
        let change = RequestBody::Change { shard, change: wire::Change::Lead(paxos::NodeId(2)) };
        assert!(may(&gateway, &change).is_err());
    }

    #[test]
    fn who_does_not_greet_in_time_is_overdue_once() {
        let mut clients = Clients::new(keys());
        let [silent, gone, late] = [1, 2, 3].map(ConnId);
        clients.up(silent, Mono(0));
        clients.up(gone, Mono(0));
        clients.up(late, Mono(1));
        clients.down(gone);
        let overdue = |clients: &mut Clients, now| -> Vec<ConnId> {
            clients.overdue(Mono(now)).into_iter().map(|(conn, ..)| conn).collect()
        };
        assert_eq!(overdue(&mut clients, GREETED_WITHIN - 1), []);
        assert_eq!(overdue(&mut clients, GREETED_WITHIN), [silent]);
        assert_eq!(overdue(&mut clients, 2 * GREETED_WITHIN), [late]);
        assert_eq!(overdue(&mut clients, 9 * GREETED_WITHIN), []);
    }
}
