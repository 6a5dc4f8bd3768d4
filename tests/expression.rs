//! Faces in an app: what a game puts on an avatar, and what its weights become.

mod common;

use std::{
    f32::consts::TAU,
    fmt::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bevy::{
    asset::{AssetPath, LoadState},
    mesh::morph::MorphWeights,
    prelude::*,
    time::TimeUpdateStrategy,
};
use bevy_fitdiff::{
    avatar::GeneratedAvatar,
    bundle::TemplateHead,
    expression::{ExpressionTrack, FaceRig, Interpolation, SequenceCsvSettings, SequenceError, SequencePlayback},
    pipeline::BundleId,
    prelude::*,
};
use common::{avatar_of, bundle, mean_avatar, repository};

use ArkitBlendshape::{
    BrowInnerUp, EyeBlinkLeft, EyeBlinkRight, EyeLookDownLeft, EyeLookOutLeft, EyeLookUpLeft, JawOpen, MouthFunnel,
    MouthSmileLeft, MouthSmileRight, TongueOut,
};

/// An app that moves faces, without windows, renderer and assets, whose frames take a fixed time.
fn app(frame: Duration) -> App {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, TransformPlugin, ExpressionPlugin));
    start(&mut app, frame);
    app
}

/// The same with assets from `folder`.
fn app_with_assets(frame: Duration, folder: &Path) -> App {
    let mut app = App::new();
    let assets = AssetPlugin { file_path: folder.display().to_string(), ..default() };
    app.add_plugins((MinimalPlugins, TransformPlugin, assets, ExpressionPlugin));
    start(&mut app, frame);
    app
}

fn start(app: &mut App, frame: Duration) {
    app.finish();
    app.cleanup();
    app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::ZERO));
    app.update();
    app.insert_resource(TimeUpdateStrategy::ManualDuration(frame));
}

fn hertz(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate)
}

/// An avatar that is ready.
fn avatar(generated: &GeneratedAvatar) -> impl Bundle {
    let weights = MorphWeights::new(vec![0.0; generated.data.head.blendshapes.len()], None).unwrap();
    (generated.clone(), weights, Transform::default())
}

fn weight(app: &App, entity: Entity, shape: ArkitBlendshape) -> f32 {
    let index = ArkitBlendshape::ALL.into_iter().position(|known| known == shape).unwrap();
    app.world().get::<MorphWeights>(entity).unwrap().weights()[index]
}

fn weights(app: &App, entity: Entity) -> Vec<f32> {
    app.world().get::<MorphWeights>(entity).unwrap().weights().to_vec()
}

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

/// Where the eyes of a posed head point, found from the vertices of the iris as a whole: centre and direction.
fn gaze_of(head: &TemplateHead, vertices: &[Vec3], weights: &[f32], part: &str) -> (Vec3, Vec3) {
    let posed = head.posed(vertices, weights);
    let [first, count] = head.part(part).unwrap().vertices;
    let centre = first + count - 1;
    // Texture coordinates grow with the angle from the pupil, up to the rim at half a texture from the middle.
    let iris = 0.5 * head.eyes.iris_radians / head.eyes.texture_rim_radians;
    let on_iris = |vertex: &usize| head.uv[*vertex].distance(Vec2::splat(0.5)) <= iris;
    let sum: Vec3 = (first..centre).filter(on_iris).map(|vertex| posed[vertex] - posed[centre]).sum();
    (posed[centre], sum.normalize())
}

/// The angle in radians by which an eye misses a place of the world.
fn miss(app: &App, entity: Entity, part: &str, place: Vec3) -> f32 {
    let data = &app.world().get::<GeneratedAvatar>(entity).unwrap().data;
    let (centre, direction) = gaze_of(&data.head, &data.vertices, &weights(app, entity), part);
    let transform = app.world().get::<GlobalTransform>(entity).unwrap();
    let towards = transform.affine().inverse().transform_point3(place) - centre;
    towards.angle_between(direction)
}

