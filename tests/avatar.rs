//! Avatars in an app, as a game would use them: asked for, waited for, changed, dropped.

mod common;

use std::{
    any::TypeId,
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
    sync::Arc,
};

use bevy::{
    mesh::{
        VertexAttributeValues,
        morph::{MeshMorphWeights, MorphWeights},
    },
    prelude::*,
    reflect::serde::{ReflectDeserializer, ReflectSerializer},
};
use bevy_fitdiff::{
    avatar::AvatarError,
    pipeline::{GenerateOptions, Guidance, PipelineError},
    prelude::*,
    runtime::{BackendChoice, RuntimeOptions},
};
use common::{
    ASTRONAUT,
    app::{Seen, alive, app, app_with, quick, run_a_while, run_until, run_until_stage, stage},
    repository,
};
use image::RgbImage;
use serde::de::DeserializeSeed;

#[test]
fn a_selfie_becomes_a_head_with_maps_and_expressions() {
    let mut app = app();
    let photo = app.world().resource::<AssetServer>().load(format!("selfies/{ASTRONAUT}"));
    let avatar = app.world_mut().spawn(Avatar::from_selfie(photo)).id();
    let mut last = (AvatarStage::Queued, 0.0);
    let mut stages = HashSet::new();
    run_until(&mut app, "the avatar", |world| {
        let progress = world.get::<AvatarProgress>(avatar).unwrap();
        assert!(progress.fraction >= last.1, "{last:?} {progress:?}");
        assert!((0.0..=1.0).contains(&progress.fraction));
        last = (progress.stage, progress.fraction);
        stages.insert(format!("{:?}", progress.stage));
        progress.stage == AvatarStage::Ready || progress.stage == AvatarStage::Failed
    });
    assert_eq!(last, (AvatarStage::Ready, 1.0), "{:?}", app.world().get::<AvatarFailure>(avatar));
    run_a_while(&mut app, 20);
    let seen = app.world().resource::<Seen>().take();
    assert_eq!(seen, [(avatar, Ok(()))], "ready once, and never failed");

    let world = app.world_mut();
    let generated = world.get::<GeneratedAvatar>(avatar).unwrap().clone();
    assert!(generated.data.identity.is_some());
    let names: Vec<String> = generated.data.head.blendshapes.iter().map(|shape| shape.name.clone()).collect();
    assert_eq!(names.len(), 52);
    assert_eq!(world.get::<MorphWeights>(avatar).unwrap().weights().len(), 52);

    let mut parts =
        world.query::<(&AvatarPart, &Mesh3d, &MeshMaterial3d<StandardMaterial>, Option<&MeshMorphWeights>, &ChildOf)>();
    let mut found = HashSet::new();
    for (part, mesh, material, weights, parent) in parts.iter(world) {
        assert_eq!(parent.parent(), avatar);
        found.insert(part.name.clone());
        let mesh = world.resource::<Assets<Mesh>>().get(mesh).unwrap();
        let material = world.resource::<Assets<StandardMaterial>>().get(material).unwrap();
        if let Some(weights) = weights {
            assert!(matches!(weights, MeshMorphWeights::Reference(entity) if *entity == avatar));
            assert_eq!(mesh.morph_target_names().unwrap(), names, "{}", part.name);
            assert_eq!(mesh.morph_targets().unwrap().len(), 52 * mesh.count_vertices());
        }
        if part.material == "skin" {
            assert!(weights.is_some());
            assert!(material.base_color_texture.is_some() && material.normal_map_texture.is_some());
            assert!(material.specular_texture.is_some());
            let Some(VertexAttributeValues::Float32x4(tangents)) = mesh.attribute(Mesh::ATTRIBUTE_TANGENT) else {
                panic!("the skin has no tangents")
            };
            for &[x, y, z, w] in tangents {
                assert!((Vec3::new(x, y, z).length() - 1.0).abs() < 1e-3 && w.abs() == 1.0);
            }
        }
    }
    for part in ["skin", "eye_left", "eye_right", "teeth_upper", "tongue", "lash_left_upper"] {
        assert!(found.contains(part), "{part} is missing among {found:?}");
    }
}

