//! Light in the mouth: teeth, gums and tongue are in the dark until the lips part.
//!
//! No light of a renderer knows of lips: ambient light goes through them, and so does every light without shadows. What
//! reaches the inside of a mouth that is wide open is in the vertex colours; what closed lips leave of it is done here.

use bevy::{mesh::morph::MorphWeights, prelude::*};

use super::{AvatarPart, GeneratedAvatar};
use crate::bundle::{
    Blendshape,
    materials::{MOUTH, TEETH},
};

/// How far the lips part, by blendshapes of ARKit; 1 is enough for all light that there is.
const PARTING: [(&str, f32); 9] = [
    ("jawOpen", 4.0),
    ("mouthClose", -4.0),
    ("mouthFunnel", 2.0),
    ("mouthUpperUpLeft", 0.7),
    ("mouthUpperUpRight", 0.7),
    ("mouthLowerDownLeft", 0.7),
    ("mouthLowerDownRight", 0.7),
    ("mouthSmileLeft", 0.25),
    ("mouthSmileRight", 0.25),
];

/// The part of white light that gets through the slit between closed lips; most of it has touched them.
const SLIT: Vec3 = Vec3::new(0.14, 0.07, 0.06);

/// The part of the reflectance that is left in an open mouth: what is mirrored there is the mouth itself.
const MIRRORED: f32 = 0.25;

/// Materials change in steps, not with every breath: to change one is to upload it.
const STEPS: f32 = 32.0;

/// What a surface in the mouth looks like in a part of the light of a wide open one: its colour and reflectance.
pub(crate) fn lit(colour: Vec3, reflectance: f32, light: Vec3) -> (Vec3, f32) {
    // What is mirrored goes with the reflectance's square.
    (light * colour, MIRRORED * reflectance * light.max_element().sqrt())
}

/// A part behind the lips, and how it looks in full light.
#[derive(Component)]
pub(super) struct InMouth {
    colour: Vec3,
    reflectance: f32,
}

/// Marks what lies behind the lips of new avatars.
pub(super) fn find(
    mut commands: Commands,
    parts: Query<(Entity, &AvatarPart, &MeshMaterial3d<StandardMaterial>), Added<AvatarPart>>,
    materials: Res<Assets<StandardMaterial>>,
) {
    for (entity, part, material) in &parts {
        if [TEETH, MOUTH].contains(&part.material.as_str())
            && let Some(material) = materials.get(material)
        {
            let (colour, reflectance) = (material.base_color.to_linear().to_vec3(), material.reflectance);
            commands.entity(entity).try_insert(InMouth { colour, reflectance });
        }
    }
}

/// Avatars whose lips may have moved.
type Moved = Or<(Changed<MorphWeights>, Changed<Children>)>;

/// Lights mouths as far as their lips part.
pub(super) fn light(
    avatars: Query<(&MorphWeights, &GeneratedAvatar, &Children), Moved>,
    parts: Query<(&InMouth, &MeshMaterial3d<StandardMaterial>)>,
    mut materials: ResMut<Assets<StandardMaterial>>,
) {
    for (weights, generated, children) in &avatars {
        let light = light_within(&generated.data.head.blendshapes, weights.weights());
        for (part, handle) in parts.iter_many(children) {
            let (colour, reflectance) = lit(part.colour, part.reflectance, light);
            let colour = Color::from(LinearRgba::from_vec3(colour));
            if materials.get(handle).is_some_and(|material| material.base_color != colour)
                && let Some(mut material) = materials.get_mut(handle)
            {
                material.base_color = colour;
                material.reflectance = reflectance;
            }
        }
    }
}

/// The part of the light in a wide open mouth that there is with an expression.
fn light_within(blendshapes: &[Blendshape], weights: &[f32]) -> Vec3 {
    let parting = |(shape, weight): (&Blendshape, &f32)| {
        PARTING.iter().find(|(name, _)| *name == shape.name).map_or(0.0, |(_, share)| share * weight)
    };
    let parted = blendshapes.iter().zip(weights).map(parting).sum::<f32>().clamp(0.0, 1.0);
    SLIT.lerp(Vec3::ONE, (parted * STEPS).round() / STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mouth_is_dark_until_the_lips_part() {
        let shapes = ["eyeBlinkLeft", "jawOpen", "mouthClose", "mouthSmileLeft"].map(|name| Blendshape {
            name: name.into(),
            vertices: Vec::new(),
            offsets: Vec::new(),
        });
        let light = |weights: [f32; 4]| light_within(&shapes, &weights);
        assert_eq!(light([0.0; 4]), SLIT);
        assert_eq!(light([1.0, 0.0, 0.0, 0.0]), SLIT, "lids do not part lips");
        assert_eq!(light([0.0, 1.0, 0.0, 0.0]), Vec3::ONE);
        assert_eq!(light([0.0, 0.6, 0.6, 0.0]), SLIT, "a lowered jaw behind closed lips");
        let smile = light([0.0, 0.0, 0.0, 1.0]);
        assert!(smile.x > SLIT.x && smile.x < light([0.0, 0.1, 0.0, 1.0]).x, "{smile}");
        assert_eq!(light([0.0, 0.2, 0.0, 0.0]), light([0.0, 0.2001, 0.0, 0.0]), "a tremor changes no material");
    }
}
