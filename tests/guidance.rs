//! Guidance: what it promises of a real photo, and that its gradients are those of the networks.

mod common;

use std::f32::consts::PI;

use bevy::math::{Quat, Vec3};
use bevy_fitdiff::{
    diffusion::{DecodedMaps, Decoder, DecoderGradient, LatentLayout, Latents, NoiseSource},
    face::{FaceAnalyser, FaceChoice, Identity},
    fitting::{
        Fitter, FittingHead, HeadPose, LossNetwork, PhotoFit,
        render::{Rays, ShLight, View},
    },
    pipeline::{AvatarData, GenerateOptions, GenerateRequest, Guidance, Pipeline, RecipeSource, Source},
    runtime::{CancelToken, Runtime, RuntimeOptions},
};
use common::{ASTRONAUT, bundle, reference_pixels, repository, selfie};
use serde::Deserialize;

fn runtime() -> Runtime {
    Runtime::new(RuntimeOptions::default()).unwrap()
}

fn generate(pipeline: &mut Pipeline, guidance: Guidance) -> AvatarData {
    let options = GenerateOptions { steps: 10, guidance, ..Default::default() };
    let request = GenerateRequest { source: Source::Photos(vec![selfie(ASTRONAUT).into()]), seed: 1, options };
    pipeline.generate(&request, &CancelToken::default(), &mut |_| {}).unwrap()
}

/// The avatar's identity as a camera sees it.
fn seen(data: &AvatarData, view: View, light: ShLight, expression: &[f32], analyser: &mut FaceAnalyser) -> Identity {
    let head = FittingHead::new(data.head.clone(), data.maps.size);
    let picture = data.portrait(&head, view, light, expression, [90, 95, 100]);
    analyser.analyse(&picture, FaceChoice::MostProminent, &CancelToken::default()).unwrap().face.identity
}

/// From where the photo was taken, in its light and expression.
fn as_in_the_photo(data: &AvatarData, fit: &PhotoFit, analyser: &mut FaceAnalyser) -> Identity {
    let (width, height) = fit.photo_size;
    let (width, height) = (width as usize, height as usize);
    let HeadPose { rotation, translation } = fit.pose;
    let rays = Rays::perspective(fit.camera.vertical_field_of_view(height as u32), width, height);
    let view = View { rotation, translation, rays, width, height, supersampling: 2 };
    seen(data, view, fit.light, &fit.expression, analyser)
}

/// As guidance never saw it: turned by 15 degrees, without an expression, lit from the other side.
fn from_elsewhere(data: &AvatarData, analyser: &mut FaceAnalyser) -> Identity {
    let mut light = ShLight::constant(Vec3::splat(0.9));
    light.0[3] = Vec3::splat(0.5);
    light.0[2] = Vec3::splat(0.4);
    seen(data, studio(15.0), light, &[], analyser)
}

/// What the regressor reads of her crown when its inputs are made in numpy, sRGB of 0 to 255: brown hair.
const HAIR: Vec3 = Vec3::new(89.7, 69.1, 53.1);

/// Mean diffuse albedo of the crown, sRGB of 0 to 255.
fn crown(data: &AvatarData) -> Vec3 {
    let side = data.maps.size;
    let texels: Vec<Vec3> = (side / 50..side / 10)
        .flat_map(|y| data.maps.diffuse[y * side + side / 4..][..side / 2].iter())
        .map(|texel| Vec3::from_array(texel.map(f32::from)))
        .collect();
    texels.iter().sum::<Vec3>() / texels.len() as f32
}

/// A head and shoulders, turned by so many degrees.
fn studio(yaw: f32) -> View {
    View {
        rotation: Quat::from_rotation_y(yaw.to_radians()),
        translation: Vec3::new(0.0, 0.03, -0.9),
        rays: Rays::perspective(0.45, 400, 400),
        width: 400,
        height: 400,
        supersampling: 2,
    }
}

