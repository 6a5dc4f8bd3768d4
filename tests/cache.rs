//! The cache of generated avatars: what comes out of it is what was generated, and it is nowhere unless a game wants it.

mod common;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bevy::prelude::*;
use bevy_fitdiff::{
    face::Identity,
    pipeline::{AvatarData, AvatarRecipe, RecipeSource},
    prelude::*,
    runtime::RuntimeOptions,
};
use common::app::{app, app_with, quick, run_until, run_until_stage};

fn app_with_cache(cache: &CacheSettings) -> App {
    let settings = FitDiffSettings { options: quick(), cache: Some(cache.clone()), ..default() };
    app_with(settings, RuntimeOptions::default())
}

/// Generates an avatar; with it, whether it was sampled.
fn generate(app: &mut App, avatar: Avatar) -> (Arc<AvatarData>, bool) {
    let entity = app.world_mut().spawn(avatar).id();
    let mut stages = HashSet::new();
    run_until(app, "the avatar", |world| {
        let progress = world.get::<AvatarProgress>(entity).unwrap();
        stages.insert(format!("{:?}", progress.stage));
        assert_ne!(progress.stage, AvatarStage::Failed, "{:?}", world.get::<AvatarFailure>(entity));
        progress.stage == AvatarStage::Ready
    });
    let data = app.world().get::<GeneratedAvatar>(entity).unwrap().data.clone();
    app.world_mut().despawn(entity);
    (data, stages.contains("Sampling"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn assert_same(found: &AvatarData, expected: &AvatarData) {
    let bits = |data: &AvatarData| -> Vec<[u32; 3]> {
        data.vertices.iter().map(|vertex| vertex.to_array().map(f32::to_bits)).collect()
    };
    assert_eq!(bits(found), bits(expected));
    assert!(found.maps == expected.maps);
    assert_eq!(found.latents, expected.latents);
    assert_eq!(found.shape_scale, expected.shape_scale);
    assert_eq!(found.recipe, expected.recipe);
    assert_eq!(found.identity, expected.identity);
}

fn with_identity(recipe: &AvatarRecipe, identity: &Identity) -> AvatarRecipe {
    AvatarRecipe { source: RecipeSource::Identity(identity.values().to_vec()), ..recipe.clone() }
}

#[test]
fn nothing_is_kept_unless_the_game_says_so() {
    assert_eq!(FitDiffSettings::default().cache, None);
    let folder = tempfile::tempdir().unwrap();
    let mut app = app();
    generate(&mut app, Avatar::random(1));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn an_avatar_that_was_there_before_comes_from_the_cache_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    // The folder is made when it is needed.
    let cache = CacheSettings::in_folder(folder.path().join("game/avatars"));
    let mut app = app_with_cache(&cache);
    assert_eq!(cache.bytes().unwrap(), 0);
    let (first, sampled) = generate(&mut app, Avatar::random(11));
    assert!(sampled);
    let [entry] = &files(&cache.folder)[..] else { panic!("one entry") };
    assert_eq!(cache.bytes().unwrap(), fs::metadata(entry).unwrap().len());
    // By the same request, by its recipe, and in another app.
    let (again, sampled) = generate(&mut app, Avatar::random(11));
    assert!(!sampled);
    assert_same(&again, &first);
    drop(app);
    let mut app = app_with_cache(&cache);
    let (again, sampled) = generate(&mut app, Avatar::from_recipe(first.recipe.clone()));
    assert!(!sampled);
    assert_same(&again, &first);
    assert_eq!(files(&cache.folder).len(), 1);
    // Another seed, other options and an identity are other avatars.
    assert!(generate(&mut app, Avatar::random(12)).1);
    app.world_mut().resource_mut::<FitDiffSettings>().options.steps = 4;
    assert!(generate(&mut app, Avatar::random(11)).1);
    assert_eq!(files(&cache.folder).len(), 3);
    let identity = common::face_of(&common::selfie(common::ASTRONAUT)).identity;
    let person = with_identity(&first.recipe, &identity);
    let (known, sampled) = generate(&mut app, Avatar::from_recipe(person.clone()));
    assert!(sampled && known.identity.as_ref() == Some(&identity));
    let (again, sampled) = generate(&mut app, Avatar::from_recipe(person));
    assert!(!sampled);
    assert_same(&again, &known);
    // The entries hold no embedding.
    let traces: Vec<[u8; 4]> = identity.values().iter().map(|value| value.to_le_bytes()).collect();
    for file in files(&cache.folder) {
        let content = fs::read(&file).unwrap();
        assert!(!content.windows(16).any(|bytes| bytes == traces[..4].as_flattened()), "{}", file.display());
    }
    cache.clear().unwrap();
    assert!(files(&cache.folder).is_empty());
    assert!(generate(&mut app, Avatar::random(12)).1);
}

#[test]
fn a_recipe_of_another_bundle_is_refused_with_a_cache_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = app_with_cache(&CacheSettings::in_folder(folder.path()));
    let mut recipe = generate(&mut app, Avatar::random(1)).0.recipe.clone();
    recipe.bundle.version = "99.0.0".into();
    let entity = app.world_mut().spawn(Avatar::from_recipe(recipe)).id();
    run_until_stage(&mut app, entity, AvatarStage::Failed);
    assert!(app.world().get::<AvatarFailure>(entity).unwrap().to_string().contains("99.0.0"));
}

#[test]
fn a_damaged_entry_is_passed_over_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheSettings::in_folder(folder.path());
    let mut app = app_with_cache(&cache);
    let (first, _) = generate(&mut app, Avatar::random(1));
    generate(&mut app, Avatar::random(2));
    let [one, two] = &files(folder.path())[..] else { panic!("two entries") };
    let whole = [one, two].map(|path| fs::read(path).unwrap());
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 6] = [
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        },
        |bytes| bytes.truncate(1000),
        |bytes| bytes.push(0),
        |bytes| bytes.clear(),
        |bytes| bytes.fill(0),
        // The length of the vertices.
        |bytes| bytes[44..48].fill(0xFF),
    ];
    for damage in damages {
        for (path, whole) in [one, two].into_iter().zip(&whole) {
            let mut bytes = whole.clone();
            damage(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
        let (again, sampled) = generate(&mut app, Avatar::random(1));
        assert!(sampled);
        assert_same(&again, &first);
        assert!(!generate(&mut app, Avatar::random(1)).1, "it was replaced");
    }
    // Another avatar's entry under this name.
    [one, two].into_iter().zip(whole.iter().rev()).for_each(|(path, other)| fs::write(path, other).unwrap());
    let (again, sampled) = generate(&mut app, Avatar::random(1));
    assert!(sampled);
    assert_same(&again, &first);
}

#[test]
fn the_longest_unused_avatar_goes_when_there_is_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut cache = CacheSettings::in_folder(folder.path());
    let mut app = app_with_cache(&cache);
    generate(&mut app, Avatar::random(1));
    let one = cache.bytes().unwrap();
    cache.max_bytes = 2 * one + one / 2;
    app.world_mut().resource_mut::<FitDiffSettings>().cache = Some(cache.clone());
    generate(&mut app, Avatar::random(2));
    // The first one is used again, so that the second one is the longest unused.
    assert!(!generate(&mut app, Avatar::random(1)).1);
    generate(&mut app, Avatar::random(3));
    assert_eq!(cache.bytes().unwrap(), 2 * one);
    assert!(!generate(&mut app, Avatar::random(1)).1);
    assert!(!generate(&mut app, Avatar::random(3)).1);
    assert!(generate(&mut app, Avatar::random(2)).1);
    // No room for one: it is generated all the same, and what is there stays.
    cache.max_bytes = one - 1;
    app.world_mut().resource_mut::<FitDiffSettings>().cache = Some(cache.clone());
    generate(&mut app, Avatar::random(4));
    assert_eq!(cache.bytes().unwrap(), 2 * one);
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_caching_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    fs::write(&file, b"in the way").unwrap();
    for place in [file.clone(), file.join("below")] {
        let cache = CacheSettings::in_folder(&place);
        let mut app = app_with_cache(&cache);
        assert!(generate(&mut app, Avatar::random(1)).1);
        assert!(generate(&mut app, Avatar::random(1)).1);
        assert!(cache.clear().is_err() && cache.bytes().is_err(), "{}", place.display());
    }
    assert_eq!(fs::read(&file).unwrap(), b"in the way");
}
