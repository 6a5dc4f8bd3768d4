//! Guidance: latents, pose, expression and light step towards what makes the rendered head look like the photo.

use bevy::math::{Quat, Vec2, Vec3};

use super::{
    FaceFit, Fitter, HeadPose, LossWeights, PhotoFit, PhotoTarget,
    adam::Adam,
    elsewhere::Elsewhere,
    head::{self, decoded_gradient, surface_maps},
    landmark_aim::LandmarkAim,
    landmark_loss::{self, landmark_loss},
    light,
    losses::{self, Composite},
    render::{PartLook, ShLight, expression_gradient},
};
use crate::{
    diffusion::{DecodedMaps, Decoder, DiffusionError, Latents},
    runtime::CancelToken,
};

/// Pixels of the chip next to the face's outline that are left out of gradients: these do not see outlines move.
const OUTLINE: usize = 2;

/// Steps from one look of the landmark network at the rendering to the next: the head moves little in between.
const LOOKS: usize = 3;

/// How far the shape follows what it is to be from elsewhere: the photo's pixels and landmarks tell more of it. With all of
/// this, faces are as alike to the recogniser, and a twentieth further from the truth.
const ELSEWHERE_SHAPE: f32 = 0.25;

/// Standard deviation of blendshape weights around those that the landmarks tell.
const EXPRESSION_DEVIATION: f32 = 0.25;

/// Blendshape weights from the landmarks that mean no expression, but a face of its own, and that surely mean one.
const EXPRESSIONS: [f32; 2] = [0.1, 0.4];

/// How to guide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuidanceOptions {
    /// Weights of the losses.
    pub weights: LossWeights,
    /// Samples along each side of a pixel of the chip.
    pub supersampling: usize,
    /// How far one step takes reflectance latents, shape coefficients, blendshape weights and, in radians and
    /// decimetres, the pose.
    pub rates: [f32; 4],
}

impl Default for GuidanceOptions {
    fn default() -> Self {
        Self { weights: LossWeights::default(), supersampling: 2, rates: [0.1, 0.1, 0.02, 0.008] }
    }
}

/// The losses of a head against the photo.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Distance of the embeddings of the photo and of the rendering put over it.
    pub identity: f32,
    /// Distance of the embeddings of the person and of the avatar as it is seen from elsewhere.
    pub elsewhere: f32,
    /// Perceptual loss.
    pub perceptual: f32,
    /// Photometric loss.
    pub photometric: f32,
    /// Landmark loss.
    pub landmarks: f32,
    /// Distance of the shape from what the regressor reads in the photo.
    pub shape_regression: f32,
    /// The same of the diffuse albedo.
    pub albedo_regression: f32,
    /// Their weighted sum.
    pub total: f32,
}

/// A fit on its way.
#[derive(Debug)]
pub struct Guide<'a> {
    fitter: &'a mut Fitter,
    target: &'a PhotoTarget,
    options: GuidanceOptions,
    /// Where the head stands now.
    pub fit: FaceFit,
    /// The light as it was solved last.
    pub light: ShLight,
    steps: [Adam; 4],
    /// How the head's parts look with the person's eyes.
    looks: Vec<PartLook>,
    /// The expression that is expected.
    expression: Vec<f32>,
    /// Where the landmarks are to be.
    aim: LandmarkAim,
    /// How far each pixel of the photo shows the bare face, as the first step finds.
    trust: Option<Vec<f32>>,
    /// Number of the next step.
    next: usize,
}

/// Gradients of the weighted losses.
struct Gradient {
    maps: DecodedMaps,
    vertices: Vec<Vec3>,
    expression: Vec<f32>,
    /// Rotation in radians and translation in decimetres.
    pose: [f32; 6],
}

impl<'a> Guide<'a> {
    /// Begins at a fit of the landmarks.
    pub fn new(
        fitter: &'a mut Fitter,
        target: &'a PhotoTarget,
        fit: FaceFit,
        latents: &Latents,
        options: GuidanceOptions,
    ) -> Self {
        let kinds =
            [(latents.reflectance().len(), 0.5), (latents.shape().len(), 0.5), (fit.expression.len(), 0.5), (6, 0.0)];
        let light = ShLight::constant(Vec3::ONE);
        Self {
            looks: fitter.head.looks(target.iris),
            fitter,
            target,
            options,
            expression: fit.expression.iter().map(|&weight| expected(weight)).collect(),
            fit,
            light,
            aim: LandmarkAim::new(target),
            steps: kinds.map(|(count, shared)| Adam::new(count, shared)),
            trust: None,
            next: 0,
        }
    }