#[test]
fn a_recipe_gives_the_same_avatar_again() {
    let mut app = app();
    let first = app.world_mut().spawn(Avatar::random(11)).id();
    run_until_stage(&mut app, first, AvatarStage::Ready);
    let data = app.world().get::<GeneratedAvatar>(first).unwrap().data.clone();
    let json = serde_json::to_string(&data.recipe).unwrap();
    let second = app.world_mut().spawn(Avatar::from_recipe(serde_json::from_str(&json).unwrap())).id();
    run_until_stage(&mut app, second, AvatarStage::Ready);
    let again = &app.world().get::<GeneratedAvatar>(second).unwrap().data;
    assert_eq!(again.maps.diffuse, data.maps.diffuse);
    assert_eq!(again.maps.specular, data.maps.specular);
    assert_eq!(again.maps.normals, data.maps.normals);
    assert_eq!(again.vertices, data.vertices);
    let third = app.world_mut().spawn(Avatar::random(12)).id();
    run_until_stage(&mut app, third, AvatarStage::Ready);
    assert_ne!(app.world().get::<GeneratedAvatar>(third).unwrap().data.vertices, data.vertices);
}

#[test]
fn despawning_at_any_stage_leaves_nothing_behind() {
    let mut app = app_with(FitDiffSettings { options: quick(), upload_bytes_per_frame: 1, ..default() }, default());
    app.update();
    let before = alive(app.world_mut());
    use AvatarStage::{Face, Queued, Ready, Sampling, Spawning};
    for wanted in [Queued, Face, Sampling, Spawning, Ready] {
        let photo = app.world().resource::<AssetServer>().load(format!("selfies/{ASTRONAUT}"));
        let avatar = app.world_mut().spawn(Avatar::from_selfie(photo)).id();
        run_until_stage(&mut app, avatar, wanted);
        app.world_mut().despawn(avatar);
        // The next one shows that the worker is free again.
        let next = app.world_mut().spawn(Avatar::random(2)).id();
        run_until_stage(&mut app, next, AvatarStage::Ready);
        app.world_mut().despawn(next);
        run_a_while(&mut app, 10);
        assert_eq!(alive(app.world_mut()), before, "after {wanted:?}");
        let ready = app.world().resource::<Seen>().take();
        let expected = if wanted == Ready { vec![(avatar, Ok(())), (next, Ok(()))] } else { vec![(next, Ok(()))] };
        assert_eq!(ready, expected);
    }
}

#[test]
fn removing_the_component_removes_the_head_and_keeps_the_entity() {
    let mut app = app();
    let avatar = app.world_mut().spawn((Avatar::random(3), Name::new("mine"))).id();
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    app.world_mut().entity_mut(avatar).remove::<Avatar>();
    run_a_while(&mut app, 5);
    assert_eq!(alive(app.world_mut())[1..], [0; 6]);
    assert!(app.world().get::<Name>(avatar).is_some());
    assert!(app.world().get::<GeneratedAvatar>(avatar).is_none());
}

#[test]
fn fifty_requests_that_are_all_dropped_leave_nothing_behind() {
    let mut app = app();
    app.update();
    let before = alive(app.world_mut());
    let avatars: Vec<Entity> = (0..50).map(|seed| app.world_mut().spawn(Avatar::random(seed)).id()).collect();
    run_until(&mut app, "the first of fifty", |world| stage(world, avatars[0]) == AvatarStage::Ready);
    // Fifty more, none of which is begun.
    let more: Vec<Entity> = (0..50).map(|seed| app.world_mut().spawn(Avatar::random(seed)).id()).collect();
    app.update();
    for avatar in avatars.into_iter().chain(more) {
        app.world_mut().despawn(avatar);
    }
    let last = app.world_mut().spawn(Avatar::random(99)).id();
    run_until_stage(&mut app, last, AvatarStage::Ready);
    app.world_mut().despawn(last);
    run_a_while(&mut app, 10);
    assert_eq!(alive(app.world_mut()), before);
}

