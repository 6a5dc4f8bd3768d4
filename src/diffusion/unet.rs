//! The bundle's denoising network.

use super::{Denoiser, DenoiserInput, LatentLayout, Latents};
use crate::runtime::{AnyTensor, CancelToken, ElementType, Model, ModelSpec, RuntimeError, Tensor, TensorSpec};

/// Noised reflectance latents [B, C, h, w].
const REFLECTANCE: &str = "reflectance";
/// Noised shape coefficients [B, K].
const SHAPE: &str = "shape";
/// Number of the training timestep [B].
const TIMESTEP: &str = "timestep";
/// Identity embedding [B, E]; it has no effect where `conditional` is 0.
const EMBEDDING: &str = "embedding";
/// 1: use the embedding; 0: unconditional. [B]
const CONDITIONAL: &str = "conditional";
/// Prediction for the reflectance latents [B, C, h, w].
const REFLECTANCE_PREDICTION: &str = "reflectance_prediction";
/// Prediction for the shape coefficients [B, K].
const SHAPE_PREDICTION: &str = "shape_prediction";

/// FitDiff's UNet, which denoises reflectance and shape jointly, as a [`Denoiser`].
///
/// It is run on as many rows at a time as its description states for the batch axis; rows that are left free repeat
/// the first one, and what comes out for them is dropped.
#[derive(Debug)]
pub struct UnetDenoiser {
    model: Model,
    layout: LatentLayout,
    embedding_size: usize,
    batch: usize,
}

impl UnetDenoiser {
    /// Wraps the loaded network `generator.networks.unet` of a bundle.
    ///
    /// # Errors
    /// [`RuntimeError::Signature`] when the network's description lacks an input or output, or states another shape than
    /// `layout` and `embedding_size`, the bundle's, ask for, or when one of these is zero.
    pub fn new(model: Model, layout: LatentLayout, embedding_size: usize) -> Result<Self, RuntimeError> {
        let spec = model.spec();
        let batch = tensor(spec, "input", TIMESTEP, &spec.inputs)?.shape.first().copied().unwrap_or(0).max(1);
        let LatentLayout { reflectance: [channels, height, width], shape } = layout;
        let reflectance = vec![batch, channels, height, width];
        for (side, name, expected) in [
            ("input", REFLECTANCE, reflectance.clone()),
            ("input", SHAPE, vec![batch, shape]),
            ("input", TIMESTEP, vec![batch]),
            ("input", EMBEDDING, vec![batch, embedding_size]),
            ("input", CONDITIONAL, vec![batch]),
            ("output", REFLECTANCE_PREDICTION, reflectance),
            ("output", SHAPE_PREDICTION, vec![batch, shape]),
        ] {
            let found = tensor(spec, side, name, if side == "input" { &spec.inputs } else { &spec.outputs })?;
            if expected.contains(&0) {
                return Err(signature(spec, side, name, "no axis of length 0".into(), format!("{expected:?}")));
            }
            if found.element != ElementType::F32 || found.shape != expected {
                let expected = format!("{}{expected:?}", ElementType::F32);
                return Err(signature(spec, side, name, expected, found.to_string()));
            }
        }
        Ok(Self { model, layout, embedding_size, batch })
    }

    /// Runs the network once on one row or more, at most as many as its batch has.
    fn run(
        &mut self,
        rows: &[DenoiserInput],
        timestep: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Latents>, RuntimeError> {
        let LatentLayout { reflectance: [channels, height, width], shape } = self.layout;
        let padded: Vec<DenoiserInput> = (0..self.batch).map(|row| *rows.get(row).unwrap_or(&rows[0])).collect();
        let flag = |input: &DenoiserInput| if input.embedding.is_some() { 1.0 } else { 0.0 };
        let mut embeddings = vec![0.0; self.batch * self.embedding_size];
        for (row, input) in embeddings.chunks_exact_mut(self.embedding_size).zip(&padded) {
            if let Some(embedding) = input.embedding {
                row.copy_from_slice(embedding);
            }
        }
        let batched = |part: fn(&Latents) -> &[f32]| padded.iter().flat_map(|row| part(row.noised)).copied().collect();
        let inputs: [(&str, AnyTensor); 5] = [
            (REFLECTANCE, Tensor::new([self.batch, channels, height, width], batched(Latents::reflectance))?.into()),
            (SHAPE, Tensor::new([self.batch, shape], batched(Latents::shape))?.into()),
            (TIMESTEP, Tensor::new([self.batch], vec![timestep as f32; self.batch])?.into()),
            (EMBEDDING, Tensor::new([self.batch, self.embedding_size], embeddings)?.into()),
            (CONDITIONAL, Tensor::new([self.batch], padded.iter().map(flag).collect::<Vec<f32>>())?.into()),
        ];
        let inputs = inputs.each_ref().map(|(name, tensor)| (*name, tensor));
        let mut outputs = self.model.run(&inputs, cancel)?;
        let reflectances = outputs.take::<f32>(REFLECTANCE_PREDICTION)?.into_data();
        let shapes = outputs.take::<f32>(SHAPE_PREDICTION)?.into_data();
        let (reflectances, shapes) = (reflectances.chunks(channels * height * width), shapes.chunks(shape));
        let predictions = reflectances.zip(shapes).take(rows.len());
        predictions.map(|(reflectance, shape)| Latents::new(self.layout, reflectance.into(), shape.into())).collect()
    }
}

impl Denoiser for UnetDenoiser {
    fn layout(&self) -> LatentLayout {
        self.layout
    }

    fn predict(
        &mut self,
        batch: &[DenoiserInput],
        timestep: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Latents>, RuntimeError> {
        for embedding in batch.iter().filter_map(|input| input.embedding) {
            if embedding.len() != self.embedding_size {
                return Err(RuntimeError::Input {
                    model: self.model.spec().name.clone(),
                    tensor: EMBEDDING.into(),
                    expected: format!("{} numbers", self.embedding_size),
                    found: embedding.len().to_string(),
                });
            }
        }
        let mut predictions = Vec::with_capacity(batch.len());
        for rows in batch.chunks(self.batch) {
            predictions.extend(self.run(rows, timestep, cancel)?);
        }
        Ok(predictions)
    }
}

fn tensor<'a>(
    spec: &ModelSpec,
    side: &'static str,
    name: &str,
    tensors: &'a [TensorSpec],
) -> Result<&'a TensorSpec, RuntimeError> {
    tensors
        .iter()
        .find(|tensor| tensor.name == name)
        .ok_or_else(|| signature(spec, side, name, "a tensor of this name".into(), "none".into()))
}

fn signature(spec: &ModelSpec, side: &'static str, tensor: &str, expected: String, found: String) -> RuntimeError {
    RuntimeError::Signature { model: spec.name.clone(), side, tensor: tensor.into(), expected, found }
}
