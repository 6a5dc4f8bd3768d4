//! Where the eyes of avatars look, found from their vertices.

mod common;

use std::{f32::consts::TAU, sync::Arc};

use bevy::prelude::*;
use bevy_fitdiff::{avatar::GeneratedAvatar, bundle::TemplateHead, expression::FaceRig, prelude::*};
use common::{
    faces::{app, avatar, hertz, weight, weights},
    mean_avatar,
};

use ArkitBlendshape::EyeLookOutLeft;

/// Where the eyes of a posed head point, found from the vertices of the iris as a whole: centre and direction.
fn gaze_of(head: &TemplateHead, vertices: &[Vec3], weights: &[f32], part: &str) -> (Vec3, Vec3) {
    let posed = head.posed(vertices, weights);
    let [first, count] = head.part(part).unwrap().vertices;
    let centre = first + count - 1;
    // Texture coordinates grow with the angle from the pupil, up to the rim at half a texture from the middle.
    let iris = 0.5 * head.eyes.iris_radians / head.eyes.texture_rim_radians;
    let on_iris = |vertex: &usize| head.uv[*vertex].distance(Vec2::splat(0.5)) <= iris;
    let sum: Vec3 = (first..centre).filter(on_iris).map(|vertex| posed[vertex] - posed[centre]).sum();
    (posed[centre], sum.normalize())
}

/// The angle in radians by which an eye misses a place of the world.
fn miss(app: &App, entity: Entity, part: &str, place: Vec3) -> f32 {
    let data = &app.world().get::<GeneratedAvatar>(entity).unwrap().data;
    let (centre, direction) = gaze_of(&data.head, &data.vertices, &weights(app, entity), part);
    let transform = app.world().get::<GlobalTransform>(entity).unwrap();
    let towards = transform.affine().inverse().transform_point3(place) - centre;
    towards.angle_between(direction)
}

const EYES: [&str; 2] = ["eye_left", "eye_right"];

/// How exactly eyes point at what they look at, in radians: half a degree.
const EXACT: f32 = 0.0087;

#[test]
fn eyes_point_at_targets_near_and_far_on_heads_that_stand_anywhere() {
    let mut app = app(hertz(60.0));
    let mut generated = mean_avatar();
    let places = [
        Transform::default(),
        Transform::from_xyz(3.0, 1.5, -2.0).with_rotation(Quat::from_euler(EulerRot::YXZ, 2.0, 0.4, -0.3)),
        Transform::from_xyz(-1.0, 0.0, 0.0).with_scale(Vec3::splat(2.5)),
    ];
    for (size, transform) in [1.0f32, 1.0, 0.9].into_iter().zip(places) {
        // Another head: wider and smaller than the template.
        let data = Arc::make_mut(&mut generated.data);
        data.vertices = data.head.positions.iter().map(|place| *place * Vec3::new(1.05, 1.0, 1.0) * size).collect();
        let head = app.world_mut().spawn((avatar(&generated), LookAt::default())).insert(transform).id();
        for yaw in [-18.0f32, -9.0, 0.0, 5.0, 18.0] {
            for pitch in [-15.0f32, -6.0, 0.0, 12.0] {
                for distance in [0.3, 0.6, 5.0] {
                    let turn = Quat::from_euler(EulerRot::YXZ, yaw.to_radians(), -pitch.to_radians(), 0.0);
                    let local = Vec3::new(0.0, 0.0, 0.07) + turn * Vec3::Z * distance;
                    let place = transform.transform_point(local);
                    app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Position(place);
                    (0..30).for_each(|_| app.update());
                    for eye in EYES {
                        let miss = miss(&app, head, eye, place);
                        assert!(miss < EXACT, "{eye} misses {yaw}° {pitch}° at {distance} m by {}°", miss.to_degrees());
                    }
                }
            }
        }
    }
}

#[test]
fn eyes_converge_on_near_targets_and_are_almost_parallel_for_far_ones() {
    let mut app = app(hertz(60.0));
    let generated = mean_avatar();
    let head = app.world_mut().spawn((avatar(&generated), LookAt::default())).id();
    let mut angle = |distance: f32| {
        app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Position(Vec3::Z * distance);
        (0..30).for_each(|_| app.update());
        let data = &generated.data;
        let [left, right] = EYES.map(|eye| gaze_of(&data.head, &data.vertices, &weights(&app, head), eye));
        // Nothing but the distance between the eyes decides it.
        let expected = 2.0 * (0.5 * left.0.distance(right.0) / (distance - left.0.z)).atan();
        (left.1.angle_between(right.1), expected)
    };
    for distance in [0.25, 0.5, 1.0, 20.0] {
        let (found, expected) = angle(distance);
        assert!((found - expected).abs() < 2.0 * EXACT, "{distance} m: {found} instead of {expected}");
    }
}