    /// One step: changes the latents, the pose and the expression, and solves the light anew. `anchor` is what the model
    /// predicts; `rate` scales the step.
    ///
    /// # Errors
    /// [`DiffusionError`] when a network fails or `cancel` is called.
    pub fn step(
        &mut self,
        decoder: &mut Decoder,
        latents: &mut Latents,
        anchor: &Latents,
        deviation: [f32; 2],
        rate: f32,
        cancel: &CancelToken,
    ) -> Result<Losses, DiffusionError> {
        let decoded = decoder.maps(latents, cancel)?;
        let vertices = decoder.vertices(latents, cancel)?;
        let threads = self.fitter.threads.clone();
        let (mut losses, mut gradient) = threads.install(|| self.evaluate(&decoded, &vertices, cancel))?;
        let by_coefficients = self.regression(latents, &decoded, &mut losses, &mut gradient.maps);
        let mut reflectance = self.fitter.gradient.reflectance(latents, gradient.maps, cancel)?;
        let mut shape = self.fitter.gradient.shape(latents, &gradient.vertices, cancel)?;
        add(&mut shape, &by_coefficients);
        let prior = self.options.weights.prior;
        let pull = |gradient: &mut [f32], values: &[f32], anchor: &[f32], deviation: f32| {
            let terms = gradient.iter_mut().zip(values.iter().zip(anchor));
            terms.for_each(|(gradient, (value, anchor))| {
                *gradient += prior * (value - anchor) / (deviation * deviation)
            });
        };
        pull(&mut reflectance, latents.reflectance(), anchor.reflectance(), deviation[0]);
        pull(&mut shape, latents.shape(), anchor.shape(), deviation[1]);
        let mut expression = gradient.expression;
        pull(&mut expression, &self.fit.expression, &self.expression, EXPRESSION_DEVIATION);

        let rates = self.options.rates.map(|each| each * rate);
        let [of_reflectance, of_shape, of_expression, of_pose] = &mut self.steps;
        of_reflectance.step(latents.reflectance_mut(), &reflectance, rates[0]);
        of_shape.step(latents.shape_mut(), &shape, rates[1]);
        of_expression.step(&mut self.fit.expression, &expression, rates[2]);
        self.fit.expression.iter_mut().for_each(|weight| *weight = weight.clamp(0.0, 1.0));
        let mut change = [0.0; 6];
        of_pose.step(&mut change, &gradient.pose, rates[3]);
        self.move_head(change);
        self.fit.shape = self.coefficients(latents);
        Ok(losses)
    }

    /// The fit as it stands, judged by the losses of the last step.
    pub fn finish(self, losses: Losses) -> PhotoFit {
        PhotoFit::new(self.target.size, self.fit, self.light, losses)
    }

