//! Checks that a manifest does not contradict itself, so that the code may rely on it.

mod generator;

use std::path::Path;

use super::{BundleError, ChipTemplate, Detector, Landmarks, Manifest, Network, Recogniser, files::MAX_FILE_BYTES};
use crate::runtime::{ElementType, TensorSpec};

/// Largest side of an image that goes into a network of the face front-end, in pixels.
const MAX_INPUT_SIDE: usize = 2048;

/// Numbers per anchor of a detector: a box and six keypoints.
const DETECTOR_VALUES: usize = 16;

/// Checks everything that serde cannot.
pub(super) fn check(path: &Path, manifest: &Manifest) -> Result<(), BundleError> {
    let checker = Checker { path, manifest };
    for (name, network) in &manifest.networks {
        checker.network(name, network)?;
    }
    let face = &manifest.face;
    checker.expect(!face.detectors.is_empty(), "face.detectors", "one detector or more", "none")?;
    for (index, detector) in face.detectors.iter().enumerate() {
        checker.detector(&format!("face.detectors[{index}]"), detector)?;
    }
    let points = checker.landmarks(&face.landmarks)?;
    checker.recogniser(&face.identity, points)?;
    if let Some(template) = &manifest.template {
        checker.template(template)?;
    }
    manifest.generator.as_ref().map_or(Ok(()), |generator| checker.generator(generator))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

struct Checker<'a> {
    path: &'a Path,
    manifest: &'a Manifest,
}