#[test]
fn eyes_follow_entities_and_other_avatars_eyes_and_rest_when_they_are_gone() {
    let mut app = app(hertz(60.0));
    let generated = mean_avatar();
    let other = app.world_mut().spawn(avatar(&generated)).id();
    let stands = Transform::from_xyz(0.15, 0.1, 0.9).with_rotation(Quat::from_rotation_y(TAU / 2.0));
    app.world_mut().entity_mut(other).insert(stands);
    let head = app.world_mut().spawn((avatar(&generated), LookAt::entity(other))).id();
    (0..30).for_each(|_| app.update());
    let rig = FaceRig::new(&generated.data.head, &generated.data.vertices);
    let place = stands.transform_point(rig.between_eyes().unwrap());
    for eye in EYES {
        assert!(miss(&app, head, eye, place) < EXACT);
    }
    app.world_mut().despawn(other);
    (0..30).for_each(|_| app.update());
    assert_eq!(weights(&app, head), [0.0; 52]);
    // Far to the side, behind, in the eye itself, and nowhere.
    for place in [Vec3::X, Vec3::NEG_Z, rig.between_eyes().unwrap(), Vec3::NAN, Vec3::INFINITY] {
        app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Position(place);
        (0..30).for_each(|_| app.update());
        assert_eq!(weights(&app, head), [0.0; 52], "{place}");
    }
}

#[test]
fn a_weight_of_one_half_turns_the_eyes_half_the_way() {
    let mut app = app(hertz(60.0));
    let look = LookAt { weight: 0.5, ..LookAt::position(Vec3::new(0.2, 0.0, 0.6)) };
    let head = app.world_mut().spawn((avatar(&mean_avatar()), look)).id();
    (0..30).for_each(|_| app.update());
    let half = weight(&app, head, EyeLookOutLeft);
    app.world_mut().get_mut::<LookAt>(head).unwrap().weight = 1.0;
    (0..30).for_each(|_| app.update());
    assert!((weight(&app, head, EyeLookOutLeft) - 2.0 * half).abs() < 1e-5);
}

#[test]
fn the_small_movements_stay_around_the_target() {
    let mut app = app(hertz(60.0));
    let place = Vec3::new(0.1, 0.05, 0.8);
    let gaze = NaturalGaze { seed: Some(1), ..default() };
    let head = app.world_mut().spawn((avatar(&mean_avatar()), LookAt::position(place), gaze)).id();
    (0..30).for_each(|_| app.update());
    let mut misses = Vec::new();
    for _ in 0..3600 {
        app.update();
        misses.push(miss(&app, head, EYES[0], place));
    }
    let most = misses.iter().copied().fold(0.0, f32::max);
    assert!(most < 2.5 * 0.005 + EXACT && most > 0.005, "{}°", most.to_degrees());
}

#[test]
fn a_head_turns_its_share_and_the_eyes_still_meet_the_target() {
    let mut app = app(hertz(60.0));
    let stands = Transform::from_xyz(1.0, 0.5, 0.0).with_rotation(Quat::from_rotation_y(0.8));
    let body = app.world_mut().spawn(stands).id();
    let head = app.world_mut().spawn((avatar(&mean_avatar()), HeadTurn::default(), LookAt::default())).id();
    let rest = Transform::from_xyz(0.0, 0.4, 0.0).with_rotation(Quat::from_rotation_x(0.1));
    app.world_mut().entity_mut(head).insert((rest, ChildOf(body)));
    app.update();
    let frame = stands * rest;
    let local = Quat::from_rotation_y(0.6) * Vec3::Z * 2.0 + Vec3::new(0.0, 0.0, 0.07);
    let place = frame.transform_point(local);
    app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Position(place);
    (0..180).for_each(|_| app.update());
    let turned = app.world().get::<Transform>(head).unwrap().rotation;
    let angle = (rest.rotation.inverse() * turned).to_euler(EulerRot::YXZ).0;
    assert!((angle - 0.3).abs() < 0.02, "half of 0.6 rad: {angle}");
    for eye in EYES {
        assert!(miss(&app, head, eye, place) < EXACT, "{eye}");
    }
    app.world_mut().get_mut::<LookAt>(head).unwrap().target = LookTarget::Nothing;
    (0..180).for_each(|_| app.update());
    let back = app.world().get::<Transform>(head).unwrap().rotation;
    assert!(back.angle_between(rest.rotation) < 0.01);
}
