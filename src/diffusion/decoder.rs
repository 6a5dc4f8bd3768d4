//! The decoders: clean latents to maps and vertices, and gradients back.

use bevy::math::Vec3;

use super::{DiffusionError, LatentLayout, Latents};
use crate::{
    bundle::{Bundle, BundleError, ColourSpace, Generator, MANIFEST_FILE, Maps, Prefixes, Template},
    runtime::{AnyTensor, CancelToken, ElementType, Model, Outputs, Runtime, RuntimeError, Tensor, TensorSpec},
};

/// The networks that decode latents.
#[derive(Debug)]
pub struct Decoder {
    reflectance: Model,
    reflectance_scale: f32,
    maps: Maps,
    shape: Model,
    shape_scale: f32,
}

/// Maps as the decoder gives them: channel after channel, `size` × `size` texels each, row-major, origin top-left,
/// finite, in the encodings that the bundle states, and not clipped.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedMaps {
    /// Side in texels.
    pub size: usize,
    /// Diffuse albedo `[3, size, size]`.
    pub diffuse: Vec<f32>,
    /// F0 at normal incidence `[1, size, size]`, linear.
    pub specular: Vec<f32>,
    /// Tangent-space normals `[3, size, size]`.
    pub normals: Vec<f32>,
}

impl Decoder {
    /// Loads the decoders of a bundle.
    ///
    /// # Errors
    /// A [`BundleError`] when the bundle or one of the networks cannot be used.
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        generator: &Generator,
        template: &Template,
    ) -> Result<Self, BundleError> {
        check_maps(bundle, &generator.maps)?;
        let networks = &generator.networks;
        let reflectance = bundle.load(runtime, &networks.reflectance_decoder)?;
        let LatentLayout { reflectance: [channels, height, width], shape: coefficients } = generator.into();
        check_single(&reflectance, "input", &reflectance.spec().inputs, &[1, channels, height, width])?;
        let shape = bundle.load(runtime, &networks.shape_decoder)?;
        check_single(&shape, "input", &shape.spec().inputs, &[1, coefficients])?;
        check_single(&shape, "output", &shape.spec().outputs, &[1, template.vertices, 3])?;
        Ok(Self {
            reflectance,
            reflectance_scale: generator.reflectance_latent.scale,
            maps: generator.maps.clone(),
            shape,
            shape_scale: generator.shape_latent.scale,
        })
    }

    /// The maps of clean latents, which are multiplied with the bundle's scale.
    ///
    /// # Errors
    /// [`DiffusionError::Output`] when they are not finite, [`DiffusionError::Runtime`] when the network fails or
    /// `cancel` is called.
    pub fn maps(&mut self, latents: &Latents, cancel: &CancelToken) -> Result<DecodedMaps, DiffusionError> {
        let latent = input(&self.reflectance, latents.reflectance(), self.reflectance_scale)?;
        let mut found = run(&mut self.reflectance, &[latent], cancel)?;
        let mut take = |name: &str| output(&self.reflectance, &mut found, name);
        let maps = &self.maps;
        let (diffuse, specular) = (take(&maps.diffuse.output)?, take(&maps.specular.output)?);
        Ok(DecodedMaps { size: maps.diffuse.size, diffuse, specular, normals: take(&maps.normals.output)? })
    }

    /// The vertices of clean latents, which are multiplied with the bundle's scale; metres, in the template's order.
    ///
    /// # Errors
    /// As [`maps`](Self::maps).
    pub fn vertices(&mut self, latents: &Latents, cancel: &CancelToken) -> Result<Vec<Vec3>, DiffusionError> {
        let name = self.shape.spec().outputs[0].name.clone();
        let shape = input(&self.shape, latents.shape(), self.shape_scale)?;
        let mut found = run(&mut self.shape, &[shape], cancel)?;
        let vertices = output(&self.shape, &mut found, &name)?;
        Ok(vertices.as_chunks::<3>().0.iter().copied().map(Vec3::from_array).collect())
    }
}

/// The decoders' gradient networks: what a change of maps and vertices means for the latents.
#[derive(Debug)]
pub struct DecoderGradient {
    reflectance: Model,
    reflectance_scale: f32,
    maps: Maps,
    shape: Model,
    shape_scale: f32,
    vertices: String,
    prefixes: Prefixes,
}

impl DecoderGradient {
    /// Loads the gradient networks of a bundle's decoders.
    ///
    /// # Errors
    /// A [`BundleError`] when the bundle or one of the networks cannot be used.
    pub fn load(bundle: &Bundle, runtime: &Runtime, generator: &Generator) -> Result<Self, BundleError> {
        let networks = &generator.networks;
        let described = bundle.manifest().networks.get(&networks.shape_decoder);
        let vertices = described.and_then(|network| network.outputs.first()).map(|output| output.name.clone());
        Ok(Self {
            reflectance: bundle.load(runtime, &networks.reflectance_decoder_vjp)?,
            reflectance_scale: generator.reflectance_latent.scale,
            maps: generator.maps.clone(),
            shape: bundle.load(runtime, &networks.shape_decoder_vjp)?,
            shape_scale: generator.shape_latent.scale,
            vertices: vertices.unwrap_or_default(),
            prefixes: generator.prefixes.clone(),
        })
    }

