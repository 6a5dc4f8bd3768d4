//! What a face can do: which of a head's blendshapes are ARKit's, and how its eyes and lids move.

use std::f32::consts::FRAC_PI_2;

use bevy::prelude::*;

use super::{
    ArkitBlendshape, BlendshapeWeights,
    blendshape::{BLENDSHAPES, unit},
};
use crate::{
    avatar::GeneratedAvatar,
    bundle::{TemplateHead, materials::SKIN},
};

/// The index of a blendshape that the head has not.
const MISSING: u16 = u16::MAX;

/// A vertex belongs to the edge of the upper lid where a blink moves it by this share of the largest way.
const LID_EDGE: f32 = 0.9;

/// Which weights of an entity's [`MorphWeights`](bevy::mesh::morph::MorphWeights) are which blendshapes, and where its eyes
/// are. Avatars get it with their head; other heads can be given one.
///
/// Blendshapes are found by their names, so a bundle may have fewer, more, or another order.
#[derive(Component, Clone, Debug, Reflect)]
#[reflect(opaque, Clone, Debug)]
pub struct FaceRig {
    indices: [u16; BLENDSHAPES],
    eyes: [Option<EyeRig>; 2],
    /// How far looking down and looking up move the lids, as shares of a blink.
    lids: [Vec2; 2],
}

impl Default for FaceRig {
    fn default() -> Self {
        Self { indices: [MISSING; BLENDSHAPES], eyes: [None; 2], lids: [Vec2::ZERO; 2] }
    }
}

/// An eye of the person's own left or right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EyeSide {
    Left,
    Right,
}

impl EyeSide {
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// Blendshapes that turn the eye down, inwards, outwards and up.
    pub const fn looks(self) -> [ArkitBlendshape; 4] {
        use ArkitBlendshape::*;
        match self {
            Self::Left => [EyeLookDownLeft, EyeLookInLeft, EyeLookOutLeft, EyeLookUpLeft],
            Self::Right => [EyeLookDownRight, EyeLookInRight, EyeLookOutRight, EyeLookUpRight],
        }
    }

    /// Blendshapes that close, narrow and widen the eye.
    pub const fn lids(self) -> [ArkitBlendshape; 3] {
        use ArkitBlendshape::*;
        match self {
            Self::Left => [EyeBlinkLeft, EyeSquintLeft, EyeWideLeft],
            Self::Right => [EyeBlinkRight, EyeSquintRight, EyeWideRight],
        }
    }

    /// 1 where outwards is +X, the person's left.
    pub const fn outwards(self) -> f32 {
        match self {
            Self::Left => 1.0,
            Self::Right => -1.0,
        }
    }

    const fn part(self) -> &'static str {
        match self {
            Self::Left => "eye_left",
            Self::Right => "eye_right",
        }
    }
}

/// How an eye turns, in the head's frame in metres: the pupil moves along straight lines, as blendshapes move vertices.
#[derive(Clone, Copy, Debug)]
struct EyeRig {
    centre: Vec3,
    /// From the centre to the pupil at rest.
    pupil: Vec3,
    /// How the pupil moves at full weight down, inwards, outwards and up.
    moves: [Vec3; 4],
    /// How far the eye turns at full weight sideways and vertically, in radians.
    reach: Vec2,
}

impl FaceRig {
    /// The rig of a head; `vertices` are those of the head at rest in metres, in the template's order.
    ///
    /// # Panics
    /// When there are fewer vertices than the template has.
    pub fn new(head: &TemplateHead, vertices: &[Vec3]) -> Self {
        let index = |shape: ArkitBlendshape| {
            let found = head.blendshapes.iter().position(|known| known.name == shape.as_str());
            found.and_then(|index| u16::try_from(index).ok()).unwrap_or(MISSING)
        };
        let indices = ArkitBlendshape::ALL.map(index);
        let eyes = EyeSide::BOTH.map(|side| EyeRig::new(side, head, vertices));
        let lids = EyeSide::BOTH.map(|side| lid_travel(side, head));
        Self { indices, eyes, lids }
    }

    /// The blendshapes that the head has not.
    pub fn missing(&self) -> impl Iterator<Item = ArkitBlendshape> {
        let indices = self.indices;
        ArkitBlendshape::ALL.into_iter().filter(move |shape| indices[*shape as usize] == MISSING)
    }

    /// The point between the eyes, in the head's frame in metres.
    pub fn between_eyes(&self) -> Option<Vec3> {
        let [left, right] = self.eyes;
        Some(0.5 * (left?.centre + right?.centre))
    }

    /// The weights with which an eye points at a place in the head's frame: outwards and upwards, −1 to 1.
    pub(super) fn aim(&self, side: EyeSide, place: Vec3) -> Option<Vec2> {
        self.eyes[side as usize].and_then(|eye| eye.aim(side, place))
    }

    /// How far an eye turns at full weight sideways and vertically, in radians.
    pub(super) fn reach(&self, side: EyeSide) -> Option<Vec2> {
        self.eyes[side as usize].map(|eye| eye.reach)
    }

