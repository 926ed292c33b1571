//! Policies: what a map file (`maps/worlds/ice-age.toml` explains the form) says of the shards beside the game's rules.

use crate::level::Level;
use crate::map::{ShardId, ShardMap};
use serde::Deserialize;
use toml::Spanned;

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct PolicyError {
    /// The file, as it was named to us.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, with the value.
    pub problem: String,
}

/// The part of a map file that is about shards. The rest is the world's, which refuses what nobody understands.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    reads: Vec<Reads>,
}

/// What reads of these shards get that name no level.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reads {
    /// First and last; all, if it is left out.
    shards: Option<Spanned<(u32, u32)>>,
    level: Spanned<String>,
}

impl ShardMap {
    /// Follows the policies of a map file. Where two speak of a shard, the later counts. `file_name` is for errors only.
    pub fn follow_policies(&mut self, file_name: &str, text: &str) -> Result<(), PolicyError> {
        let error = |at: usize, problem: String| PolicyError {
            file: file_name.to_owned(),
            line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
            problem,
        };
        let page: Page = toml::from_str(text)
            .map_err(|refused| error(refused.span().unwrap_or_default().start, refused.message().trim().to_owned()))?;
        let last = ShardId(u32::try_from(self.shards().len()).expect("a row for each of at most 65,536"));
        for Reads { shards, level } in page.reads {
            let at = level.span().start;
            let level: Level = level.into_inner().parse().map_err(|wrong| error(at, format!("{wrong}")))?;
            let range = match shards {
                Some(shards) => {
                    let at = shards.span().start;
                    let (from, to) = shards.into_inner();
                    if from == 0 || from > to || to > last.0 {
                        let problem = format!(
                            "shards = [{from}, {to}]: write the first and the last, of 1 to {last} that there are"
                        );
                        return Err(error(at, problem));
                    }
                    ShardId(from)..=ShardId(to)
                }
                None => ShardId(1)..=last,
            };
            self.set_reads(range, level);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos::NodeId;

    fn followed(text: &str) -> Result<Vec<Option<String>>, String> {
        let mut map = ShardMap::initial(4, &[NodeId(1)], 1).unwrap();
        map.follow_policies("map.toml", text).map_err(|error| error.to_string())?;
        Ok(map.shards().iter().map(|row| row.read.map(|level| level.to_string())).collect())
    }

    #[test]
    fn shards_read_as_their_policy_says_and_the_later_one_counts() {
        let policies = "name = 'x'\n[[reads]]\nlevel = 'bounded:500'\n[[reads]]\nshards = [2, 3]\nlevel = 'eventual'\n";
        let of = |level: &str| Some(level.to_owned());
        assert_eq!(followed(policies).unwrap(), [of("bounded:500"), of("eventual"), of("eventual"), of("bounded:500")]);
        assert_eq!(followed("name = 'x'\n").unwrap(), [None, None, None, None]);
    }

    #[test]
    fn mistakes_are_refused_with_file_line_and_value() {
        for (text, expected) in [
            (
                "[[reads]]\nlevel = 'fresh'\n",
                "map.toml:2: 'fresh' is not a read level: use strong, bounded:MS, session or eventual",
            ),
            (
                "\n[[reads]]\nshards = [3, 5]\nlevel = 'strong'\n",
                "map.toml:3: shards = [3, 5]: write the first and the last, of 1 to 4 that there are",
            ),
            (
                "[[reads]]\nshards = [0, 2]\nlevel = 'strong'\n",
                "map.toml:2: shards = [0, 2]: write the first and the last, of 1 to 4 that there are",
            ),
            ("[[reads]]\nlevels = 'strong'\n", "map.toml:2: unknown field `levels`, expected `shards` or `level`"),
        ] {
            assert_eq!(followed(text).unwrap_err(), expected);
        }
    }
}
