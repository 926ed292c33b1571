use super::*;
use std::time::Duration;

const PLAIN: &str = r#"
about = "a test"
[players]
count = 100
[arrival]
rate = 1000
[mix]
claim = 1
"#;

fn curve(more: &str) -> Curve {
    Profile::parse("test.toml", &format!("{PLAIN}{more}")).unwrap().arrival.curve().unwrap()
}

fn refused(text: &str) -> String {
    Profile::parse("test.toml", text).unwrap_err().to_string()
}

/// At so many seconds.
fn at(curve: &Curve, seconds: f64) -> f64 {
    curve.at(Duration::from_secs_f64(seconds))
}

#[test]
fn the_profiles_that_come_with_it_can_be_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        Profile::parse(&path.display().to_string(), &text).unwrap();
        seen += 1;
    }
    assert!(seen >= 4, "{folder} has {seen}");
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_what_is_allowed() {
    for (wrong, said) in [
        (PLAIN.replace("claim = 1", "clam = 1"), "line 8"),
        (PLAIN.replace("claim = 1", "clam = 1"), "unknown field `clam`"),
        (PLAIN.replace("claim = 1", "claim = -1"), "it must be 0 to 1,000,000"),
        (PLAIN.replace("claim = 1", "claim = 0"), "give at least one of its entries a weight"),
        (PLAIN.replace("rate = 1000", ""), "give it in_flight"),
        (PLAIN.replace("rate = 1000", "rate = 0"), "above 0"),
        (PLAIN.replace("rate = 1000", "rate = 5\nin_flight = 5"), "choose"),
        (PLAIN.replace("rate = 1000", "in_flight = 101"), "100 players do one thing each"),
        (PLAIN.replace("count = 100", "count = 0"), "players.count = 0: it must be 1 to"),
        (format!("{PLAIN}contest = 1"), "[contest]"),
        (format!("{PLAIN}[run]\nduration = \"soon\""), "'soon' is not a length of time"),
        (format!("{PLAIN}[reads]\nlook = \"sure\""), "'sure' is not a read level"),
        (format!("{PLAIN}[[faults]]\nat = \"2m\"\ndo = \"kill\"\nnode = \"n1\""), "when the run has ended"),
        (format!("{PLAIN}[[faults]]\nat = \"2s\"\ndo = \"explode\"\nnode = \"n1\""), "unknown variant `explode`"),
        (format!("{PLAIN}[[faults]]\nat = \"2s\"\ndo = \"kill\"\nnode = \"one\""), "one"),
        (format!("{PLAIN}[pass]\np99_ms = {{ dance = 5 }}"), "name all, enter, claim"),
        (format!("{PLAIN}[cluster]\nshards = 65"), "a power of two"),
        (format!("{PLAIN}[cluster]\nvoters = 4"), "cluster.voters = 4: it must be 1 to 3"),
    ] {
        let refusal = refused(&wrong);
        assert!(refusal.starts_with("test.toml: ") && refusal.contains(said), "{said}:\n{refusal}");
    }
}

#[test]
fn a_ramp_leads_from_one_rate_to_the_next() {
    let curve =
        curve("[[arrival.ramps]]\nat = \"10s\"\nto = 3000\nover = \"4s\"\n[[arrival.ramps]]\nat = \"20s\"\nto = 500");
    for (seconds, rate) in
        [(0.0, 1_000.0), (10.0, 1_000.0), (11.0, 1_500.0), (14.0, 3_000.0), (19.9, 3_000.0), (20.0, 500.0)]
    {
        assert!((at(&curve, seconds) - rate).abs() < 1e-6, "{} at {seconds}", at(&curve, seconds));
    }
}

#[test]
fn spikes_multiply_and_days_swing() {
    let curve = curve(
        "[arrival.day]\nlength = \"40s\"\nswing = 0.5\n[[arrival.spikes]]\nat = \"10s\"\nlasting = \"5s\"\ntimes = 4",
    );
    for (seconds, rate) in [(0.0, 1_000.0), (10.0, 6_000.0), (20.0, 1_000.0), (30.0, 500.0), (50.0, 1_500.0)] {
        assert!((at(&curve, seconds) - rate).abs() < 1e-6, "{} at {seconds}", at(&curve, seconds));
    }
}

#[test]
fn a_curve_keeps_its_shape_at_another_height() {
    let curve = curve("[[arrival.ramps]]\nat = \"10s\"\nto = 3000").scaled(2.0);
    assert!((at(&curve, 5.0) - 2_000.0).abs() < 1e-6 && (at(&curve, 15.0) - 6_000.0).abs() < 1e-6);
}
