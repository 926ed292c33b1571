use super::*;
use crate::{Terrain, WorldSeed};

/// A world file that is right, in 30 lines; tests spoil it line by line.
pub(crate) const SMALL: &str = r#"name = "test"
seed = 7
[rules]
name = "rules"
version = 3
starting_acorns = 100
fields_per_chunk = 4
max_price = 5000

[[characters]]
name = "vole"
glyph = "v"
about = "Plain."

[[characters]]
name = "mammoth"
glyph = "M"
about = "Strong."
effects = { harvest = 50, ripening = 20, tending = 10 }

[[crops]]
name = "moss"
glyph = "m"
about = "Anywhere."
ripens_after = "10s"
yields = 11
tending = 50
grows_on = ["ice", "snow", "tundra", "pine"]

[[crops]]
name = "lily"
glyph = "l"
about = "On ice."
ripens_after = "2m"
yields = 90
tending = 0
grows_on = ["ice"]

[[buildings]]
name = "barn"
glyph = "b"
about = "Roomy."
effects = { harvest = 100 }

[[buildings]]
name = "totem"
glyph = "t"
about = "Pretty."
"#;

pub(crate) fn small() -> World {
    World::parse("small.toml", SMALL).expect("the example is right")
}

/// What `SMALL` with `from` replaced by `to` is refused with.
#[track_caller]
fn refusal(from: &str, to: &str) -> String {
    assert_eq!(SMALL.matches(from).count(), 1, "{from:?} must say which place is meant");
    World::parse("w.toml", &SMALL.replace(from, to)).expect_err("it is wrong").to_string()
}

#[test]
fn a_right_file_is_read_as_it_is_written() {
    let World { name, seed, rules } = small();
    assert_eq!((name.as_str(), seed, rules.version, rules.name.as_str()), ("test", WorldSeed(7), 3, "rules"));
    assert_eq!((rules.starting_acorns, rules.fields_per_chunk, rules.max_price), (Acorns(100), 4, Acorns(5_000)));
    assert_eq!(rules.crops[1].ripens_after_ms, 120_000);
    assert_eq!(rules.crops[1].grows_on.iter().collect::<Vec<_>>(), [Terrain::Ice]);
    assert_eq!(rules.characters[1].effects, Effects { harvest: 50, ripening: 20, tending: 10 });
    assert_eq!(rules.buildings[1].effects, Effects::default());
}

#[test]
fn the_default_world_is_right_and_has_what_players_are_told_of() {
    let World { name, rules, .. } = World::ice_age();
    assert_eq!(name, "ice-age");
    for character in ["mammoth", "sloth", "squirrel", "sabre-tooth", "woolly-rhino"] {
        rules.character_named(character).unwrap();
    }
    for terrain in Terrain::ALL.into_iter().filter(|terrain| terrain.claimable()) {
        assert!(rules.crops.iter().any(|crop| crop.grows_on.contains(terrain)), "something grows on {terrain}");
    }
    assert!(rules.crops.iter().any(|crop| crop.ripens_after_ms <= 20_000), "something for demonstrations");
}

