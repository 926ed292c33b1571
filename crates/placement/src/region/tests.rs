use super::*;

const LOCAL: &str = include_str!("../../../../maps/regions/local.toml");
const EC2: &str = include_str!("../../../../maps/regions/ec2-2013.toml");
const PAIR: &str =
    "local_rtt_ms = 0.5\n[regions.a]\nname = \"A\"\n[regions.b]\nname = \"B\"\n[rtt_ms]\na = { b = 7.25 }\n";

fn name(name: &str) -> RegionName {
    RegionName::new(name).unwrap()
}

fn refused(text: &str) -> String {
    Regions::parse("r.toml", text).expect_err("the file must be refused").to_string()
}

#[test]
fn the_local_file_has_one_region_and_no_distance() {
    let regions = Regions::parse("local.toml", LOCAL).unwrap();
    assert_eq!(regions.iter().collect::<Vec<_>>(), [(&name("local"), "This machine")]);
    assert_eq!(regions.rtt(&name("local"), &name("local")), Ok(Duration::ZERO));
}

#[test]
fn the_ec2_file_has_eight_regions_with_the_published_times_both_ways() {
    let regions = Regions::parse("ec2-2013.toml", EC2).unwrap();
    assert_eq!(regions.count(), 8);
    for (a, b, micros) in [("CA", "OR", 22_500), ("SP", "SI", 362_800), ("IR", "VA", 107_900), ("TO", "SI", 90_600)] {
        let expected = Ok(Duration::from_micros(micros));
        assert_eq!(regions.rtt(&name(a), &name(b)), expected, "{a} to {b}");
        assert_eq!(regions.rtt(&name(b), &name(a)), expected, "{b} to {a}");
    }
    assert_eq!(regions.rtt(&name("SY"), &name("SY")), Ok(Duration::from_micros(500)));
    assert!((regions.rtt_ms(&name("CA"), &name("VA")).unwrap() - 84.5).abs() < 1e-9);
}

#[test]
fn every_pair_of_the_ec2_file_has_a_time_that_is_longer_than_within_a_region() {
    let regions = Regions::parse("ec2-2013.toml", EC2).unwrap();
    for (a, _) in regions.iter() {
        for (b, _) in regions.iter().filter(|(b, _)| *b != a) {
            assert!(regions.rtt(a, b).unwrap() > regions.rtt(a, a).unwrap(), "{a} to {b}");
        }
    }
}

#[test]
fn an_unknown_region_is_refused_and_told_what_there_is() {
    let regions = Regions::parse("r.toml", PAIR).unwrap();
    let error = regions.rtt(&name("a"), &name("moon")).unwrap_err();
    assert_eq!(error.to_string(), "there is no region called 'moon': choose one of a, b");
    assert_eq!(regions.check(&name("moon")), Err(error));
}

#[test]
fn a_missing_pair_is_refused_by_name() {
    let text = PAIR.replace("a = { b = 7.25 }\n", "");
    assert_eq!(refused(&text), "r.toml:2: rtt_ms lacks a to b: every two regions need a time");
}

#[test]
fn a_pair_written_both_ways_is_refused_even_if_it_agrees() {
    let text = format!("{PAIR}b = {{ a = 7.25 }}\n");
    assert_eq!(refused(&text), "r.toml:8: b to a = 7.25 is here twice: a time holds both ways");
}

#[test]
fn a_time_to_a_region_that_is_not_declared_is_refused() {
    let text = PAIR.replace("{ b = 7.25 }", "{ b = 7.25, c = 1 }");
    assert_eq!(refused(&text), "r.toml:7: there is no region called 'c': choose one of a, b");
    let text = format!("{PAIR}c = {{ a = 1 }}\n");
    assert_eq!(refused(&text), "r.toml:8: there is no region called 'c': choose one of a, b");
}

#[test]
fn a_time_from_a_region_to_itself_is_refused() {
    let text = PAIR.replace("{ b = 7.25 }", "{ b = 7.25, a = 1 }");
    assert_eq!(refused(&text), "r.toml:7: a to a is within one region: that is what local_rtt_ms says");
}

#[test]
fn times_that_no_network_has_are_refused_with_their_value() {
    for wrong in ["-1.0", "nan", "inf", "10001.0"] {
        let shown = wrong.parse::<f64>().unwrap();
        assert_eq!(
            refused(&PAIR.replace("7.25", wrong)),
            format!("r.toml:7: a to b = {shown} is out of range: 0 to 10000 milliseconds")
        );
        assert_eq!(
            refused(&PAIR.replace("0.5", wrong)),
            format!("r.toml:1: local_rtt_ms = {shown} is out of range: 0 to 10000 milliseconds")
        );
    }
}

#[test]
fn no_region_at_all_is_refused() {
    assert_eq!(refused("local_rtt_ms = 0.5\n[regions]\n"), "r.toml:2: there are 0 regions: 1 to 64 are allowed");
}

#[test]
fn a_key_nobody_knows_is_refused_with_its_line() {
    let error = refused(&PAIR.replace("name = \"B\"", "name = \"B\"\nnome = \"B\""));
    assert!(error.starts_with("r.toml:6: ") && error.contains("nome"), "{error}");
}

#[test]
fn names_that_could_not_be_typed_are_refused() {
    for wrong in ["", "New York", "łódź", "x".repeat(25).as_str()] {
        assert_eq!(RegionName::new(wrong), Err(BadRegionName(wrong.to_owned())));
    }
    let error = refused(&PAIR.replace("[regions.b]", "[regions.\"b b\"]"));
    assert!(error.starts_with("r.toml:4: 'b b' is not a region's name"), "{error}");
    let error = refused(&PAIR.replace("\"B\"", "\"\""));
    assert_eq!(error, "r.toml:5: name = \"\" is refused: write one line of 1 to 60 bytes");
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_line() {
    assert!(refused("local_rtt_ms = 0.5\n[regions\n").starts_with("r.toml:2: "));
}
