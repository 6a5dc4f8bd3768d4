//! The worker's side of searches for faces.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, mpsc::Sender},
};

use image::RgbImage;

use super::{
    AvatarError,
    worker::{Report, panic_text},
};
use crate::{
    bundle::Bundle,
    face::{FaceError, FaceFinder, FoundFace, Quality},
    pipeline::PipelineError,
    runtime::{CancelToken, Runtime, RuntimeError},
};

/// A photo to search.
pub(super) struct Search {
    pub id: u64,
    /// The bundle's folder.
    pub bundle: PathBuf,
    pub photo: Arc<RgbImage>,
    pub cancel: CancelToken,
}

/// A face that was found, with what there is to show of it.
pub(super) struct SeenFace {
    pub face: FoundFace,
    /// sRGB.
    pub chip: RgbImage,
    pub quality: Quality,
}

/// Looks for faces with networks of its own, so that those of an avatar that is generated are left alone.
pub(super) struct Searcher {
    runtime: Arc<Runtime>,
    /// Loaded with the first search.
    finder: Option<(PathBuf, FaceFinder)>,
}

impl Searcher {
    pub fn new(runtime: Arc<Runtime>) -> Self {
        Self { runtime, finder: None }
    }

    /// Searches a photo and tells the result. Whether somebody still listens.
    pub fn answer(&mut self, search: Search, reports: &Sender<Report>) -> bool {
        let id = search.id;
        let result = catch_unwind(AssertUnwindSafe(|| self.search(search))).unwrap_or_else(|panic| {
            // A network may be left in the middle of a run.
            self.finder = None;
            Err(AvatarError::Bug(panic_text(panic)))
        });
        reports.send(Report::Faces { search: id, result: Box::new(result) }).is_ok()
    }

    fn search(&mut self, search: Search) -> Result<Vec<SeenFace>, AvatarError> {
        let Search { bundle, photo, cancel, .. } = search;
        if cancel.is_cancelled() {
            return Err(PipelineError::Cancelled.into());
        }
        let finder = self.load(bundle.clone());
        let finder = finder.map_err(|source| AvatarError::Model { bundle, source: Arc::new(source) })?;
        let found = finder.find(&photo, &cancel).map_err(|error| match error {
            FaceError::Runtime(RuntimeError::Cancelled) => PipelineError::Cancelled,
            FaceError::Runtime(error) => PipelineError::Runtime(error),
            error => PipelineError::Photo { index: 0, count: 1, source: Box::new(error) },
        })?;
        let seen = found.into_iter().map(|face| {
            let (chip, quality) = finder.chip(&photo, &face.landmarks);
            SeenFace { face, chip, quality }
        });
        Ok(seen.collect())
    }

    /// The networks of a folder, read now if it is another one than before.
    fn load(&mut self, bundle: PathBuf) -> Result<&mut FaceFinder, PipelineError> {
        if self.finder.as_ref().is_none_or(|(loaded, _)| *loaded != bundle) {
            self.finder = None;
            let finder = FaceFinder::load(&Bundle::open(&bundle)?, &self.runtime)?;
            self.finder = Some((bundle, finder));
        }
        Ok(&mut self.finder.as_mut().expect("the networks were loaded above").1)
    }
}
