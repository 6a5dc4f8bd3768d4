//! Checks of the manifest's sections about the generator and the template head.

use super::{Checker, is_sha256};
use crate::bundle::{BundleError, Generator, MapDescription, Network, NoiseSchedule, Template, files::MAX_FILE_BYTES};

/// Vertices that 16-bit triangles can reach.
const MAX_VERTICES: usize = 1 << 16;

/// Morph targets that a Bevy mesh can have.
const MAX_BLENDSHAPES: usize = 256;

impl Checker<'_> {
    pub(super) fn generator(&self, generator: &Generator) -> Result<(), BundleError> {
        let networks = &generator.networks;
        for (place, name) in [
            ("unet", &networks.unet),
            ("reflectance_decoder_vjp", &networks.reflectance_decoder_vjp),
            ("shape_decoder", &networks.shape_decoder),
            ("shape_decoder_vjp", &networks.shape_decoder_vjp),
            ("recogniser_features", &networks.recogniser_features),
            ("recogniser_loss", &networks.recogniser_loss),
        ] {
            self.named_network(&format!("generator.networks.{place}"), name)?;
        }
        self.schedule(&generator.schedule)?;
        let identity = &self.manifest.face.identity;
        let recogniser = self.named_network("face.identity", &identity.network)?;
        let embedding = self.output("face.identity.embedding", recogniser, &identity.embedding)?;
        let length = generator.embedding_size;
        let fits = embedding.shape.last() == Some(&length);
        self.expect(fits, "generator.embedding_size", format!("the length of {embedding}"), length)?;
        let temperature = &generator.temperature;
        self.in_range("generator.temperature.reflectance", temperature.reflectance, 0.0..=2.0)?;
        self.in_range("generator.temperature.shape", temperature.shape, 0.0..=2.0)?;
        for (place, scale) in
            [("reflectance_latent", generator.reflectance_latent.scale), ("shape_latent", generator.shape_latent.scale)]
        {
            let place = format!("generator.{place}.scale");
            self.expect(scale.is_finite() && scale > 0.0, &place, "a positive number", scale)?;
        }
        self.latent_input(generator)?;
        let maps = &generator.maps;
        for (name, map, channels) in
            [("diffuse", &maps.diffuse, 3), ("specular", &maps.specular, 1), ("normals", &maps.normals, 3)]
        {
            self.map(&format!("generator.maps.{name}"), map, channels, &networks.reflectance_decoder)?;
        }
        match &self.manifest.template {
            Some(template) => {
                let (found, expected) = (generator.shape_latent.coefficients, template.components);
                self.expect(found == expected, "generator.shape_latent.coefficients", expected, found)?;
            }
            None => return Err(self.contradiction("template", "a template head for the generator", "none")),
        }
        networks.regressor.iter().try_for_each(|regressor| self.regressor(generator, regressor))?;
        networks.iris_reader.iter().try_for_each(|reader| self.iris_reader(reader))
    }

    fn regressor(&self, generator: &Generator, name: &str) -> Result<(), BundleError> {
        let network = self.named_network("generator.networks.regressor", name)?;
        let (coefficients, maps) = (generator.shape_latent.coefficients, &generator.maps);
        let place = |output: &str| format!("networks.{name}.outputs.{output}");
        let output = |name: &str| self.output(&place(name), network, name);
        for shape in ["shape", "shape_deviation"] {
            self.shape(&place(shape), output(shape)?, &[1, coefficients])?;
        }
        let diffuse = output("diffuse")?;
        let size = diffuse.shape.last().copied().unwrap_or(0);
        let divides = size > 0 && maps.diffuse.size.is_multiple_of(size);
        self.expect(divides, &place("diffuse"), format!("a side that divides {}", maps.diffuse.size), diffuse)?;
        self.shape(&place("diffuse"), diffuse, &[1, maps.diffuse.channels, size, size])?;
        self.shape(&place("diffuse_deviation"), output("diffuse_deviation")?, &[1, 1, size, size])?;
        self.regressor_inputs(generator, name, network)
    }

    /// The regressor is given what the front-end says of a face: the recogniser's outputs, landmarks, and the chip.
    fn regressor_inputs(&self, generator: &Generator, name: &str, network: &Network) -> Result<(), BundleError> {
        let identity = &self.manifest.face.identity;
        let (points, side) = self.face_sizes()?;
        let own: [(&str, &[usize]); 4] = [
            ("landmarks", &[1, points, 3]),
            ("rotation", &[1, 3]),
            ("chip", &[1, 3, side, side]),
            ("places", &[1, points, 2]),
        ];
        let seen = generator.perceptual_layers.iter().chain([&identity.embedding]);
        let given: Vec<&str> = own.iter().map(|(name, _)| *name).chain(seen.map(String::as_str)).collect();
        self.inputs(name, network, &given, &own)
    }

    fn iris_reader(&self, name: &str) -> Result<(), BundleError> {
        let network = self.named_network("generator.networks.iris_reader", name)?;
        let place = format!("networks.{name}.outputs.iris");
        self.shape(&place, self.output(&place, network, "iris")?, &[1, 3])?;
        let (points, side) = self.face_sizes()?;
        self.inputs(name, network, &["chip", "places"], &[("chip", &[1, 3, side, side]), ("places", &[1, points, 2])])
    }

    /// How many landmarks a face has, and the side of its chip.
    fn face_sizes(&self) -> Result<(usize, usize), BundleError> {
        let face = &self.manifest.face;
        let landmarks = self.named_network("face.landmarks", &face.landmarks.network)?;
        let points = self.output("face.landmarks.points", landmarks, &face.landmarks.points)?.shape[1];
        let (_, side) = self.image_network("face.identity", &face.identity.network)?;
        Ok((points, side))
    }

    /// A network takes the `given` inputs and no others, those in `shapes` in that shape.
    fn inputs(
        &self,
        name: &str,
        network: &Network,
        given: &[&str],
        shapes: &[(&str, &[usize])],
    ) -> Result<(), BundleError> {
        let inputs: Vec<&str> = network.inputs.iter().map(|input| input.name.as_str()).collect();
        let fits = inputs.len() == given.len() && given.iter().all(|name| inputs.contains(name));
        self.expect(fits, &format!("networks.{name}.inputs"), given.join(", "), inputs.join(", "))?;
        network.inputs.iter().try_for_each(|spec| {
            let shape = shapes.iter().find(|(input, _)| *input == spec.name).map(|(_, shape)| *shape);
            shape.map_or(Ok(()), |shape| self.shape(&format!("networks.{name}.inputs.{}", spec.name), spec, shape))
        })
    }

    fn latent_input(&self, generator: &Generator) -> Result<(), BundleError> {
        let name = &generator.networks.reflectance_decoder;
        let decoder = self.named_network("generator.networks.reflectance_decoder", name)?;
        let [channels, height, width] = generator.reflectance_latent.shape;
        let shape = [1, channels, height, width];
        let fits = matches!(&decoder.inputs[..], [latent] if latent.shape == shape);
        self.expect(fits, &format!("networks.{name}.inputs"), format!("one f32{shape:?}"), decoder.inputs.len())
    }

    fn schedule(&self, schedule: &NoiseSchedule) -> Result<(), BundleError> {
        let NoiseSchedule { train_timesteps: steps, alphas_cumprod: alphas, .. } = schedule;
        let place = "generator.schedule.alphas_cumprod";
        self.expect(
            *steps > 0 && alphas.len() == *steps,
            place,
            format!("{steps} numbers, one or more"),
            alphas.len(),
        )?;
        let inside = alphas.iter().all(|alpha| *alpha > 0.0 && *alpha < 1.0);
        self.expect(inside, place, "numbers between 0 and 1", "others")?;
        let falling = alphas.is_sorted_by(|a, b| a > b);
        self.expect(falling, place, "falling numbers", "others")
    }

    fn map(&self, place: &str, map: &MapDescription, channels: usize, decoder: &str) -> Result<(), BundleError> {
        self.expect(map.channels == channels, &format!("{place}.channels"), channels, map.channels)?;
        self.input_range(place, map.range)?;
        let network = self.named_network("generator.networks.reflectance_decoder", decoder)?;
        let output = self.output(&format!("{place}.output"), network, &map.output)?;
        self.shape(&format!("{place}.size"), output, &[1, channels, map.size, map.size])
    }

    pub(super) fn template(&self, template: &Template) -> Result<(), BundleError> {
        let file = &template.file;
        self.expect(is_sha256(&file.sha256), "template.file.sha256", "64 lower-case hexadecimal digits", &file.sha256)?;
        let vertices = template.vertices;
        self.expect((3..=MAX_VERTICES).contains(&vertices), "template.vertices", "3 to 65,536", vertices)?;
        let count = template.blendshapes.len();
        self.expect(count <= MAX_BLENDSHAPES, "template.blendshapes", "at most 256", count)?;
        let (mut next_vertex, mut next_triangle) = (0, 0);
        for part in &template.parts {
            let place = format!("template.parts.{}", part.name);
            let starts = [part.vertices[0], part.triangles[0]];
            let expected = [next_vertex, next_triangle];
            self.expect(starts == expected, &place, format!("a start at {expected:?}"), format!("{starts:?}"))?;
            next_vertex = next_vertex.saturating_add(part.vertices[1]);
            next_triangle = next_triangle.saturating_add(part.triangles[1]);
        }
        let expected = format!("{vertices} vertices and {} triangles", template.triangles);
        let whole = next_vertex == vertices && next_triangle == template.triangles;
        self.expect(whole, "template.parts", expected, format!("{next_vertex} and {next_triangle}"))?;
        for (name, section) in &template.sections {
            let bytes = section.shape.iter().try_fold(section.dtype.size() as u64, |product, &axis| {
                product.checked_mul(axis as u64).filter(|&bytes| bytes <= MAX_FILE_BYTES)
            });
            let end = bytes.and_then(|bytes| bytes.checked_add(section.offset as u64));
            let fits = end.is_some_and(|end| end <= file.bytes);
            let place = format!("template.sections.{name}");
            self.expect(fits, &place, format!("an end within {} bytes", file.bytes), format!("{section:?}"))?;
        }
        Ok(())
    }
}
