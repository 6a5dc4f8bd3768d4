//! Saving, loading and exporting, off the main thread.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bevy::{
    prelude::*,
    tasks::{AsyncComputeTaskPool, IoTaskPool, Task, futures::check_ready},
};

use super::{CreatorStep, Notice, actions::Creator, state::Work, words};
use crate::{
    avatar::FitDiffModel,
    export::{ExportError, ExportOptions, save_glb},
    runtime::CancelToken,
    save::{AvatarFile, Embedding, FILE_EXTENSION},
};

/// What exported files end with.
const EXPORTED: &str = "glb";

/// A file that is being exported.
pub(super) struct Exporting {
    /// Bits of the part that is done, 0 to 1.
    progress: Arc<AtomicU32>,
    cancel: CancelToken,
    task: Task<Result<(), ExportError>>,
}

impl Exporting {
    /// The part that is done, 0 to 1.
    pub fn progress(&self) -> f32 {
        f32::from_bits(self.progress.load(Ordering::Relaxed))
    }
}

impl Creator<'_, '_> {
    /// A path that was typed or chosen, with a folder and an ending.
    fn complete(&self, path: PathBuf, ending: &str) -> PathBuf {
        let path = match &self.settings.avatar_folder {
            Some(folder) if path.parent().is_none_or(|parent| parent.as_os_str().is_empty()) => folder.join(path),
            _ => path,
        };
        if path.extension().is_some() { path } else { path.with_added_extension(ending) }
    }

    pub fn save(&mut self, path: PathBuf) {
        let path = self.complete(path, FILE_EXTENSION);
        if !self.settings.save || self.state.saving.is_some() {
            return;
        }
        self.state.history.commit();
        let Some(person) = self.state.person() else { return };
        let edits = self.state.edits();
        let keep = if self.state.keep_identity { Embedding::Keep } else { Embedding::Drop };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.strip_suffix(&format!(".{FILE_EXTENSION}")).unwrap_or(&name).to_owned();
        let mut file = AvatarFile::new(name, &person.data, edits.look(&person.tone), keep);
        if !edits.shape.is_empty()
            && let Some(traits) = self.state.people.traits()
        {
            file.recipe = edits.shape.recipe(&person.data, traits);
            file = file.with_edits(edits.shape.clone());
        }
        self.state.saving = Some(IoTaskPool::get().spawn(async move { file.save(path) }));
    }

    pub fn load(&mut self, path: PathBuf) {
        if self.settings.save && self.state.step != CreatorStep::Generate {
            let path = self.complete(path, FILE_EXTENSION);
            self.state.loading = Some(IoTaskPool::get().spawn(async move { AvatarFile::open(path) }));
        }
    }

    pub fn export(&mut self, path: PathBuf) {
        let path = self.complete(path, EXPORTED);
        if !self.settings.export || self.state.exporting.is_some() || self.state.is_working() {
            return;
        }
        let Some(person) = self.state.person() else { return };
        // What is on the entity has the shape that the player made.
        let Some(Ok(generated)) = self.state.avatar.map(|avatar| self.generated.get(avatar)) else { return };
        let (data, look) = (generated.data.clone(), self.state.edits().look(&person.tone));
        let (progress, cancel) = (Arc::new(AtomicU32::new(0)), CancelToken::default());
        let (told, token) = (progress.clone(), cancel.clone());
        let task = AsyncComputeTaskPool::get().spawn(async move {
            let mut observe =
                |news: crate::export::ExportProgress| told.store(news.fraction.to_bits(), Ordering::Relaxed);
            save_glb(path, &data, &look, &ExportOptions::default(), &token, &mut observe)
        });
        self.state.exporting = Some(Exporting { progress, cancel, task });
    }

    pub fn cancel_export(&mut self) {
        if let Some(exporting) = &self.state.exporting {
            exporting.cancel.cancel();
        }
    }
}

/// Takes over what was written and read.
pub(super) fn finish(mut creator: Creator) {
    if let Some(result) = creator.state.saving.as_mut().and_then(check_ready) {
        creator.state.saving = None;
        let notice = result.map_or_else(|error| Notice::from(&error), |()| Notice::good(words::SAVED));
        creator.state.tell(notice);
    }
    if let Some(result) = creator.state.loading.as_mut().and_then(check_ready) {
        creator.state.loading = None;
        let checked = result.and_then(|file| {
            // Where the model is not there yet, generating tells.
            if let FitDiffModel::Ready(bundle) = &*creator.bundle {
                file.check_bundle(bundle)?;
            }
            Ok(file)
        });
        match checked {
            Ok(file) => {
                let from = creator.state.step;
                let (avatar, _) = file.avatar();
                creator.start(avatar, Work::File(Box::new(file), from));
            }
            Err(error) => creator.state.tell(Notice::from(&error)),
        }
    }
    let exporting = creator.state.exporting.as_mut().and_then(|exporting| check_ready(&mut exporting.task));
    if let Some(result) = exporting {
        creator.state.exporting = None;
        creator.state.tell(match result {
            Ok(()) => Notice::good(words::EXPORTED),
            Err(ExportError::Cancelled) => Notice::hint(words::EXPORT_CANCELLED, ""),
            Err(error) => Notice::from(&error),
        });
    }
}
