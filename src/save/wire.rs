//! The JSON of an avatar's file, field by field.
//!
//! ```json
//! {"kind": "bevy_fitdiff avatar", "version": 2, "crate_version": "0.1.0", "sha256": "…", "avatar": {
//!   "name": "Ada",
//!   "recipe": {
//!     "version": 5, "bundle": {"id": "base", "version": "0.1.0", "digest": "…"}, "seed": 0, "options": {…},
//!     "source": {"latents": {"reflectance": {"f16": "…"}, "shape": {"f16": "…"}}}, "iris": [0.06, 0.03, 0.013]
//!   },
//!   "look": {"iris": [0.1, 0.045, 0.018], "skin_roughness": 0.5, "skin_tint": [1.0, 1.0, 1.0]},
//!   "edits": {"base": {"f16": "…"}, "traits": [["nose_length", 1.5]], "variations": []}
//! }}
//! ```
//!
//! Rows of numbers are base64 (RFC 4648, section 4) of little-endian half precision where that loses nothing, and of
//! single precision otherwise. The hash is over the avatar's JSON without spaces, its fields in this order. A file
//! without `kind` is a bare recipe, as games kept it before there were files of avatars.

use base64::{Engine, engine::general_purpose::STANDARD};
use bevy::color::{Color, LinearRgba};
use half::f16;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use sha2::{Digest, Sha256};

use super::{AvatarFile, FILE_VERSION, SaveError, check::invalid};
use crate::{
    avatar::AvatarLook,
    diffusion::SampleOptions,
    face::Identity,
    pipeline::{AvatarRecipe, BundleId, RecipeSource, ShapeEdits},
};

const KIND: &str = "bevy_fitdiff avatar";

/// What tells a file's kind and version, whatever else is in it.
#[derive(Deserialize)]
struct Header {
    kind: Option<String>,
    version: u64,
    bundle: Option<IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    kind: String,
    version: u32,
    crate_version: String,
    sha256: String,
    avatar: WireAvatar,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireAvatar {
    name: String,
    recipe: WireRecipe,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Numbers>,
    look: WireLook,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edits: Option<WireEdits>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRecipe {
    version: u32,
    bundle: BundleId,
    seed: u64,
    options: SampleOptions,
    source: WireSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iris: Option<[f32; 3]>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WireSource {
    Random,
    Identity(Numbers),
    Latents { reflectance: Numbers, shape: Numbers },
}

/// Colours are linear RGB.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLook {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iris: Option<[f32; 3]>,
    skin_roughness: f32,
    skin_tint: [f32; 3],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEdits {
    base: Numbers,
    traits: Vec<(String, f32)>,
    variations: Vec<(usize, f32)>,
}

/// A row of numbers as base64.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Numbers {
    F16(String),
    F32(String),
}

impl Numbers {
    fn new(values: &[f32]) -> Self {
        let halves: Vec<f16> = values.iter().copied().map(f16::from_f32).collect();
        if halves.iter().zip(values).all(|(half, value)| half.to_f32().to_bits() == value.to_bits()) {
            let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            Self::F16(STANDARD.encode(bytes))
        } else {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Self::F32(STANDARD.encode(bytes))
        }
    }

    fn read(&self, place: &str) -> Result<Vec<f32>, SaveError> {
        let (Self::F16(text) | Self::F32(text)) = self;
        let bytes = STANDARD.decode(text).map_err(|error| invalid(place, "base64", error))?;
        let (values, rest): (Vec<f32>, _) = match self {
            Self::F16(_) => {
                let (halves, rest) = bytes.as_chunks::<2>();
                (halves.iter().map(|half| f16::from_le_bytes(*half).to_f32()).collect(), rest)
            }
            Self::F32(_) => {
                let (singles, rest) = bytes.as_chunks::<4>();
                (singles.iter().map(|single| f32::from_le_bytes(*single)).collect(), rest)
            }
        };
        if rest.is_empty() { Ok(values) } else { Err(invalid(place, "whole numbers of bytes", bytes.len())) }
    }
}

/// The content of an avatar's file.
pub(super) fn write(file: &AvatarFile) -> String {
    let avatar = WireAvatar::from(file);
    let envelope = Envelope {
        kind: KIND.into(),
        version: FILE_VERSION,
        crate_version: env!("CARGO_PKG_VERSION").into(),
        sha256: hash(&avatar),
        avatar,
    };
    serde_json::to_string(&envelope).expect("it is plain data with text for keys") + "\n"
}

/// Reads the content of an avatar's file; its values are not checked yet.
pub(super) fn read(content: &[u8]) -> Result<AvatarFile, SaveError> {
    let text = str::from_utf8(content).map_err(|_| SaveError::Encoding)?;
    // Some editors mark UTF-8 by a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let header: Header = parse(text)?;
    match header.kind.as_deref() {
        None if header.bundle.is_some() => return read_bare_recipe(text, header.version),
        Some(KIND) => {}
        found => return Err(invalid("kind", &format!("`{KIND}`"), found.unwrap_or("none"))),
    }
    if header.version > FILE_VERSION.into() {
        return Err(SaveError::Newer { expected: FILE_VERSION, found: header.version });
    }
    if header.version == 0 {
        return Err(invalid("version", &format!("1 to {FILE_VERSION}"), 0));
    }
    let Envelope { sha256: expected, avatar, .. } = parse(text)?;
    let found = hash(&avatar);
    if found != expected {
        return Err(SaveError::Damaged { expected, found });
    }
    avatar.into_file()
}

fn read_bare_recipe(text: &str, version: u64) -> Result<AvatarFile, SaveError> {
    let newest = crate::pipeline::RECIPE_VERSION;
    if version > newest.into() {
        return Err(SaveError::Newer { expected: newest, found: version });
    }
    let recipe: AvatarRecipe = parse(text)?;
    let identity = identity_of(&recipe);
    Ok(AvatarFile { name: String::new(), recipe, identity, look: AvatarLook::default(), edits: None })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, SaveError> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // A number that breaks off at the end is told as an invalid one.
        let last = text.lines().last().unwrap_or_default();
        let broken_off = !last.ends_with('}') && line == text.lines().count() && column >= last.len();
        if error.is_eof() || broken_off {
            SaveError::Truncated { line, column }
        } else {
            SaveError::Syntax { reason: error.to_string() }
        }
    })
}