#[test]
fn the_avatar_of_a_photo_comes_nearer_to_the_person() {
    let (runtime, bundle) = (runtime(), bundle());
    let mut pipeline = Pipeline::load(&bundle, &runtime).unwrap();
    let mut analyser = FaceAnalyser::load(&bundle, &runtime).unwrap();
    let unguided = generate(&mut pipeline, Guidance::Off);
    let guided = generate(&mut pipeline, Guidance::Fast);

    assert!(unguided.fit.is_none());
    let fit = guided.fit.as_ref().expect("the photo guides");
    assert!(fit.confidence > 0.5, "{fit:?}");
    let yaw = 2.0 * fit.pose.rotation.y.asin().to_degrees();
    assert!(yaw.abs() < 25.0, "she looks nearly straight into the camera: {yaw}°");
    let chin = guided.face.as_ref().unwrap().landmarks.pixel(152);
    let posed = guided.head.posed(&guided.vertices, &fit.expression);
    let place = fit.camera.project(fit.pose.apply(guided.head.landmark_positions(&posed)[152]));
    assert!(place.distance(chin) < 12.0, "the chin is at {chin}, rendered at {place}");

    let person = guided.identity.as_ref().unwrap();
    let [before, after] = [&unguided, &guided].map(|data| as_in_the_photo(data, fit, &mut analyser).distance(person));
    println!("in the photo's pose: {before} became {after}");
    assert!(after < before - 0.02, "{before} became {after}");
    let [before, after] = [&unguided, &guided].map(|data| from_elsewhere(data, &mut analyser).distance(person));
    println!("from elsewhere: {before} became {after}");
    assert!(after < before + 0.03 && after < 0.6, "{before} became {after}");

    let [before, after] = [&unguided, &guided].map(crown);
    println!("hair, sRGB: {before} became {after}");
    let [before, after] = [before, after].map(|hair| hair.distance(HAIR));
    // Not all the way: what is aimed at is the mean with the mirror image's, as far as the fit is relied on.
    assert!(after < before - 5.0, "from what is read of her hair: {before} became {after}");

    let RecipeSource::Latents { .. } = &guided.recipe.source else { panic!("{:?}", guided.recipe) };
    let again = pipeline.regenerate(&guided.recipe, &CancelToken::default(), &mut |_| {}).unwrap();
    assert!(again.maps == guided.maps && again.vertices == guided.vertices, "the photo is not needed again");
    let same = generate(&mut pipeline, Guidance::Fast);
    assert!(same.maps == guided.maps, "guidance is reproducible");
}

/// What the regressor and the iris reader read in the shipped photos when their inputs are made in numpy; written by
/// `tests/reference/regressor.py`.
#[derive(Deserialize)]
struct ReadingReference {
    cells: usize,
    photos: Vec<PhotoReading>,
}

#[derive(Deserialize)]
struct PhotoReading {
    file: String,
    shape: Vec<f32>,
    diffuse: Vec<f32>,
    iris: Vec<f32>,
}

