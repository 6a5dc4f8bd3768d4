//! The look of avatars that are there follows [`AvatarLook`].

use bevy::{
    prelude::*,
    tasks::{AsyncComputeTaskPool, Task, futures::check_ready},
};

use super::{AvatarLook, AvatarPart, GeneratedAvatar, eye::eye_texture};
use crate::bundle::materials::{EYE, SKIN};

/// The eyes' texture of an avatar. To paint one takes a good part of a frame, so it is done beside.
#[derive(Component)]
pub(super) struct PaintedEyes {
    /// Colour of the iris in the texture that is there, or in the one that is being painted.
    iris: Color,
    painting: Option<Task<Image>>,
}

impl PaintedEyes {
    pub fn new(iris: Color) -> Self {
        Self { iris, painting: None }
    }
}

/// Avatars that are there and look another way than before.
type Restyled = (Changed<AvatarLook>, With<GeneratedAvatar>);

/// Applies changes of the skin's roughness and tint.
pub(super) fn restyle_skin(
    changed: Query<(&AvatarLook, &Children), Restyled>,
    parts: Query<(&AvatarPart, &MeshMaterial3d<StandardMaterial>)>,
    mut materials: ResMut<Assets<StandardMaterial>>,
) {
    for (look, children) in &changed {
        for (part, material) in parts.iter_many(children) {
            if part.material == SKIN
                && let Some(mut material) = materials.get_mut(material)
            {
                material.perceptual_roughness = look.skin_roughness;
                material.base_color = look.skin_tint;
            }
        }
    }
}

/// Has eyes painted whose colour is not the wanted one, and puts on those that are painted.
pub(super) fn paint_eyes(
    mut avatars: Query<(&AvatarLook, &GeneratedAvatar, &Children, &mut PaintedEyes)>,
    parts: Query<(&AvatarPart, &MeshMaterial3d<StandardMaterial>)>,
    mut images: ResMut<Assets<Image>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
) {
    for (look, generated, children, mut eyes) in &mut avatars {
        if let Some(task) = &mut eyes.painting {
            let Some(image) = check_ready(task) else { continue };
            eyes.painting = None;
            let texture = images.add(image);
            for (part, material) in parts.iter_many(children) {
                if part.material == EYE
                    && let Some(mut material) = materials.get_mut(material)
                {
                    material.base_color_texture = Some(texture.clone());
                }
            }
        }
        let iris = look.iris_of(&generated.data);
        if eyes.iris != iris {
            let head = generated.data.head.clone();
            let paint = async move { eye_texture(&head.eyes, iris.to_linear()) };
            *eyes = PaintedEyes { iris, painting: Some(AsyncComputeTaskPool::get().spawn(paint)) };
        }
    }
}
