//! How much of the light around reaches the eyes behind their lids and the inside of the mouth.
//!
//! A renderer's ambient light falls on teeth as if there were no lips. The shade is a property of the shape, so it is
//! found once and stored as vertex colours.

use std::{f32::consts::TAU, ops::Range};

use bevy::math::Vec3;

use crate::{
    bundle::{
        TemplateHead,
        materials::{EYE, LASH, MOUTH, TEETH},
    },
    fitting::{front_of_teeth, light_in_mouth},
};

/// What flesh makes of the light that does not fall straight into a mouth.
const FLESH: Vec3 = Vec3::new(0.14, 0.04, 0.035);

/// Rays from each vertex of an eye.
const RAYS: usize = 32;

/// Metres from a vertex at which rays start, so that they do not meet the triangles around it.
const START: f32 = 4e-4;

/// Reflectance of lids.
const REFLECTANCE: f32 = 0.5;

/// Least light on an eye. What the lids cover at rest comes out from behind them when the eye turns, and is as light then
/// as what lies at their edge.
const TURNED: f32 = 0.45;

/// Most triangles in a leaf of the tree.
const LEAF: usize = 4;

/// The shade of a head on its own parts.
#[derive(Debug)]
pub(crate) struct Shade {
    lids: Occluder,
    /// The foremost place of the teeth.
    teeth: Option<Vec3>,
}

impl Shade {
    /// `vertices` are those of the whole head in metres, in the template's order.
    pub fn new(head: &TemplateHead, vertices: &[Vec3]) -> Self {
        // Lashes are mostly holes.
        let solid = head.parts.iter().filter(|part| part.material != LASH);
        let triangles = solid.flat_map(|part| &head.triangles[part.triangles[0]..][..part.triangles[1]]);
        let triangles = triangles.map(|corners| corners.map(|corner| vertices[usize::from(corner)]));
        Self { lids: Occluder::new(triangles.collect()), teeth: front_of_teeth(head, vertices) }
    }

    /// The part of an even white light from all around, 0 to 1, that a vertex of this material gets; `None` where no
    /// other part shades it. In the mouth it is that of a wide open one.
    pub fn light(&self, material: &str, position: Vec3, normal: Vec3) -> Option<Vec3> {
        match (material, self.teeth) {
            (EYE, _) => {
                let open = self.lids.openness(position, normal);
                // What does not come straight comes from lids that are lit as well or as badly.
                Some(Vec3::splat((open / (1.0 - REFLECTANCE * (1.0 - open))).max(TURNED)))
            }
            (TEETH | MOUTH, Some(teeth)) => Some(FLESH.lerp(Vec3::ONE, light_in_mouth(position, teeth))),
            _ => None,
        }
    }
}

/// What stands in the way of light: a tree of boxes around triangles.
#[derive(Debug)]
struct Occluder {
    triangles: Vec<[Vec3; 3]>,
    nodes: Vec<Node>,
}

/// A box; its children, if any, follow it.
#[derive(Debug)]
struct Node {
    low: Vec3,
    high: Vec3,
    /// Triangles of a leaf.
    triangles: Range<usize>,
    /// The first node that is not within this one.
    skip: usize,
}

impl Occluder {
    fn new(triangles: Vec<[Vec3; 3]>) -> Self {
        let count = triangles.len();
        let mut occluder = Self { triangles, nodes: Vec::with_capacity(count) };
        if count > 0 {
            occluder.split(0..count);
        }
        occluder
    }

    fn split(&mut self, range: Range<usize>) {
        let corners = || self.triangles[range.clone()].iter().flatten().copied();
        let low = corners().reduce(Vec3::min).unwrap_or_default();
        let high = corners().reduce(Vec3::max).unwrap_or_default();
        let leaf = range.len() <= LEAF;
        let node = self.nodes.len();
        self.nodes.push(Node { low, high, triangles: if leaf { range.clone() } else { 0..0 }, skip: 0 });
        if !leaf {
            let axis = (high - low).max_position();
            let middle = range.len() / 2;
            let place = |triangle: &[Vec3; 3]| triangle.iter().map(|corner| corner[axis]).sum::<f32>();
            self.triangles[range.clone()].select_nth_unstable_by(middle, |a, b| place(a).total_cmp(&place(b)));
            self.split(range.start..range.start + middle);
            self.split(range.start + middle..range.end);
        }
        self.nodes[node].skip = self.nodes.len();
    }

