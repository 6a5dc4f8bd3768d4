//! What the face shows: presets, and each of its blendshapes.

use bevy_egui::egui::{CollapsingHeader, Ui};

use super::{CreatorView, widgets};
use crate::{
    creator::{
        BlendshapeGroup, CreatorAction,
        presets::{EXPRESSIONS, blendshape_group},
        words,
    },
    expression::{ArkitBlendshape, BlendshapeWeights, Expression},
};

pub(super) fn show(ui: &mut Ui, view: &CreatorView, actions: &mut Vec<CreatorAction>) {
    let weights = view.expression.weights();
    let mut presets = EXPRESSIONS.iter().map(|(preset, ..)| *preset);
    let chosen = presets.find(|preset| weights == Expression::of(*preset).weights());
    if let Some(preset) = widgets::choices(ui, &EXPRESSIONS, chosen) {
        actions.push(CreatorAction::Express(preset));
    }
    let sliders = CollapsingHeader::new(words::BLENDSHAPES).show(ui, |ui| blendshapes(ui, &weights, actions));
    widgets::focus_ring(&sliders.header_response);
    widgets::note(ui, words::EXPRESSION_HINT);
}

/// A slider for each blendshape of a group.
fn blendshapes(ui: &mut Ui, weights: &BlendshapeWeights, actions: &mut Vec<CreatorAction>) {
    let id = ui.make_persistent_id("blendshape group");
    let mut shown: BlendshapeGroup = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    if let Some(group) = widgets::choices(ui, &BlendshapeGroup::ALL, Some(shown)) {
        shown = group;
        ui.data_mut(|data| data.insert_temp(id, group));
    }
    for shape in ArkitBlendshape::ALL.into_iter().filter(|shape| blendshape_group(*shape) == shown) {
        let mut weight = weights[shape];
        let name = words::blendshape(shape);
        if widgets::slider(ui, &name, ("", ""), &mut weight, (0.0, 1.0)).changed {
            actions.push(CreatorAction::Blendshape(shape, weight));
        }
    }
}
