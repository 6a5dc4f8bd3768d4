//! The head that the generated shape and maps belong to.

use std::ops::{Add, Mul};

use bevy::math::{Vec2, Vec3};

use super::{Bundle, BundleError, MANIFEST_FILE, TemplateEyes, TemplatePart, files, template_file};

/// The template head: topology, texture layout, blendshapes and landmarks, with the mean of all heads as its shape.
///
/// Positions are in metres, Y up, the face looks to +Z, right-handed, the origin between the mean head's ears at eye height.
/// The faces of all shapes are in one place and of one size. What [`Bundle::load_head`] returns holds no index beyond its
/// target and no number that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateHead {
    /// The mean head `[N]`, in metres.
    pub positions: Vec<Vec3>,
    /// Corners of each triangle, counter-clockwise from outside. Those of a part lie within the part's vertices.
    pub triangles: Vec<[u16; 3]>,
    /// Texture coordinates `[N]`, origin top-left.
    pub uv: Vec<Vec2>,
    /// Parts of the head in the order of their vertices and triangles; together they are the whole head.
    pub parts: Vec<TemplatePart>,
    /// What expressions are made of, in the manifest's order.
    pub blendshapes: Vec<Blendshape>,
    /// Where each landmark of the face front-end lies on the surface, in the order of its landmarks.
    pub landmarks: Vec<SurfacePoint>,
    /// How far each landmark moves with each shape coefficient `[K][L]`, in metres per unit of the coefficient.
    pub landmark_basis: Vec<Vec<Vec3>>,
    /// What the texels of the skin's maps show.
    pub masks: HeadMasks,
    /// How the eyes are turned and painted.
    pub eyes: TemplateEyes,
}

/// Offsets from the head at rest, of the vertices that move.
#[derive(Clone, Debug, PartialEq)]
pub struct Blendshape {
    /// Its name, as ARKit has it.
    pub name: String,
    /// The vertices that move, rising.
    pub vertices: Vec<u16>,
    /// Their offsets in metres at weight 1.
    pub offsets: Vec<Vec3>,
}

/// A point on the surface of the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfacePoint {
    /// The triangle it lies on.
    pub triangle: u16,
    /// Shares of the triangle's corners (barycentric coordinates); their sum is 1.
    pub weights: Vec3,
}

/// Masks in the UV space of the skin's maps; row-major, `size` × `size` texels, origin top-left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadMasks {
    /// Side in texels.
    pub size: usize,
    /// Texels that lie on the head; others mean nothing.
    pub chart: Vec<bool>,
    /// Texels of skin.
    pub skin: Vec<bool>,
    /// Texels of the face.
    pub face: Vec<bool>,
}

/// Texels of the maps along the chart's border that are not used: a decoder's smooth layers let what lies outside, such
/// as the grey between the lips, bleed into them.
const BLEEDING: usize = 1;

impl HeadMasks {
    /// The texels of maps of side `side` that can be relied on: those that lie on the head with the ones around them. What
    /// is beyond the maps' border counts as on it.
    pub fn inner_chart(&self, side: usize) -> Vec<bool> {
        let reach = |place: usize| {
            let (first, end) = (place.saturating_sub(BLEEDING), (place + 1 + BLEEDING).min(side));
            first * self.size / side..(end * self.size).div_ceil(side)
        };
        let inside = |index: usize| {
            reach(index / side).all(|y| self.chart[y * self.size..][reach(index % side)].iter().all(|&is| is))
        };
        (0..side * side).map(inside).collect()
    }
}

impl TemplateHead {
    /// The part of this name.
    pub fn part(&self, name: &str) -> Option<&TemplatePart> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// `vertices`, a head in the template's order in metres, with an expression.
    ///
    /// `weights` are those of the blendshapes in their order, usually 0 to 1; those that are left out are 0.
    ///
    /// # Panics
    /// When there are fewer vertices than the template has.
    pub fn posed(&self, vertices: &[Vec3], weights: &[f32]) -> Vec<Vec3> {
        let mut posed = vertices.to_vec();
        let active = self.blendshapes.iter().zip(weights).filter(|(_, weight)| **weight != 0.0);
        for (blendshape, &weight) in active {
            for (&vertex, &offset) in blendshape.vertices.iter().zip(&blendshape.offsets) {
                posed[usize::from(vertex)] += weight * offset;
            }
        }
        posed
    }

    /// Where the landmarks lie on the texture, 0 to 1, origin top-left.
    pub fn landmark_texture_places(&self) -> Vec<Vec2> {
        self.at_landmarks(&self.uv)
    }

    /// The landmarks of a head, in the unit of its `vertices`, which are in the template's order.
    ///
    /// # Panics
    /// When there are fewer vertices than the template has.
    pub fn landmark_positions(&self, vertices: &[Vec3]) -> Vec<Vec3> {
        self.at_landmarks(vertices)
    }

    /// What changes linearly over each triangle, at the landmarks.
    fn at_landmarks<T: Copy + Add<Output = T>>(&self, at_vertices: &[T]) -> Vec<T>
    where
        f32: Mul<T, Output = T>,
    {
        let value = |point: &SurfacePoint| {
            let [a, b, c] = self.triangles[usize::from(point.triangle)].map(|corner| at_vertices[usize::from(corner)]);
            point.weights.x * a + point.weights.y * b + point.weights.z * c
        };
        self.landmarks.iter().map(value).collect()
    }
}

