//! A hand in the network, for scenarios that need one message to go astray and not another.

use crate::judge::PlayerNo;
use paxos::NodeId;
use wire::peer::Frame;
use wire::{Answer, Request};

/// What becomes of something on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Whatever the weather says.
    #[default]
    Pass,
    /// It never arrives.
    Lose,
    /// It arrives, so many microseconds later.
    Late(u64),
    /// It arrives, and once more so many microseconds later.
    Again(u64),
}

/// Decides about `What`, sent `From` somebody `To` somebody.
type Judge<From, To, What> = Box<dyn FnMut(From, To, &What) -> Fate>;

/// Decides the fate of what travels.
#[derive(Default)]
pub struct Meddler {
    frames: Option<Judge<NodeId, NodeId, Frame>>,
    requests: Option<Judge<PlayerNo, NodeId, [Request]>>,
    answers: Option<Judge<NodeId, PlayerNo, [Answer]>>,
}

impl Meddler {
    /// From now on `judge` decides about frames from one node to another.
    pub fn frames(&mut self, judge: impl FnMut(NodeId, NodeId, &Frame) -> Fate + 'static) {
        self.frames = Some(Box::new(judge));
    }

    /// From now on `judge` decides about clients' requests.
    pub fn requests(&mut self, judge: impl FnMut(PlayerNo, NodeId, &[Request]) -> Fate + 'static) {
        self.requests = Some(Box::new(judge));
    }

    /// From now on `judge` decides about answers.
    pub fn answers(&mut self, judge: impl FnMut(NodeId, PlayerNo, &[Answer]) -> Fate + 'static) {
        self.answers = Some(Box::new(judge));
    }

    /// Everything passes again.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn of_frame(&mut self, from: NodeId, to: NodeId, frame: &Frame) -> Fate {
        self.frames.as_mut().map_or(Fate::Pass, |judge| judge(from, to, frame))
    }

    pub(crate) fn of_requests(&mut self, player: PlayerNo, node: NodeId, requests: &[Request]) -> Fate {
        self.requests.as_mut().map_or(Fate::Pass, |judge| judge(player, node, requests))
    }

    pub(crate) fn of_answers(&mut self, node: NodeId, player: PlayerNo, answers: &[Answer]) -> Fate {
        self.answers.as_mut().map_or(Fate::Pass, |judge| judge(node, player, answers))
    }
}

impl std::fmt::Debug for Meddler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddler")
    }
}
