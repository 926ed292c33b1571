//! What players are called: the run's tag, and the player's number, so that an owner's name says who it is.

use std::fmt::Write;
use world::PlayerName;
use world::name::MAX_NAME;

/// Between the run's tag and the player's number.
const DASH: char = '-';
/// What makes short names longer.
const PAD: char = '~';

/// The names of one run.
#[derive(Clone, Debug)]
pub struct Names {
    tag: String,
    bytes: usize,
}

impl Names {
    /// The run of this seed; names shorter than `bytes` are made as long.
    pub fn new(seed: u64, bytes: usize) -> Self {
        Self { tag: format!("p{seed:x}"), bytes }
    }

    /// Who is known only to this run: whoever claims to be this run's must be the first.
    pub fn marker(&self) -> PlayerName {
        self.finish(format!("{}{DASH}", self.tag))
    }

    /// The name of a player.
    pub fn of(&self, player: u32) -> PlayerName {
        let mut name = String::with_capacity(MAX_NAME);
        // Writing to a string does not fail.
        let _ = write!(name, "{}{DASH}{player}", self.tag);
        self.finish(name)
    }

    fn finish(&self, mut name: String) -> PlayerName {
        name.extend(std::iter::repeat_n(PAD, self.bytes.saturating_sub(name.len())));
        PlayerName::new(&name).expect("a tag of 17 letters, a dash and ten digits at most")
    }

    /// Which of this run's players that is; `None`: somebody else.
    pub fn player(&self, name: &PlayerName) -> Option<u32> {
        let (tag, number) = name.as_str().split_once(DASH)?;
        (tag == self.tag).then(|| number.trim_end_matches(PAD).parse().ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_who_it_is() {
        for (seed, bytes) in [(0, 0), (u64::MAX, 0), (u64::MAX, 32), (7, 32)] {
            let names = Names::new(seed, bytes);
            for player in [0, 7, u32::MAX] {
                let name = names.of(player);
                assert_eq!(names.player(&name), Some(player), "{name}");
                assert!(name.as_str().len() >= bytes);
            }
            assert_eq!(names.player(&names.marker()), None);
        }
        let others = Names::new(8, 0);
        assert_eq!(others.player(&Names::new(7, 0).of(1)), None);
        assert_eq!(others.player(&PlayerName::new("scrat").unwrap()), None);
    }
}
