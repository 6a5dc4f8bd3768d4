//! What a picture is made of, pixel by pixel: how it answers to the light, and what the skin there is.

use bevy::math::Vec3;
use rayon::prelude::*;

use super::{Scene, View, Visibility, sample::Sampler, sh};

/// A survey of a scene, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Linear RGB that each coefficient of the light adds to a pixel of the rendering, times the pixel's coverage. Their
    /// product with a light is the rendering, but for places where its series rings below 0.
    pub response: Vec<[Vec3; sh::COUNT]>,
    /// The share of each pixel, 0 to 1, that skin covers whose texel is in the mask.
    pub mask: Vec<f32>,
}

impl Scene<'_> {
    /// Surveys what is visible. `mask` marks texels of the maps, 0 to 1.
    ///
    /// # Panics
    /// When the scene's arrays, the visibility's size, or the mask's do not fit each other.
    pub fn survey(&self, visibility: &Visibility, mask: &[f32]) -> Survey {
        self.check(visibility);
        assert_eq!(mask.len(), self.maps.size * self.maps.size, "one value for each texel");
        let View { width, height, .. } = self.view;
        let mut survey =
            Survey { response: vec![[Vec3::ZERO; sh::COUNT]; width * height], mask: vec![0.0; width * height] };
        if survey.mask.is_empty() {
            return survey;
        }
        let sampler = Sampler::new(self);
        let side = self.view.side();
        let share = 1.0 / (side * side) as f32;
        let rows = survey.response.par_chunks_mut(width).zip(survey.mask.par_chunks_mut(width));
        rows.enumerate().for_each(|(row, (responses, masks))| {
            for row in row * side..(row + 1) * side {
                for (column, &triangle) in visibility.row(row).iter().enumerate() {
                    if triangle == Visibility::NONE {
                        continue;
                    }
                    let ray = sampler.rays.at(column as f32, row as f32);
                    let Some(sample) = sampler.shade(ray, triangle as usize) else { continue };
                    let response = sampler.response(&sample);
                    for (sum, response) in responses[column / side].iter_mut().zip(response) {
                        *sum += share * response;
                    }
                    masks[column / side] += share * sample.texel_value(mask, self.maps.size);
                }
            }
        });
        survey
    }
}