    /// Losses and gradients of a decoded head.
    fn evaluate(
        &mut self,
        decoded: &DecodedMaps,
        vertices: &[Vec3],
        cancel: &CancelToken,
    ) -> Result<(Losses, Gradient), DiffusionError> {
        let Fitter { head, maps, network, landmarker, .. } = &mut *self.fitter;
        let (target, weights) = (self.target, self.options.weights);
        let posed = head.template.posed(vertices, &self.fit.expression);
        let geometry = head.geometry.moved(&head.surface, posed.clone());
        let mut textures = surface_maps(maps, decoded);
        head.fill_margin(&mut textures);
        let view = target.view(&self.fit.camera, &self.fit.pose, self.options.supersampling);
        let mut scene = head.scene(&geometry, &textures, &self.looks, self.light, view);
        let visibility = scene.visibility();
        let survey = scene.survey(&visibility, &head.mask);
        scene.light = light::solve(&survey, &target.linear, &survey.mask);
        self.light = scene.light;
        let rendering = scene.render(&visibility);
        // What lies within the face and is no skin, eyes and mouth, belongs to it.
        let share: Vec<f32> = (0..survey.mask.len())
            .map(|pixel| survey.mask[pixel] + rendering.coverage[pixel] - rendering.skin[pixel])
            .collect();
        let composite = Composite::new(&rendering, &share, target);
        let landmarks = head.template.landmark_positions(&posed);
        let landmarks: Vec<Vec3> = landmarks.into_iter().map(|point| self.fit.pose.apply(point)).collect();
        if weights.landmarks > 0.0 && self.next % LOOKS == LOOKS - 1 {
            let own: Vec<Vec2> = landmarks.iter().map(|point| self.fit.camera.project(*point)).collect();
            self.aim.renew(landmarker, target, &composite.chip, &own, cancel)?;
        }
        let trust = self.trust.get_or_insert_with(|| losses::trust(&rendering, &share, target));
        let share: Vec<f32> = share.iter().zip(trust).map(|(share, trust)| share * *trust).collect();
        let inner = losses::eroded(&share, target.side, OUTLINE);
        let (photometric, mut by_colour) = composite.photometric(target, &inner);
        by_colour.iter_mut().for_each(|gradient| *gradient *= weights.photometric);
        let seen =
            network.loss(&composite.chip, &target.impression, [weights.recognition, weights.perceptual], cancel)?;
        let mut gradients = scene.gradients(&visibility, &composite.seed(&by_colour, &seen.gradient, &inner));
        let mut by_vertex = std::mem::take(&mut gradients.vertices);
        let rotation = self.fit.pose.rotation;
        let (mut turn, mut shift) = (gradients.rotation, gradients.translation);
        let deviation = landmark_loss::deviation(&self.fit.pose);
        let (landmark_error, mut by_landmark) = landmark_loss(head, &self.fit, &landmarks, &self.aim.places, deviation);
        by_landmark.iter_mut().for_each(|gradient| *gradient *= weights.landmarks);
        for (point, gradient) in landmarks.iter().zip(&by_landmark) {
            turn += (*point - self.fit.pose.translation).cross(*gradient);
            shift += *gradient;
        }
        let in_head_space = by_landmark.into_iter().map(|gradient| rotation.inverse() * gradient);
        landmark_loss::add_to_vertices(&head.template, in_head_space, &mut by_vertex);
        let by_expression = expression_gradient(&head.template, &by_vertex);

        let mut elsewhere = 0.0;
        if weights.elsewhere > 0.0 {
            // At rest: what is seen from there tells nothing of the photo's expression.
            let place = Elsewhere::new(self.next, &self.light);
            let view = place.view(head, vertices, network);
            let weight = weights.elsewhere;
            let judge = |chip: &[Vec3]| {
                let seen = network.loss(chip, &target.person, [weight, 0.0], cancel);
                seen.map(|seen| (weight * seen.identity, seen.gradient))
            };
            let (loss, other) = place.loss(head, (vertices, &textures, &self.looks), view, judge)?;
            elsewhere = loss / weight;
            add(gradients.diffuse.as_flattened_mut(), other.diffuse.as_flattened());
            add(gradients.normals.as_flattened_mut(), other.normals.as_flattened());
            add(&mut gradients.specular, &other.specular);
            let by_shape: Vec<Vec3> = other.vertices.iter().map(|gradient| ELSEWHERE_SHAPE * *gradient).collect();
            add(&mut by_vertex, &by_shape);
        }
        self.next += 1;
        let losses = Losses {
            identity: seen.identity.max(0.0).sqrt(),
            elsewhere: elsewhere.max(0.0).sqrt(),
            perceptual: seen.perceptual,
            photometric,
            landmarks: landmark_error,
            shape_regression: 0.0,
            albedo_regression: 0.0,
            total: weights.recognition * seen.identity
                + weights.elsewhere * elsewhere
                + weights.perceptual * seen.perceptual
                + weights.photometric * photometric
                + weights.landmarks * landmark_error,
        };
        head.gather_margin(&mut gradients);
        let mut by_maps = decoded_gradient(maps, decoded, &gradients.diffuse, &gradients.specular, &gradients.normals);
        head::keep_details(&mut by_maps, &head.mask);
        let gradient = Gradient {
            maps: by_maps,
            expression: by_expression,
            vertices: by_vertex,
            // Decimetres, so that a step means about as much as one in radians.
            pose: [turn.x, turn.y, turn.z, 0.1 * shift.x, 0.1 * shift.y, 0.1 * shift.z],
        };
        Ok((losses, gradient))
    }

    /// Adds how far the latents are from what was read in the photo to the losses, and its gradient by the maps to theirs;
    /// returns that by the shape latents.
    fn regression(
        &self,
        latents: &Latents,
        decoded: &DecodedMaps,
        losses: &mut Losses,
        by_maps: &mut DecodedMaps,
    ) -> Vec<f32> {
        let Some(reading) = &self.target.reading else { return vec![0.0; latents.shape().len()] };
        let LossWeights { shape_regression, albedo_regression, .. } = self.options.weights;
        let (shape, by_shape) = reading.shape_loss(&self.coefficients(latents));
        let (albedo, by_diffuse) = reading.diffuse_loss(decoded, &self.fitter.head.chart);
        let diffuse = by_maps.diffuse.iter_mut().zip(&by_diffuse);
        diffuse.for_each(|(gradient, part)| *gradient += albedo_regression * part);
        losses.total += shape_regression * shape + albedo_regression * albedo;
        (losses.shape_regression, losses.albedo_regression) = (shape, albedo);
        by_shape.iter().map(|slope| shape_regression * slope / self.fitter.shape_scale).collect()
    }

    /// Shape latents in standard deviations of the shape basis.
    fn coefficients(&self, latents: &Latents) -> Vec<f32> {
        latents.shape().iter().map(|value| value / self.fitter.shape_scale).collect()
    }

    fn move_head(&mut self, change: [f32; 6]) {
        let HeadPose { rotation, translation } = &mut self.fit.pose;
        *rotation = (Quat::from_scaled_axis(Vec3::new(change[0], change[1], change[2])) * *rotation).normalize();
        *translation += 0.1 * Vec3::new(change[3], change[4], change[5]);
    }
}

/// What a blendshape weight from the landmarks lets expect.
fn expected(weight: f32) -> f32 {
    let share = ((weight - EXPRESSIONS[0]) / (EXPRESSIONS[1] - EXPRESSIONS[0])).clamp(0.0, 1.0);
    weight * share * share * (3.0 - 2.0 * share)
}

fn add<T: std::ops::AddAssign + Copy>(sums: &mut [T], parts: &[T]) {
    sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += *part);
}
