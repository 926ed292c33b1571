//! As a page of its own: bars, on a scale from nothing to the fastest.

use super::goals::goals;
use super::table::{peers, ways};
use super::{Race, Runner, Subject};
use crate::cores::Library;
use crate::work::Peer;
use std::fmt::Write;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#16222e;background:#f7fafc}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin:2.2rem 0 .3rem}h3{font-size:.9rem;margin:1rem 0 .2rem;color:#4a6072}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}td{padding:.12rem .4rem;white-space:nowrap}
td.bar{width:45%;padding-left:0}.track{position:relative;height:1.05rem;background:#e6eef4;border-radius:3px}
.fill{position:absolute;inset:0 auto 0 0;background:#8fa9bd;border-radius:3px}.ours .fill{background:#1d7fb8}
.range{position:absolute;top:.48rem;height:.09rem;background:#16222e}td.number{text-align:right}.ours td{font-weight:600}
.met{color:#1d7f4c}.missed{color:#b3451d}ul{padding-left:1.2rem;color:#4a6072;font-size:.85rem}p.small{color:#4a6072;font-size:.85rem}";

/// The whole page.
pub fn page(race: &Race) -> String {
    let mut html = String::new();
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>The race</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\
         <h1>Ice Age Farmland beside its peers</h1><p class=\"small\">{}, every peer alone on the machine: \
         {}. Bars are medians; the thin line is what the median lies between in 93 of 100 cases (with five rounds). CPU: \
         seconds for each 1,000 operations, servers together and client.</p>",
        race.rounds_in_words(),
        escaped(&race.machine)
    );
    write_goals(&mut html, race);
    for (subject, depths) in race.chapters() {
        let _ = write!(html, "<h2>{}</h2>", escaped(subject.title()));
        for depth in depths {
            write_bars(&mut html, race, subject, depth);
        }
        let ways = ways(race, subject);
        if !ways.is_empty() {
            let items: String = ways.iter().map(|way| format!("<li>{}</li>", escaped(way))).collect();
            let _ = write!(html, "<ul>{items}</ul>");
        }
    }
    html.push_str("<h2>Settings</h2><ul>");
    for peer in peers(race) {
        let version = race.versions.get(peer.title()).map_or("", String::as_str);
        let (title, version, settings) = (peer.title(), escaped(version), escaped(peer.settings()));
        let _ = write!(html, "<li><b>{title}</b> ({version}): {settings}</li>");
    }
    html.push_str("</ul></body></html>\n");
    html
}

fn write_goals(html: &mut String, race: &Race) {
    let goals = goals(race);
    if goals.is_empty() {
        return;
    }
    html.push_str("<h2>Goals: ratios within a round</h2><table>");
    for goal in goals {
        let (class, bound) =
            (if goal.is_met() { "met" } else { "missed" }, if goal.at_most { "at most" } else { "at least" });
        let _ = write!(
            html,
            "<tr><td class=\"{class}\">{class}</td><td>{}</td><td class=\"number\"><b>{:.2}</b></td>\
             <td>[{:.2}, {:.2}]</td><td>{bound} {}</td></tr>",
            escaped(&goal.what),
            goal.ratio.median,
            goal.ratio.low,
            goal.ratio.high,
            goal.target
        );
    }
    html.push_str("</table>");
}

fn write_bars(html: &mut String, race: &Race, subject: Subject, depth: usize) {
    let rates = race.of(subject, depth, |measured| measured.per_s);
    let p50 = race.of(subject, depth, |measured| measured.p50_ms);
    let p99 = race.of(subject, depth, |measured| measured.p99_ms);
    let servers = race.of(subject, depth, |measured| measured.servers_cpu);
    let client = race.of(subject, depth, |measured| measured.client_cpu);
    let most = rates.iter().map(|(_, rate)| rate.high).fold(f64::MIN_POSITIVE, f64::max);
    let share = |figure: f64| figure / most * 100.0;
    let _ = write!(html, "<h3>{} in flight</h3><table>", grouped(depth as f64));
    for (place, (runner, rate)) in rates.iter().enumerate() {
        let is_ours = matches!(runner, Runner::Peer(Peer::Ours) | Runner::Core(Library::Ours | Library::OursSlotEach));
        let class = if is_ours { " class=\"ours\"" } else { "" };
        let _ = write!(
            html,
            "<tr{class}><td>{}</td><td class=\"bar\"><div class=\"track\"><div class=\"fill\" style=\"width:{:.2}%\"></div>\
             <div class=\"range\" style=\"left:{:.2}%;width:{:.2}%\"></div></div></td><td class=\"number\">{}/s</td>",
            escaped(runner.title()),
            share(rate.median),
            share(rate.low),
            share(rate.high - rate.low),
            grouped(rate.median)
        );
        if subject != Subject::Core {
            let (p50, p99) = (p50[place].1.median, p99[place].1.median);
            let _ = write!(html, "<td class=\"number\">p50 {p50:.2} ms</td><td class=\"number\">p99 {p99:.2} ms</td>");
        }
        if matches!(subject, Subject::Work(_)) {
            let (servers, client) = (servers[place].1.median, client[place].1.median);
            let _ = write!(html, "<td class=\"number\">CPU {servers:.4} + {client:.4}</td>");
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
}

/// With a comma at each thousand.
fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_texts_escaped() {
        assert_eq!([999.4, 1_000.0, 1_234_567.0].map(grouped), ["999", "1,000", "1,234,567"]);
        assert_eq!(escaped("a<b & c>d"), "a&lt;b &amp; c&gt;d");
    }
}
