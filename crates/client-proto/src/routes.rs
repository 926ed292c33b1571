//! The shard map as this client holds it, with whom it believes to lead each shard.
//!
//! Invariant: the rows cover every bucket exactly once, and each has a voter.

use paxos::NodeId;
use placement::{Level, ShardId, ShardInfo, ShardMap};
use std::collections::BTreeMap;
use world::Bucket;

/// A shard map that cannot be routed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenMap {
    /// Buckets that no shard holds, or several.
    #[error("the shard map (version {version}) does not cover bucket {bucket} exactly once")]
    Cover {
        /// Of the map.
        version: u64,
        /// The first such bucket.
        bucket: u32,
    },
    /// A shard without voters.
    #[error("shard {shard} has no voters in the shard map (version {version})")]
    Voters {
        /// Of the map.
        version: u64,
        /// Which.
        shard: ShardId,
    },
}

#[derive(Debug)]
pub(crate) struct Row {
    pub first: Bucket,
    pub shard: ShardId,
    pub voters: Vec<NodeId>,
    /// The number of the configuration in which they vote.
    configuration: u64,
    /// What a read gets that names no level.
    pub read: Option<Level>,
    /// Who leads, as far as answers have told.
    pub leader: Option<NodeId>,
}

#[derive(Debug, Default)]
pub(crate) struct Routes {
    pub version: u64,
    rows: Vec<Row>,
    /// The row of the first bucket of each run of 2^[`RUN`], and at the end the last row: every read and command looks for
    /// its row more than once.
    runs: Vec<usize>,
}

/// Few enough rows have more than one beginning in a run.
const RUN: u32 = 6;

impl Routes {
    /// The rows of `map`, with what `old` knew about leaders.
    pub fn new(map: &ShardMap, old: &Self) -> Result<Self, BrokenMap> {
        let version = map.version;
        let mut next = 0;
        let mut rows = Vec::with_capacity(map.shards().len());
        let known: BTreeMap<ShardId, &Row> = old.rows.iter().map(|row| (row.shard, row)).collect();
        for info in map.shards() {
            if u32::from(info.first.0) != next || info.last < info.first {
                return Err(BrokenMap::Cover { version, bucket: next.min(u32::from(info.first.0)) });
            }
            if info.voters.is_empty() {
                return Err(BrokenMap::Voters { version, shard: info.shard });
            }
            next = u32::from(info.last.0) + 1;
            let known = known.get(&info.shard);
            let leader = known.and_then(|row| row.leader);
            // A node knows best who takes part in what it holds itself; the later word counts.
            let later = known.filter(|row| row.configuration > info.configuration);
            let (voters, configuration) =
                later.map_or((&info.voters, info.configuration), |row| (&row.voters, row.configuration));
            rows.push(Row {
                first: info.first,
                shard: info.shard,
                voters: voters.clone(),
                configuration,
                read: info.read,
                leader,
            });
        }
        if next != Bucket::COUNT {
            return Err(BrokenMap::Cover { version, bucket: next });
        }
        let holder = |bucket: u32| rows.partition_point(|row| u32::from(row.first.0) <= bucket) - 1;
        let runs = (0..Bucket::COUNT >> RUN).map(|run| holder(run << RUN)).chain([rows.len() - 1]).collect();
        Ok(Self { version, rows, runs })
    }

    /// Whether `map` tells anything that is not known here.
    pub fn is_news(&self, map: &ShardMap) -> bool {
        let later = |(info, row): (&ShardInfo, &Row)| info.shard == row.shard && info.configuration > row.configuration;
        map.version > self.version || map.shards().iter().zip(&self.rows).any(later)
    }

    /// Which row holds `bucket`.
    pub fn index(&self, bucket: Bucket) -> usize {
        let run = usize::from(bucket.0 >> RUN);
        let (from, to) = (self.runs[run], self.runs[run + 1]);
        from + self.rows[from + 1..=to].partition_point(|row| row.first <= bucket)
    }

    pub fn row(&self, bucket: Bucket) -> &Row {
        &self.rows[self.index(bucket)]
    }

    pub fn row_mut(&mut self, bucket: Bucket) -> &mut Row {
        let index = self.index(bucket);
        &mut self.rows[index]
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// `node` leads nothing any more, as far as we know.
    pub fn forget_leader(&mut self, node: NodeId) {
        for row in &mut self.rows {
            if row.leader == Some(node) {
                row.leader = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_is_found_in_the_row_that_holds_it() {
        for shards in [1, 2, 64, 1_024, 8_192, 65_536] {
            let map = ShardMap::initial(shards, &[NodeId(1)], 1).unwrap();
            let routes = Routes::new(&map, &Routes::default()).unwrap();
            for info in map.shards() {
                for bucket in [info.first, info.last] {
                    assert_eq!(routes.row(bucket).shard, info.shard, "{bucket:?} of {shards} shards");
                }
            }
        }
    }

    #[test]
    fn a_map_with_a_hole_or_without_voters_is_refused() {
        let good = ShardMap::initial(4, &[NodeId(1)], 1).unwrap();
        assert!(Routes::new(&good, &Routes::default()).is_ok());
        let broken = |change: &dyn Fn(&mut String)| {
            // Only its own decoder makes such a map: through its text form, as a hostile node would.
            let mut text = serde_json::to_string(&good).unwrap();
            change(&mut text);
            Routes::new(&serde_json::from_str(&text).unwrap(), &Routes::default()).unwrap_err()
        };
        let hole = broken(&|text| *text = text.replace("\"last\":16383", "\"last\":16382"));
        assert_eq!(hole, BrokenMap::Cover { version: 1, bucket: 16_383 });
        let short = broken(&|text| *text = text.replace("\"last\":65535", "\"last\":65534"));
        assert_eq!(short, BrokenMap::Cover { version: 1, bucket: 65_535 });
        let nobody = broken(&|text| *text = text.replacen("\"voters\":[1]", "\"voters\":[]", 1));
        assert_eq!(nobody, BrokenMap::Voters { version: 1, shard: ShardId(1) });
        let empty = broken(&|text| *text = "{\"version\":1,\"shards\":[]}".into());
        assert_eq!(empty, BrokenMap::Cover { version: 1, bucket: 0 });
    }
}
