//! How photos come in: chosen in the system's file dialog, dropped onto the window, or typed.

use std::path::PathBuf;

use bevy::{
    asset::RenderAssetUsages,
    ecs::system::NonSendMarker,
    prelude::*,
    tasks::{IoTaskPool, Task, futures::check_ready},
    window::FileDragAndDrop,
};
use bevy_fitdiff::{
    face::{self, PhotoError, PhotoLimits},
    prelude::*,
};
use image::{DynamicImage, RgbImage};
use rfd::AsyncFileDialog;

/// What the dialog lists; cameras write capitals, and not every dialog overlooks the case.
const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "JPG", "JPEG", "PNG", "WEBP"];

/// A dialog that was cancelled and one that could not be shown end alike.
const NOTHING_CHOSEN: &str = "No photo was chosen. If no dialog appeared (on Linux it takes xdg-desktop-portal or zenity), \
                              drop a photo onto the window or type its path.";

/// Longer side of the texture that shows the photo, in pixels.
const SHOWN_SIDE: u32 = 360;

/// Photos on their way to the avatar.
#[derive(Resource, Default)]
pub struct PhotoInput {
    /// What is typed in the text field.
    pub path: String,
    /// Why the last photo could not be opened.
    pub error: Option<String>,
    /// What to do when the dialog brought none.
    pub hint: Option<&'static str>,
    /// Whether the dialog is asked for.
    wanted: bool,
    dialog: Option<Task<Option<PathBuf>>>,
    opening: Option<Task<Result<RgbImage, String>>>,
    shown: Option<(Handle<Photo>, Handle<Image>)>,
}

impl PhotoInput {
    /// Asks for the file dialog, unless it is open.
    pub fn choose(&mut self) {
        self.wanted = self.dialog.is_none();
    }

    /// Reads a photo off the main thread.
    pub fn open(&mut self, path: PathBuf) {
        (self.error, self.hint) = (None, None);
        self.opening = Some(IoTaskPool::get().spawn(async move {
            face::open_photo(&path, &PhotoLimits::default()).map_err(|error| match error {
                // It names the file itself.
                PhotoError::Read { .. } => error.to_string(),
                error => format!("{}: {error}", path.display()),
            })
        }));
    }

    /// The photo that the avatar is made from, to be shown beside it.
    pub fn shown(&self) -> Option<&Handle<Image>> {
        self.shown.as_ref().map(|(_, image)| image)
    }
}

/// Adds all ways by which photos come in.
pub fn plugin(app: &mut App) {
    app.init_resource::<PhotoInput>()
        .add_systems(Update, (ask.run_if(|input: Res<PhotoInput>| input.wanted), answer, dropped, take, show).chain());
}

/// Shows the dialog. macOS wants that from the main thread; no system waits for the answer.
fn ask(_main_thread: NonSendMarker, mut input: ResMut<PhotoInput>) {
    input.wanted = false;
    let answer = AsyncFileDialog::new().set_title("Open a photo").add_filter("Photos", &EXTENSIONS).pick_file();
    input.dialog = Some(IoTaskPool::get().spawn(async { answer.await.map(|file| file.path().to_owned()) }));
}

fn answer(mut input: ResMut<PhotoInput>) {
    let Some(chosen) = input.dialog.as_mut().and_then(check_ready) else { return };
    input.dialog = None;
    match chosen {
        Some(path) => input.open(path),
        None => input.hint = Some(NOTHING_CHOSEN),
    }
}

fn dropped(mut events: MessageReader<FileDragAndDrop>, mut input: ResMut<PhotoInput>) {
    for event in events.read() {
        if let FileDragAndDrop::DroppedFile { path_buf, .. } = event {
            input.open(path_buf.clone());
        }
    }
}

/// Gives the avatar the photo that was read.
fn take(mut input: ResMut<PhotoInput>, mut photos: ResMut<Assets<Photo>>, mut avatars: Query<&mut Avatar>) {
    let Some(result) = input.opening.as_mut().and_then(check_ready) else { return };
    input.opening = None;
    match result {
        Ok(photo) => {
            let photo = photos.add(Photo::from(photo));
            for mut avatar in &mut avatars {
                *avatar = Avatar::from_selfie(photo.clone()).with_seed(avatar.seed);
            }
        }
        Err(reason) => input.error = Some(reason),
    }
}

/// Makes a texture of the photo that the avatar is made from.
fn show(
    mut input: ResMut<PhotoInput>,
    avatars: Query<&Avatar>,
    photos: Res<Assets<Photo>>,
    mut images: ResMut<Assets<Image>>,
) {
    let wanted = avatars.iter().find_map(|avatar| match &avatar.source {
        AvatarSource::Photos(photos) => photos.first().map(|first| first.photo.clone()),
        _ => None,
    });
    if input.shown.as_ref().map(|(photo, _)| photo) == wanted.as_ref() {
        return;
    }
    input.shown = wanted.and_then(|handle| {
        let photo = DynamicImage::from((*photos.get(&handle)?.0).clone()).thumbnail(SHOWN_SIDE, SHOWN_SIDE);
        let texture = Image::from_dynamic(photo, true, RenderAssetUsages::RENDER_WORLD);
        Some((handle, images.add(texture)))
    });
}