const EYES: [&str; 2] = ["eye_left", "eye_right"];

/// How exactly eyes point at what they look at, in radians: half a degree.
const EXACT: f32 = 0.0087;

#[test]
fn eyes_point_at_targets_near_and_far_on_heads_that_stand_anywhere() {
    let mut app = app(hertz(60.0));
    let mut generated = mean_avatar();
    let places = [
        Transform::default(),
        Transform::from_xyz(3.0, 1.5, -2.0).with_rotation(Quat::from_euler(EulerRot::YXZ, 2.0, 0.4, -0.3)),
        Transform::from_xyz(-1.0, 0.0, 0.0).with_scale(Vec3::splat(2.5)),
    ];
    for (size, transform) in [1.0f32, 1.0, 0.9].into_iter().zip(places) {
        // Another head: wider and smaller than the template.
        let data = Arc::make_mut(&mut generated.data);
        data.vertices = data.head.positions.iter().map(|place| *place * Vec3::new(1.05, 1.0, 1.0) * size).collect();
        let head = app.world_mut().spawn((avatar(&generated), LookAt::default())).insert(transform).id();
        for yaw in [-18.0f32, -9.0, 0.0, 5.0, 18.0] {
            for pitch in [-15.0f32, -6.0, 0.0, 12.0] {
                for distance in [0.3, 0.6, 5.0] {
                    let turn = Quat::from_euler(EulerRot::YXZ, yaw.to_radians(), -pitch.to_radians(), 0.0);
                    let local = Vec3::new(0.0, 0.0, 0.07) + turn * Vec3::Z * distance;
                    let place = transform.transform_point(local);
                    app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Position(place);
                    (0..30).for_each(|_| app.update());
                    for eye in EYES {
                        let miss = miss(&app, head, eye, place);
                        assert!(miss < EXACT, "{eye} misses {yaw}° {pitch}° at {distance} m by {}°", miss.to_degrees());
                    }
                }
            }
        }
    }
}

#[test]
fn eyes_converge_on_near_targets_and_are_almost_parallel_for_far_ones() {
    let mut app = app(hertz(60.0));
    let generated = mean_avatar();
    let head = app.world_mut().spawn((avatar(&generated), LookAt::default())).id();
    let mut angle = |distance: f32| {
        app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Position(Vec3::Z * distance);
        (0..30).for_each(|_| app.update());
        let data = &generated.data;
        let [left, right] = EYES.map(|eye| gaze_of(&data.head, &data.vertices, &weights(&app, head), eye));
        // Nothing but the distance between the eyes decides it.
        let expected = 2.0 * (0.5 * left.0.distance(right.0) / (distance - left.0.z)).atan();
        (left.1.angle_between(right.1), expected)
    };
    for distance in [0.25, 0.5, 1.0, 20.0] {
        let (found, expected) = angle(distance);
        assert!((found - expected).abs() < 2.0 * EXACT, "{distance} m: {found} instead of {expected}");
    }
}

#[test]
fn eyes_follow_entities_and_other_avatars_eyes_and_rest_when_they_are_gone() {
    let mut app = app(hertz(60.0));
    let generated = mean_avatar();
    let other = app.world_mut().spawn(avatar(&generated)).id();
    let stands = Transform::from_xyz(0.15, 0.1, 0.9).with_rotation(Quat::from_rotation_y(TAU / 2.0));
    app.world_mut().entity_mut(other).insert(stands);
    let head = app.world_mut().spawn((avatar(&generated), LookAt::entity(other))).id();
    (0..30).for_each(|_| app.update());
    let rig = FaceRig::new(&generated.data.head, &generated.data.vertices);
    let place = stands.transform_point(rig.between_eyes().unwrap());
    for eye in EYES {
        assert!(miss(&app, head, eye, place) < EXACT);
    }
    app.world_mut().despawn(other);
    (0..30).for_each(|_| app.update());
    assert_eq!(weights(&app, head), [0.0; 52]);
    // Far to the side, behind, in the eye itself, and nowhere.
    for place in [Vec3::X, Vec3::NEG_Z, rig.between_eyes().unwrap(), Vec3::NAN, Vec3::INFINITY] {
        app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Position(place);
        (0..30).for_each(|_| app.update());
        assert_eq!(weights(&app, head), [0.0; 52], "{place}");
    }
}

