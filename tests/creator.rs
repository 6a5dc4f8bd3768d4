//! Sessions with the creator in an app without a window: what players ask for, and what becomes of it.

mod common;

use std::{fs, path::PathBuf};

use bevy::prelude::*;
use bevy_fitdiff::{
    creator::{CreatorAvatar, CreatorEdits, CreatorStep, LightPreset, Tone},
    expression::BlendshapeWeights,
    pipeline::Guidance,
    prelude::*,
    runtime::{BackendChoice, RuntimeOptions},
};
use common::{
    ASTRONAUT, HOPPER,
    app::{quick, run_a_while, run_until},
    selfie, selfie_path,
};
use image::{RgbImage, imageops};

/// How creators ended.
#[derive(Resource, Default)]
struct Ended {
    created: Vec<Entity>,
    closed: usize,
}

fn app() -> App {
    app_of(RuntimeOptions::default())
}

fn app_of(runtime: RuntimeOptions) -> App {
    let mut app = App::new();
    let file_path = common::repository().join("assets").display().to_string();
    app.add_plugins((MinimalPlugins, AssetPlugin { file_path, ..default() }, FitDiffPlugin { runtime }))
        .insert_resource(FitDiffSettings { options: quick(), ..default() })
        .insert_resource(CreatorSettings { quality: Guidance::Off, variations: 2, ..default() })
        .add_plugins(CreatorPlugin { panel: false })
        .init_resource::<Ended>()
        .add_observer(|created: On<AvatarCreated>, mut ended: ResMut<Ended>| ended.created.push(created.entity))
        .add_observer(|_: On<CreatorClosed>, mut ended: ResMut<Ended>| ended.closed += 1);
    app.finish();
    app.cleanup();
    app.update();
    app.update();
    assert!(state(&app).is_open());
    app
}

fn state(app: &App) -> &CreatorState {
    app.world().resource()
}

fn ask(app: &mut App, action: CreatorAction) {
    app.world_mut().write_message(action);
    app.update();
}

/// What the player is told, as one text.
fn told(app: &App) -> String {
    state(app)
        .notices()
        .iter()
        .map(|notice| format!("{:?}: {} {}\n", notice.tone, notice.text, notice.advice))
        .collect()
}

fn until_told(app: &mut App, words: &str) {
    run_until(app, words, |world| {
        world.resource::<CreatorState>().notices().iter().any(|notice| notice.text.contains(words))
    });
}

fn until_rests(app: &mut App) {
    app.update();
    app.update();
    run_until(app, "the avatar", |world| !world.resource::<CreatorState>().is_working());
}

fn agree(app: &mut App) {
    ask(app, CreatorAction::Agree);
    ask(app, CreatorAction::GoTo(CreatorStep::Photo));
}

fn use_photo(app: &mut App, photo: RgbImage) {
    let photo = app.world_mut().resource_mut::<Assets<Photo>>().add(Photo::from(photo));
    ask(app, CreatorAction::UsePhoto(photo));
}

fn faces(world: &mut World) -> Option<usize> {
    world.query::<&FoundFaces>().iter(world).next().map(|found| found.len())
}

/// An app with a person that was made up.
fn random() -> App {
    let mut app = app();
    ask(&mut app, CreatorAction::Person(5));
    assert_eq!(state(&app).step(), CreatorStep::Generate);
    until_rests(&mut app);
    assert_eq!(state(&app).step(), CreatorStep::Refine, "{}", told(&app));
    app
}

/// The vertices that the avatar has.
fn vertices(app: &App) -> Vec<Vec3> {
    let avatar = state(app).avatar().expect("there is an avatar");
    app.world().get::<GeneratedAvatar>(avatar).unwrap().data.vertices.clone()
}

fn edit(app: &mut App, change: impl FnOnce(&mut CreatorEdits)) {
    let mut edits = state(app).edits().clone();
    change(&mut edits);
    ask(app, CreatorAction::Edit(Box::new(edits)));
    ask(app, CreatorAction::Commit);
}

fn two_people() -> RgbImage {
    let mut both = RgbImage::new(640, 320);
    for (name, left) in [(ASTRONAUT, 0), (HOPPER, 320)] {
        let photo = selfie(name);
        let face = common::face_of(&photo).detection.bounds;
        let side = 2.0 * face.width().max(face.height());
        let corner = (face.center() - side / 2.0).max(Vec2::ZERO).as_uvec2();
        let portrait = imageops::crop_imm(&photo, corner.x, corner.y, side as u32, side as u32).to_image();
        let portrait = imageops::resize(&portrait, 320, 320, imageops::FilterType::Triangle);
        imageops::replace(&mut both, &portrait, left, 0);
    }
    both
}