    /// The part of an even light from all around that reaches a surface straight, 0 to 1.
    fn openness(&self, position: Vec3, normal: Vec3) -> f32 {
        let (side, up) = normal.any_orthonormal_pair();
        let open = (0..RAYS).filter(|&ray| {
            // Cosine-weighted directions on a spiral.
            let radius = ((ray as f32 + 0.5) / RAYS as f32).sqrt();
            let turn = ray as f32 * TAU * 0.618_034;
            let height = (1.0 - radius * radius).sqrt();
            let direction = radius * (turn.cos() * side + turn.sin() * up) + height * normal;
            !self.blocks(position + START * normal, direction)
        });
        open.count() as f32 / RAYS as f32
    }

    /// Whether anything lies ahead of `origin`.
    fn blocks(&self, origin: Vec3, direction: Vec3) -> bool {
        let inverse = direction.recip();
        let mut next = 0;
        while let Some(node) = self.nodes.get(next) {
            let (a, b) = ((node.low - origin) * inverse, (node.high - origin) * inverse);
            let (enter, leave) = (a.min(b).max_element(), a.max(b).min_element());
            if leave < enter.max(0.0) {
                next = node.skip;
                continue;
            }
            if self.triangles[node.triangles.clone()].iter().any(|triangle| meets(triangle, origin, direction)) {
                return true;
            }
            next += 1;
        }
        false
    }
}

/// Whether a ray meets a triangle ahead of its origin (Möller and Trumbore, Fast, Minimum Storage Ray/Triangle
/// Intersection, 1997).
fn meets(&[a, b, c]: &[Vec3; 3], origin: Vec3, direction: Vec3) -> bool {
    let (along, across) = (b - a, c - a);
    let normal = direction.cross(across);
    let determinant = along.dot(normal);
    if determinant == 0.0 {
        return false;
    }
    let start = origin - a;
    let u = start.dot(normal) / determinant;
    let turned = start.cross(along);
    let v = direction.dot(turned) / determinant;
    u >= 0.0 && v >= 0.0 && u + v <= 1.0 && across.dot(turned) / determinant > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square of side 2 at a height, as two triangles.
    fn square(height: f32) -> Vec<[Vec3; 3]> {
        let corner = |x: f32, z: f32| Vec3::new(x, height, z);
        let [a, b, c, d] = [corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)];
        vec![[a, b, c], [a, c, d]]
    }

    #[test]
    fn an_open_place_gets_all_light_and_a_covered_one_none() {
        let sky = Occluder::new(Vec::new());
        assert_eq!(sky.openness(Vec3::ZERO, Vec3::Y), 1.0);
        let roof = Occluder::new(square(1e-2));
        assert_eq!(roof.openness(Vec3::ZERO, Vec3::Y), 0.0);
        assert_eq!(roof.openness(Vec3::ZERO, Vec3::NEG_Y), 1.0, "what is behind does not count");
    }

    #[test]
    fn an_eye_keeps_light_under_its_lids_for_when_it_turns() {
        let shade = Shade { lids: Occluder::new(square(1e-2)), teeth: None };
        assert_eq!(shade.light(EYE, Vec3::ZERO, Vec3::Y), Some(Vec3::splat(TURNED)));
        assert_eq!(shade.light(EYE, Vec3::ZERO, Vec3::NEG_Y), Some(Vec3::ONE));
    }

    #[test]
    fn a_square_overhead_takes_its_form_factor() {
        // A square of half side 1 at height 1: 4 / (2 π) · 2 / √2 · atan(1 / √2) (Howell, configuration factor B-3).
        let expected = 1.0 - 4.0 / TAU * 2.0 * 0.5_f32.sqrt() * 0.5_f32.sqrt().atan();
        let found = Occluder::new(square(1.0)).openness(Vec3::NEG_Y * START, Vec3::Y);
        assert!((found - expected).abs() < 0.05, "{found} instead of {expected}");
    }

    #[test]
    fn the_tree_finds_what_a_search_of_all_triangles_finds() {
        let scatter = |index: usize, what: usize| ((index * 7 + what) as f32 * 0.754_877_7).fract() - 0.5;
        let point = |index: usize| Vec3::new(scatter(index, 0), scatter(index, 2), scatter(index, 4));
        let triangles: Vec<[Vec3; 3]> = (0..60)
            .map(|index| [0, 1, 2].map(|corner| point(index) + 0.18 * point(100 + 3 * index + corner)))
            .collect();
        let occluder = Occluder::new(triangles.clone());
        let mut blocked = 0;
        for ray in 0..400 {
            let (origin, direction) = (point(1000 + ray), point(2000 + ray).normalize());
            let expected = triangles.iter().any(|triangle| meets(triangle, origin, direction));
            assert_eq!(occluder.blocks(origin, direction), expected, "ray {ray}");
            blocked += usize::from(expected);
        }
        assert!((100..300).contains(&blocked), "{blocked}");
    }
}
