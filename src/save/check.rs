//! What the values of an avatar's file may be.

use std::{fmt::Display, ops::RangeInclusive};

use bevy::color::{Color, LinearRgba};

use super::{AvatarFile, SaveError};
use crate::{
    bundle::Temperature,
    diffusion::{SampleOptions, Sampler},
    pipeline::{BundleId, RECIPE_VERSION, RecipeSource},
};

/// Longest names of avatars, bundles and traits, in characters.
const MAX_NAME_CHARS: usize = 100;

/// Most denoising steps; a bundle may have fewer.
const MAX_STEPS: usize = 100_000;

/// Brightest colour channel, linear.
const MAX_COLOUR: f32 = 16.0;

/// Largest scale of guidance and noise, and largest move of a trait.
const MAX_SCALE: f32 = 1000.0;

/// Most traits, and highest number of a variation.
const MAX_TRAITS: usize = 1000;

pub(super) fn invalid(place: &str, expected: &str, found: impl Display) -> SaveError {
    SaveError::Value { place: place.into(), expected: expected.into(), found: found.to_string() }
}

impl AvatarFile {
    /// Checks all values that can be told without the bundle.
    pub(super) fn check(&self) -> Result<(), SaveError> {
        let Self { name, recipe, identity, look, edits } = self;
        text("name", name)?;
        bundle_id(&recipe.bundle)?;
        if !(1..=RECIPE_VERSION).contains(&recipe.version) {
            return Err(invalid("recipe.version", &format!("1 to {RECIPE_VERSION}"), recipe.version));
        }
        options(&recipe.options)?;
        match &recipe.source {
            RecipeSource::Random => {}
            RecipeSource::Identity(values) => numbers("recipe.source.identity", values)?,
            RecipeSource::Latents { reflectance, shape } => {
                numbers("recipe.source.latents.reflectance", reflectance)?;
                numbers("recipe.source.latents.shape", shape)?;
            }
        }
        if let Some(identity) = identity {
            numbers("identity", identity.values())?;
        }
        if let Some([red, green, blue]) = recipe.iris {
            colour("recipe.iris", Color::linear_rgb(red, green, blue))?;
        }
        if let Some(iris) = look.iris {
            colour("look.iris", iris)?;
        }
        colour("look.skin_tint", look.skin_tint)?;
        within("look.skin_roughness", look.skin_roughness, 0.0..=1.0)?;
        let Some(edits) = edits else { return Ok(()) };
        let RecipeSource::Latents { shape, .. } = &recipe.source else {
            return Err(invalid(
                "recipe.source",
                "latents, because the avatar was edited",
                format!("{:?}", recipe.source),
            ));
        };
        numbers("edits.base", edits.base())?;
        if edits.base().len() != shape.len() {
            return Err(invalid("edits.base", &format!("{} numbers", shape.len()), edits.base().len()));
        }
        if edits.traits().count() > MAX_TRAITS {
            return Err(invalid("edits.traits", &format!("{MAX_TRAITS} at most"), edits.traits().count()));
        }
        for (name, deviations) in edits.traits() {
            text("edits.traits", name)?;
            within("edits.traits", deviations, -MAX_SCALE..=MAX_SCALE)?;
        }
        for (index, deviations) in edits.variations() {
            if index >= MAX_TRAITS {
                return Err(invalid("edits.variations", &format!("less than {MAX_TRAITS}"), index));
            }
            within("edits.variations", deviations, -MAX_SCALE..=MAX_SCALE)?;
        }
        Ok(())
    }
}

fn text(place: &str, text: &str) -> Result<(), SaveError> {
    let length = text.chars().count();
    if length > MAX_NAME_CHARS {
        return Err(invalid(place, &format!("{MAX_NAME_CHARS} characters at most"), length));
    }
    match text.chars().find(|character| character.is_control()) {
        Some(character) => Err(invalid(place, "one line of text", format!("{character:?}"))),
        None => Ok(()),
    }
}

fn bundle_id(bundle: &BundleId) -> Result<(), SaveError> {
    text("recipe.bundle.id", &bundle.id)?;
    text("recipe.bundle.version", &bundle.version)?;
    let digest = &bundle.digest;
    if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(invalid("recipe.bundle.digest", "64 hexadecimal digits", format!("{} bytes", digest.len())))
}

fn options(options: &SampleOptions) -> Result<(), SaveError> {
    let SampleOptions { sampler, steps, guidance_scale, temperature } = options;
    let Temperature { reflectance, shape } = *temperature;
    if !(1..=MAX_STEPS).contains(steps) {
        return Err(invalid("recipe.options.steps", &format!("1 to {MAX_STEPS}"), steps));
    }
    if let Sampler::Ddim { eta } = sampler {
        within("recipe.options.sampler.eta", *eta, 0.0..=1.0)?;
    }
    within("recipe.options.guidance_scale", *guidance_scale, -MAX_SCALE..=MAX_SCALE)?;
    within("recipe.options.temperature.reflectance", reflectance, 0.0..=MAX_SCALE)?;
    within("recipe.options.temperature.shape", shape, 0.0..=MAX_SCALE)
}

fn numbers(place: &str, values: &[f32]) -> Result<(), SaveError> {
    if values.is_empty() {
        return Err(invalid(place, "numbers", "none"));
    }
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(invalid(place, "finite numbers", value)),
        None => Ok(()),
    }
}

fn colour(place: &str, colour: Color) -> Result<(), SaveError> {
    let LinearRgba { red, green, blue, .. } = colour.to_linear();
    [red, green, blue].into_iter().try_for_each(|value| within(place, value, 0.0..=MAX_COLOUR))
}

fn within(place: &str, value: f32, range: RangeInclusive<f32>) -> Result<(), SaveError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(invalid(place, &format!("{} to {}", range.start(), range.end()), value))
}
