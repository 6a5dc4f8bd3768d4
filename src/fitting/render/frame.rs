//! The normal of a place on the surface: interpolated, and turned by the normal map.

use bevy::math::Vec3;

/// The frame of tangent space at a place, in head space, and the normal that it gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The normal that is shaded, of unit length.
    pub normal: Vec3,
    /// The interpolated normal.
    smooth: Direction,
    mapped: Option<Mapped>,
}

/// What the normal map does.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    /// The interpolated tangent.
    interpolated: Vec3,
    /// The part of it across the normal.
    tangent: Direction,
    bitangent: Vec3,
    handedness: f32,
    map: Vec3,
    normal: Direction,
}

/// The gradient by what a frame was made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameGradient {
    /// By the interpolated normal.
    pub normal: Vec3,
    /// By the interpolated tangent.
    pub tangent: Vec3,
    /// By the map's normal.
    pub map: Vec3,
}

/// The direction of a vector, and how to come back to the vector.
#[derive(Clone, Copy, Debug)]
struct Direction {
    unit: Vec3,
    /// 1 by the vector's length; 0 where it has no direction, so that gradients end there.
    reciprocal: f32,
}

impl Direction {
    #[inline]
    fn of(vector: Vec3) -> Option<Self> {
        let reciprocal = vector.length_recip();
        (reciprocal.is_finite() && reciprocal > 0.0).then(|| Self { unit: vector * reciprocal, reciprocal })
    }

    /// The gradient by the vector from that by its direction.
    #[inline]
    fn gradient(&self, unit: Vec3) -> Vec3 {
        (unit - self.unit * self.unit.dot(unit)) * self.reciprocal
    }
}

impl Frame {
    /// The frame of a place without a normal map, from an interpolated normal of any length.
    #[inline]
    pub fn smooth(interpolated: Vec3) -> Self {
        let smooth = Direction::of(interpolated).unwrap_or(Direction { unit: Vec3::Z, reciprocal: 0.0 });
        Self { normal: smooth.unit, smooth, mapped: None }
    }

    /// The frame of a place with a normal map: the tangent is made perpendicular to the normal (Gram–Schmidt), the
    /// bitangent is perpendicular to both. The map does nothing where there is no tangent or no direction in the map.
    #[inline]
    pub fn mapped(interpolated: Vec3, tangent: Vec3, handedness: f32, map: Vec3) -> Self {
        let mut frame = Self::smooth(interpolated);
        frame.mapped = Mapped::new(frame.smooth.unit, tangent, handedness, map);
        frame.normal = frame.mapped.map_or(frame.normal, |mapped| mapped.normal.unit);
        frame
    }

    /// The gradient by what the frame was made of, from that by its normal.
    #[inline]
    pub fn gradient(&self, normal: Vec3) -> FrameGradient {
        let Some(mapped) = &self.mapped else {
            return FrameGradient { normal: self.smooth.gradient(normal), ..Default::default() };
        };
        let Mapped { interpolated, tangent, bitangent, handedness, map, .. } = *mapped;
        let smooth = self.smooth.unit;
        let of_turned = mapped.normal.gradient(normal);
        let of_map = Vec3::new(of_turned.dot(tangent.unit), of_turned.dot(bitangent), of_turned.dot(smooth));
        let of_bitangent = handedness * map.y * of_turned;
        let of_across = tangent.gradient(map.x * of_turned + of_bitangent.cross(smooth));
        let of_smooth = map.z * of_turned + tangent.unit.cross(of_bitangent)
            - (interpolated * smooth.dot(of_across) + of_across * smooth.dot(interpolated));
        FrameGradient {
            normal: self.smooth.gradient(of_smooth),
            tangent: of_across - smooth * smooth.dot(of_across),
            map: of_map,
        }
    }
}

impl Mapped {
    #[inline]
    fn new(smooth: Vec3, interpolated: Vec3, handedness: f32, map: Vec3) -> Option<Self> {
        let tangent = Direction::of(interpolated - smooth * smooth.dot(interpolated))?;
        let bitangent = handedness * smooth.cross(tangent.unit);
        let normal = Direction::of(map.x * tangent.unit + map.y * bitangent + map.z * smooth)?;
        Some(Self { interpolated, tangent, bitangent, handedness, map, normal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitting::slope::assert_slope;

    #[test]
    fn the_map_turns_towards_tangent_and_bitangent() {
        // Seen from outside, the texture's right is +X and its up is +Y.
        let frame = |map: Vec3| Frame::mapped(2.0 * Vec3::Z, Vec3::new(0.7, 0.0, 0.5), 1.0, map).normal;
        assert_eq!(frame(Vec3::Z), Vec3::Z);
        assert!(frame(Vec3::new(1.5, 0.0, 2.0)).distance(Vec3::new(0.6, 0.0, 0.8)) < 1e-6);
        assert!(frame(Vec3::new(0.0, 0.6, 0.8)).distance(Vec3::new(0.0, 0.6, 0.8)) < 1e-6, "Y+ is up");
        let mirrored = Frame::mapped(Vec3::Z, Vec3::NEG_X, -1.0, Vec3::new(0.3, 0.6, 0.8)).normal;
        assert!(mirrored.distance(Vec3::new(-0.3, 0.6, 0.8).normalize()) < 1e-6, "up stays up in a mirrored texture");
    }

    #[test]
    fn gradients_are_central_differences() {
        let parts = [Vec3::new(0.3, -0.2, 0.7), Vec3::new(0.8, 0.3, -0.1), Vec3::new(0.2, -0.3, 0.7)];
        let seed = Vec3::new(0.4, 1.0, -0.6);
        let gradient = Frame::mapped(parts[0], parts[1], -1.0, parts[2]).gradient(seed);
        let gradient = [gradient.normal, gradient.tangent, gradient.map];
        let plain = Frame::smooth(parts[0]).gradient(seed).normal;
        for part in 0..3 {
            for axis in Vec3::AXES {
                let moved = |offset: f32| {
                    let mut parts = parts;
                    parts[part] += offset * axis;
                    parts
                };
                assert_slope("mapped", gradient[part].dot(axis), gradient[part].length(), 1e-2, |offset| {
                    let [normal, tangent, map] = moved(offset);
                    Frame::mapped(normal, tangent, -1.0, map).normal.dot(seed).into()
                });
                if part == 0 {
                    assert_slope("smooth", plain.dot(axis), plain.length(), 1e-2, |offset| {
                        Frame::smooth(moved(offset)[0]).normal.dot(seed).into()
                    });
                }
            }
        }
    }

    #[test]
    fn a_place_without_direction_is_smooth() {
        let forward = Frame::smooth(Vec3::ZERO);
        assert_eq!((forward.normal, forward.gradient(Vec3::ONE).normal), (Vec3::Z, Vec3::ZERO));
        assert_eq!(Frame::mapped(Vec3::Y, Vec3::ZERO, 1.0, Vec3::X).normal, Vec3::Y);
        assert_eq!(Frame::mapped(Vec3::Y, Vec3::Y, 1.0, Vec3::X).normal, Vec3::Y);
        assert_eq!(Frame::mapped(Vec3::Y, Vec3::X, 1.0, Vec3::ZERO).normal, Vec3::Y);
    }
}