fn hash(avatar: &WireAvatar) -> String {
    let content = serde_json::to_vec(avatar).expect("it is plain data with text for keys");
    format!("{:x}", Sha256::digest(content))
}

fn identity_of(recipe: &AvatarRecipe) -> Option<Identity> {
    match &recipe.source {
        RecipeSource::Identity(values) => Some(Identity::new(values.clone())),
        RecipeSource::Random | RecipeSource::Latents { .. } => None,
    }
}

impl From<&AvatarFile> for WireAvatar {
    fn from(file: &AvatarFile) -> Self {
        let AvatarFile { name, recipe, identity, look, edits } = file;
        let source = match &recipe.source {
            RecipeSource::Random => WireSource::Random,
            RecipeSource::Identity(values) => WireSource::Identity(Numbers::new(values)),
            RecipeSource::Latents { reflectance, shape } => {
                WireSource::Latents { reflectance: Numbers::new(reflectance), shape: Numbers::new(shape) }
            }
        };
        // A recipe's identity is not written twice.
        let identity = identity.as_ref().filter(|_| !matches!(source, WireSource::Identity(_)));
        let AvatarRecipe { version, bundle, seed, options, iris: seen, .. } = recipe.clone();
        let AvatarLook { iris, skin_roughness, skin_tint } = *look;
        let rgb = |colour: Color| {
            let LinearRgba { red, green, blue, .. } = colour.to_linear();
            [red, green, blue]
        };
        Self {
            name: name.clone(),
            recipe: WireRecipe { version, bundle, seed, options, source, iris: seen },
            identity: identity.map(|identity| Numbers::new(identity.values())),
            look: WireLook { iris: iris.map(rgb), skin_roughness, skin_tint: rgb(skin_tint) },
            edits: edits.as_ref().map(|edits| WireEdits {
                base: Numbers::new(edits.base()),
                traits: edits.traits().map(|(name, deviations)| (name.to_owned(), deviations)).collect(),
                variations: edits.variations().collect(),
            }),
        }
    }
}

impl WireAvatar {
    fn into_file(self) -> Result<AvatarFile, SaveError> {
        let Self { name, recipe, identity, look, edits } = self;
        let WireRecipe { version, bundle, seed, options, source, iris } = recipe;
        let source = match source {
            WireSource::Random => RecipeSource::Random,
            WireSource::Identity(values) => RecipeSource::Identity(values.read("recipe.source.identity")?),
            WireSource::Latents { reflectance, shape } => RecipeSource::Latents {
                reflectance: reflectance.read("recipe.source.latents.reflectance")?,
                shape: shape.read("recipe.source.latents.shape")?,
            },
        };
        let recipe = AvatarRecipe { version, bundle, seed, options, source, iris };
        let identity = match (identity, identity_of(&recipe)) {
            (Some(_), Some(_)) => return Err(invalid("identity", "none beside that of the recipe", "another one")),
            (Some(values), None) => Some(Identity::new(values.read("identity")?)),
            (None, known) => known,
        };
        let colour = |[red, green, blue]: [f32; 3]| Color::linear_rgb(red, green, blue);
        let WireLook { iris, skin_roughness, skin_tint } = look;
        let look = AvatarLook { iris: iris.map(colour), skin_roughness, skin_tint: colour(skin_tint) };
        let edits = edits.map(WireEdits::into_edits).transpose()?;
        Ok(AvatarFile { name, recipe, identity, look, edits })
    }
}

impl WireEdits {
    fn into_edits(self) -> Result<ShapeEdits, SaveError> {
        let mut edits = ShapeEdits::from_base(self.base.read("edits.base")?);
        for (name, deviations) in self.traits {
            if deviations == 0.0 || edits.get(&name) != 0.0 {
                return Err(invalid("edits.traits", "each trait once, and moved", format!("`{name}`")));
            }
            edits.set(&name, deviations);
        }
        for (index, deviations) in self.variations {
            if deviations == 0.0 || edits.variation(index) != 0.0 {
                return Err(invalid("edits.variations", "each variation once, and moved", index));
            }
            edits.set_variation(index, deviations);
        }
        Ok(edits)
    }
}
