//! Values at small indices that are used again, each use with a generation of its own, so that an old key finds nothing.

/// A value's place and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub index: u32,
    pub generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The key that the next value gets.
    #[inline]
    pub fn next_key(&self) -> Key {
        let last = self.entries.len();
        let index = self.free.last().map_or(last, |&index| index as usize);
        let generation = self.entries.get(index).map_or(0, |entry| entry.generation);
        Key { index: u32::try_from(index).expect("the caller bounds how many there are"), generation }
    }

    // Inlined, so that a value is built where it stays.
    #[inline]
    pub fn insert(&mut self, value: T) -> Key {
        let key = self.next_key();
        match self.free.pop() {
            Some(index) => self.entries[index as usize].value = Some(value),
            None => self.entries.push(Entry { generation: key.generation, value: Some(value) }),
        }
        key
    }

    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize).filter(|entry| entry.generation == key.generation)?;
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.index as usize).filter(|entry| entry.generation == key.generation)?;
        entry.value.as_ref()
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize).filter(|entry| entry.generation == key.generation)?;
        entry.value.as_mut()
    }

    /// Whatever is at `index` now.
    pub fn at(&self, index: u32) -> Option<(Key, &T)> {
        let entry = self.entries.get(index as usize)?;
        entry.value.as_ref().map(|value| (Key { index, generation: entry.generation }, value))
    }

    /// All, by index.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0..self.entries.len()).filter_map(|index| self.at(u32::try_from(index).expect("bounded by insert")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_finds_nothing_where_something_new_lives() {
        let mut slab = Slab::new();
        let next = slab.next_key();
        let old = slab.insert("mammoth");
        assert_eq!(old, next);
        assert_eq!(slab.remove(old), Some("mammoth"));
        let next = slab.next_key();
        let new = slab.insert("sloth");
        assert_eq!(new, next);
        assert_eq!(new.index, old.index);
        assert_eq!(slab.remove(old), None);
        assert_eq!((slab.get(old), slab.get(new), slab.len()), (None, Some(&"sloth"), 1));
    }
}
