//! A number that two runs share only if they went the same way.

/// Mixes what happens into one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// Of nothing.
    pub const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// `value` happened next.
    pub fn mix(&mut self, value: u64) {
        // One round of the finalizer of MurmurHash3 (Appleby, public domain) over both.
        let mut mixed = self.0.rotate_left(23) ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// The number.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
