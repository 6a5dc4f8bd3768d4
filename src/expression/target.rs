//! What is looked at.

use bevy::{ecs::system::SystemParam, prelude::*};

use super::{FaceRig, LookTarget};

/// Finds the places of targets.
#[derive(SystemParam)]
pub(super) struct LookTargets<'w, 's> {
    entities: Query<'w, 's, (&'static GlobalTransform, Option<&'static FaceRig>)>,
}

impl LookTargets<'_, '_> {
    /// Where a target is in the world; `None` where there is none.
    pub fn place(&self, target: LookTarget) -> Option<Vec3> {
        let place = match target {
            LookTarget::Nothing => return None,
            LookTarget::Position(place) => place,
            LookTarget::Entity(entity) => {
                let (place, rig) = self.entities.get(entity).ok()?;
                let eyes = rig.and_then(FaceRig::between_eyes).unwrap_or(Vec3::ZERO);
                place.transform_point(eyes)
            }
        };
        place.is_finite().then_some(place)
    }
}
