//! Faces in an app: what a game puts on an avatar, and what its weights become.

mod common;

use std::time::Duration;

use bevy::{mesh::morph::MorphWeights, prelude::*};
use bevy_fitdiff::{expression::FaceRig, pipeline::BundleId, prelude::*};
use common::{
    avatar_of, bundle,
    faces::{app, app_with_assets, avatar, hertz, load, weight, weights},
    mean_avatar, repository,
};

use ArkitBlendshape::{EyeBlinkLeft, EyeBlinkRight, JawOpen, MouthFunnel, MouthSmileLeft, MouthSmileRight};

#[test]
fn transitions_are_monotone_end_exactly_and_do_not_depend_on_the_frames() {
    let generated = mean_avatar();
    let mut halfway = Vec::new();
    for rate in [20.0, 60.0, 100.0, 240.0] {
        let mut app = app(hertz(rate));
        let transition = Duration::from_millis(500);
        let expression = Expression::of(ExpressionPreset::Happy).with_transition(transition);
        let face = app.world_mut().spawn((avatar(&generated), expression)).id();
        let mut last = 0.0;
        for frame in 1..=(rate as usize) {
            app.update();
            let smile = weight(&app, face, MouthSmileLeft);
            assert!(smile >= last, "{rate}: {smile} after {last}");
            last = smile;
            if frame == (0.25 * rate) as usize {
                halfway.push(smile);
            }
            let over = frame as f64 >= 0.5 * rate;
            assert_eq!(smile == 0.95, over, "{rate}: {smile} in frame {frame}");
        }
        app.world_mut().get_mut::<Expression>(face).unwrap().clear();
        (0..(0.6 * rate) as usize).for_each(|_| app.update());
        assert!(weights(&app, face).iter().all(|weight| *weight == 0.0), "{rate}");
    }
    assert!(halfway.iter().all(|smile| (smile - 0.475).abs() < 1e-4), "{halfway:?}");
}

#[test]
fn presets_are_shown_by_their_names_on_heads_of_any_order() {
    let mut head = bundle().load_head().unwrap();
    head.blendshapes.reverse();
    head.blendshapes.retain(|shape| shape.name != "mouthSmileRight");
    let names: Vec<String> = head.blendshapes.iter().map(|shape| shape.name.clone()).collect();
    let generated = avatar_of(head, BundleId::new(bundle().manifest()));
    let mut app = app(hertz(60.0));
    let face = app.world_mut().spawn((avatar(&generated), Expression::default())).id();
    for preset in ["happy", "angry", "surprised", "aa", "oh", "blinkLeft", "neutral"] {
        let preset: ExpressionPreset = preset.parse().unwrap();
        let expression = Expression::of(preset).with_transition(Duration::ZERO);
        app.world_mut().entity_mut(face).insert(expression.clone());
        app.update();
        let found = weights(&app, face);
        for (shape, wanted) in preset.blendshapes().iter().filter(|(shape, _)| !shape.as_str().starts_with("eyeSquint"))
        {
            let Some(index) = names.iter().position(|name| name == shape.as_str()) else { continue };
            assert!((found[index] - wanted).abs() < 1e-6, "{preset}: {shape} is {}", found[index]);
        }
        let shown = found.iter().filter(|weight| **weight > 0.0).count();
        let wanted = preset.blendshapes().iter().filter(|(shape, _)| *shape != MouthSmileRight).count();
        assert_eq!(shown, wanted, "{preset} shows nothing else");
    }
}

