//! `PERFORMANCE.md`: people write its sentences, this writes its figures, between marks that name them.

use super::{Found, parts::parts};
use crate::Failure;
use crate::report::Race;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Microseconds of CPU that a claim may cost: client, leader, each follower, all.
const BUDGET: [f64; 4] = [2.0, 2.5, 1.0, 8.0];

/// The document.
pub struct Paper {
    path: PathBuf,
    text: String,
}

impl Paper {
    /// As it is.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// With new figures.
    pub fn write(mut self, found: &Found, race: Option<&Race>, scale: Option<&Path>) -> Result<(), Failure> {
        self.put("budget", &budget(found))?;
        self.put("costs", &costs(found))?;
        self.put("calls", &calls(found))?;
        if let Some(race) = race {
            self.put("goals", &race.goals_in_markdown())?;
        }
        if let Some(path) = scale {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            self.put("scale", &scale_table(&serde_json::from_str(&text)?)?)?;
        }
        fs::write(&self.path, &self.text).map_err(|error| format!("{}: {error}", self.path.display()))?;
        println!("{} has new figures, and two flame graphs are beside it", self.path.display());
        Ok(())
    }

    fn put(&mut self, name: &str, figures: &str) -> Result<(), Failure> {
        let (begin, end) = (format!("<!-- figures: {name} -->\n"), format!("<!-- end of {name} -->"));
        let missing = || format!("{} has no place for {name}: {} ... {end}", self.path.display(), begin.trim());
        let from = self.text.find(&begin).ok_or_else(missing)? + begin.len();
        let to = from + self.text[from..].find(&end).ok_or_else(missing)?;
        self.text.replace_range(from..to, figures);
        Ok(())
    }
}

fn budget(found: &Found) -> String {
    let Found { in_flight, loaded, client, leader, follower, .. } = found;
    let mut table = format!(
        "{in_flight} claims in flight, one node leads all 64 shards: {:.0} claims a second, p50 {:.1} ms, p99 {:.1} ms.\n\n\
         | microseconds of CPU for a claim | measured | budget |\n|---|---|---|\n",
        loaded.per_s, loaded.p50_ms, loaded.p99_ms
    );
    let all = client + leader + 2.0 * follower;
    let rows = ["client, with its encryption", "leader", "each follower", "all four processes"];
    for ((row, measured), budget) in rows.iter().zip([*client, *leader, *follower, all]).zip(BUDGET) {
        let _ = writeln!(table, "| {row} | {measured:.2} | {budget:.1} |");
    }
    table
}

fn costs(found: &Found) -> String {
    let mut rows: Vec<(&str, f64, f64)> = parts()
        .map(|part| {
            let (leader, follower) = (found.leader_costs.share(part), found.follower_costs.share(part));
            (part, leader * found.leader, follower * found.follower)
        })
        .collect();
    let all = |row: &(&str, f64, f64)| row.1 + 2.0 * row.2;
    rows.sort_by(|a, b| all(b).total_cmp(&all(a)));
    let mut table =
        "| microseconds of CPU for a claim | leader | each follower | all three servers |\n|---|---|---|---|\n"
            .to_owned();
    for row in &rows {
        let _ = writeln!(table, "| {} | {:.2} | {:.2} | {:.2} |", row.0, row.1, row.2, all(row));
    }
    table
}

fn calls(found: &Found) -> String {
    let mut table = "| system calls for 1,000 claims | leader | follower |\n|---|---|---|\n".to_owned();
    for (name, leader, follower) in &found.calls {
        let _ = writeln!(table, "| {name} | {leader:.2} | {follower:.2} |");
    }
    table
}

fn scale_table(scale: &Value) -> Result<String, Failure> {
    let mut table = "| | | claims/s | p99 ms | servers, us a claim | client | all, to the first row | syncs a claim | MB a node |\n\
                     |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in scale["rows"].as_array().ok_or("this is not what `bench scale --json` prints")? {
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        let _ = writeln!(
            table,
            "| {} | {} | {:.0} | {:.1} | {:.2} | {:.2} | {:.2} | {:.4} | {:.0} |",
            row["grows"].as_str().unwrap_or("?"),
            row["size"],
            number("claims_per_s"),
            number("p99_ms"),
            number("servers_cpu") * 1e3,
            number("client_cpu") * 1e3,
            number("to_first"),
            number("syncs_per_claim"),
            number("resident_mb"),
        );
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_go_between_their_marks_and_nowhere_else() {
        let text = "Sentences.\n<!-- figures: a -->\nold\n<!-- end of a -->\nMore.\n".to_owned();
        let mut paper = Paper { path: PathBuf::from("P.md"), text };
        paper.put("a", "new\n").unwrap();
        assert_eq!(paper.text, "Sentences.\n<!-- figures: a -->\nnew\n<!-- end of a -->\nMore.\n");
        assert!(paper.put("b", "").is_err_and(|error| error.to_string().contains("no place for b")));
    }
}