#[test]
fn a_weight_of_one_half_turns_the_eyes_half_the_way() {
    let mut app = app(hertz(60.0));
    let look = LookAt { weight: 0.5, ..LookAt::position(Vec3::new(0.2, 0.0, 0.6)) };
    let head = app.world_mut().spawn((avatar(&mean_avatar()), look)).id();
    (0..30).for_each(|_| app.update());
    let half = weight(&app, head, EyeLookOutLeft);
    app.world_mut().get_mut::<LookAt>(head).unwrap().weight = 1.0;
    (0..30).for_each(|_| app.update());
    assert!((weight(&app, head, EyeLookOutLeft) - 2.0 * half).abs() < 1e-5);
}

#[test]
fn the_small_movements_stay_around_the_target() {
    let mut app = app(hertz(60.0));
    let place = Vec3::new(0.1, 0.05, 0.8);
    let gaze = NaturalGaze { seed: Some(1), ..default() };
    let head = app.world_mut().spawn((avatar(&mean_avatar()), LookAt::position(place), gaze)).id();
    (0..30).for_each(|_| app.update());
    let mut misses = Vec::new();
    for _ in 0..3600 {
        app.update();
        misses.push(miss(&app, head, EYES[0], place));
    }
    let most = misses.iter().copied().fold(0.0, f32::max);
    assert!(most < 2.5 * 0.005 + EXACT && most > 0.005, "{}°", most.to_degrees());
}

#[test]
fn a_head_turns_its_share_and_the_eyes_still_meet_the_target() {
    let mut app = app(hertz(60.0));
    let stands = Transform::from_xyz(1.0, 0.5, 0.0).with_rotation(Quat::from_rotation_y(0.8));
    let body = app.world_mut().spawn(stands).id();
    let head = app.world_mut().spawn((avatar(&mean_avatar()), HeadTurn::default(), LookAt::default())).id();
    let rest = Transform::from_xyz(0.0, 0.4, 0.0).with_rotation(Quat::from_rotation_x(0.1));
    app.world_mut().entity_mut(head).insert((rest, ChildOf(body)));
    app.update();
    let frame = stands * rest;
    let local = Quat::from_rotation_y(0.6) * Vec3::Z * 2.0 + Vec3::new(0.0, 0.0, 0.07);
    let place = frame.transform_point(local);
    app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Position(place);
    (0..180).for_each(|_| app.update());
    let turned = app.world().get::<Transform>(head).unwrap().rotation;
    let angle = (rest.rotation.inverse() * turned).to_euler(EulerRot::YXZ).0;
    assert!((angle - 0.3).abs() < 0.02, "half of 0.6 rad: {angle}");
    for eye in EYES {
        assert!(miss(&app, head, eye, place) < EXACT, "{eye}");
    }
    app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Nothing;
    (0..180).for_each(|_| app.update());
    let back = app.world().get::<Transform>(head).unwrap().rotation;
    assert!(back.angle_between(rest.rotation) < 0.01);
}

fn load(app: &mut App, path: &str) -> Handle<ExpressionSequence> {
    let handle = app.world().resource::<AssetServer>().load::<ExpressionSequence>(AssetPath::from(path.to_owned()));
    wait_for(app, &handle).unwrap();
    handle
}

