//! What both page stores owe, and what a file can suffer.

use super::*;
use crate::scratch::{Random, Scratch, identity};
use std::collections::BTreeMap;

mod damage;

const CACHE: usize = 1 << 20;
const CHUNK: u8 = b'c';

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn cut(shard: u32, slot: u64, head: &str, pages: &[(&str, Option<&str>)]) -> Cut {
    let pages = pages.iter().map(|(key, value)| (bytes(key), value.map(bytes))).collect();
    Cut { shard: ShardId(shard), slot: Slot(slot), head: bytes(head), pages }
}

/// A store of either kind; `restart` loses what was not committed.
trait Backend {
    fn pages(&mut self) -> &mut dyn Pages;
    fn restart(&mut self);
}

struct Memory(MemoryPages);

impl Backend for Memory {
    fn pages(&mut self) -> &mut dyn Pages {
        &mut self.0
    }

    fn restart(&mut self) {
        self.0.restart();
    }
}

struct OnDisk {
    dir: Scratch,
    pages: Option<FilePages>,
}

impl OnDisk {
    fn new() -> Self {
        let dir = Scratch::new();
        let pages = FilePages::create(&dir.path().join("pages.redb"), identity(), CACHE).expect("a new store");
        Self { dir, pages: Some(pages) }
    }
}

impl Backend for OnDisk {
    fn pages(&mut self) -> &mut dyn Pages {
        self.pages.as_mut().expect("open")
    }