#[test]
fn a_player_comes_from_photo_to_avatar_and_the_game_gets_it() {
    let mut app = app();
    agree(&mut app);
    ask(&mut app, CreatorAction::OpenPhoto(selfie_path(ASTRONAUT)));
    run_until(&mut app, "the face", |world| faces(world) == Some(1));
    ask(&mut app, CreatorAction::Generate);
    until_rests(&mut app);
    let avatar = state(&app).avatar().unwrap();
    assert!(app.world().get::<GeneratedAvatar>(avatar).unwrap().data.identity.is_some());
    ask(&mut app, CreatorAction::GoTo(CreatorStep::Finish));
    ask(&mut app, CreatorAction::Accept);
    app.update();
    assert_eq!(app.world().resource::<Ended>().created, [avatar]);
    assert!(!state(&app).is_open() && !state(&app).remembers());
    assert!(app.world().get::<CreatorAvatar>(avatar).is_none());
    assert!(app.world().get::<Avatar>(avatar).is_some(), "it stays as the game's own");
    run_a_while(&mut app, 5);
    assert_eq!(app.world().get::<AvatarProgress>(avatar).unwrap().stage, AvatarStage::Ready);
}

#[test]
fn no_photo_is_read_before_the_player_agrees() {
    let mut app = app();
    ask(&mut app, CreatorAction::OpenPhoto(selfie_path(ASTRONAUT)));
    run_a_while(&mut app, 5);
    assert!(!state(&app).remembers());
    assert!(told(&app).contains("Photos are not used yet"), "{}", told(&app));
    ask(&mut app, CreatorAction::GoTo(CreatorStep::Photo));
    assert_eq!(state(&app).step(), CreatorStep::Welcome);
}

#[test]
fn photos_that_are_missing_or_none_or_without_a_face_are_told() {
    let mut app = app();
    agree(&mut app);
    ask(&mut app, CreatorAction::OpenPhoto("no/such/photo.jpg".into()));
    until_told(&mut app, "cannot be opened");
    assert_eq!(state(&app).notices()[0].tone, Tone::Error);
    assert!(state(&app).notices()[0].details.as_ref().unwrap().contains("no/such/photo.jpg"));
    ask(&mut app, CreatorAction::OpenPhoto(selfie_path("README.md")));
    until_told(&mut app, "not a photo");
    use_photo(&mut app, RgbImage::from_pixel(300, 300, image::Rgb([128; 3])));
    until_told(&mut app, "No face was found");
    assert_eq!(state(&app).step(), CreatorStep::Photo);
}

#[test]
fn of_two_people_the_chosen_one_becomes_the_avatar() {
    let mut app = app();
    agree(&mut app);
    use_photo(&mut app, two_people());
    run_until(&mut app, "both faces", |world| faces(world) == Some(2));
    let mut identities = Vec::new();
    for face in [0, 1] {
        ask(&mut app, CreatorAction::ChooseFace(face));
        ask(&mut app, CreatorAction::Generate);
        until_rests(&mut app);
        let avatar = state(&app).avatar().unwrap();
        identities.push(app.world().get::<GeneratedAvatar>(avatar).unwrap().data.identity.clone().unwrap());
        ask(&mut app, CreatorAction::GoTo(CreatorStep::Photo));
    }
    assert!(identities[0].distance(&identities[1]) > 0.6, "they are different people");
}

