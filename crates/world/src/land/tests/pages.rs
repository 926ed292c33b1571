//! Pages: keys, damage, loading and evicting.

use super::*;
use std::collections::BTreeMap;

pub(super) type Pages = BTreeMap<PageKey, Vec<u8>>;

/// What a store holds after the land's changes were written to it.
pub(super) fn checkpoint(land: &mut Land, store: &mut Pages) {
    for (key, page) in land.take_changes() {
        match page {
            Some(page) => store.insert(key, page),
            None => store.remove(&key),
        };
    }
}

/// The land that comes back from a store, with its chunks there.
pub(super) fn reopen(store: &Pages) -> Result<Land, PageError> {
    let world = small();
    let (chunks, others): (Vec<_>, Vec<_>) =
        store.iter().map(|(key, page)| (*key, page)).partition(|(key, _)| matches!(key, PageKey::Chunk(_)));
    let stored = chunks.into_iter().map(|(key, _)| match key {
        PageKey::Chunk(chunk) => chunk,
        _ => unreachable!("sorted out above"),
    });
    Land::restore(world.seed, world.rules, others, stored)
}

pub(super) fn load_all(land: &mut Land, store: &Pages) {
    for (key, page) in store {
        if let PageKey::Chunk(chunk) = key {
            land.load_chunk(*chunk, page).expect("the page was made by us");
        }
    }
}

/// A land with some of everything, and its store.
fn lived_in() -> (Land, Pages, Vec<FieldId>) {
    let (mut land, fields, sid) = (land(), claimable(4), name("sid"));
    land.apply(Millis(0), &sid, &Command::Register);
    for field in &fields {
        claim(&mut land, "sid", *field);
    }
    let field = fields[0];
    for (now, command) in [
        (0, Command::Plant { field, crop: MOSS }),
        (10_000, Command::Harvest { field }),
        (20_000, Command::Plant { field, crop: MOSS }),
        (20_000, Command::Build { field, building: crate::BuildingId(1) }),
        (20_000, Command::Offer { field: fields[1], price: Some(Acorns(7)) }),
        (20_000, Command::Abandon { field: fields[2] }),
    ] {
        done(land.apply(Millis(now), &sid, &command));
    }
    let from = Bucket(77);
    land.receive(&Payment { from, player: sid, seq: 4, amount: Acorns(9) });
    let mut store = Pages::new();
    checkpoint(&mut land, &mut store);
    (land, store, fields)
}

#[test]
fn keys_become_bytes_that_sort_as_they_do_and_come_back() {
    let chunk = |cx, cy| PageKey::Chunk(ChunkId::new(cx, cy).unwrap());
    let keys = [
        PageKey::Head,
        chunk(0, 0),
        chunk(300, 0),
        chunk(2, 1),
        PageKey::Player(name("a")),
        PageKey::Player(name("ab")),
        PageKey::Player(name("b")),
        PageKey::Channel(Bucket(2), name("z")),
        PageKey::Channel(Bucket(256), name("a")),
        PageKey::Channel(Bucket(256), name("ä")),
        PageKey::Estate(name("a")),
    ];
    assert!(keys.is_sorted());
    let bytes: Vec<Vec<u8>> = keys.iter().map(PageKey::to_bytes).collect();
    assert!(bytes.is_sorted());
    for (key, bytes) in keys.iter().zip(&bytes) {
        assert_eq!(PageKey::from_bytes(bytes).as_ref(), Ok(key));
    }
}

#[test]
fn bytes_that_are_no_key_are_refused() {
    let bad: [&[u8]; 9] =
        [&[], &[0, 0], &[1, 0, 0, 0], &[1, 255, 255, 255, 255], &[2], &[2, 0xff], b"\x02a\xcc\x88", &[3, 0], &[5, 97]];
    for bytes in bad {
        assert_eq!(PageKey::from_bytes(bytes), Err(PageError::NotAKey(bytes.to_vec())));
    }
}

#[test]
fn a_restored_land_is_the_land_that_was_written() {
    let (land, store, fields) = lived_in();
    let mut restored = reopen(&store).unwrap();
    assert_eq!(restored.readiness(fields[0].chunk()), Readiness::Stored);
    assert_eq!(restored.owned_fields(), 3, "known without any chunk");
    assert_eq!(restored.holdings(&name("sid")), (3, Acorns(11)));
    load_all(&mut restored, &store);
    assert_eq!(everything(&restored), everything(&land));
    assert_eq!(restored.player(&name("sid")), land.player(&name("sid")));
    restored.receive(&Payment { from: Bucket(77), player: name("sid"), seq: 4, amount: Acorns(9) });
    assert_eq!(restored.totals(), land.totals(), "it remembers which payments it took");
    assert_eq!(restored.take_changes(), [], "and has nothing new to write");
    let world = small();
    let whole = Land::restore(world.seed, world.rules, store.iter().map(|(key, page)| (*key, page)), []).unwrap();
    assert_eq!(everything(&whole), everything(&land), "chunks may come with the rest");
}