fn wait_for(app: &mut App, handle: &Handle<ExpressionSequence>) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match app.world().resource::<AssetServer>().load_state(handle) {
            LoadState::Loaded => return Ok(()),
            LoadState::Failed(reason) => return Err(reason.to_string()),
            _ => assert!(Instant::now() < end, "waited in vain for {:?}", handle.path()),
        }
        app.update();
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn add(app: &mut App, tracks: Vec<ExpressionTrack>) -> Handle<ExpressionSequence> {
    let sequence = ExpressionSequence::new(tracks).unwrap();
    app.world_mut().resource_mut::<Assets<ExpressionSequence>>().add(sequence)
}

fn ramp(shape: ArkitBlendshape, to: f32, seconds: f32) -> ExpressionTrack {
    ExpressionTrack::new(shape, Interpolation::Linear, &[(0.0, 0.0), (seconds, to)]).unwrap()
}

fn level(shape: ArkitBlendshape, weight: f32, seconds: f32) -> ExpressionTrack {
    ExpressionTrack::new(shape, Interpolation::Linear, &[(0.0, weight), (seconds, weight)]).unwrap()
}

/// A sequence's end on a face.
type End = (Entity, AssetId<ExpressionSequence>);

/// The ends that were told, in order.
#[derive(Resource, Clone, Default)]
struct Ended(Arc<Mutex<Vec<End>>>);

fn watch_ends(app: &mut App) -> Ended {
    let ended = Ended::default();
    app.insert_resource(ended.clone()).add_observer(|end: On<ExpressionSequenceEnded>, ended: Res<Ended>| {
        ended.0.lock().unwrap().push((end.entity, end.sequence));
    });
    ended
}

#[test]
fn sequences_play_at_their_speed_pause_end_once_and_fade() {
    let mut app = app_with_assets(hertz(100.0), repository());
    let ended = watch_ends(&mut app);
    let sequence = add(&mut app, vec![ramp(JawOpen, 0.8, 1.0)]);
    let face = app.world_mut().spawn((avatar(&mean_avatar()), ExpressionPlayer::default())).id();
    app.world_mut().get_mut::<ExpressionPlayer>(face).unwrap().play(sequence.clone()).fade_in = Duration::ZERO;
    (0..25).for_each(|_| app.update());
    assert!((weight(&app, face, JawOpen) - 0.2).abs() < 1e-4, "a quarter of the way");
    let change = |app: &mut App, change: fn(&mut SequencePlayback)| {
        let mut player = app.world_mut().get_mut::<ExpressionPlayer>(face).unwrap();
        change(player.playback_mut(&sequence).unwrap());
    };
    change(&mut app, |playback| playback.paused = true);
    (0..50).for_each(|_| app.update());
    assert!((weight(&app, face, JawOpen) - 0.2).abs() < 1e-4, "it stands still");
    change(&mut app, |playback| {
        playback.resume().with_speed(2.0);
    });
    (0..25).for_each(|_| app.update());
    assert!((weight(&app, face, JawOpen) - 0.6).abs() < 1e-4, "twice as fast");
    assert!(ended.0.lock().unwrap().is_empty());
    (0..13).for_each(|_| app.update());
    assert_eq!(*ended.0.lock().unwrap(), [(face, sequence.id())]);
    (0..10).for_each(|_| app.update());
    let fading = weight(&app, face, JawOpen);
    assert!(fading > 0.2 && fading < 0.6, "{fading} after half of the fade");
    (0..30).for_each(|_| app.update());
    assert_eq!(weights(&app, face), [0.0; 52]);
    assert!(app.world().get::<ExpressionPlayer>(face).unwrap().playbacks().is_empty());
    assert_eq!(ended.0.lock().unwrap().len(), 1, "it ends once");
}

