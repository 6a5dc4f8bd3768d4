//! From avatars that were asked for to jobs of the worker, one after the other.

use std::{path::PathBuf, sync::Arc};

use bevy::{asset::LoadState, ecs::system::SystemParam, mesh::morph::MorphWeights, prelude::*};

use super::{
    Avatar, AvatarDraft, AvatarError, AvatarFailed, AvatarFailure, AvatarLook, AvatarOptions, AvatarPart, AvatarPhoto,
    AvatarProgress, AvatarReady, AvatarSource, AvatarStage, FitDiffModel, FitDiffSettings, GeneratedAvatar, Photo,
    faces::{self, Searches},
    line::Line,
    look::PaintedEyes,
    preview::preview_image,
    spawn::Spawning,
    worker::{Finished, Job, Report, Task, Worker},
};
use crate::{
    pipeline::{GenerateRequest, PipelineError, Source, SourcePhoto, Stage},
    runtime::RuntimeReport,
};

/// Share of the progress bar that generating takes; spawning takes the rest.
const GENERATED: f32 = 0.97;

/// Avatars that are asked for.
#[derive(Resource, Default, Deref, DerefMut)]
pub(super) struct Queue(Line);

/// Queues avatars that are new or changed.
pub(super) fn enqueue(
    mut commands: Commands,
    mut queue: ResMut<Queue>,
    mut asked: Query<(Entity, &mut AvatarProgress), Changed<Avatar>>,
) {
    for (entity, mut progress) in &mut asked {
        queue.join(entity);
        let preview = progress.preview.take();
        *progress = AvatarProgress { preview, ..default() };
        commands.entity(entity).remove::<(Spawning, AvatarFailure)>();
    }
}

/// Has avatars generated anew whose photo changes while it is looked at.
pub(super) fn follow_photos(
    mut changes: MessageReader<AssetEvent<Photo>>,
    mut avatars: Query<(&mut Avatar, &AvatarProgress)>,
) {
    for change in changes.read() {
        let AssetEvent::Modified { id } = change else { continue };
        for (mut avatar, progress) in &mut avatars {
            let begun = !matches!(progress.stage, AvatarStage::Queued | AvatarStage::Ready | AvatarStage::Failed);
            let shown = |photos: &[AvatarPhoto]| photos.iter().any(|photo| photo.photo.id() == *id);
            if begun && matches!(&avatar.source, AvatarSource::Photos(photos) if shown(photos)) {
                avatar.set_changed();
            }
        }
    }
}

/// Ends the work for an avatar whose component or entity goes, and removes what was spawned for it.
pub(super) fn withdraw(
    removed: On<Remove, Avatar>,
    mut commands: Commands,
    queue: Option<ResMut<Queue>>,
    children: Query<&Children>,
    parts: Query<(), With<AvatarPart>>,
) {
    let entity = removed.entity;
    if let Some(mut queue) = queue {
        queue.withdraw(entity);
    }
    for child in children.iter_descendants(entity).filter(|child| parts.contains(*child)) {
        commands.entity(child).try_despawn();
    }
    // The weights hold the skin's mesh.
    type Work = (Spawning, GeneratedAvatar, PaintedEyes, MorphWeights, AvatarFailure, AvatarProgress);
    commands.entity(entity).try_remove::<Work>();
}

/// What jobs are made from.
#[derive(SystemParam)]
pub(super) struct Inputs<'w> {
    settings: Res<'w, FitDiffSettings>,
    photos: Res<'w, Assets<Photo>>,
    server: Res<'w, AssetServer>,
}

/// What is asked for of an avatar, and how far it is.
type Asked<'a> = (&'a Avatar, &'a AvatarLook, &'a mut AvatarProgress, Option<&'a AvatarOptions>, Has<AvatarDraft>);

/// Hands the first avatar whose photos are loaded to the worker.
pub(super) fn dispatch(
    mut commands: Commands,
    mut queue: ResMut<Queue>,
    mut worker: Option<ResMut<Worker>>,
    report: Res<RuntimeReport>,
    inputs: Inputs,
    mut avatars: Query<Asked>,
) {
    let queue = queue.bypass_change_detection();
    if queue.is_busy() {
        return;
    }
    let mut position = 0;
    while let Some(entity) = queue.waiting(position) {
        let Ok((avatar, look, mut progress, options, draft)) = avatars.get_mut(entity) else {
            queue.leave(position);
            continue;
        };
        let Some(worker) = worker.as_deref_mut() else {
            queue.leave(position);
            fail(&mut commands, entity, &mut progress, no_runtime(&report));
            return;
        };
        match inputs.task(avatar, options) {
            Ok(Some(task)) => {
                let (id, cancel) = queue.start(position);
                let FitDiffSettings { bundle, cache, .. } = inputs.settings.clone();
                let look = (!draft).then_some(*look);
                worker.generate(Job { id, bundle, cache, task, look, cancel });
                return;
            }
            Ok(None) => position += 1,
            Err(error) => {
                queue.leave(position);
                fail(&mut commands, entity, &mut progress, error);
                return;
            }
        }
    }
}