#[test]
fn pages_depend_on_what_is_there_and_not_on_how_it_came_about() {
    let fields = claimable(2);
    let [mut straight, mut winding] = [land(), land()];
    claim(&mut straight, "b", fields[0]);
    claim(&mut straight, "a", fields[1]);
    done(straight.apply(Millis(0), &name("a"), &Command::Abandon { field: fields[1] }));
    claim(&mut straight, "a", fields[1]);
    // The same fields with the same versions, in another order and with other rows in the table of owners.
    claim(&mut winding, "a", fields[1]);
    done(winding.apply(Millis(0), &name("a"), &Command::Abandon { field: fields[1] }));
    claim(&mut winding, "a", fields[1]);
    claim(&mut winding, "b", fields[0]);
    assert_eq!(straight.take_changes(), winding.take_changes());
}

#[test]
fn a_changed_chunk_stays_and_a_clean_one_leaves_and_comes_back() {
    let (mut land, mut store, fields) = lived_in();
    let (chunk, before) = (fields[0].chunk(), everything(&land));
    assert!(!land.evict(ChunkId::new(9_999, 9_999).unwrap()), "never touched");
    claim(&mut land, "scrat", fields[2]);
    assert!(!land.evict(chunk), "changed since the checkpoint");
    done(land.apply(Millis(0), &name("scrat"), &Command::Abandon { field: fields[2] }));
    checkpoint(&mut land, &mut store);
    assert!(land.evict(chunk) && !land.evict(chunk));
    assert_eq!((land.readiness(chunk), land.resident().count()), (Readiness::Stored, 0));
    land.load_chunk(chunk, &store[&PageKey::Chunk(chunk)]).unwrap();
    assert_eq!(everything(&land).0[0], before.0[0]);
    assert_eq!(land.field(fields[2]).version, 4, "an abandoned field's version survives");
}

#[test]
fn what_is_used_stays_what_is_not_leaves_and_the_account_of_memory_is_exact() {
    let map = TerrainMap::new(small().seed);
    let first_claimable = |chunk: ChunkId| {
        let mut fields = (0..4_096).filter_map(|offset| chunk.field(offset));
        fields.find(|field| map.at(*field).claimable()).expect("most land is")
    };
    let fields: Vec<FieldId> = (0..6).map(|nth| first_claimable(ChunkId::new(200 + nth, 200).unwrap())).collect();
    let (mut land, mut store) = (land(), Pages::new());
    for field in &fields {
        claim(&mut land, "scrat", *field);
    }
    assert_eq!(land.chunk_bytes(), 0, "counted with the checkpoint");
    checkpoint(&mut land, &mut store);
    let full = land.chunk_bytes();
    assert_eq!(land.cool(full), 0, "all were used of late: they are passed by once");
    land.field(fields[2]);
    done(land.apply(Millis(0), &name("scrat"), &Command::Offer { field: fields[3], price: Some(Acorns(1)) }));
    assert_eq!(land.cool(1), 1, "no more leave than must");
    assert_eq!(land.cool(full), 3);
    let resident: Vec<ChunkId> = land.resident().collect();
    assert_eq!(resident, [fields[2].chunk(), fields[3].chunk()], "one was looked at, one has changed");
    assert_eq!(land.cool(full), 1, "and nobody looked at it since");
    assert_eq!(land.cool(full), 0, "what has changed stays");
    checkpoint(&mut land, &mut store);
    assert_eq!((land.cool(full), land.cool(full), land.chunk_bytes()), (0, 1, 0));
    load_all(&mut land, &store);
    assert!((1..=full).contains(&land.chunk_bytes()), "the same chunks again, without slack");
}

#[test]
fn a_page_that_comes_late_changes_nothing_and_one_that_nobody_stored_is_refused() {
    let (mut land, store, fields) = lived_in();
    let old = store[&PageKey::Chunk(fields[0].chunk())].clone();
    claim(&mut land, "scrat", fields[2]);
    land.load_chunk(fields[0].chunk(), &old).unwrap();
    assert_eq!(land.field(fields[2]).owner, Some(name("scrat")));
    let elsewhere = ChunkId::new(9_999, 9_999).unwrap();
    assert_eq!(land.load_chunk(elsewhere, &old), Err(PageError::NotStored(elsewhere)));
}

#[test]
#[should_panic(expected = "must be loaded before")]
fn a_command_on_a_chunk_that_is_not_loaded_is_a_bug() {
    let (_, store, fields) = lived_in();
    reopen(&store).unwrap().apply(Millis(0), &name("sid"), &Command::Abandon { field: fields[0] });
}