    /// How far a lid is closed, as a share of a blink, by an eye that looks up by this weight; down where it is negative.
    pub(super) fn lid_travel(&self, side: EyeSide, up: f32) -> f32 {
        let [down_share, up_share] = self.lids[side as usize].to_array();
        down_share * unit(-up) + up_share * unit(up)
    }

    /// Whether an entity's weights are others than these.
    pub(super) fn differs(&self, weights: &BlendshapeWeights, current: &[f32]) -> bool {
        let pairs = self.indices.iter().zip(weights.as_array());
        pairs.into_iter().any(|(&index, weight)| current.get(usize::from(index)).is_some_and(|found| found != weight))
    }

    /// Writes the weights of the blendshapes that the head has.
    pub(super) fn write(&self, weights: &BlendshapeWeights, current: &mut [f32]) {
        for (&index, &weight) in self.indices.iter().zip(weights.as_array()) {
            if let Some(current) = current.get_mut(usize::from(index)) {
                *current = weight;
            }
        }
    }
}

impl EyeRig {
    /// `None` where the head has no such eye.
    fn new(side: EyeSide, head: &TemplateHead, vertices: &[Vec3]) -> Option<Self> {
        let [first, count] = head.part(side.part())?.vertices;
        // The last vertex is the eye's centre, and the texture's middle is the pupil.
        let centre = first + count.checked_sub(1)?;
        let off_axis = |vertex: &usize| head.uv[*vertex].distance_squared(Vec2::splat(0.5));
        let pupil = (first..centre).min_by(|a, b| off_axis(a).total_cmp(&off_axis(b)))?;
        let at_rest = vertices[pupil] - vertices[centre];
        let stated = |direction: &str| head.eyes.look_radians.get(direction).copied().unwrap_or(0.0);
        let [down, inwards, out, up] = ["Down", "In", "Out", "Up"].map(stated);
        let moves = side.looks().map(|shape| pupil_offset(head, shape, pupil));
        let moves = if moves.iter().all(|offset| *offset != Vec3::ZERO) {
            moves
        } else {
            // The eye's vertices do not move with them: the template's words have to do.
            let yaw = |angle: f32| Quat::from_rotation_y(side.outwards() * angle) * at_rest - at_rest;
            let pitch = |angle: f32| Quat::from_rotation_x(-angle) * at_rest - at_rest;
            [pitch(-down), yaw(-inwards), yaw(out), pitch(up)]
        };
        let reach = Vec2::new(0.5 * (inwards + out), 0.5 * (down + up));
        (reach.min_element() > 0.0).then_some(Self { centre: vertices[centre], pupil: at_rest, moves, reach })
    }

    /// Solves `pupil + h sideways + v vertical = k (place − centre)` for the weights h and v and the distance k.
    fn aim(&self, side: EyeSide, place: Vec3) -> Option<Vec2> {
        let towards = place - self.centre;
        let [down, inwards, out, up] = self.moves;
        let solve = |sideways: Vec3, vertical: Vec3| {
            let matrix = Mat3::from_cols(sideways, vertical, -towards);
            (matrix.determinant() != 0.0).then(|| matrix.inverse() * -self.pupil).filter(|solved| solved.is_finite())
        };
        // Which two of the four it takes shows by the place's side of the resting gaze.
        let outwards = side.outwards() * (towards.x * self.pupil.z - self.pupil.x * towards.z) >= 0.0;
        let upwards = towards.y * self.pupil.z - self.pupil.y * towards.z >= 0.0;
        let (sideways, h) = if outwards { (out, 1.0) } else { (inwards, -1.0) };
        let (vertical, v) = if upwards { (up, 1.0) } else { (down, -1.0) };
        let solved = solve(sideways, vertical).filter(|solved| solved.z > 0.0)?;
        Some(Vec2::new(h * unit(solved.x), v * unit(solved.y)))
    }
}

/// How a vertex moves with a blendshape at full weight.
fn pupil_offset(head: &TemplateHead, shape: ArkitBlendshape, vertex: usize) -> Vec3 {
    let shape = head.blendshapes.iter().find(|known| known.name == shape.as_str());
    let vertex = u16::try_from(vertex).ok();
    let found = shape
        .zip(vertex)
        .and_then(|(shape, vertex)| shape.vertices.binary_search(&vertex).ok().map(|place| shape.offsets[place]));
    found.unwrap_or(Vec3::ZERO)
}

