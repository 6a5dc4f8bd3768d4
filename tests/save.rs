//! Avatars in files: they come back to the last bit, and whatever is no avatar is told.

use std::{
    fs,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bevy::color::Color;
use bevy_fitdiff::{
    avatar::AvatarLook,
    face::Identity,
    pipeline::{
        AvatarData, AvatarRecipe, GenerateOptions, GenerateRequest, Guidance, Pipeline, PipelineError, RECIPE_VERSION,
        RecipeSource, ShapeEdits, ShapeTraits, Source,
    },
    runtime::{CancelToken, Runtime, RuntimeOptions},
    save::{AvatarFile, Embedding, FILE_VERSION, MAX_FILE_BYTES, SaveError},
};
use serde_json::{Value, json};

mod common;

fn pipeline() -> MutexGuard<'static, Pipeline> {
    static PIPELINE: LazyLock<Mutex<Pipeline>> = LazyLock::new(|| {
        let runtime = Runtime::new(RuntimeOptions::default()).unwrap();
        Mutex::new(Pipeline::load(&common::bundle(), &runtime).unwrap())
    });
    PIPELINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn generate(source: Source) -> AvatarData {
    let options = GenerateOptions { steps: 3, guidance: Guidance::Off, ..Default::default() };
    let request = GenerateRequest { source, seed: u64::MAX - 1, options };
    pipeline().generate(&request, &CancelToken::default(), &mut |_| {}).unwrap()
}

fn regenerate(recipe: &AvatarRecipe) -> Result<AvatarData, PipelineError> {
    pipeline().regenerate(recipe, &CancelToken::default(), &mut |_| {})
}

/// An avatar of an identity, without a photo.
fn person() -> AvatarData {
    let known = common::face_of(&common::selfie(common::ASTRONAUT)).identity;
    generate(Source::Identity(known))
}

fn look() -> AvatarLook {
    AvatarLook {
        iris: Some(Color::linear_rgb(0.1, 1.0 / 3.0, 0.7)),
        skin_roughness: 0.37,
        skin_tint: Color::linear_rgb(1.25, 0.9, 0.1),
    }
}

fn there_and_back(file: &AvatarFile) -> AvatarFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.avatar.json");
    file.save(&path).unwrap();
    AvatarFile::open(&path).unwrap()
}

/// A small file without a pipeline.
fn small() -> AvatarFile {
    let recipe: AvatarRecipe =
        serde_json::from_str(&fs::read_to_string(common::repository().join("tests/fixtures/recipe_v1.json")).unwrap())
            .unwrap();
    let source = RecipeSource::Latents { reflectance: vec![0.5, -1.25, 3.0], shape: vec![0.25, -0.125] };
    let mut edits = ShapeEdits::from_base(vec![0.1, -0.125]);
    edits.set("nose_length", 1.5);
    edits.set("jaw_width", -0.75);
    edits.set_variation(3, 0.5);
    AvatarFile {
        name: "Ada \u{1F600} Lovelace".into(),
        recipe: AvatarRecipe { version: RECIPE_VERSION, source, iris: Some([0.1, 0.2, 1.0 / 3.0]), ..recipe },
        identity: Some(Identity::new(vec![0.1, 0.2, 0.3])),
        look: look(),
        edits: Some(edits),
    }
}

#[test]
fn every_kind_of_avatar_comes_back_to_the_last_bit() {
    let random = generate(Source::Random);
    let person = person();
    let traits = ShapeTraits::new(&random.head);
    let mut edits = ShapeEdits::new(&random);
    edits.set("mouth_width", 1.0);
    let edited = regenerate(&edits.recipe(&random, &traits)).unwrap();
    let files = [
        (AvatarFile::new("random", &random, look(), Embedding::Drop), &random),
        (AvatarFile::new("", &person, AvatarLook::default(), Embedding::Drop), &person),
        (AvatarFile::new("kept", &person, look(), Embedding::Keep), &person),
        (AvatarFile::new("edited", &edited, look(), Embedding::Drop).with_edits(edits), &edited),
    ];
    for (file, data) in files {
        let read = there_and_back(&file);
        assert_eq!(read, file);
        let text = file.to_json().unwrap();
        println!("{}: {} bytes", file.name, text.len());
        assert!(text.len() < 8 << 10, "{}: {} bytes", file.name, text.len());
        let again = regenerate(&read.recipe).unwrap();
        assert_eq!(again.vertices, data.vertices, "{}", file.name);
        assert!(again.maps == data.maps, "{}", file.name);
        assert_eq!(again.latents, data.latents, "{}", file.name);
        assert!(read.check_bundle(pipeline().bundle_id()).is_ok());
    }
    let small = small();
    assert_eq!(AvatarFile::from_json(small.to_json().unwrap().as_bytes()).unwrap(), small);
}

