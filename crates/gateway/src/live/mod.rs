//! Land as it changes, for all who watch it here.
//!
//! One task, the `hub`, knows what each viewer sees. It looks at a block once, however many see it: what the node's own
//! replicas apply there comes to it through the [`Tap`], and what no replica of this node holds, or what must be proven, it
//! asks of others, each question waiting there for a change (`sources`). Changes of a few hundredths of a second become one
//! frame, which is encoded once and goes to all who have seen what was before.
//!
//! Nobody is sent more than its `mailbox` takes. Who reads slowly is left *behind*: of each block is known up to where it
//! was told, and once it has read what it has, it is told what has changed since, each field once, or everything
//! (`land`, `tiles`). So memory does not grow with how slow a viewer is, and a viewer is as late as its own line.
//!
//! | module | what it holds |
//! |---|---|
//! | `hub` | who sees what, and the order of things |
//! | `land`, `tiles` | what is known of one block, near and from afar; pure |
//! | `frames` | frames as bytes |
//! | `mailbox` | what is on its way to one viewer |
//! | `sources` | questions to the cluster |
//! | `tap` | the way to the node's own replicas |

mod frames;
mod hub;
mod land;
mod mailbox;
mod sources;
mod tap;
mod tiles;

pub use frames::message;
pub use hub::{Hub, LookError, Sure, ViewerId};
pub use mailbox::Mailbox;
pub use tap::{Sight, Tap, TapEnd, Told, tap};
