//! A cache of generated avatars on disk, so that an avatar that was there before appears without being generated.
//!
//! It is off unless [`FitDiffSettings::cache`](crate::avatar::FitDiffSettings::cache) says otherwise: an entry holds the
//! likeness of a person, as maps and vertices. It holds neither photo nor embedding; its name is a hash of the recipe, the
//! bundle and the engine that ran it, because engines differ in the last bits.

mod entry;
mod settings;
mod store;

pub use settings::CacheSettings;
pub(crate) use store::Cache;