#[test]
fn sequences_repeat_and_fade_out_when_they_are_stopped() {
    let mut app = app_with_assets(hertz(100.0), repository());
    let ended = watch_ends(&mut app);
    let sequence = add(&mut app, vec![ramp(JawOpen, 1.0, 0.5)]);
    let face = app.world_mut().spawn((avatar(&mean_avatar()), ExpressionPlayer::default())).id();
    let mut player = app.world_mut().get_mut::<ExpressionPlayer>(face).unwrap();
    player.play(sequence.clone()).repeat().with_fade(Duration::from_millis(100));
    (0..20).for_each(|_| app.update());
    for frame in 20..170 {
        let expected = (frame as f32 / 100.0 % 0.5) / 0.5;
        let found = weight(&app, face, JawOpen);
        // At the seam the last and the first weight are equally right.
        let seam = !(0.01..=0.99).contains(&expected);
        assert!(seam || (found - expected).abs() < 1e-3, "{found} instead of {expected}");
        app.update();
    }
    app.world_mut().get_mut::<ExpressionPlayer>(face).unwrap().stop(&sequence);
    (0..11).for_each(|_| app.update());
    assert_eq!(weights(&app, face), [0.0; 52]);
    assert!(ended.0.lock().unwrap().is_empty(), "what is stopped does not end");
}

#[test]
fn several_sequences_are_mixed_by_weight_over_the_expression_below() {
    let mut app = app_with_assets(hertz(60.0), repository());
    let first = add(&mut app, vec![level(JawOpen, 0.8, 9.0), level(BrowInnerUp, 0.4, 9.0)]);
    let second = add(&mut app, vec![level(JawOpen, 0.2, 9.0)]);
    let mut expression = Expression::default().with_transition(Duration::ZERO);
    expression.set_blendshape(BrowInnerUp, 1.0);
    expression.set_blendshape(TongueOut, 0.3);
    let mut player = ExpressionPlayer::default();
    player.play(first.clone()).with_weight(0.5).with_fade(Duration::ZERO);
    let face = app.world_mut().spawn((avatar(&mean_avatar()), expression, player)).id();
    app.update();
    let expect = |app: &App, expected: [(ArkitBlendshape, f32); 3]| {
        for (shape, expected) in expected {
            let found = weight(app, face, shape);
            assert!((found - expected).abs() < 1e-6, "{shape}: {found} instead of {expected}");
        }
    };
    expect(&app, [(JawOpen, 0.4), (BrowInnerUp, 0.7), (TongueOut, 0.3)]);
    let mut player = app.world_mut().get_mut::<ExpressionPlayer>(face).unwrap();
    player.play(second).with_weight(0.25).with_fade(Duration::ZERO);
    app.update();
    expect(&app, [(JawOpen, 0.4 + 0.05), (BrowInnerUp, 0.7), (TongueOut, 0.3)]);
    // More than there is of a face is shared.
    for playback in [0, 1] {
        let mut player = app.world_mut().get_mut::<ExpressionPlayer>(face).unwrap();
        let sequence = player.playbacks()[playback].sequence().clone();
        player.playback_mut(&sequence).unwrap().weight = 1.0;
    }
    app.update();
    expect(&app, [(JawOpen, 0.5), (BrowInnerUp, 0.4), (TongueOut, 0.3)]);
}

