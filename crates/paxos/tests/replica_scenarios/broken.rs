//! Worlds that break one rule each, to see that the storm sees it: a check that cannot fail is worth nothing.

use paxos::{Ballot, Message, NodeId, QuorumSystem, Replica, Slot};

/// The rule that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Nothing,
    /// The disk says "durable" when it is not.
    PretendsDurable,
    /// Messages do not wait for what they answer to be durable.
    AnswersBeforeDurable,
    /// A restarted node has an empty disk.
    Amnesia,
    /// A restarted node knows what it accepted, and not what else it promised.
    ForgottenPromises,
    /// A crash can lose a record and keep a later one.
    HolesOnDisk,
    /// Acknowledgements speak for one slot more than they should.
    ForgedAck,
    /// An acknowledgement counts under whatever ballot the leader has.
    AckWithoutBallot,
    /// A watermark counts for whatever ballot the follower accepted under.
    WatermarkWithoutBallot,
    /// Each accept claims to be its ballot's first.
    AcceptWithoutStart,
    /// Promises do not tell what was accepted.
    HiddenVotes,
    /// Promises do not tell under which ballot it was accepted.
    VotesWithoutBallot,
    /// Promises do not tell how far is chosen.
    HiddenWatermark,
    /// A promise counts for whatever ballot the candidate has.
    PromiseWithoutBallot,
    /// The log is served to peers as far as it goes, chosen or not.
    LogReadBeyondChosen,
    /// One node takes itself for a prepare quorum; the others do not know.
    DisjointQuorums,
    /// Messages are taken for ones of the receiver's own configuration.
    AnyConfiguration,
    /// Voters confirm every ballot, whatever they have promised.
    ConfirmsAnything,
}

impl Broken {
    /// The quorum system that `node` believes in.
    pub fn quorum_at(self, node: NodeId, quorum: &QuorumSystem) -> QuorumSystem {
        let voters = quorum.voters();
        if self == Self::DisjointQuorums && node == NodeId(1) {
            let all = voters.len();
            return QuorumSystem::flexible(voters.iter().copied(), 1, all).expect("1 + n > n");
        }
        quorum.clone()
    }

    /// What arrives at `receiver` when `from` has sent `message`.
    pub fn forge(self, from: NodeId, mut message: Message, receiver: &Replica) -> (NodeId, Message) {
        let own = receiver.promised();
        match (self, &mut message) {
            (Self::ForgedAck, Message::Ack { through, .. }) => *through = through.next(),
            (Self::AckWithoutBallot, Message::Ack { ballot, .. })
            | (Self::PromiseWithoutBallot, Message::Promise { ballot, .. }) => *ballot = own,
            (Self::WatermarkWithoutBallot, Message::Watermark { ballot, start, .. }) => {
                if let Some(followed) = receiver.leader().filter(|leader| leader.node != receiver.me()) {
                    *ballot = followed;
                    *start = Slot(1);
                    return (followed.node, message);
                }
            }
            (Self::AcceptWithoutStart, Message::Accept { start, at, .. }) => *start = *at,
            (Self::HiddenVotes, Message::Promise { accepted, .. }) => accepted.clear(),
            (Self::VotesWithoutBallot, Message::Promise { accepted, .. }) => {
                // Each claims to be of a ballot of its own, so that none of them contradicts another.
                for vote in accepted {
                    vote.ballot = Ballot { round: 1_000 - vote.ballot.round.min(999), node: vote.ballot.node };
                }
            }
            (Self::HiddenWatermark, Message::Promise { chosen, .. }) => *chosen = Slot::ZERO,
            (Self::ConfirmsAnything, Message::Refuse { ballot, .. }) => {
                let ballot = *ballot;
                return (from, Message::Confirmed { ballot, round: u64::MAX });
            }
            _ => {}
        }
        (from, message)
    }
}
