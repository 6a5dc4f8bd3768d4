//! Changing a generated face: what the sliders say is what is measured on the decoded head.

use std::sync::Mutex;

use bevy_fitdiff::{
    bundle::{Bundle, TemplateHead},
    diffusion::{Decoder, LatentLayout, Latents},
    pipeline::{
        AvatarData, GenerateOptions, GenerateRequest, Guidance, Pipeline, RecipeSource, ShapeEdits, ShapeTraits, Source,
    },
    runtime::{CancelToken, Runtime, RuntimeOptions},
};

mod common;

/// Landmarks of the dense face mesh: the nose's root and base, its wings, and the mouth's corners.
const NOSE_ROOT: usize = 168;
const NOSE_BASE: usize = 2;
const NOSE_LEFT: usize = 358;
const NOSE_RIGHT: usize = 129;
const MOUTH_LEFT: usize = 291;
const MOUTH_RIGHT: usize = 61;

struct Heads {
    head: TemplateHead,
    decoder: Decoder,
    layout: LatentLayout,
    scale: f32,
}

impl Heads {
    fn load() -> Self {
        let bundle: Bundle = common::bundle();
        let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
        let manifest = bundle.manifest();
        let (generator, template) = (manifest.generator.as_ref().unwrap(), manifest.template.as_ref().unwrap());
        Self {
            head: bundle.load_head().unwrap(),
            decoder: Decoder::load(&bundle, &runtime, generator, template).unwrap(),
            layout: generator.into(),
            scale: generator.shape_latent.scale,
        }
    }

    /// Landmarks on the decoded vertices of a shape.
    fn landmarks(&mut self, shape: &[f32]) -> Vec<bevy::math::Vec3> {
        let mut latents = Latents::zeros(self.layout);
        latents.shape_mut().iter_mut().zip(shape).for_each(|(to, from)| *to = from * self.scale);
        let vertices = self.decoder.vertices(&latents, &CancelToken::default()).unwrap();
        self.head.landmark_positions(&vertices)
    }
}

#[test]
fn a_longer_nose_is_longer_on_the_decoded_head_and_little_else_changes() {
    let mut heads = Heads::load();
    let traits = ShapeTraits::new(&heads.head);
    let index = traits.index("nose_length").unwrap();
    let nose = &traits.traits()[index];
    let average = vec![0.0; traits.coefficients()];
    let before = heads.landmarks(&average);
    let length = |marks: &[bevy::math::Vec3]| marks[NOSE_ROOT].y - marks[NOSE_BASE].y;
    assert!((length(&before) - nose.mean()).abs() < 1e-5, "{} m", length(&before));
    assert!((0.03..0.08).contains(&nose.mean()) && (0.001..0.006).contains(&nose.deviation()), "{nose:?}");
    for deviations in [1.0, -1.0, 2.0] {
        let after = heads.landmarks(&traits.moved(&average, index, deviations));
        let grown = length(&after) - length(&before);
        assert!((grown - deviations * nose.deviation()).abs() < 1e-5, "{grown} m for {deviations}");
        // No wider, and the mouth as wide as before.
        for [left, right] in [[NOSE_LEFT, NOSE_RIGHT], [MOUTH_LEFT, MOUTH_RIGHT]] {
            let width = |marks: &[bevy::math::Vec3]| marks[left].x - marks[right].x;
            assert!((width(&after) - width(&before)).abs() < 1e-3, "{} {}", width(&before), width(&after));
        }
    }
}

