//! One connection, from hello to bye.
//!
//! One task does all of it: it takes what the client says, sends what its mailbox holds, and the answers of commands, which
//! run beside it. While the network does not take what it sends, it hears nothing either: who does not read is not listened to.

use super::messages::{
    Command, FromGateway, Hello, Look, MAX_MESSAGE, Outcome, PROTOCOL, ReadField, ToGateway, Welcome,
};
use super::view;
use crate::app::App;
use crate::commands::{self, Words};
use crate::limits::Limit;
use crate::live::{LookError, Mailbox, ViewerId, message};
use crate::problem::Problem;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use client::{Client, Given, ReadOptions};
use futures_util::SinkExt;
use paxos::Slot;
use placement::ShardId;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wire::{ClientId, RequestNo};
use world::{FieldId, PlayerName};

/// A connection that has not said hello by then is closed.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// A client that takes nothing for so long is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// A client that says nothing for so long is gone: it is to ping. A browser lets a page in the background do so but once a minute.
const HEARD_WITHIN: Duration = Duration::from_mins(3);
/// Commands and questions of one client under way at a time.
const UNDER_WAY: usize = 256;
/// Messages that are heard in a second, and twice as many at once.
const MESSAGES_PER_S: u32 = 256;
/// Messages that cannot be understood, until the connection is closed.
const MISTAKES: u32 = 16;

/// Why a connection ends.
struct End {
    code: u16,
    problem: Option<Problem>,
}

impl End {
    fn gone() -> Self {
        Self { code: close_code::NORMAL, problem: None }
    }

    fn refused(problem: Problem) -> Self {
        Self { code: close_code::POLICY, problem: Some(problem) }
    }
}

/// Serves one client until it, or the node, has had enough.
pub async fn run(mut socket: WebSocket, app: Arc<App>, place: OwnedSemaphorePermit) {
    let viewer = ViewerId(app.next_viewer());
    let end = match greet(&mut socket, &app).await {
        Ok(session) => {
            let end = session.serve(&mut socket, viewer).await;
            app.hub.leave(viewer).await;
            end
        }
        Err(end) => end,
    };
    // Whoever has gone hears no reason.
    let _ = timeout(Duration::from_secs(2), part(&mut socket, end)).await;
    drop(place);
}

async fn part(socket: &mut WebSocket, end: End) {
    let reason = end.problem.as_ref().map_or_else(String::new, |problem| problem.details().sentence());
    if let Some(problem) = end.problem {
        let bye = FromGateway::Bye { problem: problem.details() };
        let _ = socket.send(Message::Binary(encoded(&bye).into())).await;
    }
    // A close frame has room for 123 bytes.
    let reason: String = reason
        .char_indices()
        .take_while(|(at, letter)| at + letter.len_utf8() <= 120)
        .map(|(_, letter)| letter)
        .collect();
    let _ = socket.send(Message::Close(Some(CloseFrame { code: end.code, reason: reason.into() }))).await;
    let _ = socket.flush().await;
}

struct Session {
    app: Arc<App>,
    client: Client,
    player: Option<PlayerName>,
    /// Under which its commands are numbered.
    identity: Option<ClientId>,
    seen: Vec<(u32, u64)>,
    mailbox: Arc<Mailbox>,
}

/// The first message, and the answer to it.
async fn greet(socket: &mut WebSocket, app: &Arc<App>) -> Result<Session, End> {
    let first = timeout(HELLO_WITHIN, next(socket)).await.map_err(|_| {
        let late = format!("no hello came within {} s", HELLO_WITHIN.as_secs());
        End::refused(Problem::late(late))
    })??;
    let hello = match understood(&first) {
        Ok(ToGateway::Hello(hello)) => hello,
        Ok(_) => return Err(End::refused(Problem::bad_request("the first message must be `hello`"))),
        Err(problem) => return Err(End { code: close_code::PROTOCOL, problem: Some(problem) }),
    };
    let Hello { protocol, client: instance, token, seen } = hello;
    if protocol != PROTOCOL {
        let other = format!("this gateway speaks protocol {PROTOCOL}, the client {protocol}: load the page anew");
        return Err(End::refused(Problem::other_protocol(other)));
    }
    let fits = (16..=64).contains(&instance.len())
        && instance.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !fits {
        let what = "`client` must be 16 to 64 letters, digits, `-` and `_`, drawn at random";
        return Err(End::refused(Problem::bad_request(what)));
    }
    let player = token.as_deref().map(|token| app.access.player(token)).transpose().map_err(End::refused)?;
    let client = app.client().map_err(|problem| End { code: close_code::AGAIN, problem: Some(problem) })?;
    let welcome = Welcome {
        protocol: PROTOCOL,
        cluster: app.cluster.clone(),
        node: app.node.clone(),
        region: app.region.clone(),
        seed: client.seed().0,
        time_ms: client.time().0,
        player: player.map(|player| player.to_string()),
        rules: json::Rules::new(&client.rules()),
        nodes: app.others.clone(),
    };
    send(socket, encoded(&FromGateway::Welcome(Box::new(welcome)))).await?;
    let identity = player.map(|player| commands::instance(player, &instance));
    Ok(Session { app: app.clone(), client, player, identity, seen, mailbox: Arc::default() })
}

