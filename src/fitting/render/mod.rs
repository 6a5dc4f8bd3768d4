//! A small software renderer with a gradient: a head, its maps and a light become a picture, and the gradient of a loss
//! by the picture becomes one by all of them.
//!
//! - A [`Surface`] is derived from the template head once, a [`Geometry`] from the vertices of each head.
//! - A [`View`] holds the head's pose and the rays of the pixels; view space is Bevy's.
//! - [`Scene::visibility`] finds the triangle that each sample sees. Shading and its gradient keep to it.
//! - [`Scene::render`] shades the samples: diffuse and glossy reflection of a light in spherical harmonics ([`sh`]).
//! - [`Scene::gradients`] goes back the same way. Constants in it are visibility, tangents, occlusion, roughness, and the
//!   looks of parts that are no skin.
//!
//! Colours are linear. Results are the same, bit for bit, for any number of threads. Finite scenes give finite pictures
//! and gradients; what cannot be rendered is left out.

mod adjoint;
mod barycentric;
mod frame;
mod geometry;
mod sample;
pub mod sh;
mod shade;
mod surface;
mod survey;
#[cfg(test)]
mod tests;
mod texture;
mod view;
mod visibility;

use bevy::math::Vec3;
use rayon::prelude::*;

pub use adjoint::{Gradients, expression_gradient};
pub use geometry::Geometry;
pub use sh::ShLight;
pub use shade::DEFAULT_ROUGHNESS;
pub use surface::{PartLook, Surface};
pub use survey::Survey;
pub use texture::{SurfaceMaps, Texels};
pub use view::{Rays, View};
pub use visibility::Visibility;

use sample::Sampler;

/// A head before the camera, lit.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Topology of the head.
    pub surface: &'a Surface,
    /// Its shape.
    pub geometry: &'a Geometry,
    /// The maps of its skin.
    pub maps: &'a SurfaceMaps,
    /// How its parts look, in their order. Parts that are left out are hidden.
    pub looks: &'a [PartLook],
    /// The share of the light around that reaches each vertex, 0 to 1; all of it when there is none.
    pub occlusion: Option<&'a [f32]>,
    /// The light, in view space.
    pub light: ShLight,
    /// Perceptual roughness of the skin, 0 to 1; [`DEFAULT_ROUGHNESS`] without a better idea.
    pub roughness: f32,
    /// Camera and pose.
    pub view: View,
}

/// A rendered picture, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendering {
    /// Pixels in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Linear RGB, times the pixel's coverage.
    pub colour: Vec<Vec3>,
    /// The share of each pixel that the head covers, 0 to 1.
    pub coverage: Vec<f32>,
    /// The share of each pixel that skin covers, 0 to 1.
    pub skin: Vec<f32>,
}

impl Scene<'_> {
    /// Finds what each sample sees.
    pub fn visibility(&self) -> Visibility {
        Visibility::new(self.surface, &self.geometry.vertices, self.looks, &self.view)
    }

    /// Renders the picture of what is visible.
    ///
    /// # Panics
    /// When the scene's arrays, or the visibility's size, do not fit each other.
    pub fn render(&self, visibility: &Visibility) -> Rendering {
        self.check(visibility);
        let View { width, height, .. } = self.view;
        let mut rendering = Rendering {
            width,
            height,
            colour: vec![Vec3::ZERO; width * height],
            coverage: vec![0.0; width * height],
            skin: vec![0.0; width * height],
        };
        if rendering.colour.is_empty() {
            return rendering;
        }
        let sampler = Sampler::new(self);
        let side = self.view.side();
        let colours = rendering.colour.par_chunks_mut(width);
        let coverages = rendering.coverage.par_chunks_mut(width).zip(rendering.skin.par_chunks_mut(width));
        colours.zip(coverages).enumerate().for_each(|(row, (colours, (coverages, skins)))| {
            for row in row * side..(row + 1) * side {
                for (column, &triangle) in visibility.row(row).iter().enumerate() {
                    if triangle == Visibility::NONE {
                        continue;
                    }
                    let ray = sampler.rays.at(column as f32, row as f32);
                    let Some(sample) = sampler.shade(ray, triangle as usize) else { continue };
                    colours[column / side] += sample.colour;
                    coverages[column / side] += 1.0;
                    skins[column / side] += f32::from(sample.is_skin);
                }
            }
            let share = 1.0 / (side * side) as f32;
            colours.iter_mut().for_each(|colour| *colour *= share);
            coverages.iter_mut().chain(skins).for_each(|coverage| *coverage *= share);
        });
        rendering
    }

    /// The gradient of a loss by everything in the scene, from `seed`, its gradient by [`Rendering::colour`].
    ///
    /// # Panics
    /// When the scene's arrays, the visibility's size, or the seed's length do not fit each other.
    pub fn gradients(&self, visibility: &Visibility, seed: &[Vec3]) -> Gradients {
        self.check(visibility);
        assert_eq!(seed.len(), self.view.width * self.view.height, "one gradient for each pixel");
        adjoint::gradients(self, visibility, seed)
    }

    fn check(&self, visibility: &Visibility) {
        assert_eq!(self.view.samples(), visibility.size(), "visibility of a view of this size");
        let vertices = self.surface.vertex_count();
        assert_eq!(self.geometry.vertices.len(), vertices, "geometry of this surface");
        assert!(self.occlusion.is_none_or(|open| open.len() == vertices), "one occlusion for each vertex");
        for look in self.looks {
            match look {
                PartLook::Skin => assert!(self.maps.is_complete(), "maps of size × size texels"),
                PartLook::Texture(texels) => assert!(texels.is_complete(), "a texture of size × size texels"),
                PartLook::Flat(_) | PartLook::Hidden => {}
            }
        }
    }
}