impl Checker<'_> {
    fn expect(
        &self,
        holds: bool,
        place: &str,
        expected: impl ToString,
        found: impl ToString,
    ) -> Result<(), BundleError> {
        if holds { Ok(()) } else { Err(self.contradiction(place, expected, found)) }
    }

    fn contradiction(&self, place: &str, expected: impl ToString, found: impl ToString) -> BundleError {
        BundleError::Inconsistent {
            path: self.path.to_path_buf(),
            place: place.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    fn network(&self, name: &str, network: &Network) -> Result<(), BundleError> {
        let place = format!("networks.{name}");
        let sha256 = &network.file.sha256;
        self.expect(is_sha256(sha256), &format!("{place}.file.sha256"), "64 lower-case hexadecimal digits", sha256)?;
        if let Some(path) = &network.weights {
            let known = self.manifest.file(path).is_some();
            self.expect(known, &format!("{place}.weights"), "the path of a file that this manifest describes", path)?;
        }
        for (side, specs) in [("inputs", &network.inputs), ("outputs", &network.outputs)] {
            let place = format!("{place}.{side}");
            self.expect(!specs.is_empty(), &place, "one tensor or more", "none")?;
            for spec in specs {
                let elements = spec.shape.iter().try_fold(1u64, |product, &axis| product.checked_mul(axis as u64));
                let fits = elements.is_some_and(|elements| (1..=MAX_FILE_BYTES).contains(&elements));
                self.expect(fits, &place, "a shape with a usable number of elements", spec)?;
                let uses = specs.iter().filter(|other| other.name == spec.name).count();
                self.expect(uses == 1, &place, "distinct names", format!("`{}` {uses} times", spec.name))?;
            }
        }
        Ok(())
    }

    fn named_network(&self, place: &str, name: &str) -> Result<&Network, BundleError> {
        self.manifest.networks.get(name).ok_or_else(|| {
            self.contradiction(&format!("{place}.network"), "the name of a network of this bundle", format!("`{name}`"))
        })
    }

    /// A network with one square RGB image as its input; returns the image's side.
    fn image_network(&self, place: &str, name: &str) -> Result<(&Network, usize), BundleError> {
        let network = self.named_network(place, name)?;
        match network.inputs.as_slice() {
            [TensorSpec { element: ElementType::F32, shape, .. }] if matches!(shape[..], [1, 3, h, w] if h == w && (2..=MAX_INPUT_SIDE).contains(&h)) => {
                Ok((network, shape[2]))
            }
            inputs => {
                let found = inputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(self.contradiction(&format!("networks.{name}.inputs"), "one f32[1, 3, side, side]", found))
            }
        }
    }

    fn output<'n>(&self, place: &str, network: &'n Network, name: &str) -> Result<&'n TensorSpec, BundleError> {
        let output = network.outputs.iter().find(|spec| spec.name == name && spec.element == ElementType::F32);
        output.ok_or_else(|| self.contradiction(place, "the name of an f32 output of the network", format!("`{name}`")))
    }

    fn shape(&self, place: &str, spec: &TensorSpec, expected: &[usize]) -> Result<(), BundleError> {
        self.expect(spec.shape == expected, place, format!("f32{expected:?}"), spec)
    }

    fn in_range(&self, place: &str, value: f32, range: std::ops::RangeInclusive<f32>) -> Result<(), BundleError> {
        self.expect(range.contains(&value), place, format!("a number of {} to {}", range.start(), range.end()), value)
    }

    fn input_range(&self, place: &str, [low, high]: [f32; 2]) -> Result<(), BundleError> {
        let holds = low.is_finite() && high.is_finite() && low < high;
        self.expect(holds, &format!("{place}.input_range"), "two rising numbers", format!("{low}, {high}"))
    }

    fn detector(&self, place: &str, detector: &Detector) -> Result<(), BundleError> {
        let (network, side) = self.image_network(place, &detector.network)?;
        self.input_range(place, detector.input_range)?;
        let strides = &detector.strides;
        let fits = !strides.is_empty() && strides.iter().all(|&stride| (1..=side as u64).contains(&u64::from(stride)));
        self.expect(fits, &format!("{place}.strides"), format!("strides of 1 to {side}"), format!("{strides:?}"))?;
        let per_cell = detector.anchors_per_cell;
        self.expect((1..=64).contains(&per_cell), &format!("{place}.anchors_per_cell"), "1 to 64", per_cell)?;
        let anchors: usize =
            strides.iter().map(|&stride| side.div_ceil(stride as usize).pow(2) * per_cell as usize).sum();
        let boxes = self.output(&format!("{place}.boxes"), network, &detector.boxes)?;
        self.shape(&format!("{place}.boxes"), boxes, &[1, anchors, DETECTOR_VALUES])?;
        let scores = self.output(&format!("{place}.scores"), network, &detector.scores)?;
        self.shape(&format!("{place}.scores"), scores, &[1, anchors, 1])?;
        self.in_range(&format!("{place}.score_threshold"), detector.score_threshold, 0.0..=1.0)?;
        self.in_range(&format!("{place}.merge_iou"), detector.merge_iou, 0.0..=1.0)
    }

    /// Returns the number of landmarks.
    fn landmarks(&self, landmarks: &Landmarks) -> Result<usize, BundleError> {
        let place = "face.landmarks";
        let (network, _) = self.image_network(place, &landmarks.network)?;
        self.input_range(place, landmarks.input_range)?;
        let points = self.output("face.landmarks.points", network, &landmarks.points)?;
        let count = match points.shape[..] {
            [1, count, 3] => count,
            _ => return self.shape("face.landmarks.points", points, &[1, 478, 3]).map(|()| 0),
        };
        let presence = self.output("face.landmarks.presence", network, &landmarks.presence)?;
        self.shape("face.landmarks.presence", presence, &[1, 1])?;
        self.in_range("face.landmarks.crop_scale", landmarks.crop_scale, 1.0..=4.0)?;
        self.in_range("face.landmarks.presence_threshold", landmarks.presence_threshold, 0.0..=1.0)?;
        self.in_range("face.landmarks.max_keypoint_distance", landmarks.max_keypoint_distance, 0.0..=f32::MAX)?;
        let spanned = landmarks.box_points;
        let fits = (2..=count).contains(&spanned);
        self.expect(fits, "face.landmarks.box_points", format!("2 to {count}"), spanned)?;
        self.indices("face.landmarks.index", &landmarks.index.all(), count)?;
        Ok(count)
    }

    fn indices(&self, place: &str, indices: &[usize], count: usize) -> Result<(), BundleError> {
        let fits = indices.iter().all(|&index| index < count);
        self.expect(fits, place, format!("numbers below {count}"), format!("{indices:?}"))
    }

    fn recogniser(&self, recogniser: &Recogniser, landmarks: usize) -> Result<(), BundleError> {
        let place = "face.identity";
        let (network, _) = self.image_network(place, &recogniser.network)?;
        self.input_range(place, recogniser.input_range)?;
        let embedding = self.output("face.identity.embedding", network, &recogniser.embedding)?;
        let fits = matches!(embedding.shape[..], [1, _]);
        self.expect(fits, "face.identity.embedding", "f32[1, n]", embedding)?;
        self.in_range("face.identity.same_person_distance", recogniser.same_person_distance, 0.0..=f32::MAX)?;
        let ChipTemplate { padding, landmarks: aligned, points } = &recogniser.chip;
        let place = "face.identity.chip";
        self.expect((0.0..=4.0).contains(padding), place, "a padding of 0 to 4", padding)?;
        self.indices(&format!("{place}.landmarks"), aligned, landmarks)?;
        let fits = aligned.len() >= 2 && aligned.len() == points.len();
        self.expect(
            fits,
            place,
            "as many points as landmarks, two or more",
            format!("{} and {}", points.len(), aligned.len()),
        )?;
        let finite = points.iter().flatten().all(|value| value.is_finite());
        let distinct = points.iter().any(|point| point != &points[0]);
        self.expect(finite && distinct, &format!("{place}.points"), "finite, distinct points", format!("{points:?}"))
    }
}
