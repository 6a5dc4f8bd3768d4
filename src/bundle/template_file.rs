//! Reading the template head's file: arrays at stated places, whose indices and numbers are checked one by one.

use std::{io::Cursor, path::Path};

use bevy::math::{Vec2, Vec3};
use half::f16;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use super::{Blendshape, BundleError, HeadMasks, SectionType, SurfacePoint, Template, TemplateHead};

/// The version of the arrays' layout that is read.
const LAYOUT_VERSION: u32 = 1;

/// Longest side of the masks, in texels.
const MAX_MASK_SIDE: u32 = 8192;

/// Values of the masks' picture above this one are inside.
const MASK_THRESHOLD: u8 = 127;

/// How far the sum of a surface point's weights may be from 1.
const WEIGHT_TOLERANCE: f32 = 1e-3;

/// Reads the head out of the `content` of its file. `landmarks` is the number of points that the head must have;
/// `path` is for messages.
pub(super) fn read(
    path: &Path,
    template: &Template,
    landmarks: usize,
    content: &[u8],
) -> Result<TemplateHead, BundleError> {
    let file = TemplateFile { path, template, content };
    file.expect(template.version == LAYOUT_VERSION, "the layout's version", LAYOUT_VERSION, template.version)?;
    let vertices = template.vertices;
    let triangles = file.triangles()?;
    let landmarks = file.landmarks(landmarks)?;
    Ok(TemplateHead {
        positions: file.vectors("positions", vertices)?,
        landmark_basis: file.landmark_basis(&triangles, &landmarks)?,
        triangles,
        uv: file.floats("uv", &[vertices, 2])?.as_chunks::<2>().0.iter().copied().map(Vec2::from_array).collect(),
        parts: template.parts.clone(),
        blendshapes: file.blendshapes()?,
        landmarks,
        masks: file.masks()?,
        eyes: template.eyes.clone(),
    })
}

struct TemplateFile<'a> {
    path: &'a Path,
    template: &'a Template,
    content: &'a [u8],
}

impl<'a> TemplateFile<'a> {
    fn triangles(&self) -> Result<Vec<[u16; 3]>, BundleError> {
        let name = "triangles";
        let corners = self.indices(name, &[self.template.triangles, 3], self.template.vertices)?;
        let triangles = corners.as_chunks::<3>().0.to_vec();
        for part in &self.template.parts {
            let [first, count] = part.vertices;
            let own = first..first.saturating_add(count);
            let [start, length] = part.triangles;
            let stray = triangles.iter().skip(start).take(length).flatten().find(|&&v| !own.contains(&usize::from(v)));
            if let Some(vertex) = stray {
                let expected = format!("vertices {} to {} for the part `{}`", own.start, own.end, part.name);
                return Err(self.refuse(&place(name), expected, vertex));
            }
        }
        Ok(triangles)
    }

    fn blendshapes(&self) -> Result<Vec<Blendshape>, BundleError> {
        let names = &self.template.blendshapes;
        let entries = self.rows("blendshape_vertices");
        let vertices = self.indices("blendshape_vertices", &[entries], self.template.vertices)?;
        let offsets = self.half_vectors("blendshape_offsets", entries)?;

        let name = "blendshape_start";
        let starts = self.section(name, SectionType::U32, &[names.len() + 1])?;
        let starts: Vec<usize> = numbers(starts, u32::from_le_bytes).map(|start| start as usize).collect();
        let whole = starts.first() == Some(&0) && starts.last() == Some(&entries) && starts.is_sorted();
        let expected = || format!("rising numbers from 0 to {entries}");
        self.expect(whole, &place(name), expected(), format!("{starts:?}"))?;

        let shapes = names.iter().zip(starts.windows(2)).map(|(name, bounds)| {
            let range = bounds[0]..bounds[1];
            let (vertices, offsets) = (vertices[range.clone()].to_vec(), offsets[range].to_vec());
            let rising = vertices.is_sorted_by(|a, b| a < b);
            let vertices_place = place("blendshape_vertices");
            self.expect(rising, &vertices_place, format!("rising numbers for `{name}`"), "others")?;
            Ok(Blendshape { name: name.clone(), vertices, offsets })
        });
        shapes.collect()
    }

