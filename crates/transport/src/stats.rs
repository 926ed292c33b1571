//! Counters, readable at any time from anywhere.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What a transport has counted since it was bound.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)+
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Frames received whole, from peers and clients.
    frames_in,
    /// Bytes of those frames, without their length prefixes.
    bytes_in,
    /// Frames taken into a queue for sending.
    frames_out,
    /// Bytes of those frames, without their length prefixes.
    bytes_out,
    /// Frames for a peer that was not connected.
    frames_not_connected,
    /// Frames for a peer whose queue was full.
    frames_queue_full,
    /// Connections ended for a frame over the limit or a stream that began with something else than a frame.
    bad_frames,
    /// Handshakes completed, both directions.
    handshakes,
    /// Handshakes that failed, both directions.
    handshakes_failed,
    /// Connections refused: not allowed, unknown version, or no room.
    refused,
    /// Clients disconnected because they did not read what was sent to them.
    clients_too_slow,
    /// Clients connected now.
    clients_now,
    /// Peers connected now.
    peers_now,
}

/// One number that only ever needs to be right on its own.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: usize) {
        self.0.fetch_sub(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
