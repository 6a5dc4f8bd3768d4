//! Spoiled manifests, photos and avatars end in a typed error or a usable value; never in a panic, a hang or a huge allocation.
//!
//! Each test spoils valid inputs at random for two seconds; `FITDIFF_FUZZ_SECONDS` sets another time. A failure prints
//! the seed of the input.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use bevy_fitdiff::{
    bundle::{Bundle, MANIFEST_FILE},
    face::{PhotoLimits, decode_photo},
    pipeline::{AvatarRecipe, RecipeSource, ShapeEdits},
    save::{AvatarFile, SaveError},
};
use serde_json::{Value, json};

mod common;

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Calls `try_once` with one seed after the other until the time is over.
fn fuzz(name: &str, try_once: impl Fn(Random)) {
    let seconds = std::env::var("FITDIFF_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let end = Instant::now() + Duration::from_secs(seconds);
    // Another start for another length of time, so that longer runs do not begin with what shorter ones did.
    let mut seed = seconds << 32;
    let mut count = 0u64;
    while Instant::now() < end {
        let outcome = catch_unwind(AssertUnwindSafe(|| try_once(Random(seed))));
        assert!(outcome.is_ok(), "{name}: panicked on seed {seed}");
        seed += 1;
        count += 1;
    }
    println!("{name}: {count} inputs in {seconds} s");
}

/// Flips, overwrites, removes, repeats or cuts off bytes, up to eight times.
fn spoil(bytes: &mut Vec<u8>, random: &mut Random) {
    const TELLING: [u8; 8] = [0x00, 0xFF, 0x7F, 0x80, 0xD9, 0xDA, b'"', b'{'];
    for _ in 0..=random.below(8) {
        let place = random.below(bytes.len());
        let length = random.below(64).min(bytes.len().saturating_sub(place));
        match random.below(6) {
            _ if bytes.is_empty() => return,
            0 => bytes[place] ^= 1 << random.below(8),
            1 => bytes[place] = TELLING[random.below(TELLING.len())],
            2 => drop(bytes.drain(place..place + length)),
            3 => {
                let piece = bytes[place..place + length].to_vec();
                let target = random.below(bytes.len());
                bytes.splice(target..target, piece);
            }
            4 => bytes[place..place + length].fill_with(|| random.next() as u8),
            _ => bytes.truncate(place),
        }
    }
}

/// Replaces a value somewhere in a JSON tree.
fn spoil_json(value: &mut Value, random: &mut Random) {
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    let count = children.len();
    if count > 0 && random.below(8) > 0 {
        let chosen = random.below(count);
        return spoil_json(children.into_iter().nth(chosen).expect("the child exists"), random);
    }
    *value = match random.below(10) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(u64::MAX),
        5 => json!(1e308),
        6 => json!(""),
        7 => json!("../../etc/passwd"),
        8 => json!([]),
        _ => json!({}),
    };
}

#[test]
fn spoiled_manifests_never_panic() {
    let valid = fs::read(common::bundle().root().join(MANIFEST_FILE)).unwrap();
    let tree: Value = serde_json::from_slice(&valid).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fuzz("manifest", |mut random| {
        let mut text = valid.clone();
        if random.below(2) == 0 {
            spoil(&mut text, &mut random);
        } else {
            let mut tree = tree.clone();
            (0..=random.below(3)).for_each(|_| spoil_json(&mut tree, &mut random));
            text = tree.to_string().into_bytes();
        }
        fs::write(dir.path().join(MANIFEST_FILE), text).unwrap();
        // The networks' files are not there: a manifest that passes is asked for one.
        if let Ok(bundle) = Bundle::open(dir.path()) {
            assert!(!bundle.manifest().face.detectors.is_empty());
        }
    });
}

#[test]
fn spoiled_photos_never_panic() {
    let fixtures = fs::read_dir(common::repository().join("tests/fixtures")).unwrap();
    let mut valid: Vec<Vec<u8>> = fixtures
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jpg"))
        .map(|path| fs::read(path).unwrap())
        .collect();
    let small = image::imageops::thumbnail(&common::selfie(common::ASTRONAUT), 96, 96);
    for format in [image::ImageFormat::Png, image::ImageFormat::WebP, image::ImageFormat::Jpeg] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        small.write_to(&mut bytes, format).unwrap();
        valid.push(bytes.into_inner());
    }
    let limits = PhotoLimits { max_side: 2048, max_pixels: 1 << 20, ..PhotoLimits::default() };
    fuzz("photo", |mut random| {
        let mut bytes = valid[random.below(valid.len())].clone();
        spoil(&mut bytes, &mut random);
        if let Ok(photo) = decode_photo(&bytes, &limits) {
            assert!(u64::from(photo.width()) * u64::from(photo.height()) <= limits.max_pixels);
        }
    });
}

#[test]
fn spoiled_avatars_never_panic() {
    let bare = fs::read_to_string(common::repository().join("tests/fixtures/recipe_v1.json")).unwrap();
    let recipe: AvatarRecipe = serde_json::from_str(&bare).unwrap();
    let source = RecipeSource::Latents { reflectance: vec![0.1; 16], shape: vec![0.25; 8] };
    let mut edits = ShapeEdits::from_base(vec![0.5; 8]);
    edits.set("nose_length", 1.0);
    edits.set_variation(1, 0.5);
    let file = AvatarFile {
        name: "Ada".into(),
        recipe: AvatarRecipe { source, ..recipe },
        identity: Some(bevy_fitdiff::face::Identity::new(vec![0.1; 4])),
        look: Default::default(),
        edits: Some(edits),
    };
    let valid = [file.to_json().unwrap(), bare];
    fuzz("avatar", |mut random| {
        let chosen = random.below(valid.len());
        let mut text = valid[chosen].clone().into_bytes();
        if random.below(2) == 0 {
            spoil(&mut text, &mut random);
        } else {
            let mut tree: Value = serde_json::from_slice(&text).unwrap();
            (0..=random.below(3)).for_each(|_| spoil_json(&mut tree, &mut random));
            text = tree.to_string().into_bytes();
        }
        let mut read = AvatarFile::from_json(&text);
        // The hash would hide from the rest of the reader what was spoiled.
        if let (Err(SaveError::Damaged { expected, found }), Ok(content)) = (&read, str::from_utf8(&text))
            && !expected.is_empty()
        {
            read = AvatarFile::from_json(content.replace(expected, found).as_bytes());
        }
        if let Ok(file) = read {
            let again = AvatarFile::from_json(file.to_json().unwrap().as_bytes()).unwrap();
            assert_eq!(again, file);
        }
    });
}
