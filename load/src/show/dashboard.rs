//! A picture of the run, drawn anew each second: throughput and latency over time, errors, how stale reads are, the nodes, and
//! what the players do.

use super::{Look, share};
use crate::Failure;
use crate::profile::Doing;
use crate::run::servers::Figures;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, List, Paragraph, Row, Sparkline, Table};
use std::collections::VecDeque;
use std::io::{self, Stderr};

/// Seconds that fit the plots.
const HISTORY: u32 = 120;
/// Events that fit their box.
const EVENTS: usize = 4;

/// The picture.
#[derive(Debug)]
pub struct Dashboard {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    title: String,
    seconds: u32,
    rates: VecDeque<u64>,
    p50: VecDeque<(f64, f64)>,
    p99: VecDeque<(f64, f64)>,
    events: VecDeque<String>,
    /// What each node said when it was looked at last, and how busy it had been.
    last: Vec<(Option<Figures>, f64)>,
    /// All events, for the time when the picture is gone.
    all_events: Vec<String>,
}

impl Dashboard {
    /// Takes the terminal. (Ctrl-C stays what it is: the run ends, with its report.)
    pub fn new(title: &str, seconds: u32) -> Result<Self, Failure> {
        execute!(io::stderr(), terminal::EnterAlternateScreen, cursor::Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stderr()))?;
        Ok(Self {
            terminal,
            title: title.to_owned(),
            seconds,
            rates: VecDeque::new(),
            p50: VecDeque::new(),
            p99: VecDeque::new(),
            events: VecDeque::new(),
            last: Vec::new(),
            all_events: Vec::new(),
        })
    }

    /// Something happened.
    pub fn event(&mut self, what: &str) {
        self.events.push_back(what.to_owned());
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
        self.all_events.push(what.to_owned());
    }

    /// A second is over.
    pub fn second(&mut self, look: &Look<'_>) {
        let second = look.second;
        let at = f64::from(second.nth);
        self.rates.push_back(second.done);
        if second.done > 0 {
            self.p50.push_back((at, second.p50_ms.max(0.001).log10()));
            self.p99.push_back((at, second.p99_ms.max(0.001).log10()));
        }
        for plot in [&mut self.p50, &mut self.p99] {
            while plot.front().is_some_and(|(first, _)| at - first > f64::from(HISTORY)) {
                plot.pop_front();
            }
        }
        if self.rates.len() > HISTORY as usize {
            self.rates.pop_front();
        }
        self.last.resize(look.figures.len(), (None, 0.0));
        for ((last, busy), figures) in self.last.iter_mut().zip(look.figures) {
            match (&last, figures) {
                (Some(last), Some(figures)) if last.at < figures.at => {
                    *busy = (figures.cpu_s - last.cpu_s).max(0.0) / (figures.at - last.at).as_secs_f64();
                }
                (Some(_), Some(_)) => {}
                _ => *busy = 0.0,
            }
            *last = *figures;
        }
        let used: Vec<f64> = self.last.iter().map(|(_, busy)| *busy).collect();
        let Self { terminal, title, seconds, rates, p50, p99, events, .. } = self;
        let picture = Picture { look, title, seconds: *seconds, rates, p50, p99, events, used: &used };
        // A terminal that went away is no reason to end the run.
        let _ = terminal.draw(|frame| picture.draw(frame));
    }

    /// Gives the terminal back, and says again what happened.
    pub fn close(mut self) {
        let events = std::mem::take(&mut self.all_events);
        drop(self);
        for event in events {
            eprintln!("     {event}");
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = execute!(io::stderr(), terminal::LeaveAlternateScreen, cursor::Show);
    }
}

struct Picture<'a> {
    look: &'a Look<'a>,
    title: &'a str,
    seconds: u32,
    rates: &'a VecDeque<u64>,
    p50: &'a VecDeque<(f64, f64)>,
    p99: &'a VecDeque<(f64, f64)>,
    events: &'a VecDeque<String>,
    used: &'a [f64],
}

