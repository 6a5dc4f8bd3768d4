//! One sample: from the triangle that it sees to its colour, and back from the colour's gradient to everything that it
//! was made of.

use bevy::math::{Mat3, Vec2, Vec3};

use super::{
    Rays, Scene, Texels,
    barycentric::Hit,
    frame::Frame,
    sh,
    shade::{Lighting, Material, Reflection},
    surface::PartLook,
    texture::{Footprint, mix},
};

/// A scene, made ready for its samples.
pub(super) struct Sampler<'a> {
    pub scene: &'a Scene<'a>,
    /// Those of the samples.
    pub rays: Rays,
    /// Vertices in view space.
    pub vertices: Vec<Vec3>,
    rotation: Mat3,
    lighting: Lighting,
}

/// A sample with what led to its colour.
pub(super) struct Sample<'a> {
    /// Linear radiance.
    pub colour: Vec3,
    /// Whether it shows skin.
    pub is_skin: bool,
    corners: [usize; 3],
    hit: Hit,
    uv: Vec2,
    paint: Paint<'a>,
    frame: Frame,
    occlusion: f32,
    reflection: Reflection,
}

/// Where a sample's colour comes from.
enum Paint<'a> {
    Maps(Footprint),
    Texture(&'a Texels, Footprint),
    Flat,
}

/// The gradient by what a sample was made of.
pub(super) struct SampleGradient {
    /// Where it lies in the maps, and the gradient by the maps' values there.
    pub texel: Option<(Footprint, TexelGradient)>,
    /// Shares of the triangle's corners.
    pub weights: [f32; 3],
    /// By the volumes of the barycentric coordinates.
    pub volumes: [f32; 3],
    /// By the interpolated normal, in head space.
    pub normal: Vec3,
    /// By a small turn of the shading normal in view space.
    pub rotation: Vec3,
}

/// The gradient by a sample's values of the maps.
#[derive(Clone, Copy)]
pub(super) struct TexelGradient {
    pub diffuse: Vec3,
    pub specular: f32,
    pub normal: Vec3,
}

impl Sample<'_> {
    /// The value of a map of the skin, of this side, at the sample; 0 where there is no skin.
    pub fn texel_value(&self, map: &[f32], size: usize) -> f32 {
        let Paint::Maps(footprint) = self.paint else { return 0.0 };
        footprint.texels(size).into_iter().zip(footprint.shares()).map(|(texel, share)| map[texel] * share).sum()
    }
}

impl<'a> Sampler<'a> {
    pub fn new(scene: &'a Scene<'a>) -> Self {
        Self {
            scene,
            rays: scene.view.rays.subdivided(scene.view.side()),
            vertices: scene.view.all_to_view(&scene.geometry.vertices),
            rotation: Mat3::from_quat(scene.view.rotation),
            lighting: Lighting::new(&scene.light, scene.roughness),
        }
    }

    /// Shades the sample of this ray, which sees this triangle. `None` when the triangle shows it no area.
    #[inline]
    pub fn shade(&self, ray: Vec3, triangle: usize) -> Option<Sample<'a>> {
        let Scene { surface, geometry, maps, looks, occlusion, .. } = self.scene;
        let corners = surface.corners(triangle);
        let hit = Hit::new(ray, corners.map(|corner| self.vertices[corner]))?;
        let [a, b, c] = hit.weights;
        let uv = corners.map(|corner| surface.uv[corner]);
        let uv = uv[0] * a + uv[1] * b + uv[2] * c;
        let occlusion =
            occlusion.map_or(1.0, |open| open[corners[0]] * a + open[corners[1]] * b + open[corners[2]] * c);
        let normal = hit.mix(corners.map(|corner| geometry.normals[corner]));