    fn landmarks(&self, count: usize) -> Result<Vec<SurfacePoint>, BundleError> {
        let triangles = self.indices("landmark_triangles", &[count], self.template.triangles)?;
        let name = "landmark_bary";
        let weights = self.vectors(name, count)?;
        let sums = weights.iter().map(|weights| weights.element_sum());
        let whole = |sum: &f32| (sum - 1.0).abs() <= WEIGHT_TOLERANCE;
        if let Some(sum) = sums.into_iter().find(|sum| !whole(sum)) {
            return Err(self.refuse(&place(name), "weights that add up to 1", sum));
        }
        let points = triangles.into_iter().zip(weights);
        Ok(points.map(|(triangle, weights)| SurfacePoint { triangle, weights }).collect())
    }

    /// How far each landmark moves with each shape coefficient, in metres per standard deviation, `[K][L]`.
    fn landmark_basis(
        &self,
        triangles: &[[u16; 3]],
        landmarks: &[SurfacePoint],
    ) -> Result<Vec<Vec<Vec3>>, BundleError> {
        let Template { vertices, components, .. } = *self.template;
        let halves = self.rows("basis_f16").min(components);
        let bytes = components - halves;
        let half = self.section("basis_f16", SectionType::F16, &[halves, vertices, 3])?;
        let byte = self.section("basis_i8", SectionType::I8, &[bytes, vertices, 3])?;
        let scales = self.floats("basis_scale", &[components])?;
        let stored = |component: usize, vertex: usize| {
            let number = |axis: usize| match component.checked_sub(halves) {
                None => {
                    let start = 2 * ((component * vertices + vertex) * 3 + axis);
                    f16::from_le_bytes([half[start], half[start + 1]]).to_f32()
                }
                Some(component) => f32::from(byte[(component * vertices + vertex) * 3 + axis] as i8),
            };
            Vec3::new(number(0), number(1), number(2))
        };
        let basis: Vec<Vec<Vec3>> = (0..components)
            .map(|component| {
                let moved = |point: &SurfacePoint| {
                    let [a, b, c] = triangles[usize::from(point.triangle)]
                        .map(|corner| scales[component] * stored(component, usize::from(corner)));
                    point.weights.x * a + point.weights.y * b + point.weights.z * c
                };
                landmarks.iter().map(moved).collect()
            })
            .collect();
        match basis.iter().flatten().find(|offset| !offset.is_finite()) {
            Some(offset) => Err(self.refuse(&place("basis_f16"), "finite numbers", offset)),
            None => Ok(basis),
        }
    }

