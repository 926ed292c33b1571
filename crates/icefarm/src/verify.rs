//! `icefarm admin verify`: is what nodes that do not run have on their disks still as it was written?

use crate::cli::Globals;
use crate::exit::{Exit, Failure};
use crate::stdout;
use crate::words;
use json::Problem;
use node::NodeError;
use placement::Membership;
use serde_json::{Value, json};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use storage::{DataError, InspectedShard, Inspection, Progress};

/// Between two words about how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Between two looks whether somebody has let go of the data.
const LOOK: Duration = Duration::from_millis(50);

/// Reads all data under `path`: of one node, or of each node of a local cluster. Nothing is changed.
pub fn run(globals: &Globals, path: &Path) -> Result<(), Failure> {
    let (mut rows, mut damaged, mut in_use, begin) = (Vec::new(), Vec::new(), 0, Instant::now());
    for data in data_dirs(path)? {
        let mut teller = Teller::new(&data);
        match inspect(&data, begin, &mut teller) {
            Ok(found) => {
                teller.clear();
                if !globals.json {
                    stdout::text(&page(&data, &found))?;
                }
                rows.push(object(&data, &found));
            }
            Err(error) => {
                teller.clear();
                rows.push(damage(&data, &error));
                in_use += usize::from(matches!(error, NodeError::Data(DataError::InUse { .. })));
                damaged.push(error.to_string());
            }
        }
    }
    if !damaged.is_empty() {
        let message = damaged.join("\n");
        let hint = if in_use == damaged.len() {
            "nothing was looked at; a node that runs checks what it reads by itself"
        } else {
            "a node whose disk is damaged gets everything back from the others: docs/runbook.md, \"A damaged disk\""
        };
        return Err(Failure::new(Exit::Machine, message.clone())
            .hint(hint)
            .with_problem(Problem::Damaged { message, nodes: rows }));
    }
    if globals.json {
        return stdout::json(&json!({ "outcome": "ok", "nodes": rows }));
    }
    stdout::text(&format!("all of it is sound ({} looked at)\n", words::count(rows.len() as u64, "node")))
}

/// Looks at what is in `data`. Whoever has it is waited for a while, counted from `begin`: it may be about to end.
fn inspect(data: &Path, begin: Instant, teller: &mut Teller<'_>) -> Result<Inspection, NodeError> {
    let mut told = false;
    loop {
        match node::inspect(data, |progress| teller.tell(progress)) {
            Err(error @ NodeError::Data(DataError::InUse { .. })) if begin.elapsed() < node::LET_GO => {
                if !std::mem::replace(&mut told, true) {
                    eprintln!("{error}; waiting for {} s whether it lets go", node::LET_GO.as_secs());
                }
                thread::sleep(LOOK);
            }
            looked => return looked,
        }
    }
}

/// The data directory that `path` is, or that the node's home has that it is, or those of the nodes whose homes are in it.
fn data_dirs(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let is_data = |path: &Path| ["VERSION", "log", "pages.redb"].iter().any(|name| path.join(name).exists());
    if is_data(path) {
        return Ok(vec![path.to_owned()]);
    }
    let homes = fs::read_dir(path)
        .map_err(|error| Failure::new(Exit::Machine, format!("cannot read {}: {error}", path.display())))?;
    let mut homes: Vec<PathBuf> = homes.flatten().map(|entry| entry.path()).collect();
    homes.push(path.to_owned());
    let mut found: Vec<PathBuf> =
        homes.into_iter().map(|home| home.join("data")).filter(|data| is_data(data)).collect();
    // n2 before n10.
    found.sort_by_key(|data| (data.as_os_str().len(), data.clone()));
    if found.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("there is no node's data in {}", path.display()))
            .hint("name a node's data directory, its home, or the --data of `icefarm up`"));
    }
    Ok(found)
}

/// Says now and then how far it is.
struct Teller<'a> {
    data: &'a Path,
    on_terminal: bool,
    told: Instant,
    shown: bool,
}

