//! Avatars that are generated another way than the others, or not spawned.

use bevy::prelude::*;

use crate::pipeline::GenerateOptions;

/// How this avatar is generated, instead of [`FitDiffSettings::options`](super::FitDiffSettings::options). It counts from
/// the next generation on.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Reflect, Deref, DerefMut)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
pub struct AvatarOptions(pub GenerateOptions);

/// Has an avatar generated and nothing spawned: [`AvatarReady`](super::AvatarReady) is triggered, and
/// [`GeneratedAvatar`](super::GeneratedAvatar) holds its data. For pictures of people to choose from, for instance.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
pub struct AvatarDraft;