#[test]
fn a_photo_that_comes_meanwhile_wins() {
    let mut app = app();
    app.world_mut().resource_mut::<FitDiffSettings>().options.steps = 200;
    agree(&mut app);
    use_photo(&mut app, selfie(ASTRONAUT));
    run_until(&mut app, "the face", |world| faces(world) == Some(1));
    ask(&mut app, CreatorAction::Generate);
    run_until(&mut app, "the work to begin", |world| {
        world.query::<&AvatarProgress>().iter(world).any(|progress| progress.stage == AvatarStage::Sampling)
    });
    app.world_mut().resource_mut::<FitDiffSettings>().options.steps = 3;
    // Of two that are asked for at once, the last one counts.
    app.world_mut().write_message(CreatorAction::OpenPhoto(selfie_path(ASTRONAUT)));
    ask(&mut app, CreatorAction::OpenPhoto(selfie_path(HOPPER)));
    assert_eq!(state(&app).step(), CreatorStep::Photo);
    assert!(!state(&app).is_working(), "what was begun is called off");
    run_until(&mut app, "the other face", |world| {
        !world.resource::<CreatorState>().is_opening() && faces(world) == Some(1)
    });
    ask(&mut app, CreatorAction::Generate);
    until_rests(&mut app);
    let avatar = state(&app).avatar().unwrap();
    let found = app.world().get::<GeneratedAvatar>(avatar).unwrap().data.identity.clone().unwrap();
    let [hopper, astronaut] = [HOPPER, ASTRONAUT].map(|name| common::face_of(&selfie(name)).identity.distance(&found));
    assert!(hopper < 0.1 && astronaut > 0.5, "{hopper} {astronaut}");
}

#[test]
fn cancelling_keeps_the_avatar_before_or_leaves_none() {
    let mut app = app();
    app.world_mut().resource_mut::<FitDiffSettings>().options.steps = 500;
    ask(&mut app, CreatorAction::Random);
    run_a_while(&mut app, 10);
    ask(&mut app, CreatorAction::Cancel);
    app.update();
    assert_eq!((state(&app).step(), state(&app).avatar()), (CreatorStep::Welcome, None));
    assert_eq!(app.world_mut().query::<&CreatorAvatar>().iter(app.world()).count(), 0);

    app.world_mut().resource_mut::<FitDiffSettings>().options.steps = 3;
    ask(&mut app, CreatorAction::Person(5));
    until_rests(&mut app);
    let before = vertices(&app);
    app.world_mut().resource_mut::<FitDiffSettings>().options.steps = 500;
    ask(&mut app, CreatorAction::Random);
    run_a_while(&mut app, 10);
    ask(&mut app, CreatorAction::Cancel);
    assert_eq!(state(&app).step(), CreatorStep::Refine);
    until_rests(&mut app);
    assert_eq!(vertices(&app), before);
}

#[test]
fn undo_and_redo_bring_back_the_same_values_and_the_same_head() {
    let mut app = random();
    let plain = (state(&app).edits().clone(), vertices(&app));
    edit(&mut app, |edits| {
        edits.shape.set("nose_length", 1.25);
        edits.lightness = -0.3;
        edits.iris = Some(Color::linear_rgb(0.1, 0.2, 0.3));
    });
    until_rests(&mut app);
    let changed = (state(&app).edits().clone(), vertices(&app));
    assert_ne!(changed, plain);
    let look = *app.world().get::<AvatarLook>(state(&app).avatar().unwrap()).unwrap();
    assert_eq!(look.iris, Some(Color::linear_rgb(0.1, 0.2, 0.3)));
    assert_ne!(look.skin_tint, Color::WHITE);
    ask(&mut app, CreatorAction::Undo);
    until_rests(&mut app);
    assert_eq!((state(&app).edits().clone(), vertices(&app)), plain);
    ask(&mut app, CreatorAction::Redo);
    until_rests(&mut app);
    assert_eq!((state(&app).edits().clone(), vertices(&app)), changed);
    ask(&mut app, CreatorAction::Compare(true));
    until_rests(&mut app);
    assert_eq!((state(&app).edits(), vertices(&app)), (&changed.0, plain.1), "to compare changes nothing");
    ask(&mut app, CreatorAction::Compare(false));
    ask(&mut app, CreatorAction::Reset);
    assert_eq!(*state(&app).edits(), plain.0);
    ask(&mut app, CreatorAction::Undo);
    assert_eq!(*state(&app).edits(), changed.0, "to reset can be undone");
}

#[test]
fn many_changes_at_once_end_with_the_last_one() {
    let mut app = random();
    for step in 1..=20 {
        let mut edits = state(&app).edits().clone();
        edits.shape.set("jaw_width", 0.1 * step as f32);
        ask(&mut app, CreatorAction::Edit(Box::new(edits)));
    }
    ask(&mut app, CreatorAction::Commit);
    run_until(&mut app, "rest", |world| !world.resource::<CreatorState>().is_working());
    until_rests(&mut app);
    let dragged = vertices(&app);
    ask(&mut app, CreatorAction::Undo);
    until_rests(&mut app);
    assert_ne!(vertices(&app), dragged);
    edit(&mut app, |edits| edits.shape.set("jaw_width", 0.1 * 20.0));
    until_rests(&mut app);
    assert_eq!(vertices(&app), dragged);
}

