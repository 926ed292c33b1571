//! Many fields in few bytes: each is told by how it differs from the one before.
//!
//! A list of fields is one byte string, row after row. Numbers are LEB128; a number that may be negative is folded first
//! (0, -1, 1, -2, ... become 0, 1, 2, 3, ...).
//!
//! | what | how | if |
//! |---|---|---|
//! | flags | 1 byte: the terrain's place in [`Terrain::ALL`] in the low three bits, then the five "if"s below, from bit 3 on | |
//! | field | its packed id less that of the row before (less 0 in the first), folded | |
//! | version | | |
//! | owner | 0, the name's length, the name; or the number of a name told before, counted from 1 | it is owned |
//! | character | 1 byte | somebody lives there |
//! | crop | 1 byte; when it was sown less that of the crop before, folded; how long it takes to ripen, folded | something grows |
//! | price | | it is for sale |
//! | structures | how many, 1 byte each | there are any |
//!
//! Neighbours differ little and few own many: owned land takes 5 or 6 bytes a field in a view, and a name is told once. What
//! is read is checked as everywhere else: a number of no name, or a field off the grid, is an error.
//!
//! A list of bare ids ([`ids`]) is the second column alone. [`Rows`] that are to be looked at one by one stay packed until
//! then.

use bytes::Bytes;
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use world::{Acorns, BuildingId, CharacterId, CropId, CropView, FieldId, FieldView, Millis, PlayerName, Terrain};

const TERRAIN: u8 = 0b111;
const OWNED: u8 = 1 << 3;
const LIVED_IN: u8 = 1 << 4;
const SOWN: u8 = 1 << 5;
const FOR_SALE: u8 = 1 << 6;
const BUILT: u8 = 1 << 7;
/// What a row takes, about, and at least.
const USUAL: usize = 10;
const LEAST: usize = 3;

/// Why bytes are no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Cut off.
    #[error("the rows end within one")]
    Short,
    /// Or a version more than 32.
    #[error("a number takes more than 64 bits")]
    Long,
    /// None has this place.
    #[error("there is no terrain {0}")]
    Terrain(u8),
    /// Only names told before have numbers.
    #[error("the name {0} was not told before")]
    Name(u64),
    /// A name that no player can have.
    #[error("{0}")]
    NotAName(String),
    /// A field that no world has.
    #[error(transparent)]
    OffGrid(#[from] world::grid::GridError),
}

/// Fields as they travel: packed where they are shown, one after the other, and unpacked where they are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    len: usize,
    bytes: Bytes,
}

impl Rows {
    /// How many fields these are; if somebody else packed them, how many it says.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether these are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What they take, packed. Clones share it.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// These rows, if all of them can be read. They are walked over, not unpacked: that takes a fraction of the time, and no memory.
    pub fn checked(mut self) -> Result<Self, RowError> {
        let mut reader = Reader::new(&self.bytes);
        let mut len = 0;
        while !reader.bytes.is_empty() {
            reader.skip()?;
            len += 1;
        }
        self.len = len;
        Ok(self)
    }

    /// The fields, in the order in which they were packed. Nothing follows an error.
    pub fn unpack(&self) -> impl Iterator<Item = Result<FieldView, RowError>> {
        let mut reader = Reader::new(&self.bytes);
        let mut more = true;
        std::iter::from_fn(move || {
            if !more || reader.bytes.is_empty() {
                return None;
            }
            let row = reader.row();
            more = row.is_ok();
            Some(row)
        })
    }
}

/// All of them, or what is wrong with the first that cannot be read.
impl TryFrom<&Rows> for Vec<FieldView> {
    type Error = RowError;

    fn try_from(rows: &Rows) -> Result<Self, RowError> {
        // (Not room for as many as somebody else says.)
        let mut fields = Self::with_capacity(rows.len.min(rows.bytes.len() / LEAST));
        for field in rows.unpack() {
            fields.push(field?);
        }
        Ok(fields)
    }
}

impl FromIterator<FieldView> for Rows {
    fn from_iter<I: IntoIterator<Item = FieldView>>(fields: I) -> Self {
        let fields = fields.into_iter();
        // (Few iterators know how many; it need not grow for every other row.)
        let mut writer = Writer::for_rows(fields.size_hint().0.max(32));
        let mut len = 0;
        fields.for_each(|view| {
            len += 1;
            writer.row(&view);
        });
        Self { len, bytes: Bytes::from(writer.bytes) }
    }
}

/// Lists of fields of which only the id is told.
pub(crate) mod ids {
    use super::{All, Deserializer, FieldId, Serializer, Writer};

