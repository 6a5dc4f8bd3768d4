//! From the world to the panel, and back.

use bevy::{ecs::system::SystemParam, prelude::*};
use bevy_egui::{
    EguiTextureHandle, EguiUserTextures,
    egui::{self, Area, Id, Order, Rect, TextureId, pos2, vec2},
};

use super::{
    CreatorAction, CreatorSettings, CreatorState, CreatorStudio, Notice,
    presets::trait_words,
    state::VariationState,
    ui::{
        self, CreatorView, FacesView, KeepView, LightView, PhotoView, ProgressView, TraitView, VariationView,
        WebcamView, theme,
    },
    webcam::{self, Webcam},
};
use crate::avatar::{Avatar, AvatarLook, AvatarProgress, AvatarSource, FaceSearchFailure, FoundFaces};

/// What the panel's view is made of.
#[derive(SystemParam)]
pub(super) struct Shown<'w, 's> {
    state: ResMut<'w, CreatorState>,
    settings: Res<'w, CreatorSettings>,
    webcam: Res<'w, Webcam>,
    studio: Option<Res<'w, CreatorStudio>>,
    searches: Query<'w, 's, (Option<&'static FoundFaces>, Option<&'static FaceSearchFailure>)>,
    avatars: Query<'w, 's, (&'static Avatar, &'static AvatarProgress)>,
    textures: ResMut<'w, EguiUserTextures>,
}

/// Draws the panel at the right edge of the primary context.
pub(super) fn draw(
    mut contexts: Query<&mut bevy_egui::EguiContext, With<bevy_egui::PrimaryEguiContext>>,
    mut shown: Shown,
    mut actions: MessageWriter<CreatorAction>,
    mut zoomed: Local<Option<f32>>,
) {
    let Ok(mut context) = contexts.single_mut() else { return };
    let context = context.get_mut();
    if !shown.state.open {
        // The game's own panels are as large as they were.
        if let Some(before) = zoomed.take() {
            context.set_zoom_factor(before);
        }
        return;
    }
    let window = context.content_rect().size() * context.zoom_factor();
    let before = *zoomed.get_or_insert(context.zoom_factor());
    let zoom = shown.settings.zoom.unwrap_or_else(|| before * theme::automatic_zoom(window / before));
    if context.zoom_factor() != zoom {
        context.set_zoom_factor(zoom);
    }
    let view = shown.view();
    let screen = context.content_rect();
    let width = theme::WIDTH.min(screen.width());
    let rect = Rect::from_min_max(pos2(screen.right() - width, screen.top()), screen.max);
    let mut asked = Vec::new();
    let area = Area::new(Id::new("bevy_fitdiff creator")).order(Order::Middle).fixed_pos(rect.min).constrain(false);
    area.fade_in(false).show(context, |ui| {
        ui.set_min_size(rect.size());
        ui.set_max_size(rect.size());
        ui.set_clip_rect(rect);
        ui.painter().rect_filled(rect, 0.0, theme::BACKGROUND);
        ui::panel(ui, &view, &mut asked);
        let edge = egui::Stroke::new(1.0, theme::LINE);
        ui.painter().vline(rect.left() + 0.5, rect.y_range(), edge);
        ui.expand_to_include_rect(rect);
    });
    if shown.state.person().is_none() {
        ui::empty_stage(context, Rect::from_min_max(screen.min, pos2(rect.left(), screen.bottom())));
    }
    let covered = width * zoom;
    if shown.state.covered != covered {
        shown.state.covered = covered;
    }
    actions.write_batch(asked);
}

impl Shown<'_, '_> {
    fn texture(&mut self, image: &Handle<Image>) -> TextureId {
        self.textures.add_image(EguiTextureHandle::Weak(image.id()))
    }