#[test]
fn all_layers_at_once_stay_within_0_to_1_and_move_smoothly() {
    let mut app = app_with_assets(hertz(60.0), &repository().join("assets"));
    let generated = mean_avatar();
    let hello = load(&mut app, "expressions/hello.csv");
    let think = load(&mut app, "expressions/think.expression.json");
    let mut player = ExpressionPlayer::default();
    player.play(hello).repeat();
    player.play(think).with_weight(0.6).repeat();
    let layers = (LivingFace, LipSync::default(), LookAt::position(Vec3::Z), player, HeadTurn::default());
    let face = app.world_mut().spawn((avatar(&generated), layers)).id();
    let mut last = weights(&app, face);
    for frame in 0..3600 {
        let seconds = frame as f32 / 60.0;
        if frame % 40 == 0 {
            let preset = ExpressionPreset::ALL[frame / 40 % ExpressionPreset::ALL.len()];
            app.world_mut().get_mut::<Expression>(face).unwrap().show(preset, 1.0);
        }
        if frame % 7 == 0 {
            let viseme = Viseme::ALL[frame / 7 % Viseme::ALL.len()];
            app.world_mut().get_mut::<LipSync>(face).unwrap().speak(viseme);
        }
        let place = Vec3::new(0.4 * (1.3 * seconds).sin(), 0.3 * (1.7 * seconds).cos(), 0.5);
        app.world_mut().get_mut::<LookAt>(face).unwrap().target = LookTarget::Position(place);
        app.update();
        let now = weights(&app, face);
        for (shape, (now, last)) in ArkitBlendshape::ALL.into_iter().zip(now.iter().zip(&last)) {
            assert!((0.0..=1.0).contains(now), "{shape} is {now}");
            // Saccades and blinks are the fastest: a few frames from one end to the other.
            assert!((now - last).abs() < 0.75, "{shape} jumps from {last} to {now} in frame {frame}");
        }
        last = now;
    }
}

#[test]
fn weights_are_not_touched_while_nothing_changes_and_are_put_right_when_somebody_else_does() {
    #[derive(Resource, Default)]
    struct Changes(usize);
    let mut app = app(hertz(60.0));
    app.init_resource::<Changes>();
    app.add_systems(Last, |changed: Query<(), Changed<MorphWeights>>, mut changes: ResMut<Changes>| {
        changes.0 += changed.iter().count();
    });
    let generated = mean_avatar();
    let happy = Expression::of(ExpressionPreset::Happy).with_transition(Duration::from_millis(100));
    let face = app.world_mut().spawn((avatar(&generated), happy, LipSync::default(), LookAt::default())).id();
    let plain = app.world_mut().spawn(avatar(&generated)).id();
    (0..30).for_each(|_| app.update());
    let shown = weights(&app, face);
    app.world_mut().resource_mut::<Changes>().0 = 0;
    (0..30).for_each(|_| app.update());
    assert_eq!(app.world().resource::<Changes>().0, 0);

    for entity in [face, plain] {
        app.world_mut().get_mut::<MorphWeights>(entity).unwrap().weights_mut()[30] = 0.9;
    }
    app.update();
    assert_eq!(weights(&app, face), shown, "a face with an expression has its weights to itself");
    assert_eq!(weights(&app, plain)[30], 0.9, "one without is the game's");
    // To be asked for the same again is no change.
    app.update();
    app.world_mut().resource_mut::<Changes>().0 = 0;
    app.world_mut().get_mut::<Expression>(face).unwrap().show(ExpressionPreset::Happy, 1.0);
    app.update();
    assert_eq!(app.world().resource::<Changes>().0, 0);
}

#[test]
fn a_system_after_expressions_has_the_last_word() {
    let mut app = app(hertz(60.0));
    app.add_systems(
        PostUpdate,
        (|mut faces: Query<&mut MorphWeights>| {
            faces.iter_mut().for_each(|mut weights| weights.weights_mut()[ArkitBlendshape::CheekPuff as usize] = 0.4);
        })
        .after(ExpressionSystems::Weights),
    );
    let face = app.world_mut().spawn((avatar(&mean_avatar()), Expression::of(ExpressionPreset::Happy))).id();
    for _ in 0..60 {
        app.update();
        assert_eq!(weight(&app, face, ArkitBlendshape::CheekPuff), 0.4);
    }
    assert_eq!(weight(&app, face, MouthSmileLeft), 0.95);
}