#[test]
fn photos_are_read_as_the_reference_reads_them() {
    let (runtime, bundle) = (runtime(), bundle());
    let text = std::fs::read_to_string(repository().join("tests/reference/regressor.json")).unwrap();
    let reference: ReadingReference = serde_json::from_str(&text).unwrap();
    let mut analyser = FaceAnalyser::load(&bundle, &runtime).unwrap();
    let generator = bundle.manifest().generator.as_ref().unwrap();
    let mut fitter = Fitter::load(&bundle, &runtime, generator, bundle.load_head().unwrap().into()).unwrap();
    let mut pipeline = Pipeline::load(&bundle, &runtime).unwrap();
    let cancel = CancelToken::default();
    assert_eq!(reference.photos.len(), 2);
    for photo in reference.photos {
        let pixels = reference_pixels(&photo.file);
        let face = analyser.analyse(&pixels, FaceChoice::MostProminent, &cancel).unwrap().face;
        let target = fitter.target(&face, pixels.dimensions(), &cancel).unwrap();
        let reading = target.reading().expect("the default bundle has a regressor");
        let largest = |found: &[f32], expected: &[f32]| {
            assert_eq!(found.len(), expected.len());
            found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        let (size, square) = (reading.size, reading.size / reference.cells);
        let mut cells = vec![0.0; 3 * reference.cells * reference.cells];
        for (index, value) in reading.diffuse.iter().enumerate() {
            let (channel, row, column) = (index / (size * size), index / size % size, index % size);
            let cell = (channel * reference.cells + row / square) * reference.cells + column / square;
            cells[cell] += value / (square * square) as f32;
        }
        let errors = [largest(&reading.shape, &photo.shape), largest(&cells, &photo.diffuse)];
        println!("{}: shape within {} deviations, albedo within {}", photo.file, errors[0], errors[1]);
        assert!(errors[0] < 0.05 && errors[1] < 0.01, "{}: {errors:?}", photo.file);
        let options = GenerateOptions { steps: 1, guidance: Guidance::Off, ..Default::default() };
        let request = GenerateRequest { source: Source::Photos(vec![pixels.into()]), seed: 1, options };
        let person = pipeline.generate(&request, &cancel, &mut |_| {}).unwrap();
        let iris = person.recipe.iris.expect("the default bundle reads irises");
        println!("{}: irises {iris:?}, in numpy {:?}", photo.file, photo.iris);
        assert!(largest(&iris, &photo.iris) < 0.005, "{}: {iris:?}", photo.file);
    }
}

#[test]
fn shape_and_tone_are_read_from_a_picture() {
    let (runtime, bundle) = (runtime(), bundle());
    let mut pipeline = Pipeline::load(&bundle, &runtime).unwrap();
    let mut analyser = FaceAnalyser::load(&bundle, &runtime).unwrap();
    let generator = bundle.manifest().generator.as_ref().unwrap();
    let mut fitter = Fitter::load(&bundle, &runtime, generator, pipeline.head().clone()).unwrap();
    let cancel = CancelToken::default();
    let (mut tones, mut distances) = (Vec::new(), [0.0; 2]);
    for seed in 1..=6 {
        let options = GenerateOptions { steps: 10, ..Default::default() };
        let request = GenerateRequest { source: Source::Random, seed, options };
        let person = pipeline.generate(&request, &cancel, &mut |_| {}).unwrap();
        let head = FittingHead::new(person.head.clone(), person.maps.size);
        let light = ShLight::constant(Vec3::ONE);
        let picture = person.portrait(&head, studio(10.0), light, &[], [90, 95, 100]);
        let face = analyser.analyse(&picture, FaceChoice::MostProminent, &cancel).unwrap().face;
        let target = fitter.target(&face, picture.dimensions(), &cancel).unwrap();
        let reading = target.reading().expect("the default bundle has a regressor");

        let known: Vec<f32> = person.latents.shape().iter().map(|value| value / person.shape_scale).collect();
        let distance = |to: &[f32]| {
            let square = |((a, b), deviation): ((&f32, &f32), &f32)| ((a - b) / deviation).powi(2);
            known.iter().zip(to).zip(&reading.shape_deviation).map(square).sum::<f32>()
        };
        let (read, mean) = (distance(&reading.shape), distance(&vec![0.0; known.len()]));
        println!("person {seed}: {read} from what is read, {mean} from the mean head");
        distances = [distances[0] + read, distances[1] + mean];

        // The middle of the map lies on the nose.
        let middle = |size: usize| size * size / 2 + size / 2;
        let own: f32 =
            person.maps.diffuse[middle(person.maps.size)].iter().map(|value| f32::from(*value) / 255.0).sum();
        let cells = reading.size * reading.size;
        let read: f32 = (0..3).map(|channel| reading.diffuse[channel * cells + middle(reading.size)]).sum();
        tones.push((own, read));
    }
    assert!(distances[0] < 0.95 * distances[1], "what is read is nearer than the mean head: {distances:?}");
    let by_tone = |order: fn(&(f32, f32)) -> f32| {
        let mut people: Vec<usize> = (0..tones.len()).collect();
        people.sort_by(|a, b| order(&tones[*a]).total_cmp(&order(&tones[*b])));
        [people[0], people[5]]
    };
    println!("{tones:?}");
    assert_eq!(by_tone(|tone| tone.0), by_tone(|tone| tone.1), "the darkest and the lightest one: {tones:?}");
}

#[test]
fn a_cancelled_guidance_ends_within_a_gradient_step() {
    let mut pipeline = Pipeline::load(&bundle(), &runtime()).unwrap();
    let options = GenerateOptions { steps: 10, guidance: Guidance::Best, ..Default::default() };
    let request = GenerateRequest { source: Source::Photos(vec![selfie(ASTRONAUT).into()]), seed: 3, options };
    let cancel = CancelToken::default();
    let mut last = 0.0;
    let result = pipeline.generate(&request, &cancel, &mut |progress| {
        assert!(progress.fraction >= last, "{} after {last}", progress.fraction);
        last = progress.fraction;
        if last > 0.3 {
            cancel.cancel();
        }
    });
    assert!(matches!(result, Err(bevy_fitdiff::pipeline::PipelineError::Cancelled)), "{result:?}");
    assert!(last < 0.4, "{last}");
}

#[test]
fn gradients_of_the_decoders_are_those_of_differences() {
    let (runtime, bundle) = (runtime(), bundle());
    let manifest = bundle.manifest();
    let (generator, template) = (manifest.generator.as_ref().unwrap(), manifest.template.as_ref().unwrap());
    let mut decoder = Decoder::load(&bundle, &runtime, generator, template).unwrap();
    let mut gradient = DecoderGradient::load(&bundle, &runtime, generator).unwrap();
    let (cancel, layout) = (CancelToken::default(), LatentLayout::from(generator));
    let source = NoiseSource::new(5);
    let latents = source.latents(layout, 0);
    let direction = source.latents(layout, 1);
    let decoded = decoder.maps(&latents, &cancel).unwrap();
    let wave =
        |count: usize, salt: f32| -> Vec<f32> { (0..count).map(|i| (i as f32 * salt % (2.0 * PI)).sin()).collect() };
    let seed = DecodedMaps {
        size: decoded.size,
        diffuse: wave(decoded.diffuse.len(), 0.37),
        specular: wave(decoded.specular.len(), 0.53),
        normals: wave(decoded.normals.len(), 0.71),
    };
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let moved = |step: f64| Latents::combine(1.0, &latents, step, &direction);
    let mut value = |step: f64| {
        let maps = decoder.maps(&moved(step), &cancel).unwrap();
        dot(&maps.diffuse, &seed.diffuse) + dot(&maps.specular, &seed.specular) + dot(&maps.normals, &seed.normals)
    };
    let found = dot(&gradient.reflectance(&latents, seed.clone(), &cancel).unwrap(), direction.reflectance());
    let expected = (value(1e-2) - value(-1e-2)) / 2e-2;
    assert!((found / expected - 1.0).abs() < 1e-3, "{found} is not {expected}");

    let weights: Vec<Vec3> =
        (0..template.vertices).map(|i| Vec3::new((i as f32).sin(), 0.5, (i as f32).cos())).collect();
    // Vertices are linear in the coefficients, so that the step may be long.
    let mut value = |step: f64| {
        let vertices = decoder.vertices(&moved(step), &cancel).unwrap();
        vertices.iter().zip(&weights).map(|(vertex, weight)| f64::from(vertex.dot(*weight))).sum::<f64>()
    };
    let found = dot(&gradient.shape(&latents, &weights, &cancel).unwrap(), direction.shape());
    let difference = (value(1.0) - value(-1.0)) / 2.0;
    assert!((found / difference - 1.0).abs() < 1e-3, "{found} is not {difference}");
}

/// How the losses of a chip change along directions, by differences in double precision.
#[derive(Deserialize)]
struct Slopes {
    losses: [f64; 2],
    directions: Vec<Slope>,
}

#[derive(Deserialize)]
struct Slope {
    wave_number: f32,
    slopes: [f64; 2],
}

#[test]
fn gradients_of_the_recogniser_are_those_of_differences() {
    let (runtime, bundle, cancel) = (runtime(), bundle(), CancelToken::default());
    let mut network = LossNetwork::load(&bundle, &runtime, bundle.manifest().generator.as_ref().unwrap()).unwrap();
    let text = std::fs::read_to_string(repository().join("tests/reference/recogniser.json")).unwrap();
    let expected: Slopes = serde_json::from_str(&text).unwrap();
    let side = network.side();
    // Pictures and directions as in recogniser.py.
    let pixels = |value: &dyn Fn(f32, f32, usize, f32) -> f32| -> Vec<Vec3> {
        let place = |index: usize| index as f32 / side as f32;
        let pixel = |i: usize| Vec3::from([0.0, 1.0, 2.0].map(|c| value(place(i % side), place(i / side), i, c)));
        (0..side * side).map(pixel).collect()
    };
    let picture = |salt: f32| {
        pixels(&|x, y, i, c| {
            let smooth = (5.0 * x + 2.0 * c + salt).sin() * (4.0 * y - salt).cos();
            0.5 + 0.3 * smooth + 0.05 * (((7919 * i + 389 * c as usize) % 1009) as f32 / 1009.0 - 0.5)
        })
    };
    let person = network.look_at(&picture(3.1), &cancel).unwrap();
    for which in 0..2 {
        let mut weights = [0.0; 2];
        weights[which] = 1.0;
        let found = network.loss(&picture(1.0), &person, weights, &cancel).unwrap();
        let loss = f64::from([found.identity, found.perceptual][which]);
        assert!((loss / expected.losses[which] - 1.0).abs() < 1e-4, "{loss} is not {}", expected.losses[which]);
        let size = found.gradient.iter().map(|gradient| f64::from(gradient.length_squared())).sum::<f64>().sqrt();
        for Slope { wave_number, slopes } in &expected.directions {
            let direction = pixels(&|x, y, _, c| (wave_number * (x + 0.7 * y) + c).sin());
            let slope: f64 = found.gradient.iter().zip(&direction).map(|(a, b)| f64::from(a.dot(*b))).sum();
            let error = (slope - slopes[which]).abs() / size;
            assert!(error < 1e-3, "{wave_number}: {slope} is not {}, of a gradient of {size}", slopes[which]);
        }
    }
}
