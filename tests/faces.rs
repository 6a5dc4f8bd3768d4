//! Choosing a face in a photo, and forgetting whose it was.

mod common;

use std::sync::{Arc, Mutex};

use bevy::prelude::*;
use bevy_fitdiff::{
    avatar::{AvatarError, FaceSearchFailure},
    face::FaceError,
    pipeline::{GenerateOptions, Guidance, PipelineError, RecipeSource},
    prelude::*,
    runtime::{BackendChoice, RuntimeOptions},
    save::{AvatarFile, Embedding},
};
use common::{
    ASTRONAUT, HOPPER,
    app::{Seen, app, app_with, quick, run_a_while, run_until, run_until_stage, stage},
};
use image::{RgbImage, imageops};

/// A search's end: the number of faces, or the error's words.
type End = (Entity, Result<usize, String>);

/// How searches ended, in order.
#[derive(Resource, Clone, Default)]
struct Searched(Arc<Mutex<Vec<End>>>);

impl Searched {
    fn take(&self) -> Vec<End> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn watch(app: &mut App) {
    app.init_resource::<Searched>()
        .add_observer(|found: On<FacesFound>, searched: Res<Searched>, faces: Query<&FoundFaces>| {
            let count = faces.get(found.entity).expect("the faces are there when the event is").len();
            searched.0.lock().unwrap().push((found.entity, Ok(count)));
        })
        .add_observer(|failed: On<FaceSearchFailed>, searched: Res<Searched>| {
            searched.0.lock().unwrap().push((failed.entity, Err(failed.error.to_string())));
        });
}

fn run_until_searched(app: &mut App) -> Vec<End> {
    run_until(app, "a search", |world| !world.resource::<Searched>().0.lock().unwrap().is_empty());
    app.world().resource::<Searched>().take()
}

/// Side of one of two portraits in pixels.
const PORTRAIT: u32 = 320;

/// Two people beside each other.
fn two_people() -> RgbImage {
    let mut both = RgbImage::new(2 * PORTRAIT, PORTRAIT);
    for (name, left) in [(ASTRONAUT, 0), (HOPPER, PORTRAIT)] {
        let photo = common::selfie(name);
        let face = common::face_of(&photo).detection.bounds;
        let side = 2.0 * face.width().max(face.height());
        let corner = (face.center() - side / 2.0).max(Vec2::ZERO).as_uvec2();
        let portrait = imageops::crop_imm(&photo, corner.x, corner.y, side as u32, side as u32).to_image();
        let portrait = imageops::resize(&portrait, PORTRAIT, PORTRAIT, imageops::FilterType::Triangle);
        imageops::replace(&mut both, &portrait, i64::from(left), 0);
    }
    both
}

fn add(app: &mut App, photo: RgbImage) -> Handle<Photo> {
    app.world_mut().resource_mut::<Assets<Photo>>().add(Photo::from(photo))
}

#[test]
fn a_player_chooses_a_face_and_the_avatar_is_that_persons() {
    let mut app = app();
    watch(&mut app);
    let both = add(&mut app, two_people());
    let search = app.world_mut().spawn(FaceSearch::new(both.clone())).id();
    assert_eq!(run_until_searched(&mut app), [(search, Ok(2))]);
    let found = app.world().get::<FoundFaces>(search).unwrap().clone();
    for face in &found.0 {
        assert!(face.bounds.width() > 60.0 && face.landmarks.len() >= 468, "{face:?}");
        let inside = face.landmarks.iter().filter(|place| face.bounds.inflate(60.0).contains(**place)).count();
        assert!(inside > face.landmarks.len() * 9 / 10, "{face:?}");
        let image = app.world().resource::<Assets<Image>>().get(&face.thumbnail).unwrap();
        assert!(image.width() >= 100 && image.width() == image.height());
        assert!(image.texture_descriptor.format.is_srgb());
        assert!(face.quality.warnings.is_empty() && face.quality.face_height > 60.0, "{face:?}");
    }
    let sides: Vec<bool> = found.iter().map(|face| face.bounds.center().x < PORTRAIT as f32).collect();
    assert_ne!(sides[0], sides[1]);
    let known = [ASTRONAUT, HOPPER].map(|name| common::face_of(&common::selfie(name)).identity);
    for (index, first) in sides.into_iter().enumerate() {
        let avatar = Avatar::from_faces([AvatarPhoto::of_face(both.clone(), index)]);
        let entity = app.world_mut().spawn(avatar).id();
        run_until_stage(&mut app, entity, AvatarStage::Ready);
        let data = &app.world().get::<GeneratedAvatar>(entity).unwrap().data;
        let distances = known.each_ref().map(|known| data.identity.as_ref().unwrap().distance(known));
        assert_eq!(distances[0] < distances[1], first, "face {index}: {distances:?}");
    }
    let entity = app.world_mut().spawn(Avatar::from_faces([AvatarPhoto::of_face(both, 7)])).id();
    run_until_stage(&mut app, entity, AvatarStage::Failed);
    let failure = app.world().get::<AvatarFailure>(entity).unwrap().to_string();
    assert!(failure.contains("no face number 7"), "{failure}");

    // The result goes with the search, and the thumbnails with the result.
    drop(found);
    app.world_mut().entity_mut(search).remove::<FaceSearch>();
    run_a_while(&mut app, 5);
    assert!(app.world().get::<FoundFaces>(search).is_none());
}

#[test]
fn a_search_does_not_wait_for_the_avatar_that_is_generated() {
    let long = GenerateOptions { steps: 500, guidance: Guidance::Off, ..default() };
    let mut app = app_with(FitDiffSettings { options: long, ..default() }, RuntimeOptions::default());
    watch(&mut app);
    let avatar = app.world_mut().spawn(Avatar::random(1)).id();
    run_until_stage(&mut app, avatar, AvatarStage::Sampling);
    let photo = add(&mut app, common::selfie(ASTRONAUT));
    let search = app.world_mut().spawn(FaceSearch::new(photo)).id();
    assert_eq!(run_until_searched(&mut app), [(search, Ok(1))]);
    assert_eq!(stage(app.world(), avatar), AvatarStage::Sampling, "it goes on meanwhile");
    let fraction = app.world().get::<AvatarProgress>(avatar).unwrap().fraction;
    run_until(&mut app, "further steps", |world| world.get::<AvatarProgress>(avatar).unwrap().fraction > fraction);
}

#[test]
fn photos_without_a_face_are_told_and_the_next_search_works() {
    let mut app = app();
    watch(&mut app);
    let grey = add(&mut app, RgbImage::from_pixel(300, 300, image::Rgb([128; 3])));
    let search = app.world_mut().spawn(FaceSearch::new(grey)).id();
    let ended = run_until_searched(&mut app);
    assert!(matches!(&ended[..], [(entity, Err(text))] if *entity == search && text.contains("no face")), "{ended:?}");
    let failure = app.world().get::<FaceSearchFailure>(search).unwrap().0.clone();
    let AvatarError::Pipeline(PipelineError::Photo { source, .. }) = &*failure else { panic!("{failure}") };
    assert!(matches!(**source, FaceError::NoFace));
    let missing = app.world().resource::<AssetServer>().load("selfies/nobody.jpg");
    app.world_mut().get_mut::<FaceSearch>(search).unwrap().photo = missing;
    let ended = run_until_searched(&mut app);
    assert!(matches!(&ended[..], [(_, Err(text))] if text.contains("nobody.jpg")), "{ended:?}");
    // The file of one is waited for.
    let file = app.world().resource::<AssetServer>().load(format!("selfies/{ASTRONAUT}"));
    app.world_mut().get_mut::<FaceSearch>(search).unwrap().photo = file;
    assert_eq!(run_until_searched(&mut app), [(search, Ok(1))]);
    assert!(app.world().get::<FaceSearchFailure>(search).is_none());
    app.world_mut().get_mut::<FaceSearch>(search).unwrap().photo = Handle::default();
    let ended = run_until_searched(&mut app);
    assert!(matches!(&ended[..], [(_, Err(text))] if text.contains("the photo is gone")), "{ended:?}");
    assert!(app.world().get::<FoundFaces>(search).is_none(), "nothing of the photo before is left");

    let runtime =
        RuntimeOptions { backend: BackendChoice::OnnxRuntime, library: Some("no/such/library.so".into()), ..default() };
    let mut app = app_with(FitDiffSettings::default(), runtime);
    watch(&mut app);
    let photo = add(&mut app, two_people());
    app.world_mut().spawn(FaceSearch::new(photo));
    let ended = run_until_searched(&mut app);
    assert!(matches!(&ended[..], [(_, Err(text))] if text.contains("no/such/library.so")), "{ended:?}");
}

#[test]
fn a_photo_that_is_replaced_meanwhile_is_looked_at_anew() {
    let mut app = app();
    watch(&mut app);
    let [one, both] = [common::selfie(ASTRONAUT), two_people()];
    let photo = add(&mut app, one.clone());
    let other = add(&mut app, both.clone());
    // The component changes while the search is on its way.
    let search = app.world_mut().spawn(FaceSearch::new(photo.clone())).id();
    app.update();
    app.world_mut().get_mut::<FaceSearch>(search).unwrap().photo = other;
    assert_eq!(run_until_searched(&mut app), [(search, Ok(2))], "the one before is not heard of");
    app.world_mut().get_mut::<FaceSearch>(search).unwrap().photo = photo.clone();
    assert_eq!(run_until_searched(&mut app), [(search, Ok(1))]);
    // The photo itself changes.
    app.world_mut().resource_mut::<Assets<Photo>>().insert(photo.id(), Photo::from(both)).unwrap();
    assert_eq!(run_until_searched(&mut app), [(search, Ok(2))]);

    // An avatar of it changes while it is generated, and only then.
    let options = GenerateOptions { steps: 30, guidance: Guidance::Off, ..default() };
    app.world_mut().resource_mut::<FitDiffSettings>().options = options;
    let avatar = app.world_mut().spawn(Avatar::from_selfie(photo.clone())).id();
    run_until_stage(&mut app, avatar, AvatarStage::Sampling);
    let known = [ASTRONAUT, HOPPER].map(|name| common::face_of(&common::selfie(name)).identity);
    let hopper = Photo::from(common::selfie(HOPPER));
    app.world_mut().resource_mut::<Assets<Photo>>().insert(photo.id(), hopper).unwrap();
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    let data = app.world().get::<GeneratedAvatar>(avatar).unwrap().data.clone();
    let distances = known.each_ref().map(|known| data.identity.as_ref().unwrap().distance(known));
    assert!(distances[1] < distances[0], "the new photo wins: {distances:?}");
    app.world_mut().resource_mut::<Assets<Photo>>().insert(photo.id(), Photo::from(one)).unwrap();
    run_a_while(&mut app, 20);
    assert_eq!(stage(app.world(), avatar), AvatarStage::Ready, "an avatar that is there stays");
    assert!(Arc::ptr_eq(&data, &app.world().get::<GeneratedAvatar>(avatar).unwrap().data));
}

#[test]
fn a_person_can_be_forgotten_and_the_avatar_stays() {
    let mut app = app();
    let photo = add(&mut app, common::selfie(ASTRONAUT));
    let id = photo.id();
    let avatar = app.world_mut().spawn((Avatar::from_selfie(photo.clone()), FaceSearch::new(photo))).id();
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    run_until(&mut app, "the faces", |world| world.get::<FoundFaces>(avatar).is_some());
    let before = Arc::downgrade(&app.world().get::<GeneratedAvatar>(avatar).unwrap().data);
    let (vertices, maps) = {
        let data = before.upgrade().unwrap();
        assert!(data.identity.is_some() && data.face.is_some());
        assert!(matches!(data.recipe.source, RecipeSource::Identity(_)));
        (data.vertices.clone(), data.maps.clone())
    };
    let parts: Vec<Entity> = app.world().get::<Children>(avatar).unwrap().iter().collect();
    app.world().resource::<Seen>().take();
    app.world_mut().trigger(ForgetPerson { entity: avatar });
    run_a_while(&mut app, 20);
    assert!(before.upgrade().is_none(), "nobody holds what was known");
    assert!(app.world().resource::<Assets<Photo>>().get(id).is_none(), "nor the photo");
    let world = app.world();
    assert!(world.get::<FaceSearch>(avatar).is_none() && world.get::<FoundFaces>(avatar).is_none());
    assert_eq!(stage(world, avatar), AvatarStage::Ready);
    assert!(world.resource::<Seen>().take().is_empty(), "nothing is generated");
    assert_eq!(parts, world.get::<Children>(avatar).unwrap().iter().collect::<Vec<_>>(), "the head stays");
    let data = world.get::<GeneratedAvatar>(avatar).unwrap().data.clone();
    assert!(data.identity.is_none() && data.face.is_none() && data.fit.is_none() && data.warnings.is_empty());
    assert!(matches!(data.recipe.source, RecipeSource::Latents { .. }));
    assert_eq!(data.recipe.seed, 0);
    let AvatarSource::Recipe(source) = &world.get::<Avatar>(avatar).unwrap().source else { panic!("a recipe") };
    assert_eq!(*source.0, data.recipe);
    // It can be saved, even by who would keep the embedding, and regenerated.
    let file = AvatarFile::new("", &data, AvatarLook::default(), Embedding::Keep);
    assert!(file.identity.is_none() && file.to_json().is_ok());
    app.world_mut().get_mut::<Avatar>(avatar).unwrap().set_changed();
    run_until(&mut app, "it to start", |world| stage(world, avatar) != AvatarStage::Ready);
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    let again = &app.world().get::<GeneratedAvatar>(avatar).unwrap().data;
    assert_eq!(again.vertices, vertices);
    assert!(again.maps == maps);
}

#[test]
fn to_forget_ends_what_is_on_its_way() {
    let long = GenerateOptions { steps: 500, guidance: Guidance::Off, ..default() };
    let mut app = app_with(FitDiffSettings { options: quick(), upload_bytes_per_frame: 1, ..default() }, default());
    let photo = add(&mut app, common::selfie(ASTRONAUT));
    // The head is made, and is being handed to the renderer.
    let avatar = app.world_mut().spawn(Avatar::from_selfie(photo.clone())).id();
    run_until_stage(&mut app, avatar, AvatarStage::Spawning);
    app.world_mut().trigger(ForgetPerson { entity: avatar });
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    let data = app.world().get::<GeneratedAvatar>(avatar).unwrap().data.clone();
    assert!(data.identity.is_none() && data.face.is_none());
    // A new one is on its way: the one before stays.
    app.world_mut().resource_mut::<FitDiffSettings>().options = long;
    *app.world_mut().get_mut::<Avatar>(avatar).unwrap() = Avatar::from_selfie(photo.clone());
    run_until_stage(&mut app, avatar, AvatarStage::Sampling);
    app.world_mut().trigger(ForgetPerson { entity: avatar });
    app.update();
    assert_eq!(stage(app.world(), avatar), AvatarStage::Ready);
    assert!(matches!(app.world().get::<Avatar>(avatar).unwrap().source, AvatarSource::Recipe(_)));
    assert_eq!(app.world().get::<GeneratedAvatar>(avatar).unwrap().data.vertices, data.vertices);
    // There is none before.
    let new = app.world_mut().spawn(Avatar::from_selfie(photo)).id();
    run_until_stage(&mut app, new, AvatarStage::Sampling);
    app.world_mut().trigger(ForgetPerson { entity: new });
    run_a_while(&mut app, 5);
    assert!(app.world().get::<Avatar>(new).is_none() && app.world().get::<AvatarProgress>(new).is_none());
    // The worker is free again, and the entity of no avatar does no harm.
    app.world_mut().trigger(ForgetPerson { entity: new });
    app.world_mut().despawn(new);
    app.world_mut().trigger(ForgetPerson { entity: new });
    app.world_mut().resource_mut::<FitDiffSettings>().options = quick();
    let next = app.world_mut().spawn(Avatar::random(1)).id();
    run_until_stage(&mut app, next, AvatarStage::Ready);
}