/// How far looking down and looking up move the edge of the upper lid along the way of a blink, as shares of that.
fn lid_travel(side: EyeSide, head: &TemplateHead) -> Vec2 {
    let named = |shape: ArkitBlendshape| head.blendshapes.iter().find(|known| known.name == shape.as_str());
    let [blink, ..] = side.lids();
    let [down, _, _, up] = side.looks();
    let skin = head.part(SKIN).map_or(0..usize::MAX, |part| part.vertices[0]..part.vertices[0] + part.vertices[1]);
    let Some(blink) = named(blink) else { return Vec2::ZERO };
    let on_skin = blink.vertices.iter().zip(&blink.offsets).filter(|(vertex, _)| skin.contains(&usize::from(**vertex)));
    let largest = on_skin.clone().map(|(_, offset)| offset.length()).fold(0.0, f32::max);
    let edge: Vec<(u16, Vec3)> = on_skin
        .filter(|(_, offset)| largest > 0.0 && offset.length() >= LID_EDGE * largest)
        .map(|(&vertex, &offset)| (vertex, offset))
        .collect();
    let share = |shape: ArkitBlendshape| {
        let along = |&(vertex, way): &(u16, Vec3)| {
            pupil_offset(head, shape, usize::from(vertex)).dot(way) / way.length_squared()
        };
        let mean = edge.iter().map(along).sum::<f32>() / edge.len().max(1) as f32;
        mean.clamp(-0.5, 0.5)
    };
    Vec2::new(share(down), share(up))
}

/// What was told of missing blendshapes last: heads of one bundle miss the same.
#[derive(Resource, Default)]
pub(super) struct ToldMissing(Vec<ArkitBlendshape>);

/// Gives avatars the rig of their new head.
pub(super) fn fit(
    ready: On<Insert, GeneratedAvatar>,
    mut commands: Commands,
    avatars: Query<&GeneratedAvatar>,
    mut told: ResMut<ToldMissing>,
) {
    let Ok(GeneratedAvatar { data }) = avatars.get(ready.entity) else { return };
    let rig = FaceRig::new(&data.head, &data.vertices);
    let missing: Vec<ArkitBlendshape> = rig.missing().collect();
    if !missing.is_empty() && missing != told.0 {
        let names: Vec<&str> = missing.iter().map(|shape| shape.as_str()).collect();
        warn!("the model's heads have no blendshapes {}; expressions go without them", names.join(", "));
    }
    told.0 = missing;
    commands.entity(ready.entity).try_insert(rig);
}

/// Takes the rig with the head.
pub(super) fn unfit(gone: On<Remove, GeneratedAvatar>, mut commands: Commands) {
    commands.entity(gone.entity).try_remove::<FaceRig>();
}

/// The angle of a place from straight ahead, in radians; a right angle and more is beside and behind.
pub(super) fn angle_ahead(from: Vec3, place: Vec3) -> f32 {
    let towards = place - from;
    if towards.length_squared() > 0.0 { towards.angle_between(Vec3::Z) } else { FRAC_PI_2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

    fn head() -> TemplateHead {
        Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap().load_head().unwrap()
    }

    #[test]
    fn blendshapes_are_found_by_name_in_any_order_and_missing_ones_are_left_out() {
        let mut head = head();
        head.blendshapes.reverse();
        head.blendshapes.retain(|shape| shape.name != "tongueOut");
        let rig = FaceRig::new(&head, &head.positions);
        assert!(rig.missing().eq([ArkitBlendshape::TongueOut]));
        let mut weights = BlendshapeWeights::ZERO;
        weights[ArkitBlendshape::JawOpen] = 0.5;
        weights[ArkitBlendshape::TongueOut] = 0.7;
        let mut current = vec![0.0; 51];
        assert!(rig.differs(&weights, &current));
        rig.write(&weights, &mut current);
        assert!(!rig.differs(&weights, &current));
        let jaw = head.blendshapes.iter().position(|shape| shape.name == "jawOpen").unwrap();
        assert_eq!(current[jaw], 0.5);
        assert_eq!(current.iter().sum::<f32>(), 0.5);
    }

    #[test]
    fn an_eye_without_moving_vertices_turns_as_the_template_states() {
        let moving = head();
        let mut still = moving.clone();
        for shape in still.blendshapes.iter_mut().filter(|shape| shape.name.starts_with("eyeLook")) {
            shape.vertices.clear();
            shape.offsets.clear();
        }
        let [moving, still] = [moving, still].map(|head| FaceRig::new(&head, &head.positions));
        for place in [Vec3::new(0.1, 0.1, 0.5), Vec3::new(-0.1, -0.1, 0.5)] {
            for side in EyeSide::BOTH {
                let [expected, found] = [&moving, &still].map(|rig| rig.aim(side, place).unwrap());
                assert!(found.distance(expected) < 0.02, "{found} instead of {expected}");
            }
        }
    }

    #[test]
    fn a_head_without_eyes_has_no_aim_and_all_else() {
        let mut head = head();
        for part in &mut head.parts {
            part.name = part.name.replace("eye_", "button_");
        }
        let rig = FaceRig::new(&head, &head.positions);
        assert_eq!(rig.aim(EyeSide::Left, Vec3::Z), None);
        assert_eq!(rig.between_eyes(), None);
        assert_eq!(rig.missing().count(), 0);
    }

    #[test]
    fn lids_go_down_with_a_falling_gaze_and_up_with_a_rising_one() {
        let head = head();
        let rig = FaceRig::new(&head, &head.positions);
        for side in EyeSide::BOTH {
            let [down, up] = [-1.0, 1.0].map(|up| rig.lid_travel(side, up));
            assert!((0.2..0.5).contains(&down) && (-0.3..-0.05).contains(&up), "{down} {up}");
        }
    }
}
