//! Fields that were shown, packed until somebody looks at them: a view of a thousand fields costs its bytes, and who wants only to
//! pass it on, or to count, pays nothing more.

use wire::Rows;
use world::FieldView;

/// Fields that were shown, by packed id. All of them can be read: that was seen to when they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Of each shard that has any.
    parts: Vec<Rows>,
}

impl Shown {
    pub(crate) fn of(parts: Vec<Rows>) -> Self {
        Self { parts: parts.into_iter().filter(|rows| !rows.is_empty()).collect() }
    }

    /// How many these are. (While a field moves from one shard to another, both may show it: then it counts twice.)
    pub fn len(&self) -> usize {
        self.parts.iter().map(Rows::len).sum()
    }

    /// Whether these are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// All of them, whatever order the shards answered in. Of a field that two shards show the newer version is the truth.
    pub fn unpack(&self) -> Vec<FieldView> {
        let mut fields = Vec::with_capacity(self.len());
        fields.extend(self.parts.iter().flat_map(Rows::unpack).flatten());
        if self.parts.len() > 1 {
            fields.sort_by(|a, b| a.field.cmp(&b.field).then(b.version.cmp(&a.version)));
            fields.dedup_by_key(|field| field.field);
        }
        fields
    }
}

impl FromIterator<FieldView> for Shown {
    fn from_iter<I: IntoIterator<Item = FieldView>>(fields: I) -> Self {
        Self::of(vec![fields.into_iter().collect()])
    }
}
