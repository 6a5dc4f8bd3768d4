//! How much a rendered face looks like the photo's to the recogniser.

use bevy::math::Vec3;

use crate::{
    bundle::{Bundle, BundleError, ChipTemplate, Generator},
    face::{ChipPlacement, FaceLandmarks, Identity},
    runtime::{AnyTensor, CancelToken, Model, Runtime, RuntimeError, Tensor},
};

/// The recogniser's view of a chip: what a rendering is to come near to.
#[derive(Clone, Debug, Default)]
pub struct Impression {
    /// The embedding and then inner activations, by name.
    activations: Vec<(String, AnyTensor)>,
}

impl Impression {
    /// The same with another embedding.
    pub(super) fn with_identity(&self, identity: &Identity) -> Result<Self, RuntimeError> {
        let mut activations = self.activations.clone();
        if let Some((_, embedding)) = activations.first_mut() {
            *embedding = Tensor::new(embedding.shape(), identity.values().to_vec())?.into();
        }
        Ok(Self { activations })
    }

    /// The embedding and then inner activations, by name.
    pub(super) fn activations(&self) -> impl Iterator<Item = (&str, &AnyTensor)> {
        self.activations.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

/// The recognition and perceptual losses of a chip against an [`Impression`], and their gradient.
#[derive(Clone, Debug)]
pub struct RecognitionLoss {
    /// Squared Euclidean distance of the embeddings.
    pub identity: f32,
    /// Squared distance of inner activations over the target's mean square, averaged over layers.
    pub perceptual: f32,
    /// Gradient of the weighted sum with respect to the chip, sRGB of 0 to 1.
    pub gradient: Vec<Vec3>,
}

/// The recogniser's loss networks.
#[derive(Debug)]
pub struct LossNetwork {
    features: Model,
    loss: Model,
    embedding: String,
    layers: Vec<String>,
    losses: [String; 2],
    prefixes: crate::bundle::Prefixes,
    side: usize,
    chip: ChipTemplate,
}

impl LossNetwork {
    /// Loads the networks of a bundle.
    ///
    /// # Errors
    /// A [`BundleError`] when the bundle or one of the networks cannot be used.
    pub fn load(bundle: &Bundle, runtime: &Runtime, generator: &Generator) -> Result<Self, BundleError> {
        let features = bundle.load(runtime, &generator.networks.recogniser_features)?;
        let loss = bundle.load(runtime, &generator.networks.recogniser_loss)?;
        let side = features.spec().inputs[0].shape.last().copied().unwrap_or(0);
        let [identity, perceptual, ..] = &generator.losses[..] else {
            let place = "generator.losses".to_owned();
            let (expected, found) = ("identity and perceptual loss".into(), format!("{:?}", generator.losses));
            return Err(BundleError::Inconsistent { path: bundle.root().into(), place, expected, found });
        };
        Ok(Self {
            features,
            loss,
            embedding: bundle.manifest().face.identity.embedding.clone(),
            layers: generator.perceptual_layers.clone(),
            losses: [identity.clone(), perceptual.clone()],
            prefixes: generator.prefixes.clone(),
            side,
            chip: bundle.manifest().face.identity.chip.clone(),
        })
    }

    /// Side of the chips in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Where the chip lies on a face with these landmarks.
    pub(super) fn placement(&self, landmarks: &FaceLandmarks) -> ChipPlacement {
        ChipPlacement::new(landmarks, &self.chip, self.side)
    }

    /// What the recogniser sees in a chip, sRGB of 0 to 1.
    ///
    /// # Errors
    /// [`RuntimeError`] when the network fails or `cancel` is called.
    pub fn look_at(&mut self, chip: &[Vec3], cancel: &CancelToken) -> Result<Impression, RuntimeError> {
        let name = self.features.spec().inputs[0].name.clone();
        let mut outputs = self.features.run(&[(&name, &self.image(chip)?)], cancel)?;
        let names = [&self.embedding].into_iter().chain(&self.layers);
        let activations = names.map(|name| Ok((name.clone(), outputs.take::<f32>(name)?.into())));
        Ok(Impression { activations: activations.collect::<Result<_, RuntimeError>>()? })
    }

    /// The losses of a chip, sRGB of 0 to 1, and the gradient of their sum with these weights.
    ///
    /// # Errors
    /// [`RuntimeError`] when the network fails or `cancel` is called.
    pub fn loss(
        &mut self,
        chip: &[Vec3],
        target: &Impression,
        weights: [f32; 2],
        cancel: &CancelToken,
    ) -> Result<RecognitionLoss, RuntimeError> {
        let (image_name, image) = (self.features.spec().inputs[0].name.clone(), self.image(chip)?);
        let seed = |index: usize| -> Result<(String, AnyTensor), RuntimeError> {
            let name = format!("{}{}", self.prefixes.seed, self.losses[index]);
            Ok((name, Tensor::new([1], vec![weights[index]])?.into()))
        };
        let seeds = [seed(0)?, seed(1)?];
        let targets: Vec<_> =
            target.activations().map(|(name, tensor)| (format!("{}{name}", self.prefixes.target), tensor)).collect();
        let targets = targets.iter().map(|(name, tensor)| (name.as_str(), *tensor));
        let seeds = seeds.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let inputs: Vec<_> = [(image_name.as_str(), &image)].into_iter().chain(targets).chain(seeds).collect();
        let mut outputs = self.loss.run(&inputs, cancel)?;
        let mut value = |name: &str| -> Result<f32, RuntimeError> { Ok(outputs.take::<f32>(name)?.data()[0]) };
        let (identity, perceptual) = (value(&self.losses[0])?, value(&self.losses[1])?);
        let gradient = outputs.take::<f32>(&format!("{}{image_name}", self.prefixes.gradient))?.into_data();
        let plane = self.side * self.side;
        let gradient = (0..plane).map(|i| Vec3::new(gradient[i], gradient[plane + i], gradient[2 * plane + i]));
        Ok(RecognitionLoss { identity, perceptual, gradient: gradient.collect() })
    }

    fn image(&self, chip: &[Vec3]) -> Result<AnyTensor, RuntimeError> {
        let planes = (0..3).flat_map(|channel| chip.iter().map(move |pixel| pixel[channel])).collect();
        Ok(Tensor::new([1, 3, self.side, self.side], planes)?.into())
    }
}