impl Picture<'_> {
    fn draw(&self, frame: &mut ratatui::Frame<'_>) {
        let rows = Layout::vertical([
            Constraint::Length(3),
            Constraint::Length(7),
            Constraint::Min(8),
            Constraint::Length(9),
            Constraint::Length(6),
        ]);
        let [head, rate, latency, middle, events] = rows.areas(frame.area());
        self.progress(frame, head);
        let second = self.look.second;
        let words = format!(" {} actions/s · {} in flight ", grouped(second.done), grouped(second.in_flight as u64));
        let rates: Vec<u64> = self.rates.iter().copied().collect();
        let spark = Sparkline::default().data(&rates).style(Style::new().fg(Color::Cyan));
        frame.render_widget(spark.block(Block::bordered().title(words)), rate);
        self.latency(frame, latency);
        let [nodes, doing, errors] =
            Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2), Constraint::Fill(2)]).areas(middle);
        self.nodes(frame, nodes);
        self.doing(frame, doing);
        self.errors(frame, errors);
        let lines: Vec<Line<'_>> = self.events.iter().map(|event| Line::from(event.as_str())).collect();
        frame.render_widget(List::new(lines).block(Block::bordered().title(" what happened ")), events);
    }

    fn progress(&self, frame: &mut ratatui::Frame<'_>, area: Rect) {
        let done = f64::from(self.look.second.nth + 1) / f64::from(self.seconds.max(1));
        let phase = if self.look.warm { "" } else { " (warm-up)" };
        let gauge = Gauge::default().ratio(done.clamp(0.0, 1.0)).gauge_style(Style::new().fg(Color::Blue));
        let label = format!("{} of {} s{phase}", self.look.second.nth + 1, self.seconds);
        let title = format!(" {} · Ctrl-C ends it, with a report ", self.title);
        frame.render_widget(gauge.label(label).block(Block::bordered().title(title)), area);
    }

    fn latency(&self, frame: &mut ratatui::Frame<'_>, area: Rect) {
        let second = self.look.second;
        let words =
            format!(" latency: p50 {:.2} · p99 {:.2} · p99.9 {:.2} ms ", second.p50_ms, second.p99_ms, second.p999_ms);
        let (p50, p99): (Vec<_>, Vec<_>) = (self.p50.iter().copied().collect(), self.p99.iter().copied().collect());
        let line = |data, color, name| {
            Dataset::default().data(data).marker(Marker::Braille).graph_type(GraphType::Line).style(color).name(name)
        };
        let all = || p50.iter().chain(&p99).map(|(_, y)| *y);
        let (low, high) = (all().fold(0.0, f64::min).floor(), all().fold(1.0, f64::max).ceil());
        let now = f64::from(second.nth);
        #[allow(clippy::cast_possible_truncation, reason = "a small power of ten")]
        let labels = ((low as i32)..=(high as i32)).map(|power| Line::from(format!("{} ms", 10_f64.powi(power))));
        let chart = Chart::new(vec![line(&p99, Color::Yellow, "p99"), line(&p50, Color::Green, "p50")])
            .x_axis(Axis::default().bounds([(now - f64::from(HISTORY)).max(0.0), now.max(1.0)]))
            .y_axis(Axis::default().bounds([low, high]).labels(labels));
        frame.render_widget(chart.block(Block::bordered().title(words)), area);
    }

    fn nodes(&self, frame: &mut ratatui::Frame<'_>, area: Rect) {
        let rows = self.look.servers.iter().zip(self.look.figures).zip(self.used).map(|((server, figures), used)| {
            let node = server.node.to_string();
            match figures {
                Some(figures) => Row::new([
                    node,
                    "up".to_owned(),
                    format!("{:.0}", figures.leads),
                    format!("{:.0} %", used * 1e2),
                    format!("{:.0} MB", figures.memory / 1e6),
                ]),
                None => Row::new([node, "silent".to_owned()]).red(),
            }
        });
        let widths = [5, 7, 7, 7, 9].map(Constraint::Length);
        let header = Row::new(["node", "", "leads", "CPU", "memory"]).dim();
        frame.render_widget(Table::new(rows, widths).header(header).block(Block::bordered().title(" nodes ")), area);
    }

    fn doing(&self, frame: &mut ratatui::Frame<'_>, area: Rect) {
        let mut lines: Vec<Line<'_>> = (Doing::ALL.iter().zip(self.look.doing))
            .filter(|(_, count)| *count > 0)
            .map(|(doing, count)| Line::from(format!("{:<8} {:>9}", doing.word(), grouped(count as u64))))
            .collect();
        let busy: usize = self.look.doing.iter().sum();
        let idle = u64::from(self.look.players).saturating_sub(busy as u64);
        lines.push(Line::from(format!("{:<8} {:>9}", "thinking", grouped(idle))).dim());
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" players ")), area);
    }

    fn errors(&self, frame: &mut ratatui::Frame<'_>, area: Rect) {
        let second = self.look.second;
        let mut lines = vec![if self.look.wrong == 0 {
            Line::from("no wrong answer").green()
        } else {
            Line::from(format!("{} WRONG ANSWERS", self.look.wrong)).red().bold()
        }];
        if second.weak_reads > 0 {
            let stale = share(second.stale_reads, second.weak_reads) * 1e2;
            lines.push(Line::from(format!("stale reads {stale:.2} %, p99 {:.1} ms", second.staleness_p99_ms)));
        }
        if self.look.errors.is_empty() {
            lines.push(Line::from("everything answered").green());
        }
        for (reason, count) in &self.look.errors {
            lines.push(Line::from(format!("{reason}: {}", grouped(*count))).yellow());
        }
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" answers ")), area);
    }
}

/// With a comma after each three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_readable() {
        let words: Vec<String> = [0, 12, 999, 1_000, 123_456, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(words, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
    }
}