#[test]
fn variations_come_one_after_another_and_taking_one_can_be_undone() {
    let mut app = random();
    let first = vertices(&app);
    let before = state(&app).edits().person;
    run_until(&mut app, "the variations", |world| world.resource::<CreatorState>().ready_variations() == 2);
    ask(&mut app, CreatorAction::TakeVariation(1));
    until_rests(&mut app);
    assert_ne!(vertices(&app), first);
    assert_ne!(state(&app).edits().person, before);
    ask(&mut app, CreatorAction::Undo);
    until_rests(&mut app);
    assert_eq!(vertices(&app), first);
    ask(&mut app, CreatorAction::TakeVariation(9));
    assert_eq!(state(&app).edits().person, before, "there is none of this number");
}

#[test]
fn to_forget_leaves_the_avatar_and_nothing_of_the_person() {
    let mut app = app();
    agree(&mut app);
    use_photo(&mut app, selfie(ASTRONAUT));
    run_until(&mut app, "the face", |world| faces(world) == Some(1));
    ask(&mut app, CreatorAction::Generate);
    until_rests(&mut app);
    run_until(&mut app, "the variations", |world| world.resource::<CreatorState>().ready_variations() == 2);
    edit(&mut app, |edits| edits.shape.set("nose_length", 1.0));
    until_rests(&mut app);
    let kept = vertices(&app);
    assert!(state(&app).remembers());
    ask(&mut app, CreatorAction::Forget);
    run_a_while(&mut app, 5);
    assert!(!state(&app).remembers());
    assert!(told(&app).contains("forgotten"), "{}", told(&app));
    assert_eq!(app.world().resource::<Assets<Photo>>().len(), 0, "the photo is gone");
    assert_eq!(faces(app.world_mut()), None);
    let avatar = state(&app).avatar().unwrap();
    let data = &app.world().get::<GeneratedAvatar>(avatar).unwrap().data;
    assert!(data.identity.is_none() && data.face.is_none() && data.fit.is_none());
    until_rests(&mut app);
    assert_eq!(vertices(&app), kept);
    ask(&mut app, CreatorAction::Undo);
    until_rests(&mut app);
    assert_eq!(vertices(&app), kept, "there is no way back to what is forgotten");
}

#[test]
fn a_saved_avatar_is_the_same_when_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("me.avatar.json");
    let mut app = random();
    edit(&mut app, |edits| {
        edits.shape.set("nose_width", -1.0);
        edits.warmth = 0.4;
        edits.roughness = 0.7;
    });
    until_rests(&mut app);
    let saved = vertices(&app);
    let look = *app.world().get::<AvatarLook>(state(&app).avatar().unwrap()).unwrap();
    ask(&mut app, CreatorAction::Save(path.clone()));
    until_told(&mut app, "saved");
    ask(&mut app, CreatorAction::Person(99));
    until_rests(&mut app);
    assert_ne!(vertices(&app), saved);
    ask(&mut app, CreatorAction::Load(path));
    until_told(&mut app, "loaded");
    until_rests(&mut app);
    let furthest = vertices(&app).iter().zip(&saved).map(|(a, b)| a.distance(*b)).fold(0.0, f32::max);
    assert!(furthest < 1e-6, "{furthest} m");
    let loaded = *app.world().get::<AvatarLook>(state(&app).avatar().unwrap()).unwrap();
    assert_eq!((loaded.iris, loaded.skin_roughness), (look.iris, look.skin_roughness));
    assert_eq!(state(&app).edits().shape.get("nose_width"), -1.0, "the sliders stand where they stood");
}

