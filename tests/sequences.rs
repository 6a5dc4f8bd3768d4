//! Keyframed expressions: played, mixed, and read from files of both kinds.

mod common;

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use bevy::prelude::*;
use bevy_fitdiff::{
    expression::{ExpressionTrack, Interpolation, SequenceCsvSettings, SequenceError, SequencePlayback},
    prelude::*,
};
use common::{
    faces::{app_with_assets, avatar, hertz, load, wait_for, weight, weights},
    mean_avatar, repository,
};

use ArkitBlendshape::{BrowInnerUp, EyeBlinkLeft, EyeBlinkRight, EyeLookDownLeft, EyeLookUpLeft, JawOpen, TongueOut};

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
