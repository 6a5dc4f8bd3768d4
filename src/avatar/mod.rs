//! Avatars in a Bevy world: the component that asks for one, the thread that makes it, and what is spawned.
//!
//! ```no_run
//! use bevy::prelude::*;
//! use bevy_fitdiff::prelude::*;
//!
//! App::new()
//!     .add_plugins((DefaultPlugins, FitDiffPlugin::default()))
//!     .add_systems(Startup, |mut commands: Commands, assets: Res<AssetServer>| {
//!         commands.spawn(Avatar::from_selfie(assets.load("selfies/me.jpg")));
//!     })
//!     .add_observer(|ready: On<AvatarReady>| info!("{} is ready", ready.entity))
//!     .add_observer(|failed: On<AvatarFailed>| error!("{}", failed.error))
//!     .run();
//! ```

mod components;
mod draft;
mod events;
pub(crate) mod eye;
mod faces;
mod forget;
pub(crate) mod head;
pub(crate) mod lash;
mod line;
mod look;
pub(crate) mod material;
pub(crate) mod mesh;
pub(crate) mod mouth;
mod photo;
mod preview;
mod queue;
mod searcher;
mod settings;
pub(crate) mod shade;
pub(crate) mod skin;
mod spawn;
pub(crate) mod texture;
mod tone;
mod worker;

use std::sync::Arc;

use bevy::{
    prelude::*,
    render::{RenderApp, mesh::allocator::MeshAllocatorSettings},
};

pub use components::{
    Avatar, AvatarFailure, AvatarLook, AvatarPart, AvatarPhoto, AvatarProgress, AvatarSource, AvatarStage,
    GeneratedAvatar, SavedRecipe,
};
pub use draft::{AvatarDraft, AvatarOptions};
pub use events::{AvatarError, AvatarFailed, AvatarReady};
pub use faces::{FaceSearch, FaceSearchFailed, FaceSearchFailure, FacesFound, FoundFaces, PhotoFace};
pub use forget::ForgetPerson;
pub use photo::{Photo, PhotoLoader};
pub use settings::{FitDiffModel, FitDiffSettings};
pub use tone::SkinTone;

use crate::runtime::Runtime;
use faces::Searches;
use queue::Queue;
use worker::Worker;

/// When avatars are worked on, in [`PreUpdate`]: what a system of [`Update`] asks for is queued in the next frame, and
/// what is ready in a frame is seen by its systems.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AvatarSystems;

/// Adds avatars to an app whose plugins are all added. Without a runtime every avatar fails and says why.
pub(crate) fn build(app: &mut App, runtime: Option<Arc<Runtime>>) {
    if app.world().get_resource::<AssetServer>().is_none() {
        error!("avatars need Bevy's AssetPlugin: add DefaultPlugins, or AssetPlugin, beside FitDiffPlugin");
        return;
    }
    ensure_asset::<Image>(app);
    ensure_asset::<Mesh>(app);
    ensure_asset::<StandardMaterial>(app);
    app.init_asset::<Photo>().register_asset_loader(PhotoLoader::default());
    app.register_type::<Avatar>()
        .register_type::<AvatarDraft>()
        .register_type::<AvatarOptions>()
        .register_type::<AvatarFailure>()
        .register_type::<AvatarLook>()
        .register_type::<AvatarPart>()
        .register_type::<AvatarProgress>()
        .register_type::<FaceSearch>()
        .register_type::<FaceSearchFailure>()
        .register_type::<FitDiffModel>()
        .register_type::<FitDiffSettings>()
        .register_type::<FoundFaces>()
        .register_type::<GeneratedAvatar>();
    app.init_resource::<FitDiffSettings>()
        .init_resource::<FitDiffModel>()
        .init_resource::<Queue>()
        .init_resource::<Searches>();
    if let Some(runtime) = runtime {
        match Worker::start(runtime) {
            Ok(worker) => {
                worker.load(app.world().resource::<FitDiffSettings>().bundle.clone());
                app.insert_resource(worker);
            }
            Err(reason) => error!("no thread can be started for avatars: {reason}"),
        }
    }
    limit_slabs(app);
    app.add_observer(queue::withdraw).add_observer(faces::withdraw).add_observer(forget::forget);
    app.add_systems(
        PreUpdate,
        (
            (queue::follow_photos, queue::enqueue, faces::follow_photos, faces::enqueue).chain(),
            (queue::receive, faces::dispatch, queue::dispatch, spawn::spawn).chain(),
            (look::restyle_skin, look::paint_eyes, mouth::find, mouth::light).chain(),
        )
            .chain()
            .in_set(AvatarSystems),
    );
}

/// Adds a kind of asset that a renderer would have added. An app without one may still want meshes and maps.
///
/// To add a kind again would throw away all assets of it.
fn ensure_asset<A: Asset>(app: &mut App) {
    if !app.world().contains_resource::<Assets<A>>() {
        app.init_asset::<A>();
    }
}

/// Longest storage buffer that a shader may bind on every device (WebGPU's default `maxStorageBufferBindingSize`).
const MAX_BINDING_BYTES: u64 = 128 << 20;

/// Keeps buffers of morph targets short enough to be bound. Bevy binds a whole slab at once and lets slabs grow beyond
/// what many drivers bind; a handful of heads, at 33 MB each, is enough for that.
fn limit_slabs(app: &mut App) {
    if let Some(render) = app.get_sub_app_mut(RenderApp) {
        let mut settings = render.world_mut().get_resource_or_init::<MeshAllocatorSettings>();
        let slabs = &mut settings.slab_allocator_settings;
        slabs.max_slab_size = slabs.max_slab_size.min(MAX_BINDING_BYTES);
    }
}
