//! The creator's panel, as a player with a pointer, a keyboard or a screen reader meets it.

use std::time::Duration;

use bevy_egui::egui::{self, Key, Modifiers, TextureId, accesskit::Role};
use bevy_fitdiff::{
    avatar::AvatarStage,
    creator::{
        BlendshapeGroup, CreatorAction, CreatorSettings, CreatorStep, LightPreset, Notice, TraitGroup,
        ui::{
            self, CreatorView, FacesView, KeepView, LightView, PhotoView, ProgressView, TraitView, VariationView, theme,
        },
        words,
    },
    expression::{ArkitBlendshape, Expression, ExpressionPreset},
    face::PhotoError,
    pipeline::Guidance,
};
use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};

/// What is shown, and what was asked for.
struct Session {
    view: CreatorView,
    actions: Vec<CreatorAction>,
}

/// The panel in a window 720 points high.
fn harness(view: CreatorView) -> Harness<'static, Session> {
    harness_of(view, [theme::WIDTH, 720.0], 1.0)
}

fn harness_of(view: CreatorView, size: [f32; 2], scale: f32) -> Harness<'static, Session> {
    let session = Session { view, actions: Vec::new() };
    let show = |ui: &mut egui::Ui, session: &mut Session| {
        let mut actions = Vec::new();
        ui::panel(ui, &session.view, &mut actions);
        session.actions.extend(actions);
    };
    let builder = Harness::<Session>::builder().with_size(size).with_pixels_per_point(scale);
    let mut harness = builder.build_ui_state(show, session);
    harness.step();
    harness.step();
    harness
}

fn clicked(view: CreatorView, name: &str) -> Vec<CreatorAction> {
    let mut harness = harness(view);
    harness.get_by_label(name).click_accesskit();
    harness.step();
    harness.step();
    std::mem::take(&mut harness.state_mut().actions)
}

fn photo(faces: FacesView) -> PhotoView {
    let size = egui::vec2(640.0, 480.0);
    PhotoView::Shown { texture: Some(TextureId::User(0)), size, faces, chosen: Some(0), warnings: Vec::new() }
}

fn faces(count: usize) -> FacesView {
    let face =
        |index| egui::Rect::from_min_size(egui::pos2(40.0 + 200.0 * index as f32, 100.0), egui::vec2(120.0, 150.0));
    FacesView::Found((0..count).map(face).collect())
}

fn at(step: CreatorStep) -> CreatorView {
    let has_avatar = matches!(step, CreatorStep::Refine | CreatorStep::Finish);
    CreatorView {
        step,
        agreed: true,
        has_avatar,
        from_photo: has_avatar,
        photo: if step == CreatorStep::Photo { photo(faces(1)) } else { PhotoView::None },
        variations: vec![
            VariationView { picture: Some(TextureId::User(1)), chosen: true, ..Default::default() },
            VariationView { working: true, ..Default::default() },
            VariationView { failed: true, ..Default::default() },
            VariationView::default(),
        ],
        traits: vec![
            trait_view("nose_length", "Nose length", TraitGroup::Nose),
            trait_view("nose_width", "Nose width", TraitGroup::Nose),
        ],
        light: Some(LightView::default()),
        keep: KeepView { has_identity: true, can_forget: true, ..Default::default() },
        ..Default::default()
    }
}

fn trait_view(name: &'static str, label: &'static str, group: TraitGroup) -> TraitView {
    TraitView { name, label, group, low: "short", high: "long", range: (-3.0, 3.0) }
}

const STEPS: [CreatorStep; 5] =
    [CreatorStep::Welcome, CreatorStep::Photo, CreatorStep::Generate, CreatorStep::Refine, CreatorStep::Finish];

#[test]
fn every_step_fits_the_panels_width_at_720_points_and_at_4k() {
    for step in STEPS {
        for (size, scale) in [([theme::WIDTH, 720.0], 1.0), ([theme::WIDTH, 864.0], 2.5), ([340.0, 480.0], 1.0)] {
            let harness = harness_of(at(step), size, scale);
            for node in harness.get_all_by(|node| node.label().is_some_and(|label| !label.is_empty())) {
                let rect = node.rect();
                let name = node.accesskit_node().label();
                assert!(rect.left() >= -0.5 && rect.right() <= size[0] + 0.5, "{name:?}, {step:?}, {size:?}: {rect:?}");
            }
        }
    }
}

