//! What is on its way to one viewer: frames, up to a bound. Beyond it the viewer is behind, and hears more once it has taken
//! what it has.

use bytes::Bytes;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// With so many bytes on its way a viewer is sent nothing more. (One frame may be larger, and then is alone.)
const MOST: usize = 128 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Mailbox {
    state: Mutex<State>,
    stirred: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: Vec<Bytes>,
    bytes: usize,
    /// Something was held back.
    behind: bool,
    /// When the oldest change was applied that a frame tells.
    since: Option<Instant>,
    /// The hub has ended.
    closed: bool,
}

/// What was taken out.
#[derive(Debug, Default)]
pub struct Post {
    /// Each one frame of a bulk message.
    pub frames: Vec<Bytes>,
    /// The hub is to be told that there is room again.
    pub behind: bool,
    /// When the oldest change was applied that they tell.
    pub since: Option<Instant>,
}

impl Mailbox {
    /// Puts a frame in; `false`: there is no room, and the viewer is behind until it has taken what there is.
    pub(super) fn put(&self, frame: &Bytes, since: Option<Instant>) -> bool {
        let mut state = self.lock();
        if state.bytes > 0 && state.bytes + frame.len() > MOST {
            state.behind = true;
            return false;
        }
        state.bytes += frame.len();
        state.frames.push(frame.clone());
        state.since = [state.since, since].into_iter().flatten().min();
        drop(state);
        self.stirred.notify_one();
        true
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.stirred.notify_one();
    }

    /// Everything there is, as soon as there is anything; `None`: nothing more will come.
    pub async fn take(&self) -> Option<Post> {
        loop {
            {
                let mut state = self.lock();
                if !state.frames.is_empty() {
                    let (frames, behind) = (std::mem::take(&mut state.frames), std::mem::take(&mut state.behind));
                    state.bytes = 0;
                    return Some(Post { frames, behind, since: state.since.take() });
                }
                if state.closed {
                    return None;
                }
            }
            self.stirred.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_taken_nothing_is_sent_so_much_and_no_more_until_it_has() {
        let mailbox = Mailbox::default();
        let frame = Bytes::from(vec![0; MOST / 4]);
        let put = |count: usize| (0..count).filter(|_| mailbox.put(&frame, None)).count();
        assert_eq!(put(6), 4);
        let post = mailbox.take().await.unwrap();
        assert_eq!((post.frames.len(), post.behind), (4, true));
        assert_eq!(put(1), 1);
        assert!(!mailbox.take().await.unwrap().behind, "nothing was held back");
        mailbox.close();
        assert!(mailbox.take().await.is_none());
    }

    #[tokio::test]
    async fn a_frame_that_is_too_large_goes_alone() {
        let mailbox = Mailbox::default();
        let large = Bytes::from(vec![0; 2 * MOST]);
        assert!(mailbox.put(&large, None) && !mailbox.put(&Bytes::from_static(b"x"), None));
        assert_eq!(mailbox.take().await.unwrap().frames, [large]);
    }

    #[tokio::test]
    async fn post_says_how_old_its_oldest_news_are() {
        let (mailbox, frame) = (Mailbox::default(), Bytes::from_static(b"x"));
        let early = Instant::now();
        let late = early + std::time::Duration::from_millis(5);
        for since in [Some(late), None, Some(early)] {
            mailbox.put(&frame, since);
        }
        assert_eq!(mailbox.take().await.unwrap().since, Some(early));
        mailbox.put(&frame, None);
        assert_eq!(mailbox.take().await.unwrap().since, None);
    }
}
