//! Reading all of a store without changing it.

use super::PagesError;
use super::file::FilePages;
use super::overlay::Overlay;
use super::tables::{PAGES, unsealed};
use crate::Identity;
use placement::ShardId;
use redb::{Database, ReadableDatabase, ReadableTableMetadata};
use std::path::Path;

impl FilePages {
    /// As [`FilePages::open`], but the file stays as it is, whatever is wrong with it: what would be written is kept in memory.
    pub fn open_to_read(path: &Path, identity: Identity, cache_bytes: usize) -> Result<Self, PagesError> {
        if !path.exists() {
            return Err(PagesError::Missing { file: path.to_owned() });
        }
        let file = path.to_owned();
        let opener = move || {
            let overlay = Overlay::open(&file)?;
            Ok(Database::builder().set_cache_size(cache_bytes).create_with_backend(overlay)?)
        };
        Self::open_with(path, identity, Box::new(opener))
    }

    /// Reads every page there is, also those of checkpoints on their way here, and checks its checksum; `each` hears whose it
    /// is and its bytes, after how many of how many.
    pub fn each_page(&self, mut each: impl FnMut(ShardId, usize, u64, u64)) -> Result<(), PagesError> {
        let broken = self.read(|database| {
            let table = database.begin_read()?.open_table(PAGES)?;
            let of = table.len()?;
            for (done, entry) in (1..).zip(table.range::<&[u8]>(..)?) {
                let (key, value) = entry?;
                let (key, value) = (key.value(), value.value());
                match (key.first_chunk::<4>(), unsealed(key, value)) {
                    (Some(shard), Some(_)) => {
                        each(ShardId(u32::from_be_bytes(*shard)), key.len() + value.len(), done, of);
                    }
                    _ => return Ok(Some(key.to_vec())),
                }
            }
            Ok(None)
        })?;
        match broken {
            None => Ok(()),
            Some(key) => Err(self.damaged(format!("the checksum of the page with the key {key:02x?}"))),
        }
    }
}