#[test]
fn every_button_has_a_name() {
    for step in STEPS {
        let harness = harness(at(step));
        let unnamed: Vec<_> = harness
            .query_all_by(|node| {
                matches!(node.role(), Role::Button | Role::Slider | Role::CheckBox | Role::TextInput)
                    && node.label().is_none_or(|label| label.trim().is_empty())
            })
            .map(|node| node.rect())
            .collect::<Vec<_>>();
        assert!(unnamed.is_empty(), "{step:?}: {unnamed:?}");
    }
}

#[test]
fn all_that_can_be_used_is_reached_by_tab() {
    for (step, name) in [
        (CreatorStep::Welcome, words::AGREE),
        (CreatorStep::Welcome, words::LOAD),
        (CreatorStep::Photo, words::OTHER_PHOTO),
        (CreatorStep::Photo, words::CREATE),
        (CreatorStep::Generate, words::CANCEL_WORK),
        (CreatorStep::Refine, "Variation 1"),
        (CreatorStep::Refine, "Nose width"),
        (CreatorStep::Refine, "Green"),
        (CreatorStep::Refine, words::CONTINUE),
        (CreatorStep::Finish, words::FORGET),
        (CreatorStep::Finish, words::ACCEPT),
    ] {
        let mut harness = harness(at(step));
        let reached = (0..80).any(|_| {
            harness.key_press(Key::Tab);
            harness.step();
            harness.query_all_by_label(name).any(|node| node.is_focused())
        });
        assert!(reached, "{name} on {step:?}");
    }
}

#[test]
fn a_focused_button_is_pressed_by_enter_and_space() {
    for key in [Key::Enter, Key::Space] {
        let mut harness = harness(at(CreatorStep::Finish));
        harness.get_by_label(words::FORGET).focus();
        harness.step();
        harness.key_press(key);
        harness.step();
        harness.step();
        assert_eq!(harness.state().actions, [CreatorAction::Forget], "{key:?}");
    }
}

#[test]
fn the_way_in_is_to_agree() {
    let mut view = at(CreatorStep::Welcome);
    view.agreed = false;
    let harness = harness(view.clone());
    assert!(harness.query_by_label(words::CONSENT).is_some(), "it is told what happens with photos");
    let asked = clicked(view, words::AGREE);
    assert_eq!(asked, [CreatorAction::Agree, CreatorAction::GoTo(CreatorStep::Photo)]);
    assert_eq!(clicked(at(CreatorStep::Welcome), words::RANDOM), [CreatorAction::Random]);
    assert_eq!(clicked(at(CreatorStep::Welcome), words::LOAD), [CreatorAction::ChooseLoad]);
}

#[test]
fn what_a_game_does_not_offer_is_not_shown() {
    let settings = CreatorSettings { photos: false, save: false, export: false, ..Default::default() };
    let with = |step| harness(CreatorView { settings: settings.clone(), ..at(step) });
    let welcome = with(CreatorStep::Welcome);
    for name in [words::AGREE, words::LOAD, words::STEP_PHOTO] {
        assert!(welcome.query_by_label(name).is_none(), "{name}");
    }
    let finish = with(CreatorStep::Finish);
    assert!(finish.query_by_label(words::SAVE).is_none() && finish.query_by_label(words::EXPORT).is_none());
}

#[test]
fn an_avatar_is_created_once_a_face_is_there_and_the_reason_stands_there_before() {
    for (photo, reason) in [
        (PhotoView::None, words::NEED_PHOTO),
        (PhotoView::Opening, words::OPENING_PHOTO),
        (photo(FacesView::Looking), words::NEED_FACES),
        (photo(FacesView::None), words::NEED_FACE),
    ] {
        let view = CreatorView { photo, ..at(CreatorStep::Photo) };
        let mut harness = harness(view);
        assert!(harness.query_all_by_label(reason).next().is_some(), "{reason}");
        assert!(harness.get_by_label(words::CREATE).accesskit_node().is_disabled());
        harness.key_press(Key::Enter);
        harness.step();
        assert_eq!(harness.state().actions, []);
    }
    assert_eq!(clicked(at(CreatorStep::Photo), words::CREATE), [CreatorAction::Generate]);
    let mut harness = harness(at(CreatorStep::Photo));
    harness.key_press(Key::Enter);
    harness.step();
    assert_eq!(harness.state().actions, [CreatorAction::Generate], "Enter does what the large button does");
}