    fn masks(&self) -> Result<HeadMasks, BundleError> {
        let name = "masks_png";
        let png = self.section(name, SectionType::U8, &[self.rows(name)])?;
        let mut reader = ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_MASK_SIDE);
        limits.max_image_height = Some(MAX_MASK_SIDE);
        reader.limits(limits);
        let refuse = |found: String| self.refuse(&place(name), "a square 8-bit RGB PNG", found);
        let picture = match reader.decode() {
            Ok(DynamicImage::ImageRgb8(picture)) if picture.width() == picture.height() => picture,
            Ok(other) => {
                return Err(refuse(format!("{:?} of {} x {} texels", other.color(), other.width(), other.height())));
            }
            Err(error) => return Err(refuse(error.to_string())),
        };
        let inside = |channel: usize| picture.pixels().map(|texel| texel[channel] > MASK_THRESHOLD).collect();
        Ok(HeadMasks { size: picture.width() as usize, chart: inside(0), skin: inside(1), face: inside(2) })
    }

    /// Vectors `[count, 3]` of finite numbers.
    fn vectors(&self, name: &str, count: usize) -> Result<Vec<Vec3>, BundleError> {
        Ok(vectors(&self.floats(name, &[count, 3])?))
    }

    /// Vectors `[count, 3]` of finite numbers, stored in half precision.
    fn half_vectors(&self, name: &str, count: usize) -> Result<Vec<Vec3>, BundleError> {
        let bytes = self.section(name, SectionType::F16, &[count, 3])?;
        let values: Vec<f32> = numbers(bytes, f16::from_le_bytes).map(f16::to_f32).collect();
        self.check_finite(name, &values)?;
        Ok(vectors(&values))
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, BundleError> {
        let values: Vec<f32> = numbers(self.section(name, SectionType::F32, shape)?, f32::from_le_bytes).collect();
        self.check_finite(name, &values)?;
        Ok(values)
    }

    fn check_finite(&self, name: &str, values: &[f32]) -> Result<(), BundleError> {
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.refuse(&place(name), "finite numbers", value)),
            None => Ok(()),
        }
    }

    /// Numbers below `limit`.
    fn indices(&self, name: &str, shape: &[usize], limit: usize) -> Result<Vec<u16>, BundleError> {
        let indices: Vec<u16> = numbers(self.section(name, SectionType::U16, shape)?, u16::from_le_bytes).collect();
        match indices.iter().find(|&&index| usize::from(index) >= limit) {
            Some(index) => Err(self.refuse(&place(name), format!("numbers below {limit}"), index)),
            None => Ok(indices),
        }
    }

    /// Length of the first axis of an array whose length the template alone decides.
    fn rows(&self, name: &str) -> usize {
        self.template.sections.get(name).and_then(|section| section.shape.first()).copied().unwrap_or(0)
    }

    /// The bytes of an array of this type and shape.
    fn section(&self, name: &str, dtype: SectionType, shape: &[usize]) -> Result<&'a [u8], BundleError> {
        let Some(section) = self.template.sections.get(name) else {
            return Err(self.refuse(&place(name), "an array of this name in the manifest", "none"));
        };
        let fits = section.dtype == dtype && section.shape == shape;
        self.expect(fits, &place(name), describe(dtype, shape), describe(section.dtype, &section.shape))?;
        let bytes = shape.iter().fold(dtype.size(), |product, &axis| product.saturating_mul(axis));
        let end = section.offset.saturating_add(bytes);
        let length = self.content.len();
        self.content.get(section.offset..end).ok_or_else(|| {
            self.refuse(&place(name), format!("an end within {length} bytes"), format!("an end at byte {end}"))
        })
    }

    fn expect(
        &self,
        holds: bool,
        place: &str,
        expected: impl ToString,
        found: impl ToString,
    ) -> Result<(), BundleError> {
        if holds { Ok(()) } else { Err(self.refuse(place, expected, found)) }
    }

    fn refuse(&self, place: &str, expected: impl ToString, found: impl ToString) -> BundleError {
        BundleError::Template {
            path: self.path.to_path_buf(),
            place: place.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

fn place(section: &str) -> String {
    format!("section `{section}`")
}

/// `f32[17263, 3]`
fn describe(dtype: SectionType, shape: &[usize]) -> String {
    format!("{dtype:?}{shape:?}").to_lowercase()
}

/// Little-endian numbers of `SIZE` bytes each.
fn numbers<T, const SIZE: usize>(bytes: &[u8], number: fn([u8; SIZE]) -> T) -> impl Iterator<Item = T> {
    bytes.as_chunks::<SIZE>().0.iter().copied().map(number)
}

fn vectors(values: &[f32]) -> Vec<Vec3> {
    values.as_chunks::<3>().0.iter().copied().map(Vec3::from_array).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use image::{GrayImage, Rgb, RgbImage};
    use serde_json::{Value, json};
    use sha2::{Digest, Sha256};

    use super::*;

    /// A head of two triangles, each a part, with two blendshapes and two landmarks.
    pub struct Tiny {
        pub template: Template,
        pub content: Vec<u8>,
    }

    impl Tiny {
        pub fn new() -> Self {
            let description = json!({
                "file": {"path": "template.bin", "bytes": 0, "sha256": ""},
                "version": 1, "frame": "metres, Y up", "vertices": 6, "triangles": 2, "components": 2,
                "blendshapes": ["jawOpen", "eyeBlinkLeft"],
                "parts": [
                    {"name": "skin", "material": "skin", "vertices": [0, 3], "triangles": [0, 1]},
                    {"name": "eye", "material": "eye", "vertices": [3, 3], "triangles": [1, 1]}
                ],
                "eyes": {
                    "centre": "the last vertex", "texture_rim_radians": 1.0, "iris_radians": 0.5,
                    "convergence_radians": 0.0, "look_radians": {"Up": 0.3}
                },
                "sections": {}
            });
            let mut tiny = Self { template: serde_json::from_value(description).unwrap(), content: Vec::new() };
            let corners = [[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0]];
            let positions = [corners, corners.map(|[x, y, _]| [x, y, 0.25])].concat();
            tiny.set_floats("positions", &[6, 3], &positions.concat());
            tiny.set_indices("triangles", &[2, 3], &[0, 1, 2, 3, 4, 5]);
            tiny.set_halves("basis_f16", &[1, 6, 3], &[0.0, 0.0, 1.0].repeat(6));
            tiny.set_bytes("basis_i8", &[1, 6, 3], &[2, 0, 0xff].repeat(6));
            tiny.set_floats("basis_scale", &[2], &[0.5, 0.25]);
            tiny.set_floats("uv", &[6, 2], &[0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.5]);
            tiny.set_starts(&[0, 2, 3]);
            tiny.set_indices("blendshape_vertices", &[3], &[0, 2, 2]);
            tiny.set_halves("blendshape_offsets", &[3, 3], &[0.0, -0.5, 0.0, 0.0, -0.25, 0.0, 0.125, 0.0, 0.0]);
            tiny.set_indices("landmark_triangles", &[2], &[0, 1]);
            tiny.set_floats("landmark_bary", &[2, 3], &[1.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
            tiny.set_masks(&RgbImage::from_fn(2, 2, |x, y| Rgb([255, 255 * x as u8, 255 * y as u8])));
            tiny
        }

        pub fn read(&self) -> Result<TemplateHead, BundleError> {
            read("template.bin".as_ref(), &self.template, 2, &self.content)
        }

        pub fn repeat_landmarks(&mut self, count: usize) {
            self.set_indices("landmark_triangles", &[count], &vec![1; count]);
            self.set_floats("landmark_bary", &[count, 3], &[0.0, 1.0, 0.0].repeat(count));
        }

        /// Appends an array, and states length and hash of the file anew. An array of the same name is left behind.
        fn set(&mut self, name: &str, dtype: &str, shape: &[usize], bytes: &[u8]) {
            let section = json!({"offset": self.content.len(), "dtype": dtype, "shape": shape});
            self.template.sections.insert(name.into(), serde_json::from_value(section).unwrap());
            self.content.extend(bytes);
            self.template.file.bytes = self.content.len() as u64;
            self.template.file.sha256 = format!("{:x}", Sha256::digest(&self.content));
        }

        fn set_floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
            self.set(name, "f32", shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
        }

        fn set_halves(&mut self, name: &str, shape: &[usize], values: &[f32]) {
            let halves = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes());
            self.set(name, "f16", shape, &halves.collect::<Vec<_>>());
        }

        fn set_bytes(&mut self, name: &str, shape: &[usize], values: &[u8]) {
            self.set(name, "i8", shape, values);
        }

        fn set_indices(&mut self, name: &str, shape: &[usize], values: &[u16]) {
            self.set(name, "u16", shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
        }

        fn set_starts(&mut self, starts: &[u32]) {
            let bytes: Vec<u8> = starts.iter().flat_map(|start| start.to_le_bytes()).collect();
            self.set("blendshape_start", "u32", &[starts.len()], &bytes);
        }

        fn set_masks(&mut self, picture: &RgbImage) {
            let mut png = Cursor::new(Vec::new());
            picture.write_to(&mut png, ImageFormat::Png).unwrap();
            self.set("masks_png", "u8", &[png.get_ref().len()], png.get_ref());
        }

        /// Changes the description as JSON.
        fn describe(&mut self, edit: impl FnOnce(&mut Value)) {
            let mut description = serde_json::to_value(&self.template).unwrap();
            edit(&mut description);
            self.template = serde_json::from_value(description).unwrap();
        }
    }

    #[test]
    fn a_head_comes_out_as_it_was_written() {
        let head = Tiny::new().read().unwrap();
        assert_eq!(head.positions[4], Vec3::new(0.1, 0.0, 0.25));
        assert_eq!(head.triangles, [[0, 1, 2], [3, 4, 5]]);
        assert_eq!(head.uv[2], Vec2::new(0.0, 1.0));
        let [jaw, blink] = &head.blendshapes[..] else { panic!("{:?}", head.blendshapes) };
        assert_eq!((jaw.name.as_str(), &jaw.vertices[..]), ("jawOpen", &[0, 2][..]));
        assert_eq!((blink.name.as_str(), &blink.vertices[..]), ("eyeBlinkLeft", &[2][..]));
        assert_eq!(jaw.offsets, [Vec3::new(0.0, -0.5, 0.0), Vec3::new(0.0, -0.25, 0.0)]);
        assert_eq!(head.landmarks[1], SurfacePoint { triangle: 1, weights: Vec3::new(0.0, 0.5, 0.5) });
        assert_eq!((head.masks.size, &head.masks.chart[..]), (2, &[true; 4][..]));
        assert_eq!(head.masks.skin, [false, true, false, true]);
        assert_eq!(head.masks.face, [false, false, true, true]);
    }

    #[test]
    fn a_blendshape_may_move_nothing() {
        let mut tiny = Tiny::new();
        tiny.set_starts(&[0, 0, 3]);
        tiny.set_indices("blendshape_vertices", &[3], &[0, 1, 2]);
        assert!(tiny.read().unwrap().blendshapes[0].vertices.is_empty());
    }

    #[test]
    fn content_that_is_no_head_is_refused_where_it_is_not() {
        type Edit = fn(&mut Tiny);
        let edits: [(&str, &str, Edit); 25] = [
            ("the layout's version", "2", |t| t.template.version = 2),
            ("section `positions`", "none", |t| drop(t.template.sections.remove("positions"))),
            ("section `positions`", "f16[6, 3]", |t| t.set_halves("positions", &[6, 3], &[0.0; 18])),
            ("section `positions`", "f32[5, 3]", |t| t.set_floats("positions", &[5, 3], &[0.0; 15])),
            ("section `positions`", "inf", |t| t.set_floats("positions", &[6, 3], &[f32::INFINITY; 18])),
            ("section `uv`", "NaN", |t| t.set_floats("uv", &[6, 2], &[f32::NAN; 12])),
            ("section `triangles`", "6", |t| t.set_indices("triangles", &[2, 3], &[0, 1, 2, 3, 4, 6])),
            ("section `triangles`", "3", |t| t.set_indices("triangles", &[2, 3], &[0, 1, 3, 3, 4, 5])),
            ("section `triangles`", "u16[6]", |t| t.set_indices("triangles", &[6], &[0, 1, 2, 3, 4, 5])),
            ("section `blendshape_start`", "[0, 2, 4]", |t| t.set_starts(&[0, 2, 4])),
            ("section `blendshape_start`", "[0, 4, 3]", |t| t.set_starts(&[0, 4, 3])),
            ("section `blendshape_start`", "[1, 2, 3]", |t| t.set_starts(&[1, 2, 3])),
            ("section `blendshape_start`", "u32[2]", |t| t.set_starts(&[0, 3])),
            ("section `blendshape_vertices`", "6", |t| t.set_indices("blendshape_vertices", &[3], &[0, 6, 2])),
            ("section `blendshape_vertices`", "others", |t| t.set_indices("blendshape_vertices", &[3], &[2, 2, 2])),
            ("section `blendshape_offsets`", "f16[2, 3]", |t| t.set_halves("blendshape_offsets", &[2, 3], &[0.0; 6])),
            ("section `blendshape_offsets`", "NaN", |t| t.set_halves("blendshape_offsets", &[3, 3], &[f32::NAN; 9])),
            ("section `landmark_triangles`", "2", |t| t.set_indices("landmark_triangles", &[2], &[0, 2])),
            ("section `landmark_triangles`", "u16[3]", |t| t.repeat_landmarks(3)),
            ("section `landmark_bary`", "1.5", |t| t.set_floats("landmark_bary", &[2, 3], &[0.5; 6])),
            ("section `basis_f16`", "NaN", |t| t.set_halves("basis_f16", &[1, 6, 3], &[f32::NAN; 18])),
            ("section `basis_i8`", "i8[2, 6, 3]", |t| t.set_bytes("basis_i8", &[2, 6, 3], &[0; 36])),
            ("section `basis_scale`", "inf", |t| t.set_floats("basis_scale", &[2], &[f32::INFINITY; 2])),
            ("section `masks_png`", "Rgb8 of 3 x 2 texels", |t| t.set_masks(&RgbImage::new(3, 2))),
            ("section `masks_png`", "an end at byte", |t| t.content.truncate(t.content.len() - 1)),
        ];
        for (wanted, value, edit) in edits {
            let mut tiny = Tiny::new();
            edit(&mut tiny);
            let error = tiny.read().unwrap_err();
            let BundleError::Template { place, found, .. } = &error else { panic!("{wanted}: {error}") };
            assert!(place == wanted && found.contains(value), "{wanted}, {value}: {error}");
            assert!(error.to_string().contains("template.bin"), "{error}");
        }
    }

    #[test]
    fn masks_that_are_no_rgb_picture_are_refused() {
        let mut grey = Cursor::new(Vec::new());
        GrayImage::new(2, 2).write_to(&mut grey, ImageFormat::Png).unwrap();
        let mut broken = grey.get_ref().clone();
        broken[0] ^= 1;
        for png in [grey.get_ref(), &broken, &Vec::new()] {
            let mut tiny = Tiny::new();
            tiny.set("masks_png", "u8", &[png.len()], png);
            let error = tiny.read().unwrap_err();
            assert!(matches!(&error, BundleError::Template { place, .. } if place.contains("masks_png")), "{error}");
        }
    }

    #[test]
    fn absurd_places_and_shapes_are_refused_without_reading() {
        for (field, value) in [("offset", json!(usize::MAX)), ("shape", json!([usize::MAX]))] {
            let mut tiny = Tiny::new();
            tiny.describe(|description| description["sections"]["masks_png"][field] = value);
            assert!(matches!(tiny.read(), Err(BundleError::Template { .. })), "{field}");
        }
    }
}
