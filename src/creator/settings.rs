//! What a game decides about the creator.

use std::path::PathBuf;

use bevy::prelude::*;

use crate::pipeline::Guidance;

/// How the character creator behaves. May be changed at any time.
#[derive(Resource, Clone, Debug, PartialEq, Reflect)]
#[reflect(Resource, Default, Clone, Debug, PartialEq)]
pub struct CreatorSettings {
    /// Whether the creator is open when the app starts; otherwise
    /// [`CreatorAction::Open`](super::CreatorAction::Open) opens it.
    pub open_at_start: bool,
    /// Whether avatars can be made from photos. Without, people can be made up and loaded.
    pub photos: bool,
    /// Whether a webcam is offered, where the feature `webcam` is built in.
    pub webcam: bool,
    /// Whether avatars can be saved and loaded.
    pub save: bool,
    /// Whether avatars can be exported as glTF files.
    pub export: bool,
    /// Where dialogs for photos start; the system's choice if there is none.
    pub photo_folder: Option<PathBuf>,
    /// Where dialogs for avatars, saved or exported, start, and where typed names without a folder go.
    pub avatar_folder: Option<PathBuf>,
    /// Variations that are shown at a time.
    pub variations: usize,
    /// How much work makes an avatar look like its photo, until the player chooses.
    #[reflect(ignore)]
    pub quality: Guidance,
    /// Size of the panel's text, as a multiple of the usual one. `None`: grows with the window, so that it can be read on a
    /// 4K screen whose system does not scale.
    pub zoom: Option<f32>,
}

impl Default for CreatorSettings {
    fn default() -> Self {
        Self {
            open_at_start: true,
            photos: true,
            webcam: true,
            save: true,
            export: true,
            photo_folder: None,
            avatar_folder: None,
            variations: 4,
            quality: Guidance::default(),
            zoom: None,
        }
    }
}
