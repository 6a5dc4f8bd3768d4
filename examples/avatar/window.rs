//! The window: the character creator in its studio.

use std::sync::Arc;

use bevy::prelude::*;
use bevy_fitdiff::{
    avatar::{AvatarSource, SavedRecipe},
    creator::CreatorStep,
    prelude::*,
};

use super::{args::Arguments, files::Wanted};

/// Everything that an app with a window needs.
pub fn plugins(app: &mut App) {
    app.add_plugins(
        DefaultPlugins
            .set(AssetPlugin { file_path: concat!(env!("CARGO_MANIFEST_DIR"), "/assets").into(), ..default() })
            .set(WindowPlugin {
                primary_window: Some(Window { title: "bevy_fitdiff: avatar".into(), ..default() }),
                ..default()
            }),
    );
}

/// Opens the creator, with what the command line asks for.
pub fn open(app: &mut App, arguments: &Arguments, wanted: Option<Wanted>) {
    let settings = CreatorSettings { quality: arguments.guidance, open_at_start: false, ..default() };
    app.insert_resource(settings).add_plugins((CreatorPlugin::default(), CreatorStudioPlugin::default()));
    let mut wanted = wanted;
    app.add_systems(Startup, move |mut actions: MessageWriter<CreatorAction>, mut photos: ResMut<Assets<Photo>>| {
        actions.write(CreatorAction::Open);
        match wanted.take() {
            // Whoever names a photo on the command line wants it used.
            Some(Wanted::Photos(of_person)) => {
                actions.write_batch([CreatorAction::Agree, CreatorAction::GoTo(CreatorStep::Photo)]);
                actions.write_batch(of_person.into_iter().map(|photo| CreatorAction::UsePhoto(photos.add(photo))));
            }
            Some(Wanted::Avatar(Avatar { source: AvatarSource::Recipe(SavedRecipe(recipe)), .. })) => {
                actions.write(CreatorAction::Recipe(Arc::clone(&recipe)));
            }
            Some(Wanted::Avatar(Avatar { seed, .. })) => {
                actions.write(CreatorAction::Person(seed));
            }
            None => {}
        }
    })
    .add_observer(|created: On<AvatarCreated>| info!("{} is the avatar", created.entity))
    // There is nothing else in this app.
    .add_observer(|_: On<CreatorClosed>, mut exit: MessageWriter<AppExit>| {
        exit.write(AppExit::Success);
    });
}