#[test]
fn components_that_are_removed_leave_a_neutral_face() {
    let mut app = app_with_assets(hertz(60.0), &repository().join("assets"));
    let think = load(&mut app, "expressions/think.expression.json");
    let mut player = ExpressionPlayer::default();
    player.play(think).seek(1.0).repeat();
    let mut lips = LipSync::default();
    lips.speak(Viseme::Oh);
    let layers = (LivingFace, Expression::of(ExpressionPreset::Angry), lips, LookAt::position(Vec3::ONE), player);
    let face = app.world_mut().spawn((avatar(&mean_avatar()), layers)).id();
    (0..60).for_each(|_| app.update());
    type Layers = (Expression, NaturalBlink, NaturalGaze, LipSync, LookAt, ExpressionPlayer);
    app.world_mut().entity_mut(face).remove::<Layers>();
    (0..60).for_each(|_| app.update());
    assert_eq!(weights(&app, face), [0.0; 52]);
    app.world_mut().entity_mut(face).remove::<GeneratedAvatar>();
    app.update();
    assert!(app.world().get::<FaceRig>(face).is_none(), "the rig goes with the head");
}

#[test]
fn blinks_have_the_stated_distribution() {
    const RATE: f32 = 250.0;
    const FACES: u64 = 24;
    const MINUTES: f32 = 4.0;
    let mut app = app(hertz(f64::from(RATE)));
    let generated = mean_avatar();
    let faces: Vec<Entity> = (0..FACES)
        .map(|seed| {
            let blink = NaturalBlink { seed: Some(seed), ..default() };
            app.world_mut().spawn((avatar(&generated), blink)).id()
        })
        .collect();
    #[derive(Clone, Default)]
    struct Watched {
        last: f32,
        closing_since: Option<f32>,
        shut: Option<f32>,
        opened: Option<f32>,
    }
    let mut watched = vec![Watched::default(); faces.len()];
    let (mut pauses, mut closings, mut openings, mut blinks) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for frame in 0..(MINUTES * 60.0 * RATE) as usize {
        app.update();
        let now = frame as f32 / RATE;
        for (face, watched) in faces.iter().zip(&mut watched) {
            let lids = weight(&app, *face, EyeBlinkLeft);
            assert_eq!(lids, weight(&app, *face, EyeBlinkRight), "both eyes blink together");
            if lids > 0.0 && watched.last == 0.0 {
                watched.closing_since = Some(now);
                pauses.extend(watched.opened.map(|opened| now - opened));
                blinks += 1;
            }
            if lids == 1.0 {
                closings.extend(watched.closing_since.take().map(|since| now - since));
                watched.shut = Some(now);
            }
            if lids == 0.0 && watched.last > 0.0 {
                openings.extend(watched.shut.take().map(|shut| now - shut));
                watched.opened = Some(now);
            }
            watched.last = lids;
        }
    }
    let frame = 1.0 / RATE;
    // Lids close in 60 to 90 ms and open in 150 to 200 ms, up to the frames at both ends.
    let within = |times: &[f32], low: f32, high: f32| {
        assert!(times.iter().all(|time| (low - 3.0 * frame..=high + 3.0 * frame).contains(time)), "{times:?}");
        times.iter().sum::<f32>() / times.len() as f32
    };
    assert!((within(&closings, 0.06, 0.09) - 0.075).abs() < 0.005);
    assert!((within(&openings, 0.15, 0.2) - 0.175).abs() < 0.01);
    // Pauses of double blinks are at most 0.18 s; less than one in a million of the others is.
    let doubles = pauses.iter().filter(|pause| **pause < 0.2).count() as f32;
    let logs: Vec<f32> = pauses.iter().filter(|pause| **pause >= 0.2).map(|pause| pause.ln()).collect();
    let count = logs.len() as f32;
    let mean = logs.iter().sum::<f32>() / count;
    let spread = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f32>() / count).sqrt();
    // Log-normal with mean 4 s and σ 0.6: μ = ln 4 − σ²/2. Five standard errors.
    let error = 5.0 * 0.6 / count.sqrt();
    assert!((mean - (4f32.ln() - 0.18)).abs() < error + 0.02, "μ {mean}, {count} pauses");
    assert!((spread - 0.6).abs() < error, "σ {spread}");
    let share = doubles / count;
    assert!((share - 0.12).abs() < 5.0 * (0.12f32 * 0.88 / count).sqrt() + 0.01, "{share} of blinks are double");
    assert!(blinks > 900, "{blinks}");
}