#[test]
fn a_changed_avatar_is_generated_anew_and_replaces_the_old_one() {
    let mut app = app();
    let avatar = app.world_mut().spawn(Avatar::random(5)).id();
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    let old = alive(app.world_mut());
    let vertices = app.world().get::<GeneratedAvatar>(avatar).unwrap().data.vertices.clone();
    app.world_mut().get_mut::<Avatar>(avatar).unwrap().seed = 6;
    run_until(&mut app, "the new one to start", |world| stage(world, avatar) != AvatarStage::Ready);
    assert_eq!(alive(app.world_mut()), old, "the old head stays meanwhile");
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    run_a_while(&mut app, 5);
    assert_eq!(alive(app.world_mut()), old);
    assert_ne!(app.world().get::<GeneratedAvatar>(avatar).unwrap().data.vertices, vertices);
}

#[test]
fn the_look_can_be_changed_afterwards() {
    let mut app = app();
    let avatar = app.world_mut().spawn(Avatar::random(5)).id();
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    let tint = Color::linear_rgb(1.5, 0.9, 0.8);
    let look = AvatarLook { skin_roughness: 0.8, iris: Some(Color::linear_rgb(0.0, 0.2, 0.1)), skin_tint: tint };
    let (_, first) = skin_and_eye(app.world_mut());
    app.world_mut().entity_mut(avatar).insert(look);
    app.update();
    assert_eq!(skin_and_eye(app.world_mut()).0, 0.8);
    assert_eq!(skin_colour(app.world_mut()), tint);
    run_until(&mut app, "green eyes", |world| skin_and_eye(world).1 != first);
    assert_eq!(stage(app.world(), avatar), AvatarStage::Ready, "a look is no reason to generate anew");

    // A colour that is chosen meanwhile counts as well.
    app.world_mut().get_mut::<Avatar>(avatar).unwrap().seed = 6;
    run_until_stage(&mut app, avatar, AvatarStage::Sampling);
    app.world_mut().get_mut::<AvatarLook>(avatar).unwrap().iris = Some(Color::linear_rgb(0.0, 0.1, 0.3));
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    let (roughness, green) = skin_and_eye(app.world_mut());
    assert_eq!(roughness, 0.8);
    assert_eq!(skin_colour(app.world_mut()), tint, "a new head wears it, too");
    run_until(&mut app, "blue eyes", |world| skin_and_eye(world).1 != green);
    // The old head's textures go a few frames after it.
    let (_, blue) = skin_and_eye(app.world_mut());
    run_a_while(&mut app, 50);
    let textures = alive(app.world_mut())[4];
    run_a_while(&mut app, 50);
    assert_eq!(skin_and_eye(app.world_mut()).1, blue, "eyes are painted once");
    assert_eq!(alive(app.world_mut())[4], textures);

    // What is no colour leaves the person's own, which are painted once as well.
    app.world_mut().get_mut::<AvatarLook>(avatar).unwrap().iris = Some(Color::linear_rgb(0.0, f32::NAN, 0.3));
    run_until(&mut app, "the person's own eyes", |world| skin_and_eye(world).1 != blue);
    let (_, own) = skin_and_eye(app.world_mut());
    run_a_while(&mut app, 50);
    assert_eq!(skin_and_eye(app.world_mut()).1, own, "eyes are painted once");
}

/// What the skin's albedo is multiplied with.
fn skin_colour(world: &mut World) -> Color {
    let mut parts = world.query::<(&AvatarPart, &MeshMaterial3d<StandardMaterial>)>();
    let skin = parts.iter(world).find(|(part, _)| part.material == "skin").map(|(_, handle)| handle.0.clone()).unwrap();
    world.resource::<Assets<StandardMaterial>>().get(&skin).unwrap().base_color
}

/// Roughness of the skin and texture of the eyes.
fn skin_and_eye(world: &mut World) -> (f32, Option<Handle<Image>>) {
    let mut parts = world.query::<(&AvatarPart, &MeshMaterial3d<StandardMaterial>)>();
    let handle = |material: &str| {
        parts.iter(world).find(|(part, _)| part.material == material).map(|(_, handle)| handle.0.clone()).unwrap()
    };
    let [skin, eye] = ["skin", "eye"].map(handle);
    let materials = world.resource::<Assets<StandardMaterial>>();
    (materials.get(&skin).unwrap().perceptual_roughness, materials.get(&eye).unwrap().base_color_texture.clone())
}