        let look = surface.look(triangle, looks);
        let (paint, material, frame) = match look {
            PartLook::Skin => {
                let footprint = Footprint::new(uv, maps.size);
                let (texels, shares) = (footprint.texels(maps.size), footprint.shares());
                let diffuse = mix(texels.map(|texel| maps.diffuse[texel].into()), shares);
                let specular = (0..4).map(|i| maps.specular[texels[i]] * shares[i]).sum();
                let map = mix(texels.map(|texel| maps.normals[texel].into()), shares);
                let tangent = hit.mix(corners.map(|corner| geometry.tangents[corner]));
                let frame = Frame::mapped(normal, tangent, surface.handedness[triangle], map);
                (Paint::Maps(footprint), Material { diffuse, specular: Some(specular) }, frame)
            }
            PartLook::Texture(texture) => {
                let footprint = Footprint::new(uv, texture.size);
                let values = footprint.texels(texture.size).map(|texel| texture.values[texel]);
                let diffuse = mix(values, footprint.shares());
                (Paint::Texture(texture, footprint), Material { diffuse, specular: None }, Frame::smooth(normal))
            }
            PartLook::Flat(diffuse) => {
                (Paint::Flat, Material { diffuse: *diffuse, specular: None }, Frame::smooth(normal))
            }
            PartLook::Hidden => return None,
        };
        let reflection = self.lighting.reflect(material, self.rotation * frame.normal, -ray.normalize_or_zero());
        Some(Sample {
            colour: occlusion * reflection.colour,
            is_skin: matches!(paint, Paint::Maps(_)),
            corners,
            hit,
            uv,
            paint,
            frame,
            occlusion,
            reflection,
        })
    }

    /// What each coefficient of the light adds to a sample's colour.
    pub fn response(&self, sample: &Sample) -> [Vec3; sh::COUNT] {
        self.lighting.response(&sample.reflection).map(|colour| sample.occlusion * colour)
    }

    /// The gradient from that by the sample's colour; adds to that of the light.
    #[inline]
    pub fn gradient(&self, sample: &Sample, seed: Vec3, light: &mut [Vec3; sh::COUNT]) -> SampleGradient {
        let Scene { surface, geometry, occlusion, .. } = self.scene;
        let Sample { corners, hit, frame, reflection, .. } = sample;
        let by_reflection = self.lighting.gradient(reflection, seed * sample.occlusion, light);
        let by_frame = frame.gradient(self.rotation.transpose() * by_reflection.normal);
        let by_texel =
            TexelGradient { diffuse: by_reflection.diffuse, specular: by_reflection.specular, normal: by_frame.map };
        let by_uv = self.uv_gradient(sample, &by_texel);
        let by_occlusion = seed.dot(reflection.colour);
        let by_weights = corners.map(|corner| {
            by_frame.normal.dot(geometry.normals[corner])
                + by_frame.tangent.dot(geometry.tangents[corner])
                + by_uv.dot(surface.uv[corner])
                + occlusion.map_or(0.0, |open| by_occlusion * open[corner])
        });
        SampleGradient {
            texel: match sample.paint {
                Paint::Maps(footprint) => Some((footprint, by_texel)),
                Paint::Texture(..) | Paint::Flat => None,
            },
            weights: hit.weights,
            volumes: hit.volume_gradient(by_weights),
            normal: by_frame.normal,
            rotation: (self.rotation * frame.normal).cross(by_reflection.normal),
        }
    }

    /// The gradient by the texture coordinate.
    #[inline]
    fn uv_gradient(&self, sample: &Sample, gradient: &TexelGradient) -> Vec2 {
        let maps = self.scene.maps;
        match &sample.paint {
            Paint::Maps(footprint) => {
                let worth = footprint.texels(maps.size).map(|texel| {
                    gradient.diffuse.dot(maps.diffuse[texel].into())
                        + gradient.specular * maps.specular[texel]
                        + gradient.normal.dot(maps.normals[texel].into())
                });
                footprint.slope(sample.uv, maps.size, worth)
            }
            Paint::Texture(texture, footprint) => {
                let worth = footprint.texels(texture.size).map(|texel| gradient.diffuse.dot(texture.values[texel]));
                footprint.slope(sample.uv, texture.size, worth)
            }
            Paint::Flat => Vec2::ZERO,
        }
    }
}