#[test]
fn each_trait_moves_by_what_is_said_and_leaves_the_others_alone() {
    let head = common::bundle().load_head().unwrap();
    let traits = ShapeTraits::new(&head);
    let names: Vec<_> = traits.names().collect();
    for name in ["face_width", "jaw_width", "chin_height", "nose_width", "mouth_width", "lip_fullness", "eye_distance"]
    {
        assert!(names.contains(&name), "{name} is missing among {names:?}");
    }
    let average = vec![0.0; traits.coefficients()];
    for (index, moved) in traits.traits().iter().enumerate() {
        let shape = traits.moved(&average, index, 1.0);
        let length = shape.iter().map(|value| value * value).sum::<f32>().sqrt();
        let others = traits.traits().iter().enumerate().filter(|(other, _)| *other != index);
        let (most, which) = others
            .map(|(_, other)| (other.value(&shape).abs(), other.name()))
            .fold((0.0, ""), |most, next| if next.0 > most.0 { next } else { most });
        println!(
            "{:<16} {:>5.1} mm ± {:.2}, length {length:.2}, most of another: {which} {most:.2}",
            moved.name(),
            1e3 * moved.mean(),
            1e3 * moved.deviation(),
        );
        assert!((moved.value(&shape) - 1.0).abs() < 1e-4, "{}", moved.name());
        assert!(most < 0.2, "{}: {which} {most}", moved.name());
        assert!(length < 4.0, "{}: an improbable change of length {length}", moved.name());
        assert!(moved.mean().is_finite() && moved.deviation() > 1e-4);
        assert!((moved.metres(&shape) - moved.mean() - moved.deviation()).abs() < 1e-6);
    }
    for index in 0..traits.variations() {
        let shape = traits.combined(&average, [], [(index, 1.0)]);
        assert!(traits.traits().iter().all(|shape_trait| shape_trait.value(&shape).abs() < 1e-3), "variation {index}");
        assert!((shape.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-4);
    }
    assert_eq!(traits.variations(), 8);
}

#[test]
fn faces_stay_plausible_however_far_the_sliders_go() {
    let head = common::bundle().load_head().unwrap();
    let traits = ShapeTraits::new(&head);
    let average = vec![0.0; traits.coefficients()];
    let limit = (traits.coefficients() as f32).sqrt() + 1.5;
    for extreme in [3.0, -50.0, 1e30, f32::INFINITY] {
        let all = traits.combined(
            &average,
            (0..traits.traits().len()).map(|index| (index, extreme)),
            (0..traits.variations()).map(|index| (index, -extreme)),
        );
        let length = all.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!(length < limit, "{extreme}: {length}");
        let one = traits.moved(&average, 0, extreme);
        assert!(traits.traits()[0].value(&one).abs() < 3.01, "{}", traits.traits()[0].value(&one));
    }
    assert_eq!(traits.moved(&average, 0, f32::NAN), average, "no number moves nothing");
    // A face beyond the limits is not pulled back.
    let far = traits.moved(&average, 0, 3.0).iter().map(|value| 2.0 * value).collect::<Vec<_>>();
    let range = traits.range(&far, 0);
    assert!(*range.end() == 0.0 && *range.start() < -8.0, "{range:?}");
    assert_eq!(traits.moved(&far, 0, 1.0), far);
}

#[test]
fn an_edited_avatar_is_regenerated_from_its_latents_and_edits_can_be_taken_back() {
    let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
    let pipeline = Mutex::new(Pipeline::load(&common::bundle(), &runtime).unwrap());
    let regenerate = |recipe: &_| {
        let mut stages = Vec::new();
        let observe = &mut |progress: bevy_fitdiff::pipeline::Progress| stages.push(progress.stage);
        let data = pipeline.lock().unwrap().regenerate(recipe, &CancelToken::default(), observe).unwrap();
        assert!(stages.iter().all(|stage| *stage == bevy_fitdiff::pipeline::Stage::Decoding), "nothing is sampled");
        data
    };
    let options = GenerateOptions { steps: 3, guidance: Guidance::Off, ..Default::default() };
    let request = GenerateRequest { source: Source::Random, seed: 4, options };
    let data: AvatarData = pipeline.lock().unwrap().generate(&request, &CancelToken::default(), &mut |_| {}).unwrap();
    let traits = ShapeTraits::new(&data.head);
    let mut edits = ShapeEdits::new(&data);
    assert!(edits.is_empty());
    edits.set("jaw_width", 1.0);
    edits.set("of another bundle", 1.0);
    edits.set_variation(2, -0.5);
    edits.set_variation(99, 1.0);
    let recipe = edits.recipe(&data, &traits);
    assert!(matches!(recipe.source, RecipeSource::Latents { .. }));
    let edited = regenerate(&recipe);
    assert_eq!(edited.recipe, recipe, "what the recipe holds is what is decoded");
    let jaw = &traits.traits()[traits.index("jaw_width").unwrap()];
    let [before, after] = [&data, &edited].map(|data| jaw.value(&data.shape()));
    assert!((after - before - 1.0).abs() < 0.01, "{before} {after}");
    assert!(edited.maps.diffuse == data.maps.diffuse, "the surface stays");
    assert_ne!(edited.vertices, data.vertices);
    // Back, from the edited avatar.
    edits.clear();
    let back = regenerate(&edits.recipe(&edited, &traits));
    assert_eq!(back.vertices, data.vertices);
    assert_eq!(back.maps, data.maps);
    assert_eq!(regenerate(&data.latents_recipe()).vertices, data.vertices);
}