impl Session {
    async fn serve(self, socket: &mut WebSocket, viewer: ViewerId) -> End {
        let hub = self.app.hub.clone();
        hub.join(viewer, self.mailbox.clone()).await;
        for (shard, slot) in self.seen.iter().take(view::MAX_BLOCKS as usize) {
            hub.seen(viewer, ShardId(*shard), Slot(*slot)).await;
        }
        let (answers_in, mut answers) = mpsc::channel::<Answered>(UNDER_WAY);
        let (mut under_way, mut mistakes) = (0, 0);
        let mut stopping = self.app.stopping.clone();
        let messages = Limit::new(MESSAGES_PER_S);
        let mut deaf_until = None;
        let mut heard_at = Instant::now();
        loop {
            let done = tokio::select! {
                () = sleep_until(deaf_until.unwrap_or_else(Instant::now)), if deaf_until.is_some() => {
                    deaf_until = None;
                    Ok(())
                }
                told = timeout_at(heard_at + HEARD_WITHIN, next(socket)), if deaf_until.is_none() => {
                    heard_at = Instant::now();
                    deaf_until = messages.take(1).err().map(|wait_ms| Instant::now() + Duration::from_millis(wait_ms));
                    let told = match told {
                        Ok(Ok(told)) => told,
                        Ok(Err(end)) => return end,
                        Err(_) => {
                            let silent = format!("nothing was heard for {} s: a client is to ping", HEARD_WITHIN.as_secs());
                            return End::refused(Problem::late(silent));
                        }
                    };
                    let heard = match understood(&told) {
                        Ok(heard) => self.handle(heard, viewer, &answers_in, &mut under_way).await,
                        Err(problem) => {
                            mistakes += 1;
                            if mistakes >= MISTAKES {
                                return End { code: close_code::PROTOCOL, problem: Some(problem) };
                            }
                            Some(FromGateway::Problem { id: None, problem: problem.details() })
                        }
                    };
                    match heard {
                        Some(answer) => send(socket, encoded(&answer)).await,
                        None => Ok(()),
                    }
                }
                Some(Answered { answer, seen }) = answers.recv() => {
                    under_way -= 1;
                    if let Some((shard, slot)) = seen {
                        hub.seen(viewer, shard, slot).await;
                    }
                    send(socket, encoded(&answer)).await
                }
                post = self.mailbox.take() => {
                    let Some(post) = post else {
                        return End { code: close_code::AWAY, problem: Some(Problem::stopping()) };
                    };
                    let message = message(&post.frames);
                    let bytes = message.len();
                    let sent = send(socket, message).await;
                    self.app.meters.sent(bytes, post.since.map(|since| since.elapsed()));
                    if post.behind {
                        hub.drained(viewer).await;
                    }
                    sent
                }
                () = told_to_stop(&mut stopping) => {
                    return End { code: close_code::AWAY, problem: Some(Problem::stopping()) };
                }
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// What is to be said to it at once, if anything.
    async fn handle(
        &self,
        heard: ToGateway,
        viewer: ViewerId,
        answers: &mpsc::Sender<Answered>,
        under_way: &mut usize,
    ) -> Option<FromGateway> {
        match heard {
            ToGateway::Ping { id } => Some(FromGateway::Pong { id, time_ms: self.client.time().0 }),
            ToGateway::Hello(_) => {
                let again = Problem::bad_request("hello was said already");
                Some(FromGateway::Problem { id: None, problem: again.details() })
            }
            ToGateway::Look(look) => Some(self.look(&look, viewer).await),
            ToGateway::Command(command) => {
                let id = command.id;
                match self.command(&command, answers, under_way) {
                    Ok(()) => None,
                    Err(problem) => Some(FromGateway::Problem { id: Some(id), problem: problem.details() }),
                }
            }
            ToGateway::Field(field) => {
                let id = field.id;
                match self.field(&field, answers, under_way) {
                    Ok(()) => None,
                    Err(problem) => Some(FromGateway::Problem { id: Some(id), problem: problem.details() }),
                }
            }
        }
    }

    async fn look(&self, look: &Look, viewer: ViewerId) -> FromGateway {
        let seen = async {
            let (blocks, sure) = (view::blocks(look)?, view::sure(look.read.as_deref())?);
            let count = u32::try_from(blocks.len()).expect("a view has few blocks");
            let looked = self.app.hub.look(viewer, sure, blocks).await;
            looked.map(|()| count).map_err(|error| match error {
                LookError::TooFast { retry_after_ms } => {
                    self.app.meters.limited.increment(1);
                    Problem::too_many("this viewer", retry_after_ms)
                }
                LookError::TooMuch => Problem::full(error.to_string()),
            })
        };
        match seen.await {
            Ok(blocks) => FromGateway::Looking { id: look.id, blocks },
            Err(problem) => FromGateway::Problem { id: Some(look.id), problem: problem.details() },
        }
    }

    fn command(
        &self,
        command: &Command,
        answers: &mpsc::Sender<Answered>,
        under_way: &mut usize,
    ) -> Result<(), Problem> {
        let (Some(player), Some(client)) = (self.player, self.identity) else {
            return Err(
                Problem::no_token().detail("say hello with a token: `POST /v1/players` gives a new player its own")
            );
        };
        let field = FieldId::new(command.x, command.y).map_err(|error| Problem::bad_request(error.to_string()))?;
        if command.number == 0 || command.floor == 0 || command.floor > command.number {
            let numbers = format!("number {} and floor {}: 1 <= floor <= number", command.number, command.floor);
            return Err(Problem::bad_request(numbers));
        }
        let words = Words {
            character: command.character.as_deref(),
            crop: command.crop.as_deref(),
            building: command.building.as_deref(),
            price: command.price,
        };
        let rules = self.client.rules();
        let meant = commands::command(&command.r#do, field, &words, &rules)?;
        self.app.limits.command(player).inspect_err(|_| self.app.meters.limited.increment(1))?;
        begin(under_way)?;
        let numbered = Some((RequestNo(command.number), Given { client, floor: RequestNo(command.floor) }));
        let (sdk, answers) = (self.client.clone(), answers.clone());
        let Command { id, number, .. } = *command;
        tokio::spawn(async move {
            let done = commands::give(&sdk, player, meant, numbered).await;
            let seen = match &done {
                Ok(done) => Some((done.receipt.shard, done.receipt.slot)),
                Err(client::Error::Rejected(_, receipt)) => Some((receipt.shard, receipt.slot)),
                Err(_) => None,
            };
            let result = match done {
                Ok(done) => Outcome::Done(json::Done::new(&done, &rules)),
                Err(error) => Outcome::Refused(json::Problem::of(&error, &rules)),
            };
            let answer = FromGateway::Answer { id, number: Some(number), result };
            // The client may have gone; it will ask again.
            let _ = answers.send(Answered { answer, seen }).await;
        });
        Ok(())
    }

    fn field(&self, asked: &ReadField, answers: &mpsc::Sender<Answered>, under_way: &mut usize) -> Result<(), Problem> {
        let field = FieldId::new(asked.x, asked.y).map_err(|error| Problem::bad_request(error.to_string()))?;
        let options = match asked.read.as_deref() {
            None => ReadOptions::usual(),
            Some(read) => {
                let level = read.parse::<wire::Level>();
                ReadOptions::at(level.map_err(|error| Problem::bad_request(format!("read '{read}': {error}")))?)
            }
        };
        begin(under_way)?;
        let (sdk, answers, id) = (self.client.clone(), answers.clone(), asked.id);
        tokio::spawn(async move {
            let rules = sdk.rules();
            let result = match sdk.field(field, options).await {
                Ok(read) => Outcome::Field(json::FieldAnswer::new(&read, &rules)),
                Err(error) => Outcome::Refused(json::Problem::of(&error, &rules)),
            };
            let answer = FromGateway::Answer { id, number: None, result };
            let _ = answers.send(Answered { answer, seen: None }).await;
        });
        Ok(())
    }
}

/// One more is under way, if there is room.
fn begin(under_way: &mut usize) -> Result<(), Problem> {
    if *under_way >= UNDER_WAY {
        return Err(Problem::too_many("this connection", 50));
    }
    *under_way += 1;
    Ok(())
}

async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that whoever could tell is gone, which is the same.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// What came of something that ran beside the session.
struct Answered {
    answer: FromGateway,
    seen: Option<(ShardId, Slot)>,
}

/// The next message of the client's.
async fn next(socket: &mut WebSocket) -> Result<Vec<u8>, End> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Binary(bytes))) => return Ok(bytes.into()),
            Some(Ok(Message::Text(_))) => {
                let text = Problem::bad_request("messages are binary: MessagePack, not text");
                return Err(End { code: close_code::UNSUPPORTED, problem: Some(text) });
            }
            // (The library answers pings itself.)
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(End::gone()),
            Some(Err(error)) => {
                let too_large = error.to_string().contains("too long");
                if too_large {
                    let large = Problem::too_large(format!("a message has at most {MAX_MESSAGE} bytes"));
                    return Err(End { code: close_code::SIZE, problem: Some(large) });
                }
                return Err(End::gone());
            }
        }
    }
}

fn understood(bytes: &[u8]) -> Result<ToGateway, Problem> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    ToGateway::deserialize(&mut reader)
        .map_err(|error| Problem::bad_request(format!("not a message of the protocol: {error}")))
}

async fn send(socket: &mut WebSocket, bytes: Vec<u8>) -> Result<(), End> {
    match timeout(TAKEN_WITHIN, socket.send(Message::Binary(bytes.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::gone()),
        Err(_) => {
            let slow = format!("nothing was taken for {} s", TAKEN_WITHIN.as_secs());
            Err(End::refused(Problem::bad_request(slow)))
        }
    }
}

fn encoded(message: &FromGateway) -> Vec<u8> {
    rmp_serde::to_vec_named(message).expect("our messages have a MessagePack form")
}
