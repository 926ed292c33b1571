//! Ways to break the environment that the product relies on, so that tests can see each checker catch what it is for.
//! None of them is a switch in the product: they lie on its behalf, on the disk or on the wire.

use wire::peer::{Frame, PeerMessage};
use wire::{Answer, AnswerBody, Reply, Request, RequestBody};
use world::{Acorns, FieldView, Outcome, PlayerName, Rejection};

/// What is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// A crash wipes the disk, and the node comes back under its old name.
    Amnesia,
    /// Writes are reported durable when they are handed in.
    EarlyReports,
    /// The network acknowledges every Accept in its receiver's name, as if no quorum were needed.
    ForgedVotes,
    /// The network confirms every leader's ballot in its voters' names.
    ForgedConfirmations,
    /// Payments between shards grow on their way.
    InflatedPayments,
    /// Every so often an answer names another owner than the node did.
    WrongOwners,
    /// The second answer to a request is not the first.
    ChangedRepeats,
    /// Strong answers claim a bound that they do not have.
    VagueReceipts,
    /// Who watches is told of all changes but one.
    LostChanges,
    /// Views lack the last field.
    ShortViews,
    /// Leaders seem to say that less is chosen than is.
    LowCovers,
    /// Requests lose on their way what their sender has seen already.
    ForgottenSessions,
}

impl Sabotage {
    /// What the network answers in the receiver's name.
    pub(crate) fn forge(self, frame: &Frame) -> Frame {
        let forged = frame.messages.iter().filter_map(|message| {
            let PeerMessage::Paxos { shard, configuration, message } = message else { return None };
            let answer = match (self, message) {
                (Self::ForgedVotes, paxos::Message::Accept { ballot, at, values, .. }) => {
                    let through = paxos::Slot(at.0 + values.len() as u64 - 1);
                    paxos::Message::Ack {
                        ballot: *ballot,
                        through,
                        chosen: paxos::Slot::ZERO,
                        safe: paxos::Slot::ZERO,
                        gap: false,
                    }
                }
                (Self::ForgedConfirmations, paxos::Message::Confirm { ballot, round }) => {
                    paxos::Message::Confirmed { ballot: *ballot, round: *round }
                }
                _ => return None,
            };
            Some(PeerMessage::Paxos { shard: *shard, configuration: *configuration, message: answer })
        });
        Frame { messages: forged.collect(), ..Frame::default() }
    }

    /// What becomes of a frame on its way.
    pub(crate) fn alter(self, frame: &mut Frame) {
        for message in &mut frame.messages {
            match (self, message) {
                (Self::InflatedPayments, PeerMessage::Pay { payment, .. }) => {
                    payment.amount = Acorns(payment.amount.0 + 1);
                }
                (Self::LowCovers, PeerMessage::Heard(heard)) => {
                    for slot in heard.cover.changed.iter_mut().filter_map(|(_, slot)| slot.as_mut()) {
                        *slot = slot.prev();
                    }
                }
                _ => {}
            }
        }
    }

    /// What becomes of requests on their way.
    pub(crate) fn mislead(self, requests: &mut [Request]) {
        for request in requests {
            if let (Self::ForgottenSessions, RequestBody::Read { after, .. }) = (self, &mut request.body) {
                *after = paxos::Slot::ZERO;
            }
        }
    }

    /// What becomes of an answer on its way.
    pub(crate) fn pervert(self, answer: &mut Answer, repeated: bool) {
        let nobody = PlayerName::new("nobody").expect("a name");
        match (self, &mut answer.body) {
            (Self::WrongOwners, AnswerBody::Applied { outcome, .. }) if answer.id.is_multiple_of(13) => match outcome {
                Outcome::Rejected(Rejection::AlreadyOwned { owner, .. }) => *owner = nobody,
                Outcome::Rejected(Rejection::NotOwner { owner, .. }) => *owner = Some(nobody),
                _ => {}
            },
            (Self::ChangedRepeats, AnswerBody::Applied { outcome: Outcome::Done { field, .. }, .. }) if repeated => {
                *field = FieldView { version: field.version + 1, ..field.clone() };
            }
            (Self::LostChanges, AnswerBody::Read { reply: Reply::Changes(rows), .. })
            | (Self::ShortViews, AnswerBody::Read { reply: Reply::View(rows), .. }) => {
                let all = rows.unpack().flatten();
                *rows = all.take(rows.len().saturating_sub(1)).collect();
            }
            (Self::VagueReceipts, AnswerBody::Read { receipt, .. }) => receipt.bound_ms = Some(7),
            _ => {}
        }
    }
}