#[test]
fn every_mistake_is_refused_with_file_line_and_value() {
    for (from, to, error) in [
        ("version = 3", "version = 0", "w.toml:5: version = 0 is out of range: 1 to 4294967295"),
        ("fields_per_chunk = 4", "fields_per_chunk = 65", "w.toml:7: fields_per_chunk = 65 is out of range: 1 to 64"),
        (
            "max_price = 5000",
            "max_price = 1000000001",
            "w.toml:8: max_price = 1000000001 is out of range: 1 to 1000000000",
        ),
        ("\"vole\"", "\"Vole\"", "w.toml:11: name = 'Vole' is refused: write 1 to 24 of a-z, 0-9 and -"),
        ("\"vole\"", "\"\"", "w.toml:11: name = '' is refused: write 1 to 24 of a-z, 0-9 and -"),
        ("\"vole\"", "\"mammoth\"", "w.toml:16: characters has two entries called 'mammoth'"),
        ("\"v\"", "\"vv\"", "w.toml:12: glyph = 'vv' is refused: write one visible sign"),
        ("\"Plain.\"", "\"a\\tb\"", "w.toml:13: about = \"a\\tb\" is refused: write one line of at most 200 bytes"),
        ("ripening = 20", "ripening = 91", "w.toml:19: 'mammoth' has an effect ripening = 91: at most 90 percent"),
        ("\"10s\"", "\"0s\"", "w.toml:25: ripens_after: '0s' is no time at all: at least 1s"),
        ("\"10s\"", "\"31d\"", "w.toml:25: ripens_after: '31d' is too long: at most 30d"),
        (
            "\"10s\"",
            "\"99999999999999999999d\"",
            "w.toml:25: ripens_after: '99999999999999999999d' is too long: at most 30d",
        ),
        (
            "\"10s\"",
            "\"soon\"",
            "w.toml:25: ripens_after: 'soon' is not a duration: write a whole number and a unit, such as 20s, 45m, 8h or 2d",
        ),
        ("yields = 11", "yields = 0", "w.toml:26: yields = 0 is out of range: 1 to 1000000000"),
        ("tending = 50", "tending = 91", "w.toml:27: tending = 91 is out of range: 0 to 90"),
        ("[\"ice\"]", "[\"sand\"]", "w.toml:37: 'sand' is not a terrain: choose from ice, snow, tundra and pine"),
        ("[\"ice\"]", "[\"lake\"]", "w.toml:37: nothing grows on lake, since nobody can claim it"),
        ("[\"ice\"]", "[\"ice\", \"ice\"]", "w.toml:37: grows_on names 'ice' twice"),
        ("[\"ice\"]", "[]", "w.toml:37: 'lily' grows nowhere: name a terrain in grows_on"),
    ] {
        assert_eq!(refusal(from, to), error);
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_line_and_value() {
    for (from, to, parts) in [
        ("yields = 11", "yeilds = 11", ["w.toml:26: ", "yeilds"]),
        ("yields = 11", "yields = -3", ["w.toml:26: ", "-3"]),
        ("yields = 11", "yields = \"many\"", ["w.toml:26: ", "many"]),
        ("yields = 11\n", "", ["w.toml:2", "yields"]),
        ("seed = 7", "seed = ", ["w.toml:2: ", "seed"]),
        ("harvest = 50,", "hravest = 50,", ["w.toml:19: ", "hravest"]),
        ("harvest = 50,", "harvest = 300,", ["w.toml:19: ", "300"]),
        ("[rules]", "[rulez]", ["w.toml:3: ", "rulez"]),
    ] {
        let error = refusal(from, to);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn a_table_has_at_most_64_entries() {
    let entry = |nth| format!("[[buildings]]\nname = \"b{nth}\"\nglyph = \"b\"\nabout = \"\"\n");
    let with = |more: u32| SMALL.to_owned() + &(0..more).map(entry).collect::<String>();
    World::parse("w.toml", &with(62)).unwrap();
    let error = World::parse("w.toml", &with(63)).unwrap_err().to_string();
    assert!(error.ends_with("buildings has 65 entries: 1 to 64 are allowed"), "{error}");
}

#[test]
fn entries_are_found_by_name_and_an_unknown_name_hears_what_there_is() {
    let rules = small().rules;
    assert_eq!(rules.character_named("mammoth"), Ok(CharacterId(1)));
    assert_eq!(rules.crop_named("lily"), Ok(CropId(1)));
    assert_eq!(rules.building_named("barn"), Ok(BuildingId(0)));
    let error = rules.crop_named("oak").unwrap_err().to_string();
    assert_eq!(error, "there is no crop called 'oak': choose one of moss, lily");
}

#[test]
fn effects_add_up_in_whole_percent() {
    let rules = small().rules;
    let moss = &rules.crops[0];
    let plain = rules.effects(CharacterId(0), []);
    assert_eq!((plain.harvest(moss), plain.ripens_after(moss)), (Acorns(11), 10_000));
    let rich = rules.effects(CharacterId(1), [BuildingId(0), BuildingId(1)]);
    // 11 acorns and 150 percent more are 27.5.
    assert_eq!((rich.harvest(moss), rich.ripens_after(moss)), (Acorns(27), 8_000));
    assert_eq!(rich.left_when_tended(moss, 1_001), 401, "rounded up, so that nothing ripens before its time");
    assert_eq!(cut(1_000, 500), 100, "at most 90 percent");
    assert_eq!(cut(u32::MAX, 0), u32::MAX);
}

#[test]
fn a_rule_book_survives_its_travel() {
    let rules = World::ice_age().rules;
    let bytes = rmp_serde::to_vec(&rules).unwrap();
    assert_eq!(rmp_serde::from_slice::<RuleBook>(&bytes).unwrap(), rules);
}
