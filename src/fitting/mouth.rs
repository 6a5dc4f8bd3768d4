//! Light that falls into an open mouth.

use bevy::math::Vec3;

use crate::bundle::{TemplateHead, materials::TEETH};

/// Metres behind the front teeth at which half of the light is left.
const DEPTH: f32 = 0.02;

/// The foremost place of a head's teeth; `vertices` are those of the whole head in metres, in the template's order.
pub(crate) fn front_of_teeth(head: &TemplateHead, vertices: &[Vec3]) -> Option<Vec3> {
    let teeth = head.parts.iter().filter(|part| part.material == TEETH);
    let places = teeth.flat_map(|part| &vertices[part.vertices[0]..][..part.vertices[1]]);
    places.copied().max_by(|one, other| one.z.total_cmp(&other.z))
}

/// The part of the light around that falls straight on a place in a wide open mouth, 0 to 1. `front` is where its teeth
/// begin.
pub(crate) fn light_in_mouth(position: Vec3, front: Vec3) -> f32 {
    1.0 / (1.0 + position.distance_squared(front) / DEPTH.powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    #[test]
    fn light_falls_with_the_distance_from_the_front_teeth() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let head = bundle.load_head().unwrap();
        let front = front_of_teeth(&head, &head.positions).unwrap();
        // In the middle, behind the lips.
        let lips = [13, 14].map(|index| head.landmark_positions(&head.positions)[index]);
        assert!(front.x.abs() < 0.01, "{front}");
        assert!(lips.iter().all(|lip| lip.z > front.z && lip.distance(front) < 0.03), "{front}, {lips:?}");
        assert_eq!(light_in_mouth(front, front), 1.0);
        assert!((light_in_mouth(front - DEPTH * Vec3::Z, front) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_head_without_teeth_has_no_front_of_them() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let mut head = bundle.load_head().unwrap();
        head.parts.retain(|part| part.material != TEETH);
        assert_eq!(front_of_teeth(&head, &head.positions), None);
    }
}