    pub fn serialize<S: Serializer>(fields: &[FieldId], serializer: S) -> Result<S::Ok, S::Error> {
        let mut writer = Writer::default();
        for field in fields {
            writer.field(*field);
        }
        serializer.serialize_bytes(&writer.bytes)
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is of one lifetime, the closure of any"
    )]
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FieldId>, D::Error> {
        deserializer.deserialize_bytes(All(|reader| reader.field()))
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    field: u64,
    sown: u64,
    names: BTreeMap<PlayerName, u64>,
    /// The last owner: land lies in estates.
    owner: Option<(PlayerName, u64)>,
}

impl Writer {
    fn for_rows(count: usize) -> Self {
        Self { bytes: Vec::with_capacity(count * USUAL), ..Self::default() }
    }

    fn row(&mut self, view: &FieldView) {
        let FieldView { field, terrain, owner, character, crop, structures, price, version } = view;
        let flag = |set: bool, flag| if set { flag } else { 0 };
        self.bytes.push(
            *terrain as u8
                | flag(owner.is_some(), OWNED)
                | flag(character.is_some(), LIVED_IN)
                | flag(crop.is_some(), SOWN)
                | flag(price.is_some(), FOR_SALE)
                | flag(!structures.is_empty(), BUILT),
        );
        self.field(*field);
        self.number(u64::from(*version));
        if let Some(name) = owner {
            self.owner(*name);
        }
        if let Some(CharacterId(character)) = character {
            self.bytes.push(*character);
        }
        if let Some(CropView { crop, planted, ripe }) = crop {
            self.bytes.push(crop.0);
            let before = std::mem::replace(&mut self.sown, planted.0);
            self.number(folded(planted.0.wrapping_sub(before)));
            self.number(folded(ripe.0.wrapping_sub(planted.0)));
        }
        if let Some(Acorns(price)) = price {
            self.number(*price);
        }
        if !structures.is_empty() {
            self.number(structures.len() as u64);
            self.bytes.extend(structures.iter().map(|building| building.0));
        }
    }

    fn field(&mut self, field: FieldId) {
        let before = std::mem::replace(&mut self.field, field.pack());
        self.number(folded(self.field.wrapping_sub(before)));
    }

    fn owner(&mut self, name: PlayerName) {
        if let Some((_, number)) = self.owner.filter(|(last, _)| *last == name) {
            return self.number(number);
        }
        let next = self.names.len() as u64 + 1;
        let number = *self.names.entry(name).or_insert(next);
        self.owner = Some((name, number));
        if number < next {
            return self.number(number);
        }
        let text = name.as_str().as_bytes();
        self.number(0);
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.bytes.push(number.to_le_bytes()[0]);
    }
}

/// A difference as a number that is small if the difference is, in whichever direction.
fn folded(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    (signed << 1 ^ signed >> 63).cast_unsigned()
}