impl<'a> Teller<'a> {
    fn new(data: &'a Path) -> Self {
        Self { data, on_terminal: std::io::stderr().is_terminal(), told: Instant::now(), shown: false }
    }

    fn tell(&mut self, progress: Progress) {
        if self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let (done, of, what) = match progress {
            Progress::Log(done, of) => (done, of, "segment"),
            Progress::Pages(done, of) => (done, of, "page"),
        };
        let line = format!("{}: {} of {}", self.data.display(), words::thousands(done), words::count(of, what));
        if self.on_terminal {
            eprint!("\r{line}\x1b[K");
            self.shown = true;
        } else {
            eprintln!("{line}");
        }
    }

    fn clear(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

fn page(data: &Path, found: &Inspection) -> String {
    let log = &found.log;
    let torn = if log.torn { ", a torn tail that the next start cuts" } else { "" };
    let mut text = format!(
        "{}: {}, started {}\n  log: {} with {} in {}{torn}\n  checkpoints: {}\n\n",
        data.display(),
        found.identity,
        words::count(found.boots, "time"),
        words::count(log.segments, "segment"),
        words::count(log.records, "record"),
        words::count(log.frames, "frame"),
        words::count(found.pages, "page"),
    );
    let heading = ["shard", "promised", "checkpointed", "chosen", "log from", "log to", "pages"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (shard, found) in &found.shards {
        rows.push(match (&found.recovered, found.membership) {
            (_, Some(Membership::Left(_))) | (None, _) => vec![shard.to_string(), "left".into()],
            (Some(recovered), _) => vec![
                shard.to_string(),
                recovered.promised.to_string(),
                recovered.applied.to_string(),
                recovered.chosen.to_string(),
                recovered.first.to_string(),
                last(found).to_string(),
                words::thousands(found.pages),
            ],
        });
    }
    text.push_str(&words::table(&rows));
    text.push('\n');
    text
}

/// The last slot that the node holds.
fn last(found: &InspectedShard) -> u64 {
    let recovered = found.recovered.as_ref();
    let logged = recovered.and_then(|recovered| recovered.entries.last_key_value()).map(|(slot, _)| slot.0);
    logged.or_else(|| recovered.map(|recovered| recovered.applied.0)).unwrap_or(0)
}

fn object(data: &Path, found: &Inspection) -> Value {
    let shard = |(shard, found): (&placement::ShardId, &InspectedShard)| match (&found.recovered, found.membership) {
        (_, Some(Membership::Left(_))) | (None, _) => json!({ "shard": shard.0, "left": true }),
        (Some(recovered), _) => json!({
            "shard": shard.0,
            "promised": recovered.promised.to_string(),
            "checkpointed": recovered.applied.0,
            "chosen": recovered.chosen.0,
            "log_from": recovered.first.0,
            "log_to": last(found),
            "pages": found.pages,
            "page_bytes": found.page_bytes,
        }),
    };
    let log = &found.log;
    json!({
        "data": data.display().to_string(),
        "sound": true,
        "node": found.identity.node.to_string(),
        "cluster": found.identity.cluster.to_string(),
        "incarnation": found.identity.incarnation.to_string(),
        "boots": found.boots,
        "log": { "segments": log.segments, "frames": log.frames, "records": log.records, "torn": log.torn },
        "pages": found.pages,
        "shards": found.shards.iter().map(shard).collect::<Vec<_>>(),
    })
}

fn damage(data: &Path, error: &NodeError) -> Value {
    let place = match error {
        NodeError::Data(error) => error.place(),
        _ => None,
    };
    json!({
        "data": data.display().to_string(),
        "sound": false,
        "file": place.map(|(file, _)| file.display().to_string()),
        "offset": place.and_then(|(_, offset)| offset),
        "in_use": matches!(error, NodeError::Data(DataError::InUse { .. })),
        "message": error.to_string(),
    })
}
