//! The colour of a person's irises, read in a photo.
//!
//! Neither the identity embedding nor the maps hold it: a bundle's network reads it in the chip, around the landmarks of
//! the irises. It answers with a mean of human iris colours whatever it is shown, so that what hides the eyes makes them
//! brown and never purple.

use bevy::math::Vec3;

use super::PipelineError;
use crate::{
    bundle::{Bundle, BundleError, Generator},
    face::Face,
    runtime::{AnyTensor, CancelToken, Model, Runtime, Tensor},
};

/// The network's input of landmarks.
const PLACES: &str = "places";

/// A bundle's reader of iris colours.
#[derive(Debug)]
pub(super) struct IrisReader {
    network: Model,
    /// How many landmarks a face has.
    points: usize,
}

impl IrisReader {
    /// Loads the reader of a bundle, if it has one.
    pub fn load(bundle: &Bundle, runtime: &Runtime, generator: &Generator) -> Result<Option<Self>, BundleError> {
        let Some(name) = &generator.networks.iris_reader else { return Ok(None) };
        let network = bundle.load(runtime, name)?;
        let points = network.spec().inputs.iter().find(|input| input.name == PLACES).map_or(0, |input| input.shape[1]);
        Ok(Some(Self { network, points }))
    }

    /// Linear reflectance of the irises of a face, RGB of 0 to 1. `None` when its landmarks are not as many as a face has, or
    /// not finite.
    ///
    /// # Errors
    /// [`PipelineError::Runtime`] when the network fails or `cancel` is called; [`PipelineError::NotFinite`] when it
    /// answers with numbers that are none.
    pub fn read(&mut self, face: &Face, cancel: &CancelToken) -> Result<Option<Vec3>, PipelineError> {
        let places = face.landmarks_in_chip();
        if places.len() != self.points || !places.iter().all(|place| place.is_finite()) {
            return Ok(None);
        }
        let side = face.chip.width() as usize;
        let places = places.iter().flat_map(|place| place.to_array()).collect();
        let chip: AnyTensor = Tensor::new([1, 3, side, side], face.chip_planes())?.into();
        let places: AnyTensor = Tensor::new([1, self.points, 2], places)?.into();
        let mut outputs = self.network.run(&[("chip", &chip), (PLACES, &places)], cancel)?;
        let iris = Vec3::from_slice(&outputs.take::<f32>("iris")?.into_data());
        if iris.is_finite() { Ok(Some(iris)) } else { Err(PipelineError::NotFinite { what: "colours of the irises" }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        face::{FaceAnalyser, FaceChoice},
        runtime::RuntimeOptions,
    };

    #[test]
    fn landmarks_that_are_not_a_faces_have_no_irises() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let (runtime, cancel) = (Runtime::new(RuntimeOptions::default()).unwrap(), CancelToken::default());
        let generator = bundle.manifest().generator.as_ref().unwrap();
        let mut reader = IrisReader::load(&bundle, &runtime, generator).unwrap().expect("the default bundle has one");
        let photo =
            image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/selfies/astronaut.png")).unwrap().to_rgb8();
        let mut analyser = FaceAnalyser::load(&bundle, &runtime).unwrap();
        let mut face = analyser.analyse(&photo, FaceChoice::MostProminent, &cancel).unwrap().face;
        let iris = reader.read(&face, &cancel).unwrap().unwrap();
        assert!(iris.x > iris.y && iris.y > iris.z, "hers are brown: {iris}");
        let points = face.landmarks.points.clone();
        face.landmarks.points[473].x = f32::NAN;
        assert_eq!(reader.read(&face, &cancel).unwrap(), None);
        for some in [&points[..0], &points[..468]] {
            face.landmarks.points = some.to_vec();
            assert_eq!(reader.read(&face, &cancel).unwrap(), None);
        }
        // Wherever they are.
        face.landmarks.points = points.iter().map(|point| *point * 1e6).collect();
        assert!(reader.read(&face, &cancel).unwrap().is_some_and(|iris| iris.min_element() > 0.0));
    }

    #[test]
    fn a_bundle_need_not_have_one() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let mut generator = bundle.manifest().generator.clone().unwrap();
        generator.networks.iris_reader = None;
        let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
        assert!(IrisReader::load(&bundle, &runtime, &generator).unwrap().is_none());
    }
}
