//! Somebody at a gateway's WebSocket who says and hears plain messages: no SDK between.

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

/// Nothing takes as long.
const PATIENCE: Duration = Duration::from_secs(20);
/// The number of nobody's owner in a row.
const OWNER: usize = 2;

/// One connection.
#[derive(Debug)]
pub struct Viewer {
    socket: WebSocket<TcpStream>,
    /// Land as it was told, by chunk: with shard and slot of the last frame, and each field's version and owner.
    pub land: BTreeMap<(u64, u64), Chunk>,
    /// Frames of land that told all of a chunk, and those that told what has changed.
    pub whole: usize,
    /// See `whole`.
    pub partial: usize,
    /// Of blocks from afar: fields by cell, by block.
    pub tiles: BTreeMap<(u64, u64, u64), BTreeMap<u64, u64>>,
}

/// What is known of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Which shard said so.
    pub shard: u64,
    /// Up to where.
    pub slot: u64,
    /// By offset: version and owner.
    pub fields: BTreeMap<u64, (u64, Option<String>)>,
}

impl Viewer {
    /// Connects, and says nothing.
    ///
    /// # Panics
    /// If nobody answers.
    pub fn silent(http: &str) -> Self {
        Self::over(TcpStream::connect(http).unwrap_or_else(|error| panic!("{http}: {error}")), http)
    }