    fn view(&mut self) -> CreatorView {
        let photo = self.photo();
        let webcam = self.webcam();
        let progress = self.progress();
        let variations = self.variations();
        let state = &*self.state;
        let edits = state.edits().clone();
        let person = state.person();
        CreatorView {
            settings: self.settings.clone(),
            step: state.step,
            agreed: state.agreed,
            notices: state.notices.clone(),
            photo,
            webcam,
            quality: state.quality,
            progress,
            has_avatar: person.is_some(),
            from_photo: state.photo.is_some() && person.is_some_and(|person| person.is_from_photo()),
            variations,
            own_iris: person.map(|person| AvatarLook::default().iris_of(&person.data)).unwrap_or_default(),
            edited: edits != edits.without_changes(),
            traits: self.traits(),
            can_undo: state.history.can_undo(),
            can_redo: state.history.can_redo(),
            expression: state.expression.clone(),
            light: self.studio.as_ref().map(|studio| LightView { preset: studio.light, yaw: studio.light_yaw }),
            turntable: self.studio.as_ref().is_some_and(|studio| studio.turntable),
            comparing: state.comparing,
            keep: KeepView {
                has_identity: person.is_some_and(|person| person.data.identity.is_some()),
                keep_identity: state.keep_identity,
                can_forget: state.remembers(),
                saving: state.saving.is_some(),
                exporting: state.exporting.as_ref().map(super::keep::Exporting::progress),
            },
            edits,
        }
    }

    fn photo(&mut self) -> PhotoView {
        if self.state.opening.is_some() {
            return PhotoView::Opening;
        }
        let Some(photo) = &self.state.photo else { return PhotoView::None };
        let (faces, warnings) = match self.searches.get(photo.search) {
            Ok((Some(found), None)) => {
                let place = |rect: bevy::math::Rect| {
                    Rect::from_min_max(pos2(rect.min.x, rect.min.y), pos2(rect.max.x, rect.max.y))
                };
                let warnings =
                    found.get(photo.face).map(|face| face.quality.warnings.iter().map(Notice::from).collect());
                (FacesView::Found(found.iter().map(|face| place(face.bounds)).collect()), warnings.unwrap_or_default())
            }
            Ok((_, Some(_))) | Err(_) => (FacesView::None, Vec::new()),
            Ok((None, None)) => (FacesView::Looking, Vec::new()),
        };
        let (texture, size, chosen) = (photo.texture.clone(), photo.size, Some(photo.face));
        PhotoView::Shown { texture: Some(self.texture(&texture)), size: vec2(size.x, size.y), faces, chosen, warnings }
    }

    fn webcam(&mut self) -> WebcamView {
        let picture = self.webcam.picture().map(|(texture, size)| (texture.clone(), vec2(size.x, size.y)));
        WebcamView {
            offered: webcam::BUILT_IN && self.settings.webcam,
            running: self.webcam.is_running(),
            picture: picture.map(|(texture, size)| (self.texture(&texture), size)),
        }
    }

    fn progress(&mut self) -> ProgressView {
        let avatar = self.state.avatar.and_then(|avatar| self.avatars.get(avatar).ok());
        let of_photo = avatar.is_some_and(|(avatar, _)| matches!(avatar.source, AvatarSource::Photos(_)));
        let progress = avatar.map(|(_, progress)| progress.clone());
        let AvatarProgress { stage, fraction, remaining, preview } = progress.unwrap_or_default();
        let preview = preview.map(|preview| self.texture(&preview));
        // In the frame in which it is asked for, it still tells of the one before.
        let begun = fraction < 1.0;
        ProgressView {
            working: self.state.is_working(),
            of_photo,
            stage: if begun { stage } else { default() },
            fraction: if begun { fraction } else { 0.0 },
            remaining,
            preview,
        }
    }

    fn variations(&mut self) -> Vec<VariationView> {
        let worn = self.state.edits().person;
        let shown = self.state.variations.iter().map(|variation| match &variation.state {
            VariationState::Ready(number, picture) => (Some(picture.clone()), false, false, *number == worn),
            VariationState::Working(_) | VariationState::Painting(..) => (None, true, false, false),
            VariationState::Waiting => (None, false, false, false),
            VariationState::Failed => (None, false, true, false),
        });
        let shown: Vec<_> = shown.collect();
        let view = |(picture, working, failed, chosen): (Option<Handle<Image>>, _, _, _)| VariationView {
            picture: picture.map(|picture| self.texture(&picture)),
            working,
            failed,
            chosen,
        };
        shown.into_iter().map(view).collect()
    }

    fn traits(&self) -> Vec<TraitView> {
        let state = &*self.state;
        let Some(traits) = state.people.traits() else { return Vec::new() };
        let base = state.edits().shape.base();
        if base.len() != traits.coefficients() {
            return Vec::new();
        }
        let view = |(index, one): (usize, &crate::pipeline::ShapeTrait)| {
            let (group, low, high) = trait_words(one.name());
            let range = traits.range(base, index);
            TraitView { name: one.name(), label: one.label(), group, low, high, range: (*range.start(), *range.end()) }
        };
        traits.traits().iter().enumerate().map(view).collect()
    }
}
