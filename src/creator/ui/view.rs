//! What the panel shows, as plain values.

use std::time::Duration;

use bevy::color::Color;
use bevy_egui::egui::{Rect, TextureId, Vec2};

use crate::{
    avatar::AvatarStage,
    creator::{CreatorEdits, CreatorSettings, CreatorStep, LightPreset, Notice, TraitGroup},
    expression::Expression,
    pipeline::Guidance,
};

/// All that the panel shows. It holds no photo and no identity: pictures are textures.
#[derive(Clone, Debug, Default)]
pub struct CreatorView {
    /// What is offered.
    pub settings: CreatorSettings,
    /// Where the player is.
    pub step: CreatorStep,
    /// Whether the player agreed to how photos are used.
    pub agreed: bool,
    /// What is to be told, the oldest first.
    pub notices: Vec<Notice>,
    /// The photo.
    pub photo: PhotoView,
    /// The webcam.
    pub webcam: WebcamView,
    /// How much work is put into likeness.
    pub quality: Guidance,
    /// The avatar that is being generated.
    pub progress: ProgressView,
    /// Whether there is an avatar to refine and keep.
    pub has_avatar: bool,
    /// Whether that avatar was made from a photo which is still there.
    pub from_photo: bool,
    /// Other takes.
    pub variations: Vec<VariationView>,
    /// What the player has changed.
    pub edits: CreatorEdits,
    /// The colour of the irises as long as the player changes nothing.
    pub own_iris: Color,
    /// Whether anything is changed since the avatar was generated.
    pub edited: bool,
    /// The sliders of the shape.
    pub traits: Vec<TraitView>,
    /// Whether there is something to undo.
    pub can_undo: bool,
    /// Whether there is something to redo.
    pub can_redo: bool,
    /// The expression that is shown.
    pub expression: Expression,
    /// The light; `None` where the game lights the avatar.
    pub light: Option<LightView>,
    /// Whether the view goes around the head.
    pub turntable: bool,
    /// Whether the avatar is shown without changes.
    pub comparing: bool,
    /// Saving and exporting.
    pub keep: KeepView,
}

/// The photo.
#[derive(Clone, Debug, Default)]
pub enum PhotoView {
    /// There is none.
    #[default]
    None,
    /// A file is being read.
    Opening,
    /// It is there.
    Shown {
        /// The picture, once it is on the graphics card.
        texture: Option<TextureId>,
        /// Its size in pixels of the photo.
        size: Vec2,
        /// What was found in it.
        faces: FacesView,
        /// The face that is meant, if it was told.
        chosen: Option<usize>,
        /// What makes that face unreliable.
        warnings: Vec<Notice>,
    },
}

/// What was found in a photo.
#[derive(Clone, Debug, PartialEq)]
pub enum FacesView {
    /// It is being looked at.
    Looking,
    /// Where the faces are, in pixels of the photo.
    Found(Vec<Rect>),
    /// There is none, or it could not be looked at.
    None,
}

/// The webcam.
#[derive(Clone, Debug, Default)]
pub struct WebcamView {
    /// Whether it can be asked for.
    pub offered: bool,
    /// Whether it runs, or is being started.
    pub running: bool,
    /// What it sees, with its size in pixels.
    pub picture: Option<(TextureId, Vec2)>,
}

/// An avatar that is being generated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgressView {
    /// Whether one is.
    pub working: bool,
    /// Whether it is made from the photo.
    pub of_photo: bool,
    /// What is being done.
    pub stage: AvatarStage,
    /// 0 to 1.
    pub fraction: f32,
    /// Time to the end.
    pub remaining: Option<Duration>,
    /// What emerges.
    pub preview: Option<TextureId>,
}

/// Another take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VariationView {
    /// Its picture, once it is there.
    pub picture: Option<TextureId>,
    /// Whether it is being generated now.
    pub working: bool,
    /// Whether it could not be generated.
    pub failed: bool,
    /// Whether it is the avatar that is shown.
    pub chosen: bool,
}

/// A slider of the shape.
#[derive(Clone, Debug, PartialEq)]
pub struct TraitView {
    /// Its name in [`ShapeEdits`](crate::pipeline::ShapeEdits).
    pub name: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Where it belongs.
    pub group: TraitGroup,
    /// The word for having little of it.
    pub low: &'static str,
    /// The word for having much of it.
    pub high: &'static str,
    /// Least and largest change, in standard deviations.
    pub range: (f32, f32),
}

/// How the avatar is lit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LightView {
    /// The light.
    pub preset: LightPreset,
    /// Degrees by which it has gone around the head, -180 to 180; to the right of whoever looks at its face.
    pub yaw: f32,
}

/// Saving and exporting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeepView {
    /// Whether there is an identity that could be saved.
    pub has_identity: bool,
    /// Whether it is to be saved.
    pub keep_identity: bool,
    /// Whether there is something to forget.
    pub can_forget: bool,
    /// Whether a file is being written.
    pub saving: bool,
    /// How far an export is, 0 to 1.
    pub exporting: Option<f32>,
}
