//! One node's connection: dial, greet, decode what comes, and begin again when it ends.

use crate::error::WhyNot;
use crate::profile::NodeEntry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use transport::{ClientConnection, ClientEndpoint, ClientReceiver, ClientSender};
use wire::codec::{decode, encode_named};
use wire::{Answer, Greeting, Hello, Welcome};

/// What a link tells the driver. For one connection: up, answers, down, in this order.
#[derive(Debug)]
pub(crate) enum News {
    Up {
        link: usize,
        welcome: Box<Welcome>,
        sender: ClientSender,
    },
    Answers {
        link: usize,
        answers: Vec<Answer>,
    },
    /// The connection ended, or none came about.
    Down {
        link: usize,
        why: WhyNot,
    },
}

/// What all links have in common.
#[derive(Debug)]
pub(crate) struct Calling {
    pub endpoint: ClientEndpoint,
    pub hello: Hello,
    pub greeting_timeout: Duration,
    pub min_pause: Duration,
    pub max_pause: Duration,
}

/// Keeps a connection to one node for as long as somebody listens.
pub(crate) async fn keep(link: usize, node: NodeEntry, calling: Arc<Calling>, news: mpsc::Sender<News>) {
    let mut pause = calling.min_pause;
    loop {
        let why = match call(&node, &calling).await {
            Ok((welcome, sender, receiver)) => {
                pause = calling.min_pause;
                if news.send(News::Up { link, welcome: Box::new(welcome), sender }).await.is_err() {
                    return;
                }
                listen(link, receiver, &news).await
            }
            Err(why) => why,
        };
        tracing::debug!(node = %node.id, addr = node.quic, %why, "not connected");
        if news.send(News::Down { link, why }).await.is_err() {
            return;
        }
        sleep(drawn(pause)).await;
        pause = (pause * 2).min(calling.max_pause);
    }
}

/// From the upper half of `pause`, so that a thousand clients of a node that was restarted do not come as a crowd.
fn drawn(pause: Duration) -> Duration {
    let lot = getrandom::u32().unwrap_or(0);
    pause.mul_f64(0.5 + f64::from(lot) / f64::from(u32::MAX) / 2.0)
}

async fn call(node: &NodeEntry, calling: &Calling) -> Result<(Welcome, ClientSender, ClientReceiver), WhyNot> {
    let addrs: Vec<_> = tokio::net::lookup_host(&node.quic).await.map_err(WhyNot::Lookup)?.collect();
    let mut failed = WhyNot::Broken("its name has no address".into());
    for addr in addrs {
        let connection = match calling.endpoint.connect(addr, node.id).await {
            Ok(connection) => connection,
            Err(error) => {
                failed = error.into();
                continue;
            }
        };
        let greeted = timeout(calling.greeting_timeout, greet(connection, calling)).await;
        let silent = |_| WhyNot::Broken(format!("connected, but not greeted within {:?}", calling.greeting_timeout));
        return greeted.map_err(silent)?;
    }
    Err(failed)
}

async fn greet(
    mut connection: ClientConnection,
    calling: &Calling,
) -> Result<(Welcome, ClientSender, ClientReceiver), WhyNot> {
    connection.send(encode_named(&calling.hello)).map_err(|error| WhyNot::Broken(error.to_string()))?;
    let frame = connection.recv().await.map_err(|closed| WhyNot::Broken(closed.reason))?;
    match decode("greeting", &frame).map_err(|error| WhyNot::Broken(error.to_string()))? {
        Greeting::Welcome(welcome) => {
            let (sender, receiver) = connection.split();
            Ok((*welcome, sender, receiver))
        }
        Greeting::Goodbye { version, reason } => Err(WhyNot::Goodbye { version, reason }),
    }
}

/// Until the connection ends, or nobody listens any more.
async fn listen(link: usize, mut receiver: ClientReceiver, news: &mpsc::Sender<News>) -> WhyNot {
    let mut frames = Vec::new();
    loop {
        if let Err(closed) = receiver.recv_many(&mut frames).await {
            return WhyNot::Broken(closed.reason);
        }
        for frame in frames.drain(..) {
            // Decoded here, so that on a runtime of several threads the driver need not do it for all nodes.
            let answers = match decode::<Vec<Answer>>("list of answers", &frame) {
                Ok(answers) => answers,
                Err(error) => return WhyNot::Broken(error.to_string()),
            };
            if news.send(News::Answers { link, answers }).await.is_err() {
                return WhyNot::Broken("this client has ended".into());
            }
        }
    }
}
