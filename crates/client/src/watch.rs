//! Watching land change.
//!
//! A watch asks each shard that holds a part of the rectangle one question after the other, each naming the slot up to which
//! it has heard everything; a node answers as soon as there is more. So nothing is missed when a node dies or the watch
//! moves to another, nothing is told twice, and a program that is slow to ask is told much at once.

use crate::client::{Client, ReadOptions, ViewRead};
use crate::error::Error;
use client_proto::Read;
use paxos::Slot;
use placement::ShardId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::task::JoinSet;
use wire::Receipt;
use world::{FieldId, FieldView, Rect};

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A field is as it has not been shown before.
    Changed {
        /// The field now.
        field: FieldView,
        /// What that is worth.
        receipt: Receipt,
    },
    /// Nothing has changed on this shard's land up to this receipt.
    Still {
        /// What that is worth.
        receipt: Receipt,
    },
    /// A shard does not answer; it is asked again.
    Silent {
        /// Which.
        shard: ShardId,
        /// Why, as far as is known.
        error: Error,
    },
}

/// A watched rectangle. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    rect: Rect,
    options: ReadOptions,
    /// The version in which each field was shown last.
    shown: BTreeMap<FieldId, u32>,
    events: VecDeque<Event>,
    /// One question for each shard.
    questions: JoinSet<(ShardId, Slot, Result<ViewRead, Error>)>,
}

impl Watch {
    /// Begins: what there is, and the watch that tells how it goes on.
    pub(crate) async fn begin(client: Client, rect: Rect, options: ReadOptions) -> Result<(ViewRead, Self), Error> {
        let ViewRead { mut fields, receipts } = client.view_of(Read::Watch(rect), options).await?;
        let shown = fields.iter().map(|view| (view.field, view.version)).collect();
        let (events, questions) = (VecDeque::new(), JoinSet::new());
        let mut watch = Self { client, rect, options, shown, events, questions };
        for receipt in &receipts {
            watch.ask(receipt.shard, receipt.slot, Duration::ZERO);
        }
        fields.retain(|view| view.owner.is_some());
        Ok((ViewRead { fields, receipts }, watch))
    }

    /// What is watched.
    pub fn rect(&self) -> Rect {
        self.rect
    }

    /// The next thing to tell. An error ends the watch: asking again would not help.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let Some(heard) = self.questions.join_next().await else { return Err(Error::Closed) };
            // A question ends before its time only with the runtime.
            let (shard, seen, answer) = heard.map_err(|_| Error::Closed)?;
            match answer {
                Ok(ViewRead { fields, receipts }) => {
                    let Some(&receipt) = receipts.first() else { return Err(Error::Closed) };
                    self.tell(fields, receipt);
                    self.ask(shard, receipt.slot, Duration::ZERO);
                }
                Err(Error::Unavailable { applied, reason, missing, retry_after_ms }) => {
                    self.ask(shard, seen, Duration::from_millis(retry_after_ms));
                    let error = Error::Unavailable { applied, reason, missing, retry_after_ms };
                    self.events.push_back(Event::Silent { shard, error });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn tell(&mut self, fields: Vec<FieldView>, receipt: Receipt) {
        let before = self.events.len();
        for field in fields {
            let shown = self.shown.entry(field.field).or_default();
            // A node that remembers less tells everything.
            if field.version > *shown {
                *shown = field.version;
                self.events.push_back(Event::Changed { field, receipt });
            }
        }
        if self.events.len() == before {
            self.events.push_back(Event::Still { receipt });
        }
    }

    fn ask(&mut self, shard: ShardId, seen: Slot, after: Duration) {
        let (client, rect, options) = (self.client.clone(), self.rect, self.options);
        self.questions.spawn(async move {
            tokio::time::sleep(after).await;
            (shard, seen, client.view_of(Read::Changes { shard, rect, seen, wait: true }, options).await)
        });
    }
}