#[test]
fn files_that_cannot_be_written_or_read_are_told_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = random();
    edit(&mut app, |edits| edits.lightness = 0.5);
    let (edits, head) = (state(&app).edits().clone(), vertices(&app));
    let nowhere: PathBuf = folder.path().join("missing/folder");
    ask(&mut app, CreatorAction::Save(nowhere.join("me")));
    until_told(&mut app, "could not be saved");
    ask(&mut app, CreatorAction::Export(nowhere.join("me")));
    until_told(&mut app, "could not be exported");
    let broken = folder.path().join("broken.avatar.json");
    fs::write(&broken, "{\"version\": 1, ").unwrap();
    ask(&mut app, CreatorAction::Load(broken));
    until_told(&mut app, "file is damaged");
    fs::write(folder.path().join("other.json"), "[1, 2, 3]").unwrap();
    ask(&mut app, CreatorAction::Load(folder.path().join("other.json")));
    until_told(&mut app, "not a saved avatar");
    ask(&mut app, CreatorAction::Load(folder.path().join("nothing.json")));
    until_told(&mut app, "cannot be opened");
    assert_eq!((state(&app).edits(), vertices(&app)), (&edits, head));
    assert_eq!(state(&app).step(), CreatorStep::Refine);
}

#[test]
fn an_exported_file_is_there_and_a_cancelled_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = random();
    ask(&mut app, CreatorAction::Export(folder.path().join("me")));
    until_told(&mut app, "exported");
    let (document, ..) = gltf::import(folder.path().join("me.glb")).unwrap();
    assert!(document.meshes().count() > 1);
    ask(&mut app, CreatorAction::Dismiss(0));
    app.world_mut().write_message(CreatorAction::Export(folder.path().join("other.glb")));
    ask(&mut app, CreatorAction::CancelExport);
    run_until(&mut app, "the end of the export", |world| {
        world.resource::<CreatorState>().notices().iter().any(|notice| notice.text.contains("export"))
    });
    let cancelled = told(&app).contains("cancelled");
    assert_ne!(folder.path().join("other.glb").exists(), cancelled, "{}", told(&app));
}

#[test]
fn a_missing_webcam_is_told() {
    let mut app = app();
    agree(&mut app);
    ask(&mut app, CreatorAction::StartWebcam);
    run_until(&mut app, "a message", |world| !world.resource::<CreatorState>().notices().is_empty());
    assert!(told(&app).to_lowercase().contains("webcam") && told(&app).contains("photo"), "{}", told(&app));
}

#[test]
fn an_app_that_cannot_generate_says_so() {
    let library = Some("no/such/library.so".into());
    let mut app = app_of(RuntimeOptions { backend: BackendChoice::OnnxRuntime, library, ..default() });
    ask(&mut app, CreatorAction::Random);
    until_told(&mut app, "cannot create avatars");
    assert_eq!((state(&app).step(), state(&app).avatar()), (CreatorStep::Welcome, None));
}

#[test]
fn the_face_shows_what_is_asked_for_and_the_next_one_as_well() {
    let mut app = random();
    let shown = |app: &App| app.world().get::<Expression>(state(app).avatar().unwrap()).unwrap().weights();
    ask(&mut app, CreatorAction::Express(ExpressionPreset::Happy));
    ask(&mut app, CreatorAction::Blendshape(ArkitBlendshape::MouthSmileLeft, 0.2));
    ask(&mut app, CreatorAction::Blendshape(ArkitBlendshape::JawOpen, 0.5));
    let mut expected = Expression::of(ExpressionPreset::Happy).weights();
    (expected[ArkitBlendshape::MouthSmileLeft], expected[ArkitBlendshape::JawOpen]) = (0.2, 0.5);
    assert_eq!(shown(&app), expected);
    ask(&mut app, CreatorAction::Person(6));
    until_rests(&mut app);
    assert_eq!(shown(&app), expected);
    ask(&mut app, CreatorAction::Express(ExpressionPreset::Neutral));
    assert_eq!(shown(&app), BlendshapeWeights::ZERO);
}

#[test]
fn closing_leaves_nothing_behind() {
    let mut app = random();
    run_until(&mut app, "the variations", |world| world.resource::<CreatorState>().ready_variations() == 2);
    ask(&mut app, CreatorAction::Light(LightPreset::Drama));
    ask(&mut app, CreatorAction::Close);
    run_a_while(&mut app, 5);
    assert_eq!(app.world().resource::<Ended>().closed, 1);
    assert!(!state(&app).is_open());
    let alive = common::app::alive(app.world_mut());
    assert_eq!(alive[1..], [0; 6], "parts, avatars, meshes, images, materials and photos");
    ask(&mut app, CreatorAction::Random);
    assert!(!state(&app).is_open() && state(&app).avatar().is_none(), "a closed creator does nothing");
    ask(&mut app, CreatorAction::Open);
    assert!(state(&app).is_open());
    assert_eq!(state(&app).step(), CreatorStep::Welcome);
}
