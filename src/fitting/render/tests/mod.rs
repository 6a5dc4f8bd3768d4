//! Tests of the renderer as a whole, on the template head and on surfaces with known pictures.

mod gradients;
mod pictures;

use bevy::math::{Quat, Vec2, Vec3};

use super::*;
use crate::bundle::{Bundle, TemplateHead};

/// Everything that a scene refers to.
#[derive(Clone)]
struct Stage {
    surface: Surface,
    geometry: Geometry,
    maps: SurfaceMaps,
    looks: Vec<PartLook>,
    occlusion: Option<Vec<f32>>,
    light: ShLight,
    roughness: f32,
    view: View,
}

impl Stage {
    fn scene(&self) -> Scene<'_> {
        Scene {
            surface: &self.surface,
            geometry: &self.geometry,
            maps: &self.maps,
            looks: &self.looks,
            occlusion: self.occlusion.as_deref(),
            light: self.light,
            roughness: self.roughness,
            view: self.view,
        }
    }

    fn render(&self) -> Rendering {
        self.scene().render(&self.scene().visibility())
    }
}

/// Numbers of −1 to 1 without an order, the same ones each time (SplitMix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn vector(&mut self) -> Vec3 {
        Vec3::new(self.next(), self.next(), self.next())
    }
}

fn template_head() -> TemplateHead {
    Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap().load_head().unwrap()
}

/// Smooth numbers of −1 to 1 over a map, different for each channel.
fn waves(x: f32, y: f32, channel: usize) -> f32 {
    let phase = channel as f32;
    0.6 * (17.0 * x + 3.0 * y + 2.1 * phase).sin() + 0.4 * (11.0 * y - 23.0 * x + 1.3 * phase * phase).cos()
}

/// Smooth maps of a kind that is found on skin.
fn smooth_maps(size: usize) -> SurfaceMaps {
    let centre = |index: usize| (index as f32 + 0.5) / size as f32;
    let map = |channel: usize, base: f32, swing: f32| {
        move |texel: usize| base + swing * waves(centre(texel % size), centre(texel / size), channel)
    };
    let texels = 0..size * size;
    let three = |first: usize, bases: [f32; 3], swing: f32| {
        let channels = std::array::from_fn::<_, 3, _>(|channel| map(first + channel, bases[channel], swing));
        texels.clone().map(|texel| channels.each_ref().map(|channel| channel(texel))).collect()
    };
    SurfaceMaps {
        size,
        diffuse: three(0, [0.5, 0.35, 0.25], 0.2),
        specular: texels.clone().map(map(3, 0.03, 0.02)).collect(),
        normals: three(4, [0.0, 0.0, 0.9], 0.2),
    }
}

/// The template head, tilted, with an expression, in a light that is different in every harmonic and never dark.
fn head_on_stage(head: &TemplateHead, pixels: usize, supersampling: usize) -> Stage {
    let surface = Surface::new(head);
    let weight = |name: &str| match name {
        "jawOpen" => 0.3,
        "mouthSmileLeft" | "browInnerUp" => 0.4,
        _ => 0.0,
    };
    let weights: Vec<f32> = head.blendshapes.iter().map(|shape| weight(&shape.name)).collect();
    let geometry = Geometry::new(&surface, head.posed(&head.positions, &weights));
    const TEXTURE: usize = 128;
    let texel = |index: usize| {
        let [x, y] = [index % TEXTURE, index / TEXTURE].map(|place| 0.3 * place as f32 / TEXTURE as f32);
        0.5 + 0.3 * Vec3::new(waves(x, y, 7), waves(x, y, 8), waves(x, y, 9))
    };
    let texture = Texels { size: TEXTURE, values: (0..TEXTURE * TEXTURE).map(texel).collect() };
    let looks = head.parts.iter().map(|part| match part.name.as_str() {
        "skin" => PartLook::Skin,
        "mouth" | "tongue" | "sockets" => PartLook::Flat(Vec3::new(0.4, 0.15, 0.12)),
        "lash_left_upper" | "lash_left_lower" | "lash_right_upper" | "lash_right_lower" => PartLook::Hidden,
        _ => PartLook::Texture(texture.clone()),
    });
    let occlusion = head.positions.iter().map(|place| 0.8 + 0.2 * (40.0 * place.x).sin() * (30.0 * place.y).cos());
    let mut light = ShLight(std::array::from_fn(|index| {
        let phase = index as f32;
        0.2 * Vec3::new((1.3 * phase + 0.7).sin(), (2.1 * phase - 0.4).cos(), (0.9 * phase + 2.0).sin())
    }));
    light.0[0] = Vec3::new(3.0, 2.5, 2.0);
    Stage {
        looks: looks.collect(),
        occlusion: Some(occlusion.collect()),
        surface,
        geometry,
        maps: smooth_maps(256),
        light,
        roughness: DEFAULT_ROUGHNESS,
        view: View {
            rotation: Quat::from_rotation_z(0.15) * Quat::from_rotation_y(0.4) * Quat::from_rotation_x(-0.2),
            translation: Vec3::new(0.02, 0.01, -0.6),
            rays: Rays::perspective(0.45, pixels, pixels),
            width: pixels,
            height: pixels,
            supersampling,
        },
    }
}

/// A sphere with a radius of 1 around the origin as one part, its texture around the Y axis, seen from so far away.
fn sphere(look: PartLook, distance: f32, pixels: usize, supersampling: usize) -> Stage {
    let (rows, columns) = (120_u16, 240_u16);
    let (mut positions, mut uv, mut triangles) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..=rows {
        for column in 0..=columns {
            let place = Vec2::new(f32::from(column) / f32::from(columns), f32::from(row) / f32::from(rows));
            let (polar, azimuth) = (place.y * std::f32::consts::PI, (place.x - 0.5) * std::f32::consts::TAU);
            positions.push(Vec3::new(polar.sin() * azimuth.sin(), polar.cos(), polar.sin() * azimuth.cos()));
            uv.push(place);
            if row < rows && column < columns {
                let first = row * (columns + 1) + column;
                let below = first + columns + 1;
                triangles.extend([[first, below, first + 1], [first + 1, below, below + 1]]);
            }
        }
    }
    let surface = Surface::from_parts(&positions, &triangles, &uv, &[[0..positions.len(), 0..triangles.len()]]);
    let maps =
        SurfaceMaps { size: 1, diffuse: vec![[0.7, 0.4, 0.2]], specular: vec![0.0], normals: vec![[0.0, 0.0, 1.0]] };
    Stage {
        geometry: Geometry::new(&surface, positions),
        surface,
        maps,
        looks: vec![look],
        occlusion: None,
        light: ShLight::constant(Vec3::ONE),
        roughness: DEFAULT_ROUGHNESS,
        view: View {
            rotation: Quat::IDENTITY,
            translation: Vec3::NEG_Z * distance,
            rays: Rays::perspective(0.7, pixels, pixels),
            width: pixels,
            height: pixels,
            supersampling,
        },
    }
}