#[test]
fn captured_lids_and_eyes_keep_blinks_and_targets_out() {
    let mut app = app_with_assets(hertz(60.0), repository());
    let tracks = vec![level(EyeBlinkLeft, 0.1, 99.0), level(EyeBlinkRight, 0.1, 99.0), level(EyeLookUpLeft, 0.5, 99.0)];
    let sequence = add(&mut app, tracks);
    let mut player = ExpressionPlayer::default();
    player.play(sequence).with_fade(Duration::ZERO);
    let layers = (NaturalBlink::default(), LookAt::position(Vec3::new(0.2, -0.2, 0.6)), player);
    let face = app.world_mut().spawn((avatar(&mean_avatar()), layers)).id();
    (0..60).for_each(|_| app.update());
    for _ in 0..1200 {
        app.update();
        assert!(weight(&app, face, EyeBlinkLeft) < 0.15, "{}", weight(&app, face, EyeBlinkLeft));
        assert!((weight(&app, face, EyeLookUpLeft) - 0.5).abs() < 1e-5);
        assert_eq!(weight(&app, face, EyeLookDownLeft), 0.0);
    }
    assert!(weight(&app, face, ArkitBlendshape::EyeLookInRight) > 0.1, "the right eye is nobody's");
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

/// The header of Live Link Face, and that of its early versions.
const HEADERS: [&str; 2] = [
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,\
     EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,EyeSquintRight,EyeWideRight,\
     JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,MouthSmileLeft,\
     MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,MouthStretchRight,\
     MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,MouthPressRight,MouthLowerDownLeft,\
     MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,\
     BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,TongueOut,HeadYaw,HeadPitch,\
     HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll",
    "Timecode,BlendShapeCount,eyeBlinkRight,eyeLookDownRight,eyeLookInRight,eyeLookOutRight,eyeLookUpRight,eyeSquintRight,\
     eyeWideRight,eyeBlinkLeft,eyeLookDownLeft,eyeLookInLeft,eyeLookOutLeft,eyeLookUpLeft,eyeSquintLeft,eyeWideLeft,\
     jawForward,jawRight,jawLeft,jawOpen,mouthClose,mouthFunnel,mouthPucker,mouthRight,mouthLeft,mouthSmileRight,\
     mouthSmileLeft,mouthFrownRight,mouthFrownLeft,mouthDimpleRight,mouthDimpleLeft,mouthStretchRight,mouthStretchLeft,\
     mouthRollLower,mouthRollUpper,mouthShrugLower,mouthShrugUpper,mouthPressRight,mouthPressLeft,mouthLowerDownRight,\
     mouthLowerDownLeft,mouthUpperUpRight,mouthUpperUpLeft,browDownRight,browDownLeft,browInnerUp,browOuterUpRight,\
     browOuterUpLeft,cheekPuff,cheekSquintRight,cheekSquintLeft,noseSneerRight,noseSneerLeft,tongueOut,HeadYaw,HeadPitch,\
     HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll",
];

#[test]
fn captures_of_live_link_face_are_read_whatever_the_order_of_their_columns() {
    for header in HEADERS {
        let names: Vec<&str> = header.split(',').collect();
        assert_eq!(names.len(), 63);
        let mut text = format!("{header}\r\n");
        for frame in 0..150 {
            let (second, of_second) = (40 + frame / 60, frame % 60);
            write!(text, "16:42:{second:02}:{of_second:02}.618,61").unwrap();
            for name in &names[2..] {
                // Each column has a value of its own, rotations negative ones.
                let value = if name.contains("yaw") || name.contains("Yaw") { -0.2 } else { name_value(name, frame) };
                write!(text, ",{value:.6}").unwrap();
            }
            text.push_str("\r\n");
        }
        let sequence = ExpressionSequence::from_csv(text.as_bytes(), None).unwrap();
        assert_eq!((sequence.tracks().len(), sequence.ignored().len()), (52, 9));
        assert!((sequence.duration() - 149.0 / 60.0).abs() < 1e-3);
        for shape in ArkitBlendshape::ALL {
            for frame in [0, 37, 149] {
                let found = sequence.sample(shape, frame as f32 / 60.0).unwrap();
                let expected = name_value(shape.as_str(), frame);
                assert!((found - expected).abs() < 2e-3, "{shape}: {found} instead of {expected}");
            }
        }
    }
}

fn name_value(name: &str, frame: usize) -> f32 {
    let sum: u32 = name.to_ascii_lowercase().bytes().map(u32::from).sum();
    (sum % 50) as f32 / 100.0 + frame as f32 / 1000.0
}

#[test]
fn the_shipped_sequences_load_and_play_on_a_face() {
    let mut app = app_with_assets(hertz(60.0), &repository().join("assets"));
    let face = app.world_mut().spawn((avatar(&mean_avatar()), ExpressionPlayer::default())).id();
    for (path, shape) in [("expressions/hello.csv", JawOpen), ("expressions/think.expression.json", EyeLookUpLeft)] {
        let sequence = load(&mut app, path);
        let duration = app.world().resource::<Assets<ExpressionSequence>>().get(&sequence).unwrap().duration();
        assert!((3.1..3.3).contains(&duration), "{path}: {duration}");
        app.world_mut().get_mut::<ExpressionPlayer>(face).unwrap().play(sequence);
        let mut most = 0f32;
        for _ in 0..240 {
            app.update();
            most = most.max(weight(&app, face, shape));
        }
        assert!(most > 0.25, "{path}: {most}");
        assert_eq!(weights(&app, face), [0.0; 52]);
    }
}

#[test]
fn files_that_are_no_sequences_fail_to_load_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let columns = format!("Timecode{}\n00:00:00:00{}\n", ",JawOpen2".repeat(2_000_000), ",0".repeat(2_000_000));
    let hello = std::fs::read(repository().join("assets/expressions/hello.csv")).unwrap();
    let cases: [(&str, &[u8], &str); 7] = [
        ("columns.csv", columns.as_bytes(), "1024 columns at most, found 2000001"),
        ("cut.csv", &hello[..hello.len() / 2], "may have been cut off"),
        ("noise.csv", &[0xff; 5000], "Timecode"),
        ("long.csv", &vec![b'0'; (64 << 20) + 1], "longer than 67108864 bytes"),
        ("long.expression.json", &vec![b' '; (64 << 20) + 1], "longer than 67108864 bytes"),
        ("negative.expression.json", br#"{"version":1,"tracks":{"jawOpen":{"keys":[[-1,0.5]]}}}"#, "found -1 s"),
        ("new.expression.json", br#"{"version":7,"tracks":{}}"#, "found version 7"),
    ];
    let mut app = app_with_assets(hertz(60.0), folder.path());
    for (name, content, reason) in cases {
        std::fs::write(folder.path().join(name), content).unwrap();
        let handle = app.world().resource::<AssetServer>().load::<ExpressionSequence>(name.to_owned());
        let mut player = ExpressionPlayer::default();
        player.play(handle.clone());
        let face = app.world_mut().spawn((avatar(&mean_avatar()), player)).id();
        let error = wait_for(&mut app, &handle).unwrap_err();
        assert!(error.contains(reason), "{name}: {error}");
        app.update();
        assert_eq!(weights(&app, face), [0.0; 52], "{name}");
        app.world_mut().despawn(face);
    }
}

#[test]
fn the_frame_rate_of_a_capture_can_be_given_with_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("short.csv"), "Timecode,JawOpen\n01:00:00:00,0\n01:00:00:12,1\n").unwrap();
    let mut app = app_with_assets(hertz(60.0), folder.path());
    let server = app.world().resource::<AssetServer>();
    let settings = |settings: &mut SequenceCsvSettings| settings.frame_rate = Some(24.0);
    let handle: Handle<ExpressionSequence> = server.load_builder().with_settings(settings).load("short.csv");
    wait_for(&mut app, &handle).unwrap();
    let sequence = app.world().resource::<Assets<ExpressionSequence>>().get(&handle).unwrap();
    assert_eq!(sequence.duration(), 0.5);
}

#[test]
fn a_million_keys_are_read_and_a_billion_seconds_are_not() {
    let mut keys = String::from(r#"{"version":1,"tracks":{"jawOpen":{"keys":[[0,0]"#);
    for key in 1..1_000_000 {
        write!(keys, ",[{},0.5]", f64::from(key) * 0.05).unwrap();
    }
    let whole = keys.clone() + "]}}}";
    let sequence = ExpressionSequence::from_json(whole.as_bytes()).unwrap();
    assert_eq!(sequence.sample(JawOpen, 40_000.0), Some(0.5));
    let late = keys + ",[1e9,0.5]]}}}";
    let error = ExpressionSequence::from_json(late.as_bytes()).unwrap_err();
    assert!(matches!(error, SequenceError::Time { .. }), "{error}");
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