fn unfolded(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

struct Reader<'a> {
    bytes: &'a [u8],
    field: u64,
    sown: u64,
    names: Vec<PlayerName>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, field: 0, sown: 0, names: Vec::new() }
    }

    fn row(&mut self) -> Result<FieldView, RowError> {
        let flags = self.byte()?;
        let terrain = flags & TERRAIN;
        let terrain = *Terrain::ALL.get(usize::from(terrain)).ok_or(RowError::Terrain(terrain))?;
        let field = self.field()?;
        let version = u32::try_from(self.number()?).map_err(|_| RowError::Long)?;
        let owner = if flags & OWNED == 0 { None } else { Some(self.owner()?) };
        let character = if flags & LIVED_IN == 0 { None } else { Some(CharacterId(self.byte()?)) };
        let crop = if flags & SOWN == 0 { None } else { Some(self.crop()?) };
        let price = if flags & FOR_SALE == 0 { None } else { Some(Acorns(self.number()?)) };
        let structures = if flags & BUILT == 0 { Vec::new() } else { self.structures()? };
        Ok(FieldView { field, terrain, owner, character, crop, structures, price, version })
    }

    /// The same without what it says, but for names and fields, which may be wrong in themselves.
    fn skip(&mut self) -> Result<(), RowError> {
        let flags = self.byte()?;
        let terrain = flags & TERRAIN;
        Terrain::ALL.get(usize::from(terrain)).ok_or(RowError::Terrain(terrain))?;
        self.field()?;
        u32::try_from(self.number()?).map_err(|_| RowError::Long)?;
        if flags & OWNED != 0 {
            self.skip_owner()?;
        }
        if flags & LIVED_IN != 0 {
            self.byte()?;
        }
        if flags & SOWN != 0 {
            self.crop()?;
        }
        if flags & FOR_SALE != 0 {
            self.number()?;
        }
        if flags & BUILT != 0 {
            self.some()?;
        }
        Ok(())
    }

    fn skip_owner(&mut self) -> Result<(), RowError> {
        // (Nearly all are names told before.)
        if let Some(&number @ 1..=0x7F) = self.bytes.first()
            && usize::from(number) <= self.names.len()
        {
            self.bytes = &self.bytes[1..];
            return Ok(());
        }
        self.owner().map(drop)
    }

    fn field(&mut self) -> Result<FieldId, RowError> {
        self.field = self.field.wrapping_add(unfolded(self.number()?));
        Ok(FieldId::try_from(self.field)?)
    }

    fn owner(&mut self) -> Result<PlayerName, RowError> {
        let number = self.number()?;
        if let Some(told) = number.checked_sub(1) {
            let name = usize::try_from(told).ok().and_then(|told| self.names.get(told));
            return name.copied().ok_or(RowError::Name(told));
        }
        let text = self.some()?;
        let text = std::str::from_utf8(text).map_err(|error| RowError::NotAName(error.to_string()))?;
        let name = PlayerName::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text));
        let name = name.map_err(|error| RowError::NotAName(error.to_string()))?;
        self.names.push(name);
        Ok(name)
    }

    fn crop(&mut self) -> Result<CropView, RowError> {
        let crop = CropId(self.byte()?);
        self.sown = self.sown.wrapping_add(unfolded(self.number()?));
        let ripe = self.sown.wrapping_add(unfolded(self.number()?));
        Ok(CropView { crop, planted: Millis(self.sown), ripe: Millis(ripe) })
    }

    fn structures(&mut self) -> Result<Vec<BuildingId>, RowError> {
        Ok(self.some()?.iter().copied().map(BuildingId).collect())
    }

    /// So many bytes as the number before them says.
    fn some(&mut self) -> Result<&'a [u8], RowError> {
        let count = usize::try_from(self.number()?).map_err(|_| RowError::Short)?;
        let (some, rest) = self.bytes.split_at_checked(count).ok_or(RowError::Short)?;
        self.bytes = rest;
        Ok(some)
    }

    fn byte(&mut self) -> Result<u8, RowError> {
        let (&byte, rest) = self.bytes.split_first().ok_or(RowError::Short)?;
        self.bytes = rest;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, RowError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                return Err(RowError::Long);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RowError::Long)
    }
}