#[test]
fn one_of_several_faces_can_be_chosen() {
    let view = CreatorView { photo: photo(faces(3)), ..at(CreatorStep::Photo) };
    assert_eq!(clicked(view, "Face 3"), [CreatorAction::ChooseFace(2)]);
    let alone = harness(at(CreatorStep::Photo));
    assert!(alone.query_by_label("Face 1").is_none() && alone.query_by_label(words::ONE_FACE).is_some());
}

#[test]
fn a_typed_path_is_opened_by_enter() {
    let view = CreatorView { photo: PhotoView::None, ..at(CreatorStep::Photo) };
    let mut harness = harness(view);
    assert!(harness.get_by_label(words::OPEN).accesskit_node().is_disabled(), "there is no path yet");
    harness.get_by_label(words::PATH).focus();
    harness.step();
    harness.get_by_label(words::PATH).type_text("my photo.jpg");
    harness.step();
    harness.key_press(Key::Enter);
    harness.step();
    harness.step();
    assert_eq!(harness.state().actions, [CreatorAction::OpenPhoto("my photo.jpg".into())]);
}

#[test]
fn progress_is_told_in_words() {
    let progress = ProgressView {
        working: true,
        of_photo: false,
        stage: AvatarStage::Sampling,
        fraction: 0.42,
        remaining: Some(Duration::from_secs(14)),
        preview: None,
    };
    let harness = harness(CreatorView { progress: progress.clone(), ..at(CreatorStep::Generate) });
    assert!(harness.query_all_by_label(words::stage(AvatarStage::Sampling)).next().is_some());
    assert!(harness.query_by_label("42 %").is_some());
    assert!(harness.query_by_label_contains("about 14 s left").is_some());
    let view = CreatorView { progress, ..at(CreatorStep::Generate) };
    assert_eq!(clicked(view.clone(), words::CANCEL_WORK), [CreatorAction::Cancel]);
    assert_eq!(clicked(view, words::STEP_START), [], "there is no way to leave but to cancel");
}

#[test]
fn the_photo_is_beside_what_is_made_of_it() {
    let of = |of_photo, step| {
        let progress = ProgressView { working: step == CreatorStep::Generate, of_photo, ..Default::default() };
        harness(CreatorView { progress, photo: photo(faces(2)), from_photo: of_photo, ..at(step) })
    };
    for step in [CreatorStep::Generate, CreatorStep::Refine] {
        assert!(of(true, step).query_by_role_and_label(Role::Image, words::PHOTO).is_some(), "{step:?}");
        assert!(of(false, step).query_by_role_and_label(Role::Image, words::PHOTO).is_none(), "{step:?}");
    }
}

#[test]
fn errors_stand_there_with_advice_and_details_and_go_when_dismissed() {
    let notice = Notice::from(&PhotoError::Truncated);
    let view = CreatorView { notices: vec![notice.clone()], ..at(CreatorStep::Photo) };
    let mut harness = harness(view.clone());
    assert!(harness.query_by_label(&notice.text).is_some() && harness.query_by_label(&notice.advice).is_some());
    let details = notice.details.unwrap();
    assert!(harness.query_by_label(&details).is_none());
    harness.get_by_label(words::DETAILS).click_accesskit();
    harness.run_steps(3);
    assert!(harness.query_by_label(&details).is_some());
    assert_eq!(clicked(view, words::DISMISS), [CreatorAction::Dismiss(0)]);
}

#[test]
fn what_is_told_is_seen_however_far_the_step_is_scrolled() {
    let mut harness = harness(at(CreatorStep::Refine));
    harness.get_by_label(words::RESET_VIEW).scroll_to_me();
    harness.run_steps(8);
    harness.state_mut().view.notices = vec![Notice::from(&PhotoError::Truncated); 3];
    harness.run_steps(3);
    let told = Notice::from(&PhotoError::Truncated).text;
    let rect = harness.get_all_by_label(&told).next().unwrap().rect();
    assert!(rect.top() > 0.0 && rect.bottom() < 360.0, "{rect:?}");
    assert!(harness.get_by_label(words::CONTINUE).rect().bottom() <= 720.0);
}

