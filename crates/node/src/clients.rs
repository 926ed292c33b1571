//! Who is connected, and what they may ask.

use bytes::Bytes;
use shard::ConnId;
use std::collections::HashMap;
use transport::{Subject, TokenPublic};
use wire::client::{Hello, VERSION};
use wire::codec;
use wire::{Answer, AnswerBody, Greeting, Refusal, Request, RequestBody, Welcome};
use world::Millis;

/// Checks tokens; remembers who is who.
#[derive(Debug)]
pub struct Clients {
    cluster: transport::ClusterId,
    key: TokenPublic,
    known: HashMap<ConnId, Option<Subject>>,
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
    /// Nobody yet. `key` verifies tokens of `cluster`.
    pub fn new(cluster: transport::ClusterId, key: TokenPublic) -> Self {
        Self { cluster, key, known: HashMap::new() }
    }

    /// A connection, which has proven nothing yet.
    pub fn up(&mut self, conn: ConnId) {
        self.known.insert(conn, None);
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

    /// A frame of `conn`.
    pub fn receive(&mut self, conn: ConnId, frame: &[u8], now: Millis) -> Received {
        match self.known.get_mut(&conn) {
            None => Received::Close("this connection is closed".into()),
            Some(subject @ None) => {
                let hello: Hello = match codec::decode("greeting", frame) {
                    Ok(hello) => hello,
                    Err(error) => return goodbye(format!("the first frame is {error}")),
                };
                if hello.version != VERSION {
                    return goodbye(format!("you speak version {}, this node speaks {VERSION}", hello.version));
                }
                match self.key.verify(&hello.token, now, self.cluster) {
                    Ok(token) => {
                        *subject = Some(token.subject);
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
                Err(error) => Received::Close(error.to_string()),
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
        (Subject::LocalOperator, _) | (Subject::Player(_), RequestBody::Read { .. }) => Ok(()),
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