    /// The gradient of a loss with respect to reflectance latents `[C, h, w]`, from that with respect to the maps that
    /// [`Decoder::maps`] gives for the same latents.
    ///
    /// # Errors
    /// As [`Decoder::maps`].
    pub fn reflectance(
        &mut self,
        latents: &Latents,
        gradient: DecodedMaps,
        cancel: &CancelToken,
    ) -> Result<Vec<f32>, DiffusionError> {
        let latent = input(&self.reflectance, latents.reflectance(), self.reflectance_scale)?;
        let seed = |name: &str| format!("{}{name}", self.prefixes.seed);
        let Maps { diffuse, specular, normals } = &self.maps;
        let size = gradient.size;
        let inputs = [
            (seed(&diffuse.output), tensor(&[1, diffuse.channels, size, size], gradient.diffuse)?),
            (seed(&specular.output), tensor(&[1, specular.channels, size, size], gradient.specular)?),
            (seed(&normals.output), tensor(&[1, normals.channels, size, size], gradient.normals)?),
        ];
        let name = format!("{}{}", self.prefixes.gradient, latent.0);
        let inputs: Vec<_> = [latent].into_iter().chain(inputs).collect();
        let mut found = run(&mut self.reflectance, &inputs, cancel)?;
        scaled(output(&self.reflectance, &mut found, &name)?, self.reflectance_scale)
    }

    /// The gradient of a loss with respect to shape coefficients `[K]`, from that with respect to the vertices that
    /// [`Decoder::vertices`] gives for the same latents.
    ///
    /// # Errors
    /// As [`Decoder::maps`].
    pub fn shape(
        &mut self,
        latents: &Latents,
        gradient: &[Vec3],
        cancel: &CancelToken,
    ) -> Result<Vec<f32>, DiffusionError> {
        let shape = input(&self.shape, latents.shape(), self.shape_scale)?;
        let values = gradient.iter().flat_map(|vector| vector.to_array()).collect();
        let seed = (format!("{}{}", self.prefixes.seed, self.vertices), tensor(&[1, gradient.len(), 3], values)?);
        let name = format!("{}{}", self.prefixes.gradient, shape.0);
        let mut found = run(&mut self.shape, &[shape, seed], cancel)?;
        scaled(output(&self.shape, &mut found, &name)?, self.shape_scale)
    }
}

fn scaled(mut gradient: Vec<f32>, scale: f32) -> Result<Vec<f32>, DiffusionError> {
    gradient.iter_mut().for_each(|value| *value /= scale);
    Ok(gradient)
}

fn tensor(shape: &[usize], values: Vec<f32>) -> Result<AnyTensor, RuntimeError> {
    Ok(Tensor::new(shape, values)?.into())
}

/// Latents divided by their scale, as the first input of a network.
fn input(model: &Model, latents: &[f32], scale: f32) -> Result<(String, AnyTensor), RuntimeError> {
    let TensorSpec { name, shape, .. } = &model.spec().inputs[0];
    Ok((name.clone(), tensor(shape, latents.iter().map(|value| value / scale).collect())?))
}

fn run(model: &mut Model, inputs: &[(String, AnyTensor)], cancel: &CancelToken) -> Result<Outputs, RuntimeError> {
    let inputs: Vec<(&str, &AnyTensor)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    model.run(&inputs, cancel)
}

/// An output of the shape that the network's description states, and finite.
fn output(model: &Model, found: &mut Outputs, name: &str) -> Result<Vec<f32>, DiffusionError> {
    let tensor = found.take::<f32>(name)?;
    let spec = model.spec().outputs.iter().find(|spec| spec.name == *name);
    if let Some(spec) = spec.filter(|spec| spec.shape != tensor.shape()) {
        return Err(signature(model, "output", name, spec.to_string(), format!("f32{:?}", tensor.shape())).into());
    }
    if !tensor.data().iter().all(|value| value.is_finite()) {
        return Err(DiffusionError::Output { network: model.spec().name.clone(), output: name.into() });
    }
    Ok(tensor.into_data())
}

/// Checks what the maps' encoding takes for granted.
fn check_maps(bundle: &Bundle, maps: &Maps) -> Result<(), BundleError> {
    let Maps { diffuse, specular, normals } = maps;
    let refuse = |place: &str, expected: String, found: String| {
        let (path, place) = (bundle.root().join(MANIFEST_FILE), format!("generator.maps.{place}"));
        Err(BundleError::Inconsistent { path, place, expected, found })
    };
    for (name, map) in [("specular", specular), ("normals", normals)] {
        if map.size != diffuse.size {
            let (expected, found) = (format!("{}, as diffuse has", diffuse.size), map.size.to_string());
            return refuse(&format!("{name}.size"), expected, found);
        }
        if map.colour_space != ColourSpace::Linear {
            return refuse(&format!("{name}.colour_space"), "linear".into(), "srgb".into());
        }
    }
    Ok(())
}

/// Checks that a network has a single `f32` input or output, of this shape.
fn check_single(model: &Model, side: &'static str, tensors: &[TensorSpec], shape: &[usize]) -> Result<(), BundleError> {
    match tensors {
        [TensorSpec { element: ElementType::F32, shape: found, .. }] if found == shape => Ok(()),
        tensors => {
            let names = tensors.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>().join(", ");
            let found = tensors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let source = Box::new(signature(model, side, &names, format!("a single f32{shape:?}"), found));
            Err(BundleError::Network { path: model.spec().name.clone().into(), source })
        }
    }
}

fn signature(model: &Model, side: &'static str, tensor: &str, expected: String, found: String) -> RuntimeError {
    RuntimeError::Signature { model: model.spec().name.clone(), side, tensor: tensor.into(), expected, found }
}