#[test]
fn a_drag_of_a_slider_is_one_change() {
    let mut harness = harness(at(CreatorStep::Refine));
    harness.get_by_role_and_label(Role::Slider, "Nose length").scroll_to_me();
    harness.run_steps(8);
    let rect = harness.get_by_role_and_label(Role::Slider, "Nose length").rect();
    harness.drag_at(rect.center());
    harness.step();
    for step in 1..=5 {
        harness.hover_at(rect.center() + egui::vec2(step as f32 * 12.0, 0.0));
        harness.step();
        // The world takes over what was set before the next frame.
        let edits = harness.state().actions.iter().rev().find_map(|action| match action {
            CreatorAction::Edit(edits) => Some((**edits).clone()),
            _ => None,
        });
        harness.state_mut().view.edits = edits.unwrap_or_default();
    }
    harness.drop_at(rect.center() + egui::vec2(60.0, 0.0));
    harness.run_steps(2);
    let actions = &harness.state().actions;
    let values: Vec<f32> = actions
        .iter()
        .filter_map(|action| match action {
            CreatorAction::Edit(edits) => Some(edits.shape.get("nose_length")),
            _ => None,
        })
        .collect();
    assert!(!values.is_empty() && values.is_sorted() && values[values.len() - 1] > 0.3, "{values:?}");
    let commits = actions.iter().filter(|action| **action == CreatorAction::Commit).count();
    assert_eq!((commits, actions.last()), (1, Some(&CreatorAction::Commit)));
}

#[test]
fn a_slider_follows_the_arrow_keys() {
    let mut harness = harness(at(CreatorStep::Refine));
    harness.get_by_role_and_label(Role::Slider, "Nose length").focus();
    harness.step();
    harness.key_press(Key::ArrowRight);
    harness.step();
    let actions = &harness.state().actions;
    let [CreatorAction::Edit(edits), CreatorAction::Commit] = &actions[..] else { panic!("{actions:?}") };
    assert!(edits.shape.get("nose_length") > 0.0);
}

#[test]
fn each_blendshape_has_a_slider_in_a_folded_list() {
    let view = CreatorView { expression: Expression::of(ExpressionPreset::Blink), ..at(CreatorStep::Refine) };
    let mut harness = harness(view);
    assert!(harness.query_by_label("Eye blink left").is_none(), "the list is folded");
    harness.get_by_label(words::BLENDSHAPES).click_accesskit();
    harness.run_steps(20);
    let mut found = Vec::new();
    for (_, group, _) in BlendshapeGroup::ALL {
        // Shape has groups of the same names, further up.
        harness.get_all_by_label(group).last().unwrap().click_accesskit();
        harness.run_steps(2);
        let sliders = ArkitBlendshape::ALL.into_iter();
        found.extend(sliders.filter(|shape| {
            let name = words::blendshape(*shape);
            harness.query_by_role_and_label(Role::Slider, &name).is_some()
        }));
    }
    found.sort();
    assert_eq!(found, ArkitBlendshape::ALL, "each once");
    harness.get_all_by_label("Eyes").last().unwrap().click_accesskit();
    harness.run_steps(2);
    let slider = harness.get_by_role_and_label(Role::Slider, "Eye blink left");
    assert_eq!(slider.accesskit_node().numeric_value(), Some(1.0), "it shows what the preset makes of it");
    slider.focus();
    harness.step();
    harness.key_press(Key::ArrowLeft);
    harness.step();
    let actions = &harness.state().actions;
    let [CreatorAction::Blendshape(ArkitBlendshape::EyeBlinkLeft, weight)] = actions[..] else { panic!("{actions:?}") };
    assert!((0.5..1.0).contains(&weight), "{weight}");
}