    fn restart(&mut self) {
        self.pages = None;
        self.pages = Some(FilePages::open(&self.dir.path().join("pages.redb"), identity(), CACHE).expect("sound"));
    }
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod in_a_file {
            $(#[test] fn $name() { super::$name(&mut super::OnDisk::new()); })*
        }
        mod in_memory {
            $(#[test] fn $name() { super::$name(&mut super::Memory(super::MemoryPages::new())); })*
        }
    };
}

on_both! {
    a_new_store_is_empty
    cuts_of_several_shards_are_loaded_and_lazy_pages_only_named
    a_later_cut_replaces_the_head_changes_pages_and_removes_some
    a_cut_that_goes_back_refuses_the_whole_commit
    shards_do_not_see_each_others_pages
    random_cuts_agree_with_a_plain_map
    a_held_checkpoint_is_read_in_parts_as_it_was_whatever_is_committed_later
    a_checkpoint_from_elsewhere_takes_the_place_of_the_old_one_as_a_whole
    what_is_put_aside_of_another_slot_is_dropped
    what_is_put_aside_is_dropped_when_the_store_has_as_much_itself
    a_checkpoint_from_elsewhere_does_not_take_a_shard_back
    a_shard_that_was_left_has_no_checkpoint_and_the_last_word_on_it_counts
}

/// All parts of a held checkpoint, small ones.
fn parts(backend: &mut dyn Backend, shard: u32, slot: u64) -> (Bytes, Vec<(Bytes, Bytes)>, usize) {
    let (mut pages, mut count): (Vec<(Bytes, Bytes)>, usize) = (Vec::new(), 0);
    loop {
        let after = pages.last().map(|(key, _)| key.clone());
        let part =
            backend.pages().part(ShardId(shard), Slot(slot), after.as_deref(), 24).expect("sound").expect("held");
        count += 1;
        pages.extend(part.pages);
        if part.last {
            return (part.head, pages, count);
        }
    }
}

fn a_held_checkpoint_is_read_in_parts_as_it_was_whatever_is_committed_later(backend: &mut dyn Backend) {
    assert_eq!(backend.pages().hold(ShardId(1)).expect("sound"), None);
    let pages: Vec<(String, String)> = (10..40).map(|nth| (format!("c{nth}"), format!("page {nth}"))).collect();
    let of: Vec<(&str, Option<&str>)> = pages.iter().map(|(key, page)| (&key[..], Some(&page[..]))).collect();
    backend.pages().commit(&[cut(1, 10, "head", &of), cut(2, 1, "other", &[("c1", Some("x"))])]).expect("room");
    assert_eq!(backend.pages().hold(ShardId(1)).expect("sound"), Some(Slot(10)));
    backend.pages().commit(&[cut(1, 11, "later", &[("c10", None), ("c11", Some("changed"))])]).expect("room");
    let (head, read, count) = parts(backend, 1, 10);
    assert_eq!(head, bytes("head"));
    assert!(
        read.iter()
            .map(|(key, page)| (key.clone(), page.clone()))
            .eq(pages.iter().map(|(key, page)| (bytes(key), bytes(page))))
    );
    assert!(count > 5, "in {count} parts");
    // A few are held at a time.
    for shard in 3..9 {
        backend.pages().commit(&[cut(shard, 1, "", &[])]).expect("room");
        backend.pages().hold(ShardId(shard)).expect("sound");
    }
    assert_eq!(backend.pages().part(ShardId(1), Slot(10), None, 24).expect("sound"), None);
    let (_, none, _) = parts(backend, 8, 1);
    assert_eq!(none, [], "an empty checkpoint is one part");
    backend.pages().let_go(ShardId(8));
    assert_eq!(backend.pages().part(ShardId(8), Slot(1), None, 24).expect("sound"), None);
    assert!(backend.pages().part(ShardId(7), Slot(1), None, 24).expect("sound").is_some(), "another is held on");
}

fn a_checkpoint_from_elsewhere_takes_the_place_of_the_old_one_as_a_whole(backend: &mut dyn Backend) {
    backend.pages().commit(&[cut(1, 5, "old", &[("c1", Some("old")), ("c9", Some("old"))])]).expect("room");
    let new = |key: &str| (bytes(key), bytes("new"));
    backend.pages().stage(ShardId(1), Slot(20), None, &[new("c1"), new("c2")]).expect("room");
    assert!(
        !backend.pages().stage(ShardId(1), Slot(20), Some(b"c1"), &[new("p3")]).expect("room"),
        "c2 is here already"
    );
    assert!(!backend.pages().stage(ShardId(1), Slot(21), Some(b"c2"), &[new("p3")]).expect("room"), "another slot");
    assert!(backend.pages().stage(ShardId(1), Slot(20), Some(b"c2"), &[new("p3")]).expect("room"));
    let staged = backend.pages().staged(ShardId(1)).expect("sound");
    assert_eq!(staged, Some(Staged { slot: Slot(20), after: bytes("p3") }));
    // Meanwhile the old one goes on.
    backend.pages().commit(&[cut(1, 6, "old", &[("c9", Some("newer"))])]).expect("room");
    assert_eq!(backend.pages().bases().expect("sound"), [(ShardId(1), Slot::ZERO)], "all its own");
    assert_eq!(backend.pages().page(ShardId(1), b"c1").expect("sound"), Some(bytes("old")));
    backend.pages().install(ShardId(1), Slot(20), &bytes("head")).expect("room");
    for _ in 0..2 {
        let loaded = backend.pages().load(ShardId(1), CHUNK).expect("sound").expect("it has a checkpoint");
        assert_eq!((loaded.slot, loaded.head), (Slot(20), bytes("head")));
        assert_eq!((loaded.pages, loaded.lazy_keys), (vec![new("p3")], vec![bytes("c1"), bytes("c2")]));
        assert_eq!(backend.pages().page(ShardId(1), b"c9").expect("sound"), None);
        assert_eq!(backend.pages().staged(ShardId(1)).expect("sound"), None);
        backend.restart();
    }
    // And once more, the other way round.
    backend.pages().stage(ShardId(1), Slot(30), None, &[new("c7")]).expect("room");
    backend.pages().commit(&[cut(1, 21, "head", &[("c1", None)])]).expect("room");
    assert_eq!(backend.pages().bases().expect("sound"), [(ShardId(1), Slot(20))], "its own cuts go on from there");
    backend.pages().install(ShardId(1), Slot(30), &bytes("head")).expect("room");
    let loaded = backend.pages().load(ShardId(1), CHUNK).expect("sound").expect("it has a checkpoint");
    assert_eq!((loaded.pages, loaded.lazy_keys), (vec![], vec![bytes("c7")]));
}

fn what_is_put_aside_of_another_slot_is_dropped(backend: &mut dyn Backend) {
    let page = |key: &str| (bytes(key), bytes("x"));
    backend.pages().stage(ShardId(1), Slot(20), None, &[page("c1"), page("c2")]).expect("room");
    backend.pages().stage(ShardId(1), Slot(25), None, &[page("c0")]).expect("room");
    let staged = backend.pages().staged(ShardId(1)).expect("sound");
    assert_eq!(staged, Some(Staged { slot: Slot(25), after: bytes("c0") }));
    backend.pages().install(ShardId(1), Slot(30), &bytes("empty")).expect("room");
    let loaded = backend.pages().load(ShardId(1), 0).expect("sound").expect("it has a checkpoint");
    assert_eq!((loaded.slot, loaded.pages), (Slot(30), vec![]), "nothing was put aside of slot 30");
}

fn what_is_put_aside_is_dropped_when_the_store_has_as_much_itself(backend: &mut dyn Backend) {
    backend.pages().commit(&[cut(1, 5, "head", &[("c1", Some("own"))])]).expect("room");
    backend.pages().stage(ShardId(1), Slot(20), None, &[(bytes("c1"), bytes("new"))]).expect("room");
    backend.pages().stage(ShardId(2), Slot(20), None, &[(bytes("c1"), bytes("new"))]).expect("room");
    backend.pages().commit(&[cut(1, 19, "head", &[])]).expect("room");
    assert!(backend.pages().staged(ShardId(1)).expect("sound").is_some());
    backend.pages().commit(&[cut(1, 20, "head", &[])]).expect("room");
    assert_eq!(backend.pages().staged(ShardId(1)).expect("sound"), None);
    let rest = backend.pages().stage(ShardId(1), Slot(20), Some(b"c1"), &[(bytes("c2"), bytes("new"))]);
    assert!(!rest.expect("room"), "the first part is gone");
    assert!(backend.pages().staged(ShardId(2)).expect("sound").is_some(), "that is another shard's");
    assert_eq!(backend.pages().page(ShardId(1), b"c1").expect("sound"), Some(bytes("own")));
}

fn a_checkpoint_from_elsewhere_does_not_take_a_shard_back(backend: &mut dyn Backend) {
    backend.pages().commit(&[cut(1, 21, "own", &[("c1", Some("own"))])]).expect("room");
    backend.pages().stage(ShardId(1), Slot(20), None, &[(bytes("c1"), bytes("old"))]).expect("room");
    let error = backend.pages().install(ShardId(1), Slot(20), &bytes("old")).expect_err("older");
    assert!(matches!(error, PagesError::Backwards { stored: Slot(21), cut: Slot(20), .. }), "{error}");
    assert_eq!(backend.pages().page(ShardId(1), b"c1").expect("sound"), Some(bytes("own")));
}

fn a_shard_that_was_left_has_no_checkpoint_and_the_last_word_on_it_counts(backend: &mut dyn Backend) {
    backend
        .pages()
        .commit(&[cut(1, 5, "x", &[("c1", Some("x"))]), cut(2, 5, "y", &[("c1", Some("y"))])])
        .expect("room");
    backend.pages().stage(ShardId(1), Slot(20), None, &[(bytes("c1"), bytes("new"))]).expect("room");
    backend.pages().set_memberships(&[(ShardId(1), Membership::Left(3))]).expect("room");
    backend.restart();
    assert_eq!(backend.pages().shards().expect("sound"), [(ShardId(2), Slot(5))]);
    assert_eq!(backend.pages().page(ShardId(1), b"c1").expect("sound"), None);
    assert_eq!(backend.pages().staged(ShardId(1)).expect("sound"), None);
    assert_eq!(backend.pages().memberships().expect("sound"), [(ShardId(1), Membership::Left(3))]);
    backend.pages().set_memberships(&[(ShardId(1), Membership::Joined(7))]).expect("room");
    backend.restart();
    assert_eq!(backend.pages().memberships().expect("sound"), [(ShardId(1), Membership::Joined(7))]);
    backend.pages().commit(&[cut(1, 9, "again", &[("c1", Some("again"))])]).expect("room");
    assert_eq!(backend.pages().page(ShardId(1), b"c1").expect("sound"), Some(bytes("again")));
}

fn a_new_store_is_empty(backend: &mut dyn Backend) {
    assert_eq!(backend.pages().shards().expect("sound"), []);
    assert_eq!(backend.pages().load(ShardId(1), CHUNK).expect("sound"), None);
    assert_eq!(backend.pages().page(ShardId(1), b"p1").expect("sound"), None);
    backend.pages().commit(&[]).expect("nothing to do");
}

fn cuts_of_several_shards_are_loaded_and_lazy_pages_only_named(backend: &mut dyn Backend) {
    let one =
        cut(1, 10, "head", &[("p-sid", Some("7 acorns")), ("c2", Some("ice")), ("c1", Some("")), ("", Some("x"))]);
    backend.pages().commit(&[one, cut(u32::MAX, 3, "", &[("c9", Some("snow"))])]).expect("room");
    for _ in 0..2 {
        let loaded = backend.pages().load(ShardId(1), CHUNK).expect("sound").expect("it has a checkpoint");
        let expected = ShardPages {
            slot: Slot(10),
            head: bytes("head"),
            pages: vec![(bytes(""), bytes("x")), (bytes("p-sid"), bytes("7 acorns"))],
            lazy_keys: vec![bytes("c1"), bytes("c2")],
        };
        assert_eq!(loaded, expected);
        let last = backend.pages().load(ShardId(u32::MAX), 0).expect("sound").expect("it has a checkpoint");
        assert_eq!((last.pages, last.lazy_keys), (vec![(bytes("c9"), bytes("snow"))], vec![]));
        assert_eq!(backend.pages().page(ShardId(1), b"c2").expect("sound"), Some(bytes("ice")));
        assert_eq!(backend.pages().page(ShardId(1), b"c1").expect("sound"), Some(bytes("")));
        assert_eq!(backend.pages().shards().expect("sound"), [(ShardId(1), Slot(10)), (ShardId(u32::MAX), Slot(3))]);
        backend.restart();
    }
}

fn a_later_cut_replaces_the_head_changes_pages_and_removes_some(backend: &mut dyn Backend) {
    backend
        .pages()
        .commit(&[cut(1, 1, "a", &[("p1", Some("1")), ("p2", Some("2")), ("p3", Some("3"))])])
        .expect("room");
    backend.pages().commit(&[cut(1, 5, "b", &[("p1", Some("one")), ("p2", None), ("p9", None)])]).expect("room");
    backend.pages().commit(&[cut(1, 5, "c", &[])]).expect("the same slot again is no step back");
    backend.restart();
    let loaded = backend.pages().load(ShardId(1), CHUNK).expect("sound").expect("it has a checkpoint");
    assert_eq!((loaded.slot, loaded.head), (Slot(5), bytes("c")));
    assert_eq!(loaded.pages, [(bytes("p1"), bytes("one")), (bytes("p3"), bytes("3"))]);
    assert_eq!(backend.pages().page(ShardId(1), b"p2").expect("sound"), None);
}

fn a_cut_that_goes_back_refuses_the_whole_commit(backend: &mut dyn Backend) {
    backend.pages().commit(&[cut(2, 8, "eight", &[])]).expect("room");
    let error = backend.pages().commit(&[cut(1, 1, "new", &[("p", Some("x"))]), cut(2, 7, "seven", &[])]);
    let error = error.expect_err("shard 2 is at 8");
    assert!(matches!(error, PagesError::Backwards { shard: ShardId(2), stored: Slot(8), cut: Slot(7) }), "{error}");
    let error = backend.pages().commit(&[cut(3, 4, "", &[]), cut(3, 3, "", &[])]);
    assert!(matches!(error, Err(PagesError::Backwards { shard: ShardId(3), stored: Slot(4), cut: Slot(3) })));
    assert_eq!(backend.pages().shards().expect("sound"), [(ShardId(2), Slot(8))]);
    assert_eq!(backend.pages().page(ShardId(1), b"p").expect("sound"), None);
}

fn shards_do_not_see_each_others_pages(backend: &mut dyn Backend) {
    for shard in [1, 2, 255, 256, 257] {
        backend
            .pages()
            .commit(&[cut(shard, 1, "", &[("p", Some(&shard.to_string())), ("c", Some("x"))])])
            .expect("room");
    }
    for shard in [1, 2, 255, 256, 257] {
        let loaded = backend.pages().load(ShardId(shard), CHUNK).expect("sound").expect("it has a checkpoint");
        assert_eq!(loaded.pages, [(bytes("p"), bytes(&shard.to_string()))]);
        assert_eq!(loaded.lazy_keys, [bytes("c")]);
    }
}

fn random_cuts_agree_with_a_plain_map(backend: &mut dyn Backend) {
    let mut random = Random(5);
    let (mut plain, mut slots) = (BTreeMap::new(), [0_u64; 3]);
    for round in 0..60 {
        let cuts: Vec<Cut> = (0..=random.below(3))
            .map(|_| {
                let shard = random.below(3);
                slots[shard as usize] += u64::from(random.below(5));
                let mut cut = cut(shard, slots[shard as usize], &round.to_string(), &[]);
                for _ in 0..random.below(8) {
                    let key = bytes(&format!("{}{}", if random.below(2) == 0 { 'c' } else { 'p' }, random.below(30)));
                    let value = (random.below(4) > 0).then(|| Bytes::from(vec![round; random.below(9000) as usize]));
                    plain.insert((shard, key.clone()), value.clone());
                    cut.pages.push((key, value));
                }
                cut
            })
            .collect();
        backend.pages().commit(&cuts).expect("room");
        if random.below(10) == 0 {
            backend.restart();
        }
    }
    for ((shard, key), value) in &plain {
        assert_eq!(backend.pages().page(ShardId(*shard), key).expect("sound"), *value);
    }
    for shard in 0..3 {
        let loaded = backend.pages().load(ShardId(shard), CHUNK).expect("sound").expect("it has a checkpoint");
        let held = |lazy: bool| {
            let of_shard = plain.range((shard, Bytes::new())..(shard + 1, Bytes::new()));
            of_shard.filter(move |((_, key), value)| value.is_some() && (key[0] == CHUNK) == lazy)
        };
        assert!(loaded.lazy_keys.iter().eq(held(true).map(|((_, key), _)| key)));
        assert!(loaded.pages.iter().map(|(_, value)| Some(value)).eq(held(false).map(|(_, value)| value.as_ref())));
    }
}

#[test]
fn the_double_refuses_when_full_and_is_poisoned_by_a_failed_commit() {
    let mut pages = MemoryPages::new();
    pages.set_full(true);
    assert!(pages.commit(&[cut(1, 1, "", &[])]).is_err_and(|error| error.is_full()));
    pages.set_full(false);
    pages.commit(&[cut(1, 1, "", &[("p", Some("x"))])]).expect("room again");
    pages.fail_next_commit();
    assert!(matches!(pages.commit(&[cut(1, 2, "", &[])]), Err(PagesError::Io { .. })));
    assert!(pages.commit(&[cut(1, 2, "", &[])]).is_err_and(|error| error.is_poisoned()));
    assert!(pages.shards().is_err_and(|error| error.is_poisoned()));
    pages.restart();
    assert_eq!(pages.shards().expect("usable again"), [(ShardId(1), Slot(1))]);
    assert!(pages.flip(ShardId(1), b"p"));
    assert!(matches!(pages.page(ShardId(1), b"p"), Err(PagesError::Damaged { .. })));
    assert!(matches!(pages.load(ShardId(1), CHUNK), Err(PagesError::Damaged { .. })));
    assert!(pages.load(ShardId(1), b'p').is_ok(), "a lazy page is not looked at");
}

#[test]
fn the_pages_of_another_life_are_refused_and_so_are_missing_ones() {
    let dir = Scratch::new();
    let path = dir.path().join("pages.redb");
    assert!(matches!(FilePages::open(&path, identity(), CACHE), Err(PagesError::Missing { .. })));
    drop(FilePages::create(&path, identity(), CACHE).expect("a new store"));
    let other = Identity { incarnation: crate::Incarnation(43), ..identity() };
    let error = FilePages::open(&path, other, CACHE).err().expect("refused");
    assert!(
        matches!(error, PagesError::OtherIdentity { found, expected, .. } if found == identity() && expected == other)
    );
    assert!(matches!(FilePages::create(&path, other, CACHE), Err(PagesError::Io { .. })), "never over an old one");
}

#[test]
fn once_nothing_is_held_the_file_grows_no_more() {
    let mut backend = OnDisk::new();
    let pages: Vec<(String, String)> = (100..200).map(|nth| (format!("c{nth}"), "z".repeat(1_000))).collect();
    let of: Vec<(&str, Option<&str>)> = pages.iter().map(|(key, page)| (&key[..], Some(&page[..]))).collect();
    let (mut slot, path) = (0, backend.dir.path().join("pages.redb"));
    let mut size_after = |backend: &mut OnDisk, commits: u64| {
        for _ in 0..commits {
            slot += 1;
            backend.pages().commit(&[cut(1, slot, "head", &of)]).expect("room");
        }
        std::fs::metadata(&path).expect("there").len()
    };
    let settled = size_after(&mut backend, 50);
    assert_eq!(size_after(&mut backend, 50), settled);
    backend.pages().hold(ShardId(1)).expect("sound");
    let held = size_after(&mut backend, 50);
    assert!(held > 2 * settled, "{held} bytes: what commits set free is kept, from {settled} on");
    backend.pages().let_go(ShardId(1));
    assert!(size_after(&mut backend, 200) <= held);
}

#[test]
fn a_page_file_that_is_open_is_in_use() {
    let backend = OnDisk::new();
    let second = FilePages::open(&backend.dir.path().join("pages.redb"), identity(), CACHE);
    assert!(matches!(second, Err(PagesError::InUse { .. })));
}

#[test]
fn a_process_killed_at_any_commit_leaves_the_last_committed_checkpoint() {
    let mut backend = OnDisk::new();
    for slot in 1..=20_u64 {
        let value = "z".repeat(777 * usize::try_from(slot).expect("few"));
        backend.pages().commit(&[cut(1, slot, &slot.to_string(), &[("p", Some(&value))])]).expect("room");
        // The store is open: this is what a killed process leaves.
        let copy = Scratch::copy_of(backend.dir.path());
        let pages = FilePages::open(&copy.path().join("pages.redb"), identity(), CACHE).expect("sound");
        let loaded = pages.load(ShardId(1), CHUNK).expect("sound").expect("it has a checkpoint");
        assert_eq!(
            (loaded.slot, loaded.head, loaded.pages),
            (Slot(slot), bytes(&slot.to_string()), vec![(bytes("p"), bytes(&value))])
        );
    }
}