    /// Connects such that hardly anything fits into the pipe, and says hello.
    ///
    /// # Panics
    /// If it is not welcome.
    pub fn narrow(http: &str, client: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4 << 10).expect("a small one");
        let address: SocketAddr = http.parse().expect("an address");
        socket.connect(&address.into()).unwrap_or_else(|error| panic!("{http}: {error}"));
        let mut viewer = Self::over(socket.into(), http);
        viewer.hello(client, None);
        viewer
    }

    fn over(stream: TcpStream, http: &str) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a time-out");
        let (socket, _) = tungstenite::client(format!("ws://{http}/v1/ws"), stream).expect("a WebSocket");
        Self { socket, land: BTreeMap::new(), whole: 0, partial: 0, tiles: BTreeMap::new() }
    }

    fn hello(&mut self, client: &str, token: Option<&str>) -> Value {
        self.say(&json!({"type": "hello", "protocol": 1, "client": client, "token": token}));
        self.control("welcome")
    }

    /// Connects and says hello, as the player of `token` if there is one; with what it was welcomed.
    ///
    /// # Panics
    /// If it is not welcome.
    pub fn welcomed(http: &str, client: &str, token: Option<&str>) -> (Self, Value) {
        let mut viewer = Self::silent(http);
        let welcome = viewer.hello(client, token);
        (viewer, welcome)
    }

    /// Says a message.
    ///
    /// # Panics
    /// If nobody is there any more.
    pub fn say(&mut self, message: &Value) {
        self.say_bytes(rmp_serde::to_vec_named(message).expect("JSON has a MessagePack form"));
    }

    /// Says bytes, as they are.
    ///
    /// # Panics
    /// If nobody is there any more.
    pub fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::Binary(bytes.into())).expect("somebody listens");
    }

    /// Says these over and over, and hears nothing, until there is no room for any more of it; how many it said.
    ///
    /// # Panics
    /// If somebody listens for ever.
    pub fn say_until_nobody_listens(&mut self, messages: &[Value]) -> usize {
        const FULL: Duration = Duration::from_secs(1);
        self.socket.get_ref().set_write_timeout(Some(FULL)).expect("a socket has a time-out");
        for (nth, message) in messages.iter().cycle().enumerate() {
            assert!(nth < 1_000_000, "it was heard a million times");
            let bytes = rmp_serde::to_vec_named(message).expect("JSON has a MessagePack form");
            match self.socket.send(Message::Binary(bytes.into())) {
                Ok(()) => {}
                Err(tungstenite::Error::Io(error)) if matches!(error.kind(), WouldBlock | TimedOut) => return nth,
                Err(error) => panic!("{error}"),
            }
        }
        unreachable!("a cycle has no end")
    }

    /// Says a text.
    ///
    /// # Panics
    /// If nobody is there any more.
    pub fn say_text(&mut self, text: &str) {
        self.socket.send(Message::Text(text.into())).expect("somebody listens");
    }

    /// Looks at level 0, going on from `have`; returns when every block has been heard of.
    ///
    /// # Panics
    /// If that does not come.
    pub fn look(&mut self, (x, y, w, h): (u32, u32, u32, u32), have: &Value) {
        self.say(&json!({"type": "look", "id": 1, "level": 0, "x": x, "y": y, "w": w, "h": h, "have": have}));
        let blocks = self.control("looking")["blocks"].as_u64().expect("a number of blocks");
        let until = Instant::now() + PATIENCE;
        while (self.land.len() as u64) < blocks {
            assert!(Instant::now() < until, "of {blocks} blocks only {:?} were told", self.land.keys());
            self.hear();
        }
    }

    /// What it holds, for another gateway to go on from.
    pub fn have(&self) -> Value {
        let chunk = |((bx, by), chunk): (&(u64, u64), &Chunk)| json!([bx, by, chunk.shard, chunk.slot]);
        Value::Array(self.land.iter().map(chunk).collect())
    }

    /// The owner of a field, as it was told.
    pub fn owner(&self, x: u64, y: u64) -> Option<String> {
        let chunk = self.land.get(&(x / 64, y / 64))?;
        chunk.fields.get(&(y % 64 * 64 + x % 64)).and_then(|(_, owner)| owner.clone())
    }

    /// Hears until `seen` is so.
    ///
    /// # Panics
    /// If it does not come to be.
    pub fn until(&mut self, what: &str, seen: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !seen(self) {
            assert!(Instant::now() < until, "waited in vain until {what}: {:?}", self.land);
            self.hear();
        }
    }

    /// The next control message of that type; what comes before is taken in.
    ///
    /// # Panics
    /// If none comes.
    pub fn control(&mut self, kind: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "no `{kind}` came");
            if let Some(message) = self.hear() {
                assert!(message["type"] == kind || message["type"] == "pong", "instead of `{kind}`: {message}");
                if message["type"] == kind {
                    return message;
                }
            }
        }
    }

    /// Hears one message: control is returned, frames are taken in.
    ///
    /// # Panics
    /// If nothing comes, or the connection ends.
    pub fn hear(&mut self) -> Option<Value> {
        let Message::Binary(bytes) = self.socket.read().expect("something is said") else { return None };
        let message: Value = rmp_serde::from_slice(&bytes).expect("MessagePack that JSON can say");
        let Value::Array(frames) = message else { return Some(message) };
        for frame in &frames {
            self.take(frame);
        }
        None
    }

    /// As [`hear`](Self::hear); `None` where the connection ends, or what comes is no control.
    pub fn hear_or_end(&mut self) -> Option<Value> {
        match self.socket.read() {
            Ok(Message::Binary(bytes)) => rmp_serde::from_slice(&bytes).ok(),
            _ => None,
        }
    }

    /// Why the gateway closed: the code, the reason, and the problem that it said goodbye with.
    ///
    /// # Panics
    /// If it does not close.
    pub fn closed(&mut self) -> (u16, String, Value) {
        let mut goodbye = Value::Null;
        loop {
            match self.socket.read().expect("a close frame comes first") {
                Message::Close(frame) => {
                    let frame = frame.expect("it says why");
                    return (frame.code.into(), frame.reason.to_string(), goodbye);
                }
                Message::Binary(bytes) => {
                    let message: Value = rmp_serde::from_slice(&bytes).expect("MessagePack");
                    if message["type"] == "bye" {
                        goodbye = message["problem"].clone();
                    }
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} in {frame}"));
        let rows = |at: usize| frame[at].as_array().unwrap_or_else(|| panic!("no rows in {frame}"));
        match number(&frame[0]) {
            0 => {
                let key = (number(&frame[1]), number(&frame[2]));
                let whole = frame[3] == true;
                let chunk = self.land.entry(key).or_default();
                if whole {
                    chunk.fields.clear();
                    self.whole += 1;
                } else {
                    self.partial += 1;
                }
                (chunk.shard, chunk.slot) = (number(&frame[4][0]), number(&frame[4][2]));
                for row in rows(6) {
                    let owner = row[OWNER].as_u64().and_then(|at| usize::try_from(at).ok());
                    let owner = owner.map(|at| frame[5][at].as_str().expect("a name").to_owned());
                    let (offset, version) = (number(&row[0]), number(&row[1]));
                    let known = chunk.fields.insert(offset, (version, owner));
                    let older = known.is_some_and(|(known, _)| known > version);
                    assert!(!older, "field {offset} stepped back to version {version}: {frame}");
                }
            }
            1 => {
                let key = (number(&frame[1]), number(&frame[2]), number(&frame[3]));
                let cells = self.tiles.entry(key).or_default();
                if frame[4] == true {
                    cells.clear();
                }
                for row in rows(6) {
                    let parts: Vec<u64> = row.as_array().expect("a row").iter().map(number).collect();
                    let sum = parts[1..].chunks(2).map(|pair| pair[1]).sum();
                    cells.insert(parts[0], sum);
                }
            }
            _ => {}
        }
    }
}