#[test]
fn the_embedding_is_written_only_if_it_is_to_be_kept() {
    let person = person();
    let embedding = person.identity.clone().unwrap();
    // However it might be written.
    let single: Vec<u8> = embedding.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    let half: Vec<u8> = embedding.values().iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect();
    let traces = [STANDARD.encode(single), STANDARD.encode(half), embedding.values()[0].to_string()];
    let traces_in = |text: &str| traces.iter().filter(|trace| text.contains(trace.trim_end_matches('='))).count();
    let dropped = AvatarFile::new("", &person, look(), Embedding::Drop);
    assert_eq!((traces_in(&dropped.to_json().unwrap()), &dropped.identity), (0, &None));
    assert_eq!(Embedding::default(), Embedding::Drop);
    let kept = AvatarFile::new("", &person, look(), Embedding::Keep);
    assert_eq!(traces_in(&kept.to_json().unwrap()), 1);
    assert_eq!(there_and_back(&kept).identity, Some(embedding.clone()));
    // An avatar that is kept by its latents may still come with the identity.
    let forgotten = person.forgotten();
    let both =
        AvatarFile { identity: Some(embedding.clone()), ..AvatarFile::new("", &forgotten, look(), Embedding::Keep) };
    assert_eq!(there_and_back(&both).identity, Some(embedding));
    assert_eq!(there_and_back(&AvatarFile::new("", &forgotten, look(), Embedding::Keep)).identity, None);
    assert!(!format!("{kept:?}").contains(&traces[2]), "nor does debug output show it");
}

#[test]
fn a_recipe_of_the_version_before_is_read_and_its_latents_are_not_rounded() {
    let path = common::repository().join("tests/fixtures/recipe_v1.json");
    let file = AvatarFile::open(path).unwrap();
    assert_eq!((file.recipe.version, file.recipe.seed, &file.recipe.source), (1, 3, &RecipeSource::Random));
    assert_eq!((&file.look, &file.edits), (&AvatarLook::default(), &None));
    // Whatever bundle is shipped by now.
    let recipe = AvatarRecipe { bundle: pipeline().bundle_id().clone(), ..file.recipe.clone() };
    let old = regenerate(&recipe).unwrap();
    let new = regenerate(&AvatarRecipe { version: RECIPE_VERSION, ..recipe.clone() }).unwrap();
    assert!(old.recipe.iris.is_none() && new.recipe.iris.is_some(), "eyes of random people were brown");
    assert_ne!(old.latents, old.latents.to_half_precision());
    assert_eq!(new.latents, old.latents.to_half_precision());
    // In a file of today, and by its latents, it stays what it was.
    let kept = there_and_back(&AvatarFile::new("", &old, look(), Embedding::Drop));
    assert_eq!(kept.recipe, recipe);
    let kept = there_and_back(&AvatarFile::new("", &old.forgotten(), look(), Embedding::Drop));
    assert_eq!(kept.recipe.version, 1);
    assert_eq!(regenerate(&kept.recipe).unwrap().vertices, old.vertices);
}

#[test]
fn recipes_before_version_5_keep_the_decoders_checkerboard() {
    // Whose chin has stubble, on which it is plain.
    let recipe = AvatarRecipe { seed: 5, source: RecipeSource::Random, ..person().recipe };
    let [old, new] = [4, 5].map(|version| regenerate(&AvatarRecipe { version, ..recipe.clone() }).unwrap());
    assert_eq!((&old.latents, &old.maps.specular), (&new.latents, &new.maps.specular));
    let [before, after] = [old, new].map(|data| waves(&data));
    assert!(after < 0.4 * before, "{after} after {before}");
}