/// All rows at once, each read with this.
struct All<T>(fn(&mut Reader<'_>) -> Result<T, RowError>);

impl<T> Visitor<'_> for All<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fields, as bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<T>, E> {
        let mut reader = Reader::new(bytes);
        let mut rows = Vec::with_capacity(bytes.len() / USUAL);
        while !reader.bytes.is_empty() {
            rows.push((self.0)(&mut reader).map_err(E::custom)?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::{RowError, Rows};
    use crate::client::{Query, Reply};
    use crate::codec::{decode, encode};
    use world::{Acorns, BuildingId, CharacterId, CropId, CropView, FieldId, FieldView, Millis, PlayerName, Terrain};

    fn field(x: u32, y: u32) -> FieldId {
        FieldId::new(x, y).expect("on the grid")
    }

    fn untouched(x: u32, y: u32) -> FieldView {
        let (field, structures, terrain) = (field(x, y), Vec::new(), Terrain::Pine);
        FieldView { field, terrain, owner: None, character: None, crop: None, structures, price: None, version: 0 }
    }

    fn owned(x: u32, y: u32, owner: &str) -> FieldView {
        let owner = Some(owner.parse::<PlayerName>().expect("a name"));
        FieldView { owner, character: Some(CharacterId(1)), version: 3, ..untouched(x, y) }
    }

    /// Of all that can be said of a field.
    fn full() -> FieldView {
        FieldView {
            crop: Some(crop(1_800_000_000_000, 1_800_000_060_000)),
            structures: vec![BuildingId(0), BuildingId(255)],
            price: Some(Acorns(u64::MAX)),
            version: u32::MAX,
            ..owned(999_999, 999_999, "sid")
        }
    }

    fn crop(planted: u64, ripe: u64) -> CropView {
        CropView { crop: CropId(9), planted: Millis(planted), ripe: Millis(ripe) }
    }

    fn there_and_back(fields: Vec<FieldView>) -> usize {
        let reply = Reply::View(fields.iter().cloned().collect());
        let bytes = encode(&reply);
        let Ok(Reply::View(rows)) = decode("reply", &bytes) else { panic!("our own") };
        assert_eq!(Vec::try_from(&rows), Ok(fields));
        bytes.len()
    }

    #[test]
    fn everything_that_can_be_said_of_a_field_comes_back() {
        let mut fields = vec![full(), untouched(0, 0), owned(1, 0, "scrat"), owned(2, 0, "sid"), untouched(3, 0)];
        // Each of them without one thing or the other, and clocks that went back.
        fields.push(FieldView { crop: Some(crop(u64::MAX, 0)), ..full() });
        fields.push(FieldView { crop: Some(crop(0, u64::MAX)), price: None, ..full() });
        fields.push(FieldView { structures: Vec::new(), ..full() });
        fields.push(FieldView { crop: None, price: None, ..full() });
        fields.push(FieldView { owner: None, character: None, ..full() });
        fields.extend(Terrain::ALL.map(|terrain| FieldView { terrain, ..untouched(7, 7) }));
        there_and_back(fields);
        there_and_back(Vec::new());
    }

    #[test]
    fn packed_fields_come_back_one_by_one_until_something_is_wrong() {
        let fields = [full(), untouched(0, 0), owned(1, 0, "scrat")];
        let rows: Rows = fields.iter().cloned().collect();
        let rows = decode::<Rows>("rows", &encode(&rows)).expect("our own");
        assert_eq!((rows.len(), rows.is_empty(), Rows::default().is_empty()), (3, false, true));
        assert_eq!(rows.unpack().collect::<Result<Vec<_>, _>>().expect("our own"), fields);
        let cut = Rows { bytes: rows.bytes.slice(..rows.bytes.len() - 1), ..rows };
        let unpacked: Vec<_> = cut.unpack().collect();
        assert_eq!(unpacked[..2], fields[..2].iter().cloned().map(Ok).collect::<Vec<_>>());
        assert_eq!(unpacked[2..], [Err(RowError::Short)]);
        let twice = Rows { bytes: [[6, 0, 0], [3, 0, 0]].concat().into(), len: 2 };
        assert_eq!(Vec::try_from(&twice), Err(RowError::Terrain(6)));
        assert_eq!(twice.unpack().collect::<Vec<_>>(), [Err(RowError::Terrain(6))], "nothing follows an error");
    }

    #[test]
    fn ids_come_back_in_their_order() {
        let fields = vec![field(999_999, 999_999), field(0, 0), field(0, 0), field(1, 0), field(0, 1)];
        let query = Query::Fields(fields);
        assert_eq!(decode::<Query>("query", &encode(&query)).expect("our own"), query);
    }

    #[test]
    fn a_view_of_owned_land_takes_six_bytes_a_field_at_most() {
        let owners = ["a-player-whose-name-has-32-bytes", "sid"];
        let estate = |nth: u32| owned(500_000 + nth % 32, 500_000 + nth / 32, owners[(nth / 5 % 2) as usize]);
        let bytes = there_and_back((0..1_024).map(estate).collect());
        assert!(bytes <= 6 * 1_024, "{bytes} bytes");
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<FieldView>, String> {
        let rows = Rows { len: usize::MAX, bytes: bytes.to_vec().into() };
        let unpacked = Vec::try_from(&rows);
        // Whoever walks over them finds the same.
        let checked = rows.checked().map(|rows| rows.len());
        assert_eq!(checked, unpacked.as_ref().map(Vec::len).map_err(Clone::clone));
        unpacked.map_err(|error| error.to_string())
    }

    #[test]
    fn rows_that_nobody_could_mean_are_refused_with_what_is_wrong() {
        assert_eq!(unpacked(&[3, 0, 0]), Ok(vec![untouched(0, 0)]));
        let refused = |rows: &[u8], what: &str| {
            let error = unpacked(rows).expect_err("nobody means this");
            assert!(error.contains(what), "{rows:?}: {error}");
        };
        refused(&[6, 0, 0], "no terrain 6");
        refused(&[3, 1, 0], "1048575,17592186044415");
        refused(&[3 | super::OWNED, 0, 0, 1], "the name 0 was not told");
        refused(&[3 | super::OWNED, 0, 0, 0, 0], "must not be empty");
        refused(&[3 | super::OWNED, 0, 0, 0, 1, 0xFF], "utf-8");
        refused(&[3 | super::OWNED, 0, 0, 0, 9, b'a'], "end within");
        refused(&[3, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F], "64 bits");
        refused(&[3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], "64 bits");
    }

    #[test]
    fn rows_cut_off_anywhere_are_refused_or_shorter_and_flipped_bits_never_panic() {
        let fields = [untouched(5, 5), full()];
        let rows: Rows = fields.iter().cloned().collect();
        let first = unpacked(&rows.bytes[..rows.bytes() - 1]).expect_err("cut off");
        assert!(first.contains("end within"), "{first}");
        for end in 0..rows.bytes() {
            let Ok(fields) = unpacked(&rows.bytes[..end]) else { continue };
            assert!(fields.len() < 2, "cut at {end}");
        }
        for bit in 0..rows.bytes() * 8 {
            let mut flipped = rows.bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = unpacked(&flipped);
        }
    }
}
