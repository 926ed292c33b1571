//! As text.

use super::goals::goals;
use super::{Race, Runner, Subject};
use crate::work::Peer;
use std::fmt::Write;

/// Everything, chapter by chapter.
pub fn table(race: &Race) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}; {}", race.rounds_in_words(), race.machine);
    let _ = writeln!(text, "medians; in brackets what they lie between in 93 of 100 cases (with five rounds)");
    for (subject, depths) in race.chapters() {
        let _ = writeln!(text, "\n{}", subject.title());
        if subject == Subject::Core {
            let _ = writeln!(text, "  {:>9} {:<46} {:>12}", "in flight", "", "a second");
        } else {
            let columns = ["a second", "", "p50 ms", "p99 ms", "servers", "client"];
            let [rate, range, p50, p99, servers, client] = columns;
            let _ = writeln!(
                text,
                "  {:>9} {:<46} {rate:>12} {range:<25} {p50:>9} {p99:>9} {servers:>9} {client:>9}",
                "in flight", ""
            );
        }
        for depth in depths {
            let rates = race.of(subject, depth, |measured| measured.per_s);
            let other = |figure| race.of(subject, depth, figure);
            let p50 = other(|measured| measured.p50_ms);
            let p99 = other(|measured| measured.p99_ms);
            let servers = other(|measured| measured.servers_cpu);
            let client = other(|measured| measured.client_cpu);
            for (place, (runner, rate)) in rates.iter().enumerate() {
                let range = format!("[{:.0}, {:.0}]", rate.low, rate.high);
                let _ = write!(text, "  {depth:>9} {:<46} {:>12.0} {range:<25}", runner.title(), rate.median);
                if subject != Subject::Core {
                    let _ = write!(text, " {:>9.3} {:>9.3}", p50[place].1.median, p99[place].1.median);
                }
                if matches!(subject, Subject::Work(_)) {
                    let _ = write!(text, " {:>9.4} {:>9.4}", servers[place].1.median, client[place].1.median);
                }
                let _ = writeln!(text);
            }
        }
        for way in ways(race, subject) {
            let _ = writeln!(text, "  {way}");
        }
    }
    let _ = writeln!(text, "\nservers, client: CPU seconds for each 1,000 operations\n\nSettings");
    for peer in peers(race) {
        let version = race.versions.get(peer.title()).map_or("", String::as_str);
        let _ = writeln!(text, "  {} ({version}): {}", peer.title(), peer.settings());
    }
    let goals = goals(race);
    if !goals.is_empty() {
        let _ = writeln!(text, "\nGoals: ratios within a round");
    }
    for goal in goals {
        let (met, bound) = (if goal.is_met() { "met   " } else { "missed" }, if goal.at_most { "<=" } else { ">=" });
        let range = format!("[{:.2}, {:.2}]", goal.ratio.low, goal.ratio.high);
        let _ =
            writeln!(text, "  {met} {:>8.2} {range:<18} {bound} {:<5} {}", goal.ratio.median, goal.target, goal.what);
    }
    text
}

/// Who took part.
pub fn peers(race: &Race) -> Vec<Peer> {
    let took_part = |peer: &Peer| race.samples.iter().any(|sample| sample.runner == Runner::Peer(*peer));
    Peer::ALL.into_iter().filter(took_part).collect()
}

/// How each of them does it.
pub fn ways(race: &Race, subject: Subject) -> Vec<String> {
    let Subject::Work(work) = subject else { return Vec::new() };
    peers(race).iter().filter_map(|peer| Some(format!("{}: {}", peer.title(), peer.way(work)?))).collect()
}
