//! What answers say of themselves, and of what everybody wants, held against what has been answered before.

mod contest;
mod receipts;

pub use contest::{Histories, Noted};
pub use receipts::{Age, Receipts};
