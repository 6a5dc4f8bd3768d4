//! An avatar as plain data.

use std::{fmt, sync::Arc};

use bevy::math::Vec3;

use super::{AvatarMaps, AvatarRecipe};
use crate::{
    bundle::TemplateHead,
    diffusion::Latents,
    face::{Face, Identity, QualityWarning},
    fitting::{PhotoFit, UNKNOWN_IRIS},
};

/// An avatar as plain data.
#[derive(Clone)]
pub struct AvatarData {
    /// The template head: topology, texture layout, blendshapes.
    pub head: Arc<TemplateHead>,
    /// The head's vertices at rest, in metres, in the template's order and axes.
    pub vertices: Vec<Vec3>,
    /// The head's surface.
    pub maps: Arc<AvatarMaps>,
    /// The clean latents that vertices and maps were decoded from, multiplied with the bundle's scales. They are rounded
    /// to half precision, in which files keep them.
    pub latents: Latents,
    /// What the shape coefficients in the latents are multiplied with.
    pub shape_scale: f32,
    /// Who it is; `None` for random people and given latents.
    pub identity: Option<Identity>,
    /// What makes the identity unreliable, of all photos one after the other.
    pub warnings: Vec<QualityWarning>,
    /// What was found in the most reliable photo, the first of equals.
    pub face: Option<Face>,
    /// How the avatar's face stands in that photo; `None` without a photo, without guidance, and where no head fits it.
    pub fit: Option<PhotoFit>,
    /// What regenerates the avatar without the photo.
    pub recipe: AvatarRecipe,
}

/// What latents are decoded to, with these.
pub(crate) struct DecodedAvatar {
    pub vertices: Vec<Vec3>,
    pub maps: AvatarMaps,
    pub latents: Latents,
}

impl AvatarData {
    /// Linear reflectance of the irises, RGB of 0 to 1: as the most reliable photo shows them, as they were drawn
    /// for a random person, else brown.
    pub fn iris(&self) -> Vec3 {
        self.recipe.iris.map_or(UNKNOWN_IRIS, Vec3::from_array)
    }
}

/// Shows neither vertices nor texels nor the face.
impl fmt::Debug for AvatarData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maps, warnings, recipe, .. } = self;
        let mut debug = f.debug_struct("AvatarData");
        debug.field("maps", maps).field("warnings", warnings).field("recipe", recipe).finish_non_exhaustive()
    }
}