fn failure(app: &mut App, avatar: Avatar) -> Arc<AvatarError> {
    let entity = app.world_mut().spawn(avatar).id();
    run_until_stage(app, entity, AvatarStage::Failed);
    let seen = app.world().resource::<Seen>().take();
    assert_eq!(seen.len(), 1, "{seen:?}");
    let error = app.world().get::<AvatarFailure>(entity).unwrap().0.clone();
    assert_eq!(seen[0], (entity, Err(error.to_string())));
    error
}

#[test]
fn photos_without_a_face_or_without_a_file_fail_and_the_next_one_works() {
    let mut app = app();
    let missing = app.world().resource::<AssetServer>().load("selfies/nobody.jpg");
    let error = failure(&mut app, Avatar::from_selfie(missing));
    assert!(matches!(&*error, AvatarError::Photo { .. }) && error.to_string().contains("nobody.jpg"), "{error}");

    let grey = RgbImage::from_pixel(300, 300, image::Rgb([128; 3]));
    let grey = app.world_mut().resource_mut::<Assets<Photo>>().add(Photo::from(grey));
    let error = failure(&mut app, Avatar::from_selfie(grey));
    assert!(error.to_string().contains("no face"), "{error}");

    let error = failure(&mut app, Avatar::from_selfies([]));
    assert!(matches!(&*error, AvatarError::Pipeline(PipelineError::NoPhotos)), "{error}");

    let error = failure(&mut app, Avatar::from_selfie(Handle::default()));
    assert!(matches!(&*error, AvatarError::NoPhoto), "{error}");

    let avatar = app.world_mut().spawn(Avatar::random(1)).id();
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
}

fn copy_bundle(to: &Path) {
    for entry in fs::read_dir(repository().join("models/base")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_bundle_that_is_missing_broken_or_swapped_is_told_and_the_right_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let mut app = app_with(FitDiffSettings { bundle: missing, options: quick(), ..default() }, default());
    let error = failure(&mut app, Avatar::random(1));
    assert!(matches!(&*error, AvatarError::Model { .. }), "{error}");
    assert!(matches!(app.world().resource::<FitDiffModel>(), FitDiffModel::Failed(_)));

    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    copy_bundle(&broken);
    let template = fs::read_dir(&broken)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "bin"));
    let template = template.expect("the template head is a .bin file");
    let mut content = fs::read(&template).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&template, content).unwrap();
    app.world_mut().resource_mut::<FitDiffSettings>().bundle = broken;
    let error = failure(&mut app, Avatar::random(1));
    assert!(error.to_string().contains("SHA-256"), "{error}");

    app.world_mut().resource_mut::<FitDiffSettings>().bundle = FitDiffSettings::default().bundle;
    let avatar = app.world_mut().spawn(Avatar::random(1)).id();
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    assert!(matches!(app.world().resource::<FitDiffModel>(), FitDiffModel::Ready(_)));
}

#[test]
fn settings_that_change_midway_count_from_the_next_avatar_on() {
    let folder = tempfile::tempdir().unwrap();
    copy_bundle(folder.path());
    let options = GenerateOptions { steps: 40, ..default() };
    let mut app = app_with(FitDiffSettings { options, ..default() }, default());
    let [first, second] = [1, 2].map(|seed| app.world_mut().spawn(Avatar::random(seed)).id());
    run_until_stage(&mut app, first, AvatarStage::Sampling);
    let mut settings = app.world_mut().resource_mut::<FitDiffSettings>();
    settings.options.steps = 3;
    settings.bundle = folder.path().to_owned();
    run_until_stage(&mut app, first, AvatarStage::Ready);
    // The bundle goes while the avatar that needs it is generated: it was read before.
    run_until_stage(&mut app, second, AvatarStage::Sampling);
    drop(folder);
    run_until_stage(&mut app, second, AvatarStage::Ready);
    let steps = [first, second].map(|avatar| {
        let generated = app.world().get::<GeneratedAvatar>(avatar).unwrap();
        generated.recipe().options.steps
    });
    assert_eq!(steps, [40, 3]);
}