/// Why nothing can be asked of the worker where there is none.
pub(super) fn no_runtime(report: &RuntimeReport) -> AvatarError {
    AvatarError::NoRuntime { reason: report.error.clone().unwrap_or_else(|| "its thread could not be started".into()) }
}

impl Inputs<'_> {
    /// The model bundle's folder.
    pub fn bundle(&self) -> PathBuf {
        self.settings.bundle.clone()
    }

    /// What to do for an avatar; `None` while its photos are being loaded.
    fn task(&self, avatar: &Avatar, options: Option<&AvatarOptions>) -> Result<Option<Task>, AvatarError> {
        let source = match &avatar.source {
            AvatarSource::Recipe(recipe) => return Ok(Some(Task::Again(recipe.0.clone()))),
            AvatarSource::Random => Source::Random,
            AvatarSource::Photos(photos) => {
                let mut loaded = Vec::with_capacity(photos.len());
                for AvatarPhoto { photo, face } in photos {
                    let Some(photo) = self.photo(photo)? else { return Ok(None) };
                    loaded.push(SourcePhoto { image: photo.0.clone(), face: *face });
                }
                Source::Photos(loaded)
            }
        };
        let options = options.map_or(self.settings.options, |options| options.0);
        Ok(Some(Task::New(GenerateRequest { source, seed: avatar.seed, options })))
    }

    /// A photo; `None` while it is being loaded.
    pub fn photo(&self, handle: &Handle<Photo>) -> Result<Option<&Photo>, AvatarError> {
        if let Some(photo) = self.photos.get(handle) {
            return Ok(Some(photo));
        }
        match self.server.get_load_state(handle.id()) {
            Some(LoadState::NotLoaded | LoadState::Loading) => Ok(None),
            Some(LoadState::Failed(reason)) => {
                let path = handle.path().map(ToString::to_string);
                Err(AvatarError::Photo { path, reason: reason.to_string() })
            }
            // Loaded, but removed since; or never an asset of the server.
            Some(LoadState::Loaded) | None => Err(AvatarError::NoPhoto),
        }
    }
}

/// Takes over what the worker tells.
pub(super) fn receive(
    mut commands: Commands,
    mut queue: ResMut<Queue>,
    mut searches: ResMut<Searches>,
    worker: Option<Res<Worker>>,
    mut model: ResMut<FitDiffModel>,
    mut images: ResMut<Assets<Image>>,
    mut avatars: Query<&mut AvatarProgress, With<Avatar>>,
) {
    let Some(worker) = worker else { return };
    let queue = queue.bypass_change_detection();
    for report in worker.reports() {
        match report {
            Report::Loading => *model = FitDiffModel::Loading,
            Report::Loaded(Ok(bundle)) => *model = FitDiffModel::Ready(bundle),
            Report::Loaded(Err(error)) => {
                error!("{error}");
                *model = FitDiffModel::Failed(error);
            }
            Report::Progress { job, progress: news } => {
                let Some(entity) = queue.of_job(job) else { continue };
                let Ok(mut progress) = avatars.get_mut(entity) else { continue };
                progress.stage = match news.stage {
                    Stage::Face => AvatarStage::Face,
                    Stage::Sampling => AvatarStage::Sampling,
                    Stage::Decoding => AvatarStage::Decoding,
                };
                progress.fraction = progress.fraction.max(news.fraction * GENERATED);
                progress.remaining = news.remaining;
                if let Some(maps) = news.preview {
                    progress.preview = Some(images.add(preview_image(&maps)));
                }
            }
            Report::Faces { search, result } => {
                if let Some(entity) = searches.bypass_change_detection().end(search) {
                    faces::take(&mut commands, entity, &mut images, *result);
                }
            }
            Report::Done { job, result } => {
                let Some(entity) = queue.end(job) else { continue };
                let Ok(mut progress) = avatars.get_mut(entity) else { continue };
                match *result {
                    Ok(Finished { data, head: None }) => {
                        (progress.stage, progress.fraction, progress.remaining) = (AvatarStage::Ready, 1.0, None);
                        commands.entity(entity).try_insert(GeneratedAvatar { data });
                        commands.trigger(AvatarReady { entity });
                    }
                    Ok(Finished { data, head: Some(head) }) => {
                        progress.stage = AvatarStage::Spawning;
                        progress.fraction = progress.fraction.max(GENERATED);
                        progress.remaining = None;
                        commands.entity(entity).try_insert(Spawning::new(data, head));
                    }
                    // Only the queue cancels, and it has forgotten the entity then.
                    Err(AvatarError::Pipeline(PipelineError::Cancelled)) => {}
                    Err(error) => fail(&mut commands, entity, &mut progress, error),
                }
            }
        }
    }
}

fn fail(commands: &mut Commands, entity: Entity, progress: &mut AvatarProgress, error: AvatarError) {
    error!("{error}");
    let error = Arc::new(error);
    progress.stage = AvatarStage::Failed;
    progress.remaining = None;
    commands.entity(entity).try_insert(AvatarFailure(error.clone()));
    commands.trigger(AvatarFailed { entity, error });
}