#[test]
fn a_lost_page_shows() {
    let (_, store, _) = lived_in();
    for key in store.keys().filter(|key| matches!(key, PageKey::Head | PageKey::Player(_) | PageKey::Channel(..))) {
        let mut lossy = store.clone();
        lossy.remove(key);
        assert!(matches!(reopen(&lossy), Err(PageError::Imbalance(_))), "without {key:?}");
    }
}

#[test]
fn damaged_pages_are_refused_or_mean_something_but_never_panic() {
    let (_, store, _) = lived_in();
    let mut refusals = 0;
    for (key, page) in &store {
        let mut open = |page: Vec<u8>| {
            let mut damaged = store.clone();
            damaged.insert(*key, page);
            let outcome = reopen(&damaged).and_then(|mut land| match key {
                PageKey::Chunk(chunk) => land.load_chunk(*chunk, &damaged[key]),
                _ => Ok(()),
            });
            refusals += usize::from(outcome.is_err());
            outcome
        };
        for cut in 0..page.len() {
            open(page[..cut].to_vec()).expect_err("a page cut short is no page");
        }
        open([page, &[0][..]].concat()).expect_err("nor is one with more behind it");
        let form = [&[9], &page[1..]].concat();
        let fault = PageFault::Form(Some(9));
        assert_eq!(open(form), Err(PageError::Refused { key: *key, fault }));
        for at in 0..page.len() {
            for bit in 0..8 {
                let mut flipped = page.clone();
                flipped[at] ^= 1 << bit;
                let _ = open(flipped);
            }
        }
    }
    assert!(refusals > 500, "most damage is noticed: {refusals}");
}

#[test]
fn random_bytes_are_never_a_panic() {
    let (_, store, fields) = lived_in();
    let chunk = fields[0].chunk();
    let mut state = 0x1234_5678_u64;
    for _ in 0..20_000 {
        let mut page = vec![1];
        for _ in 0..random::xorshift(&mut state) % 40 {
            // Mostly small numbers and short arrays, so that more than the first byte gets decoded.
            let byte = random::xorshift(&mut state).to_le_bytes();
            page.push(if byte[0] < 128 { byte[1] & 0x9f } else { byte[1] });
        }
        let _ = reopen(&store).unwrap().load_chunk(chunk, &page);
        let world = small();
        for key in [
            PageKey::Head,
            PageKey::Player(name("a")),
            PageKey::Channel(Bucket(1), name("a")),
            PageKey::Estate(name("a")),
        ] {
            let _ = Land::restore(world.seed, world.rules.clone(), [(key, &page)], []);
        }
    }
}

#[test]
fn impossible_chunks_are_refused_with_what_is_impossible() {
    use super::super::page::{Page, PlotPage, Sown};
    let (_, store, fields) = lived_in();
    let chunk = fields[0].chunk();
    let plot = |offset, row| PlotPage {
        offset,
        version: 1,
        owner: Some((row, VOLE)),
        sown: None,
        structures: vec![],
        price: None,
    };
    let moss = |crop| Sown { crop, planted: Millis(0), ripens_after_ms: 1, tended: false };
    let sid = || vec![name("sid")];
    for (names, plots, what) in [
        (sid(), vec![plot(4_096, 0)], "a field off the grid"),
        (sid(), vec![plot(2, 0), plot(1, 0)], "fields out of order"),
        (sid(), vec![plot(1, 0), plot(1, 0)], "fields out of order"),
        (sid(), vec![plot(1, 1)], "an owner without a name"),
        (sid(), vec![plot(1, u16::MAX)], "an owner without a name"),
        (sid(), vec![], "an owner without a field"),
        (vec![name("a"), name("a")], vec![plot(1, 0), plot(2, 1)], "an owner listed twice"),
        (sid(), vec![PlotPage { version: 0, ..plot(1, 0) }], "a field that nobody ever touched"),
        (
            sid(),
            vec![PlotPage { owner: Some((0, CharacterId(9))), ..plot(1, 0) }],
            "a character that the rule book lacks",
        ),
        (sid(), vec![PlotPage { sown: Some(moss(CropId(9))), ..plot(1, 0) }], "a crop that the rule book lacks"),
        (
            sid(),
            vec![PlotPage { structures: vec![crate::BuildingId(9)], ..plot(1, 0) }],
            "a building that the rule book lacks",
        ),
        (
            sid(),
            vec![PlotPage { structures: vec![crate::BuildingId(1); 2], ..plot(1, 0) }],
            "a building that stands twice on a field",
        ),
        (
            vec![],
            vec![PlotPage { owner: None, price: Some(Acorns(1)), ..plot(1, 0) }],
            "something on a field without an owner",
        ),
    ] {
        let mut page = Vec::new();
        Page::encode(&mut page, &(names, plots));
        let refusal = reopen(&store).unwrap().load_chunk(chunk, &page);
        assert_eq!(refusal, Err(PageError::Refused { key: PageKey::Chunk(chunk), fault: PageFault::Invalid(what) }));
    }
}