#[test]
fn an_app_that_ends_meanwhile_does_not_wait_for_the_avatar() {
    let long = GenerateOptions { steps: 500, guidance: Guidance::Off, ..default() };
    let mut app = app_with(FitDiffSettings { options: long, ..default() }, default());
    let avatar = app.world_mut().spawn(Avatar::random(1)).id();
    run_until_stage(&mut app, avatar, AvatarStage::Sampling);
    drop(app);
}

#[test]
fn without_an_engine_avatars_fail_and_say_why() {
    let library = Some("no/such/library.so".into());
    let runtime = RuntimeOptions { backend: BackendChoice::OnnxRuntime, library, ..default() };
    let mut app = app_with(FitDiffSettings::default(), runtime);
    let error = failure(&mut app, Avatar::random(1));
    assert!(matches!(&*error, AvatarError::NoRuntime { .. }), "{error}");
    assert!(error.to_string().contains("no/such/library.so"), "{error}");
}

#[test]
fn scenes_keep_the_request_and_nothing_of_the_face() {
    let mut app = app();
    let avatar = app.world_mut().spawn(Avatar::random(5)).id();
    run_until_stage(&mut app, avatar, AvatarStage::Ready);
    let registry = app.world().resource::<AppTypeRegistry>().read();
    let to_json = |value: &dyn PartialReflect| serde_json::to_string(&ReflectSerializer::new(value, &registry));
    // What scenes are written from: all components with this data.
    let mut kept = BTreeMap::new();
    for registration in registry.iter().filter(|known| known.type_info().type_path().starts_with("bevy_fitdiff::")) {
        let component = registration.data::<ReflectComponent>();
        if let Some(component) = component.and_then(|component| component.reflect(app.world().entity(avatar))) {
            let name = registration.type_info().type_path_table().short_path();
            kept.insert(name, to_json(component.as_partial_reflect()).unwrap());
        }
    }
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), ["Avatar", "AvatarLook", "AvatarProgress"]);
    let read = ReflectDeserializer::new(&registry);
    let read = read.deserialize(&mut serde_json::Deserializer::from_str(&kept["Avatar"])).unwrap();
    let read = Avatar::from_reflect(&*read).unwrap();
    assert!(read.seed == 5 && matches!(read.source, AvatarSource::Random), "{read:?}");

    for result in [TypeId::of::<GeneratedAvatar>(), TypeId::of::<AvatarFailure>(), TypeId::of::<FitDiffModel>()] {
        let registration = registry.get(result).expect("public types are registered");
        assert!(registration.data::<ReflectComponent>().is_none() && registration.data::<ReflectResource>().is_none());
    }
    assert!(registry.get_type_data::<ReflectResource>(TypeId::of::<FitDiffSettings>()).is_some());
    assert!(registry.get_type_data::<ReflectDefault>(TypeId::of::<AvatarPart>()).is_some());
    let generated = app.world().get::<GeneratedAvatar>(avatar).unwrap();
    let error = to_json(&Avatar::from_recipe(generated.recipe().clone())).unwrap_err();
    assert!(error.to_string().contains("SavedRecipe"), "{error}");
    assert!(to_json(generated).is_err());
    let settings: &FitDiffSettings = app.world().resource();
    assert!(to_json(settings).unwrap().contains(r#""steps":3"#));
}

#[test]
fn previews_emerge_where_they_are_asked_for() {
    let options = GenerateOptions { steps: 6, preview_every: 2, guidance: Guidance::Off, ..default() };
    let mut app = app_with(FitDiffSettings { options, ..default() }, default());
    let avatar = app.world_mut().spawn(Avatar::random(4)).id();
    let mut previews = HashSet::new();
    run_until(&mut app, "the avatar", |world| {
        let progress = world.get::<AvatarProgress>(avatar).unwrap();
        previews.extend(progress.preview.as_ref().map(Handle::id));
        progress.stage == AvatarStage::Ready
    });
    assert!(!previews.is_empty());
    run_a_while(&mut app, 3);
    assert_eq!(app.world().get::<AvatarProgress>(avatar).unwrap().preview, None);
}