impl Bundle {
    /// Reads the template head and checks its file, and every index and number in it.
    ///
    /// # Errors
    /// [`BundleError::NoTemplate`] when the bundle has none; every error of a missing, truncated, swapped or misplaced
    /// file; [`BundleError::Template`] when the file holds no head.
    pub fn load_head(&self) -> Result<TemplateHead, BundleError> {
        let Some(template) = &self.manifest.template else {
            return Err(BundleError::NoTemplate { path: self.root.join(MANIFEST_FILE) });
        };
        let content = files::read_checked(&self.root, &template.file)?;
        template_file::read(&self.root.join(&template.file.path), template, self.landmark_count(), &content)
    }

    /// Number of landmarks that the face front-end finds.
    fn landmark_count(&self) -> usize {
        let rules = &self.manifest.face.landmarks;
        let outputs = self.manifest.networks.get(&rules.network).map(|network| &network.outputs);
        let points = outputs.and_then(|outputs| outputs.iter().find(|output| output.name == rules.points));
        points.and_then(|points| points.shape.get(1)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::template_file::tests::Tiny, *};

    /// The default bundle with another template in another folder.
    fn bundle(root: &std::path::Path, tiny: Option<&Tiny>) -> Bundle {
        let mut bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        bundle.root = root.to_path_buf();
        bundle.manifest.template = tiny.map(|tiny| tiny.template.clone());
        bundle
    }

    #[test]
    fn a_bundle_without_a_head_says_what_to_do() {
        let error = bundle("nowhere".as_ref(), None).load_head().unwrap_err();
        assert!(matches!(error, BundleError::NoTemplate { .. }), "{error}");
        assert!(error.to_string().contains("take a bundle with a generator"), "{error}");
    }

    #[test]
    fn a_head_is_read_from_the_bundles_folder_and_its_file_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let mut tiny = Tiny::new();
        tiny.repeat_landmarks(478);
        let bundle = bundle(dir.path(), Some(&tiny));
        assert!(matches!(bundle.load_head(), Err(BundleError::Read { .. })), "there is no file yet");
        fs::write(dir.path().join("template.bin"), &tiny.content).unwrap();
        assert_eq!(bundle.load_head().unwrap().landmarks.len(), 478);
        tiny.content[0] ^= 1;
        fs::write(dir.path().join("template.bin"), &tiny.content).unwrap();
        assert!(matches!(bundle.load_head(), Err(BundleError::Hash { .. })));
    }

    #[test]
    fn an_expression_adds_the_weighted_offsets() {
        let head = Tiny::new().read().unwrap();
        let vertices: Vec<Vec3> = head.positions.iter().map(|position| position + Vec3::Y).collect();
        assert_eq!(head.posed(&vertices, &[]), vertices);
        let posed = head.posed(&vertices, &[0.5, 1.0]);
        // jawOpen moves vertices 0 and 2, eyeBlinkLeft vertex 2.
        assert_eq!(posed[0], vertices[0] + 0.5 * Vec3::new(0.0, -0.5, 0.0));
        assert_eq!(posed[1], vertices[1]);
        assert_eq!(posed[2], vertices[2] + 0.5 * Vec3::new(0.0, -0.25, 0.0) + Vec3::new(0.125, 0.0, 0.0));
    }

    #[test]
    fn landmarks_lie_on_their_triangles_and_move_along() {
        let head = Tiny::new().read().unwrap();
        let moved: Vec<Vec3> = head.positions.iter().map(|position| position + Vec3::Z).collect();
        let found = head.landmark_positions(&moved);
        let expected = head.landmark_positions(&head.positions);
        assert_eq!(expected[0], head.positions[0]);
        assert_eq!(expected[1], 0.5 * head.positions[4] + 0.5 * head.positions[5]);
        assert!(found.iter().zip(expected).all(|(found, expected)| found.distance(expected + Vec3::Z) < 1e-6));
        assert_eq!(head.landmark_basis, [[Vec3::new(0.0, 0.0, 0.5); 2], [Vec3::new(0.5, 0.0, -0.25); 2]]);
    }

    #[test]
    fn parts_are_found_by_name() {
        let head = Tiny::new().read().unwrap();
        assert_eq!(head.part("eye").map(|part| part.vertices), Some([3, 3]));
        assert_eq!(head.part("nose"), None);
    }

    #[test]
    fn texels_beside_the_charts_border_are_left_out() {
        // 8 x 8 texels with a hole of 2 x 2 in the middle.
        let chart: Vec<bool> =
            (0..64).map(|index| ![3, 4].contains(&(index / 8)) || ![3, 4].contains(&(index % 8))).collect();
        let masks = HeadMasks { size: 8, skin: chart.clone(), face: chart.clone(), chart };
        let expected = |side: usize, hole: std::ops::Range<usize>| -> Vec<bool> {
            (0..side * side).map(|index| !hole.contains(&(index / side)) || !hole.contains(&(index % side))).collect()
        };
        assert_eq!(masks.inner_chart(8), expected(8, 2..6));
        assert_eq!(masks.inner_chart(16), expected(16, 5..11));
        assert_eq!(masks.inner_chart(4), expected(4, 0..4));
    }
}