#[test]
fn the_light_goes_around_the_head() {
    let light = LightView { preset: LightPreset::Drama, yaw: 90.0 };
    let mut harness = harness(CreatorView { light: Some(light), ..at(CreatorStep::Refine) });
    let slider = harness.get_by_role_and_label(Role::Slider, words::LIGHT_TURN);
    assert_eq!(slider.accesskit_node().numeric_value(), Some(90.0));
    slider.focus();
    harness.step();
    harness.key_press(Key::ArrowRight);
    harness.step();
    let actions = &harness.state().actions;
    let [CreatorAction::TurnLight(yaw)] = actions[..] else { panic!("{actions:?}") };
    assert!(yaw > 90.0 && yaw <= 180.0, "{yaw}");
}

#[test]
fn keys_undo_and_redo_where_there_is_something_to() {
    let view = CreatorView { can_undo: true, can_redo: true, ..at(CreatorStep::Refine) };
    let press = |view: CreatorView, modifiers, key| {
        let mut harness = harness(view);
        harness.key_press_modifiers(modifiers, key);
        harness.step();
        std::mem::take(&mut harness.state_mut().actions)
    };
    let shift = Modifiers::COMMAND | Modifiers::SHIFT;
    assert_eq!(press(view.clone(), Modifiers::COMMAND, Key::Z), [CreatorAction::Undo]);
    assert_eq!(press(view.clone(), shift, Key::Z), [CreatorAction::Redo]);
    assert_eq!(press(view.clone(), Modifiers::COMMAND, Key::S), [CreatorAction::ChooseSave]);
    assert_eq!(press(view.clone(), Modifiers::COMMAND, Key::O), [CreatorAction::ChoosePhoto]);
    let nothing = CreatorView { can_undo: false, can_redo: false, ..view };
    assert_eq!(press(nothing.clone(), Modifiers::COMMAND, Key::Z), []);
    assert!(harness(nothing).get_by_label(words::UNDO).accesskit_node().is_disabled());
}

#[test]
fn choices_of_the_refining_step_are_asked_for() {
    let view = at(CreatorStep::Refine);
    assert_eq!(clicked(view.clone(), "Variation 1"), [CreatorAction::TakeVariation(0)]);
    assert_eq!(clicked(view.clone(), words::MORE_VARIATIONS), [CreatorAction::MoreVariations]);
    assert_eq!(clicked(view.clone(), "Best"), [CreatorAction::Quality(Guidance::Best)]);
    assert_eq!(clicked(view.clone(), "Evening"), [CreatorAction::Light(LightPreset::Evening)]);
    assert_eq!(clicked(view.clone(), words::TURNTABLE), [CreatorAction::Turntable(true)]);
    let green = clicked(view.clone(), "Green");
    assert!(matches!(&green[..], [CreatorAction::Edit(_), CreatorAction::Commit]), "{green:?}");
    let [CreatorAction::Edit(edits), _] = &green[..] else { panic!("{green:?}") };
    assert!(edits.iris.is_some());
    let own = clicked(CreatorView { edits: (**edits).clone(), ..view.clone() }, words::EYES_OWN);
    let [CreatorAction::Edit(edits), CreatorAction::Commit] = &own[..] else { panic!("{own:?}") };
    assert_eq!(edits.iris, None, "as the photo shows them");
    assert_eq!(clicked(view.clone(), words::COMPARE), [], "there are no changes to compare with");
    let edited = CreatorView { edited: true, ..view };
    assert_eq!(clicked(edited, words::COMPARE), [CreatorAction::Compare(true)]);
}

#[test]
fn the_avatar_is_not_taken_while_a_file_is_written() {
    let mut view = at(CreatorStep::Finish);
    assert_eq!(clicked(view.clone(), words::ACCEPT), [CreatorAction::Accept]);
    view.keep.exporting = Some(0.5);
    assert_eq!(clicked(view.clone(), words::ACCEPT), []);
    assert_eq!(clicked(view, words::CANCEL), [CreatorAction::CancelExport]);
}

#[test]
fn an_identity_is_stored_only_when_the_box_is_ticked() {
    let mut view = at(CreatorStep::Finish);
    assert!(!view.keep.keep_identity, "not unless asked");
    assert_eq!(clicked(view.clone(), words::KEEP_IDENTITY), [CreatorAction::KeepIdentity(true)]);
    view.keep.has_identity = false;
    assert_eq!(clicked(view, words::KEEP_IDENTITY), []);
}