#[test]
fn the_same_seed_gives_the_same_life_and_entities_differ_without_one() {
    let generated = mean_avatar();
    let live = |seeds: [Option<u64>; 2]| {
        let mut app = app(hertz(60.0));
        let faces = seeds.map(|seed| {
            let blink = NaturalBlink { seed, ..default() };
            let gaze = NaturalGaze { seed, ..default() };
            app.world_mut().spawn((avatar(&generated), blink, gaze)).id()
        });
        let mut lives = [Vec::new(), Vec::new()];
        for _ in 0..1200 {
            app.update();
            for (life, face) in lives.iter_mut().zip(faces) {
                life.extend(weights(&app, face).into_iter().map(f32::to_bits));
            }
        }
        lives
    };
    let [first, second] = live([Some(3), Some(3)]);
    assert!(first == second);
    assert!(first == live([Some(3), Some(4)])[0]);
    let [first, second] = live([None, None]);
    assert!(first != second, "two avatars do not blink in step");
}
#[test]
fn speech_follows_its_visemes_and_ends() {
    let mut app = app(hertz(60.0));
    let mut lips = LipSync::default();
    lips.speak(Viseme::Oh);
    let happy = Expression::of(ExpressionPreset::Happy).with_transition(Duration::ZERO);
    let face = app.world_mut().spawn((avatar(&mean_avatar()), lips, happy)).id();
    (0..40).for_each(|_| app.update());
    let [jaw, funnel] = [JawOpen, MouthFunnel].map(|shape| weight(&app, face, shape));
    assert_eq!([jaw, funnel], [0.3, 0.5]);
    assert!((weight(&app, face, MouthSmileLeft) - 0.475).abs() < 1e-6, "half a smile");
    let mut lips = app.world_mut().get_mut::<LipSync>(face).unwrap();
    lips.set_vowels([f32::NAN, f32::INFINITY, -1.0, 0.0, 0.0]);
    assert_eq!(lips.weight(Viseme::Ih), 1.0);
    lips.silence();
    (0..40).for_each(|_| app.update());
    assert_eq!(weight(&app, face, JawOpen), 0.0);
    assert_eq!(weight(&app, face, MouthSmileLeft), 0.95);
}
#[test]
fn an_app_without_avatars_and_assets_and_avatars_that_come_late_are_fine() {
    let mut app = app(hertz(60.0));
    (0..3).for_each(|_| app.update());
    let layers = (LivingFace, LipSync::default(), LookAt::position(Vec3::Z), ExpressionPlayer::default());
    let face = app.world_mut().spawn((Transform::default(), layers, HeadTurn::default())).id();
    app.world_mut().get_mut::<Expression>(face).unwrap().show(ExpressionPreset::Happy, 1.0);
    (0..60).for_each(|_| app.update());
    app.world_mut().entity_mut(face).insert(avatar(&mean_avatar()));
    app.update();
    assert!(weight(&app, face, MouthSmileLeft) > 0.8, "it shows what was asked for before");
    app.world_mut().despawn(face);
    app.update();

    let mut without_time = App::new();
    without_time.add_plugins(ExpressionPlugin);
    without_time.finish();
    without_time.world_mut().spawn((avatar(&mean_avatar()), LivingFace));
    without_time.update();
}

#[test]
fn the_components_are_registered_for_scenes_and_editors() {
    let app = app(hertz(60.0));
    let registry = app.world().resource::<AppTypeRegistry>().read();
    let names = [
        "Expression",
        "ExpressionPlayer",
        "HeadTurn",
        "LipSync",
        "LivingFace",
        "LookAt",
        "NaturalBlink",
        "NaturalGaze",
    ];
    for name in names {
        let registration =
            registry.get_with_short_type_path(name).unwrap_or_else(|| panic!("{name} is not registered"));
        assert!(registration.data::<ReflectComponent>().is_some(), "{name}");
        assert!(registration.data::<ReflectDefault>().is_some(), "{name}");
    }
}