/// Of the chin's albedo, the waves of eight texels along rows and columns.
fn waves(data: &AvatarData) -> f64 {
    const SIDE: usize = 64;
    let size = data.maps.size;
    let value = |place: usize| data.maps.diffuse[place].iter().map(|value| f64::from(*value)).sum::<f64>();
    let wave = |step: usize| {
        let (mut even, mut odd) = (0.0, 0.0);
        for index in 0..SIDE * SIDE {
            let place = (size * 11 / 16 + index / SIDE) * size + size * 3 / 8 + index % SIDE;
            // Without what changes slowly.
            let detail = value(place) - 0.5 * (value(place - 4 * step) + value(place + 4 * step));
            let phase = std::f64::consts::TAU / 8.0 * (place / step) as f64;
            even += detail * phase.cos();
            odd += detail * phase.sin();
        }
        even.hypot(odd) / (SIDE * SIDE) as f64
    };
    wave(1).hypot(wave(size))
}

#[test]
fn a_file_of_the_version_before_is_read() {
    let small = small();
    let file = AvatarFile { recipe: AvatarRecipe { version: 2, iris: None, ..small.recipe.clone() }, ..small };
    let text = file.to_json().unwrap();
    assert_eq!(text.matches(r#""iris""#).count(), 1, "that of the look alone: {text}");
    let before = text.replace(&format!(r#""version":{FILE_VERSION},"crate"#), r#""version":1,"crate"#);
    assert_ne!(before, text);
    assert_eq!(AvatarFile::from_json(before.as_bytes()).unwrap(), file);
    let left = AvatarFile { look: AvatarLook { iris: None, ..look() }, ..file };
    assert_eq!(there_and_back(&left), left, "a look that leaves the eyes as they are");
}

#[test]
fn an_avatar_of_another_bundle_is_told() {
    let file = small();
    let mut own = pipeline().bundle_id().clone();
    own.version = "99.0.0".into();
    let error = file.check_bundle(&own).unwrap_err();
    assert!(matches!(error, SaveError::OtherBundle { .. }) && error.to_string().contains("99.0.0"), "{error}");
    let error = regenerate(&AvatarRecipe { bundle: own, ..file.recipe.clone() }).unwrap_err();
    assert!(matches!(error, PipelineError::OtherBundle { .. }), "{error}");
    // Latents that do not fit are told by the pipeline, which knows their lengths.
    let own = AvatarRecipe { bundle: pipeline().bundle_id().clone(), ..file.recipe };
    assert!(matches!(regenerate(&own), Err(PipelineError::Shape { .. })));
}

/// The content with a change, and the hash that belongs to it.
fn with_hash(content: &str) -> String {
    match AvatarFile::from_json(content.as_bytes()) {
        Err(SaveError::Damaged { expected, found }) => content.replace(&expected, &found),
        _ => content.to_owned(),
    }
}

#[test]
fn whatever_is_no_avatar_is_told_in_words() {
    let text = small().to_json().unwrap();
    let read = |content: &str| AvatarFile::from_json(content.as_bytes());
    let swapped = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    };
    // Cut off anywhere.
    let content = text.trim_end();
    for end in 0..content.len() {
        if content.is_char_boundary(end) {
            assert!(matches!(read(&content[..end]), Err(SaveError::Truncated { .. })), "{end}");
        }
    }
    // One letter of the numbers, of the hash.
    let error = read(&swapped("\"Ada ", "\"Bda ")).unwrap_err();
    assert!(matches!(error, SaveError::Damaged { .. }), "{error}");
    // Of a newer version.
    let version = format!(r#""version":{FILE_VERSION},"crate"#);
    for newer in ["3", "99999999999"] {
        let error = read(&swapped(&version, &format!(r#""version":{newer},"new":[],"crate"#))).unwrap_err();
        assert!(matches!(&error, SaveError::Newer { found, .. } if found.to_string() == newer), "{error}");
    }
    for old in ["0", "-1", "1.5", "\"1\"", "null", "1e99"] {
        let error = read(&swapped(&version, &format!(r#""version":{old},"crate"#))).unwrap_err();
        assert!(matches!(error, SaveError::Value { .. } | SaveError::Syntax { .. }), "{old}: {error}");
    }
    // Other encodings; a byte order mark does no harm.
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(AvatarFile::from_json(&utf16).is_err());
    let marked: Vec<u8> = [&[0xFF, 0xFE], &utf16[..]].concat();
    assert!(matches!(AvatarFile::from_json(&marked), Err(SaveError::Encoding)));
    let latin: Vec<u8> = swapped("Ada", "Ad\u{e4}").chars().map(|c| c as u32 as u8).collect();
    assert!(matches!(AvatarFile::from_json(&latin), Err(SaveError::Encoding)));
    assert!(read(&format!("\u{feff}{text}")).is_ok());
    // Long, deep, and foreign.
    let long = vec![b' '; MAX_FILE_BYTES as usize + 1];
    assert!(matches!(AvatarFile::from_json(&long), Err(SaveError::TooLarge { .. })));
    for nested in ["[", "{\"a\":"] {
        let deep = swapped(r#""crate_version":"#, &format!(r#""deep":{},"crate_version":"#, nested.repeat(100_000)));
        assert!(matches!(read(&deep), Err(SaveError::Syntax { .. })));
    }
    for foreign in
        ["", "{}", "[]", "null", "\"\"", "0", "{\"version\":1}", "{\"kind\":\"glTF\",\"version\":1}", "<xml/>"]
    {
        assert!(read(foreign).is_err(), "{foreign}");
    }
    assert!(matches!(read(&format!("{text}{text}")), Err(SaveError::Syntax { .. })));
}

#[test]
fn values_that_no_avatar_has_are_refused_even_under_the_right_hash() {
    let text = small().to_json().unwrap();
    let base64 = |values: &[f32]| STANDARD.encode(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    let nan = format!(r#"{{"f32":"{}"}}"#, base64(&[f32::NAN, 1.0, 1.0]));
    let infinite = format!(r#"{{"f32":"{}"}}"#, base64(&[1.0, f32::INFINITY, 1.0]));
    let short = format!(r#"{{"f32":"{}"}}"#, base64(&[1.0]));
    let reflectance = r#"{"f16":"ADgAvQBC"}"#;
    let shape = r#"{"f16":"ADQAsA=="}"#;
    let long = "A".repeat(101);
    let changes: Vec<(&str, &str, &str)> = vec![
        ("numbers that are none", reflectance, &nan),
        ("infinite numbers", reflectance, &infinite),
        ("a half number", reflectance, r#"{"f16":"ADgAvQA="}"#),
        ("no base64", reflectance, r#"{"f16":"ADgAvQB!"}"#),
        ("loose base64", shape, r#"{"f16":"ADQAsB=="}"#),
        ("no numbers", reflectance, r#"{"f16":""}"#),
        ("edits of another length", shape, &short),
        ("a long name", "Ada", &long),
        ("two lines", "Ada", r"A\nda"),
        ("no steps", r#""steps":3"#, r#""steps":0"#),
        ("fewer than no steps", r#""steps":3"#, r#""steps":-3"#),
        ("many steps", r#""steps":3"#, r#""steps":18446744073709551615"#),
        ("a huge scale", r#""guidance_scale":1.5"#, r#""guidance_scale":1e39"#),
        ("cold noise", r#""reflectance":1.0"#, r#""reflectance":-1.0"#),
        ("a negative seed", r#""seed":3"#, r#""seed":-3"#),
        ("a rough skin", r#""skin_roughness":0.37"#, r#""skin_roughness":1.37"#),
        ("a tint beyond light", "1.25", "1e30"),
        ("eyes beyond light", r#""iris":[0.1,0.2,"#, r#""iris":[0.1,1e30,"#),
        ("a move beyond the head", r#"["nose_length",1.5]"#, r#"["nose_length",1e39]"#),
        ("a move twice", r#"["nose_length",1.5]"#, r#"["nose_length",1.5],["nose_length",1.5]"#),
        ("no move", r#"["nose_length",1.5]"#, r#"["nose_length",0.0]"#),
        ("a far variation", "[[3,0.5]]", "[[1000000,0.5]]"),
        ("a variation twice", "[[3,0.5]]", "[[3,0.5],[3,0.5]]"),
        ("a key twice", r#""seed":3"#, r#""seed":3,"seed":4"#),
        ("an unknown key", r#""seed":3"#, r#""seed":3,"photo":"me.jpg""#),
        ("a newer recipe", r#""version":5"#, r#""version":6"#),
        ("no recipe's version", r#""version":5"#, r#""version":0"#),
    ];
    for (what, from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{what}: {from} in {text}");
        let changed = with_hash(&text.replace(from, to));
        let error = AvatarFile::from_json(changed.as_bytes()).expect_err(what);
        assert!(matches!(error, SaveError::Value { .. } | SaveError::Syntax { .. }), "{what}: {error}");
        println!("{what}: {error}");
    }
    // A digest that is none; edits of an avatar that has no latents; what cannot be read cannot be written either.
    let tree: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(tree["avatar"]["recipe"]["source"]["latents"]["shape"], json!({"f16": "ADQAsA=="}));
    let mut file = small();
    file.recipe.bundle.digest.pop();
    assert!(matches!(file.to_json(), Err(SaveError::Value { .. })));
    let mut file = small();
    file.recipe.source = RecipeSource::Random;
    assert!(matches!(file.to_json(), Err(SaveError::Value { .. })));
    file.edits = None;
    assert!(file.to_json().is_ok());
    file.look.skin_roughness = f32::NAN;
    assert!(matches!(file.to_json(), Err(SaveError::Value { .. })));
}

#[test]
fn a_file_is_written_whole_or_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.avatar.json");
    let file = small();
    file.save(&path).unwrap();
    let mut broken = file.clone();
    broken.name = "\n".into();
    assert!(matches!(broken.save(&path), Err(SaveError::Value { .. })));
    assert_eq!(AvatarFile::open(&path).unwrap(), file);
    let missing = folder.path().join("missing/a.avatar.json");
    let error = file.save(&missing).unwrap_err();
    assert!(matches!(&error, SaveError::Write { path, .. } if *path == missing), "{error}");
    // A folder is in the way.
    let taken = folder.path().join("taken");
    fs::create_dir_all(taken.join("inner")).unwrap();
    assert!(matches!(file.save(&taken), Err(SaveError::Write { .. })));
    let error = AvatarFile::open(&taken).unwrap_err();
    assert!(matches!(error, SaveError::Read { .. }), "{error}");
    assert!(matches!(AvatarFile::open(folder.path().join("nothing")), Err(SaveError::Read { .. })));
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.avatar.json", "taken"], "nothing half-written is left");
}

/// Names the file that [`save_without_room`] writes to.
const WITHOUT_ROOM: &str = "FITDIFF_TEST_WITHOUT_ROOM";

#[test]
#[cfg(unix)]
fn a_disk_without_room_leaves_the_file_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.avatar.json");
    small().save(&path).unwrap();
    // A process whose files may have 4 KB: to write more fails as on a full disk.
    let script = r#"ulimit -f 8; trap "" XFSZ; exec "$0" --exact save_without_room --ignored"#;
    // What it says goes through a pipe: a log of more than 4 KB would have no room either.
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(WITHOUT_ROOM, &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(AvatarFile::open(&path).unwrap(), small());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");
}

#[test]
#[ignore = "run by another test, where there is no room"]
fn save_without_room() {
    let path = std::env::var_os(WITHOUT_ROOM).expect("the other test names the file");
    let mut large = small();
    large.edits = None;
    large.recipe.source = RecipeSource::Latents { reflectance: vec![0.1; 10_000], shape: vec![0.5; 4] };
    let error = large.save(path).unwrap_err();
    assert!(matches!(error, SaveError::Write { .. }), "{error}");
}

#[test]
fn a_saved_avatar_names_what_to_spawn() {
    let file = small();
    let (avatar, look) = file.avatar();
    assert_eq!(look, file.look);
    let bevy_fitdiff::avatar::AvatarSource::Recipe(recipe) = &avatar.source else { panic!("{avatar:?}") };
    assert_eq!(*recipe.0, file.recipe);
}
