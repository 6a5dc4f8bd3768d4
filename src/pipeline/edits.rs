//! What a player changed in a generated face.

use std::{collections::BTreeMap, fmt};

use super::{AvatarData, AvatarRecipe, ShapeTraits};
use crate::diffusion::Latents;

/// Changes of an avatar's shape, by which it can be changed further, and back.
///
/// ```no_run
/// # use bevy_fitdiff::pipeline::{AvatarData, AvatarRecipe, ShapeEdits, ShapeTraits};
/// # fn example(data: &AvatarData) -> AvatarRecipe {
/// let traits = ShapeTraits::new(&data.head);
/// let mut edits = ShapeEdits::new(data);
/// edits.set("nose_length", 1.5);
/// // Avatar::from_recipe takes this, and needs a fraction of a second for it.
/// edits.recipe(data, &traits)
/// # }
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct ShapeEdits {
    base: Vec<f32>,
    traits: BTreeMap<String, f32>,
    variations: BTreeMap<usize, f32>,
}

/// Shows no shape.
impl fmt::Debug for ShapeEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base: _, traits, variations } = self;
        let mut debug = f.debug_struct("ShapeEdits");
        debug.field("traits", traits).field("variations", variations).finish_non_exhaustive()
    }
}

impl ShapeEdits {
    /// None, of an avatar as it was generated.
    pub fn new(data: &AvatarData) -> Self {
        Self::from_base(data.shape())
    }

    /// None, of a shape `[K]`, as [`AvatarData::shape`] gives it.
    pub fn from_base(base: Vec<f32>) -> Self {
        Self { base, ..Self::default() }
    }

    /// The shape `[K]` before the changes.
    pub fn base(&self) -> &[f32] {
        &self.base
    }

    /// By how much a trait is moved, in standard deviations.
    pub fn get(&self, name: &str) -> f32 {
        self.traits.get(name).copied().unwrap_or(0.0)
    }

    /// Moves a trait by so many standard deviations from where it was generated.
    pub fn set(&mut self, name: &str, deviations: f32) {
        if deviations == 0.0 {
            self.traits.remove(name);
        } else {
            self.traits.insert(name.to_owned(), deviations);
        }
    }

    /// By how much a variation beyond the traits is moved.
    pub fn variation(&self, index: usize) -> f32 {
        self.variations.get(&index).copied().unwrap_or(0.0)
    }

    /// Moves a variation beyond the traits.
    pub fn set_variation(&mut self, index: usize, deviations: f32) {
        if deviations == 0.0 {
            self.variations.remove(&index);
        } else {
            self.variations.insert(index, deviations);
        }
    }

    /// The traits that are moved, by name.
    pub fn traits(&self) -> impl Iterator<Item = (&str, f32)> {
        self.traits.iter().map(|(name, deviations)| (name.as_str(), *deviations))
    }

    /// The variations that are moved, by number.
    pub fn variations(&self) -> impl Iterator<Item = (usize, f32)> {
        self.variations.iter().map(|(index, deviations)| (*index, *deviations))
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.traits.is_empty() && self.variations.is_empty()
    }

    /// Takes all changes back.
    pub fn clear(&mut self) {
        self.traits.clear();
        self.variations.clear();
    }

    /// The changed shape. Traits and variations that this bundle does not have are passed over.
    ///
    /// # Panics
    /// When the shape before the changes is one of another bundle, with more or fewer coefficients.
    pub fn shape(&self, traits: &ShapeTraits) -> Vec<f32> {
        let known = self.traits().filter_map(|(name, deviations)| Some((traits.index(name)?, deviations)));
        let beyond = self.variations().filter(|(index, _)| *index < traits.variations());
        traits.combined(&self.base, known, beyond)
    }

    /// The recipe of the changed avatar. `data` may be the avatar before the changes or a changed one: its surface is
    /// kept.
    ///
    /// # Panics
    /// As [`shape`](Self::shape).
    pub fn recipe(&self, data: &AvatarData, traits: &ShapeTraits) -> AvatarRecipe {
        data.with_shape(&self.shape(traits))
    }
}

impl AvatarData {
    /// The shape coefficients `[K]`, in standard deviations of the bundle's shape basis.
    pub fn shape(&self) -> Vec<f32> {
        self.latents.shape().iter().map(|value| value / self.shape_scale).collect()
    }

    /// The recipe of this avatar by its latents, without the embedding of the person in it.
    pub fn latents_recipe(&self) -> AvatarRecipe {
        self.recipe.with_latents(&self.latents)
    }

    /// The recipe of an avatar with this one's surface and another shape `[K]`.
    ///
    /// # Panics
    /// When there are more or fewer coefficients than the bundle has.
    pub fn with_shape(&self, shape: &[f32]) -> AvatarRecipe {
        let mut latents: Latents = self.latents.clone();
        assert_eq!(shape.len(), latents.shape().len(), "a shape of the same bundle");
        latents.shape_mut().iter_mut().zip(shape).for_each(|(to, from)| *to = from * self.shape_scale);
        self.recipe.with_latents(&latents)
    }

    /// What is left of the avatar without the person: head, vertices, maps and latents, and a recipe of the latents.
    /// Identity, face, fit and warnings are left out, with the embedding and the seed in the recipe.
    pub fn forgotten(&self) -> Self {
        Self {
            head: self.head.clone(),
            vertices: self.vertices.clone(),
            maps: self.maps.clone(),
            latents: self.latents.clone(),
            shape_scale: self.shape_scale,
            identity: None,
            warnings: Vec::new(),
            face: None,
            fit: None,
            recipe: AvatarRecipe { seed: 0, ..self.latents_recipe() },
        }
    }
}
