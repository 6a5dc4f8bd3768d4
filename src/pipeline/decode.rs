//! The decoders: latents to maps and vertices.

use bevy::math::Vec3;

use super::{AvatarMaps, PipelineError};
use crate::{
    bundle::{Bundle, BundleError, ColourSpace, Generator, MANIFEST_FILE, Maps, Template},
    diffusion::Latents,
    runtime::{AnyTensor, CancelToken, ElementType, Model, Runtime, RuntimeError, Tensor, TensorSpec},
};

/// The networks that decode latents.
#[derive(Debug)]
pub(super) struct Decoder {
    reflectance: Model,
    reflectance_scale: f32,
    maps: Maps,
    shape: Model,
    shape_scale: f32,
}

impl Decoder {
    pub fn load(
        bundle: &Bundle,
        runtime: &Runtime,
        generator: &Generator,
        template: &Template,
    ) -> Result<Self, PipelineError> {
        check_maps(bundle, &generator.maps)?;
        let networks = &generator.networks;
        let reflectance = bundle.load(runtime, &networks.reflectance_decoder)?;
        let [channels, height, width] = generator.reflectance_latent.shape;
        check_single(&reflectance, "input", &reflectance.spec().inputs, &[1, channels, height, width])?;
        let shape = bundle.load(runtime, &networks.shape_decoder)?;
        check_single(&shape, "input", &shape.spec().inputs, &[1, generator.shape_latent.coefficients])?;
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
    pub fn maps(&mut self, latents: &Latents, cancel: &CancelToken) -> Result<AvatarMaps, PipelineError> {
        let maps = &self.maps;
        let outputs = [&maps.diffuse.output, &maps.specular.output, &maps.normals.output];
        let [diffuse, specular, normals] =
            run(&mut self.reflectance, latents.reflectance(), self.reflectance_scale, outputs, cancel)?;
        Ok(AvatarMaps::encode(maps, &diffuse, &specular, &normals))
    }

    /// The vertices of clean latents, which are multiplied with the bundle's scale; metres, in the template's order.
    pub fn vertices(&mut self, latents: &Latents, cancel: &CancelToken) -> Result<Vec<Vec3>, PipelineError> {
        let output = self.shape.spec().outputs[0].name.clone();
        let [vertices] = run(&mut self.shape, latents.shape(), self.shape_scale, [&output], cancel)?;
        Ok(vertices.as_chunks::<3>().0.iter().copied().map(Vec3::from_array).collect())
    }
}

/// Runs a decoder on latents divided by their scale. The outputs have the lengths that the network's description
/// states, and are finite.
fn run<const OUTPUTS: usize>(
    model: &mut Model,
    latents: &[f32],
    scale: f32,
    outputs: [&String; OUTPUTS],
    cancel: &CancelToken,
) -> Result<[Vec<f32>; OUTPUTS], PipelineError> {
    let input = model.spec().inputs[0].clone();
    let latents: AnyTensor = Tensor::new(input.shape, latents.iter().map(|value| value / scale).collect())?.into();
    let mut found = model.run(&[(&input.name, &latents)], cancel)?;
    let mut taken = [const { Vec::new() }; OUTPUTS];
    for (taken, name) in taken.iter_mut().zip(outputs) {
        let tensor = found.take::<f32>(name)?;
        let spec = model.spec().outputs.iter().find(|spec| spec.name == *name);
        if let Some(spec) = spec.filter(|spec| spec.shape != tensor.shape()) {
            return Err(signature(model, "output", name, spec.to_string(), format!("f32{:?}", tensor.shape())).into());
        }
        if !tensor.data().iter().all(|value| value.is_finite()) {
            return Err(PipelineError::Output { network: model.spec().name.clone(), output: name.clone() });
        }
        *taken = tensor.into_data();
    }
    Ok(taken)
}

/// Checks what [`AvatarMaps`] takes for granted.
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
fn check_single(
    model: &Model,
    side: &'static str,
    tensors: &[TensorSpec],
    shape: &[usize],
) -> Result<(), RuntimeError> {
    match tensors {
        [TensorSpec { element: ElementType::F32, shape: found, .. }] if found == shape => Ok(()),
        tensors => {
            let names = tensors.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>().join(", ");
            let found = tensors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(signature(model, side, &names, format!("a single f32{shape:?}"), found))
        }
    }
}

fn signature(model: &Model, side: &'static str, tensor: &str, expected: String, found: String) -> RuntimeError {
    RuntimeError::Signature { model: model.spec().name.clone(), side, tensor: tensor.into(), expected, found }
}
