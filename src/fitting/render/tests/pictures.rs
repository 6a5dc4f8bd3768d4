//! Pictures of surfaces that are known in closed form, and what must hold for every picture.

use std::f32::consts::{PI, TAU};

use rayon::ThreadPoolBuilder;

use super::*;

/// Where the ray of a pixel meets the unit sphere of a stage, in head space.
fn on_sphere(view: &View, pixel: usize) -> Option<Vec3> {
    let ray = view.rays.at((pixel % view.width) as f32, (pixel / view.width) as f32).normalize();
    let (along, height) = (ray.dot(view.translation), view.translation.length_squared());
    let inside = along * along - (height - 1.0);
    (inside > 0.0).then(|| view.rotation.inverse() * (ray * (along - inside.sqrt()) - view.translation))
}

/// Checks the colours of all pixels that lie well within the sphere.
fn check_sphere(stage: &Stage, tolerance: f32, colour: impl Fn(Vec3, Vec3) -> Vec3) {
    let rendering = stage.render();
    let mut checked = 0;
    for pixel in 0..rendering.colour.len() {
        let Some(place) = on_sphere(&stage.view, pixel) else { continue };
        let to_camera = -(stage.view.to_view(place)).normalize();
        if (stage.view.rotation * place).dot(to_camera) > 0.15 {
            let (found, expected) = (rendering.colour[pixel], colour(place, to_camera));
            assert!(found.distance(expected) < tolerance, "{found} is not {expected} at {place}");
            checked += 1;
        }
    }
    assert!(checked > rendering.colour.len() / 4, "{checked} pixels were looked at");
}

#[test]
fn the_outline_of_a_sphere_is_where_geometry_puts_it() {
    let (distance, pixels) = (4.0_f32, 64);
    let stage = sphere(PartLook::Flat(Vec3::ONE), distance, pixels, 4);
    let rendering = stage.render();
    let pixel = 2.0 * 0.35_f32.tan() / pixels as f32;
    let radius = 1.0 / (distance * distance - 1.0).sqrt() / pixel;
    let covered: f32 = rendering.coverage.iter().sum();
    assert!((covered - PI * radius * radius).abs() < 0.002 * covered, "{covered}");
    for row in [31, 32] {
        let row = &rendering.coverage[row * pixels..][..pixels];
        let expected = (radius * radius - 0.25).sqrt();
        for half in [&row[..pixels / 2], &row[pixels / 2..]] {
            let found: f32 = half.iter().sum();
            assert!((found - expected).abs() < 0.15, "{found} is not {expected}");
        }
    }
}

#[test]
fn constant_light_shows_the_albedo() {
    let mut stage = sphere(PartLook::Skin, 3.0, 40, 1);
    (stage.light, stage.roughness) = (ShLight::constant(Vec3::new(1.0, 0.5, 2.0)), 1.0);
    check_sphere(&stage, 1e-6, |_, _| Vec3::new(0.7, 0.2, 0.4));
    stage.looks = vec![PartLook::Flat(Vec3::new(0.1, 0.2, 0.3))];
    check_sphere(&stage, 1e-6, |_, _| Vec3::new(0.1, 0.1, 0.6));
}

#[test]
fn constant_light_shows_f0_where_the_surface_is_looked_at_straight() {
    let mut stage = sphere(PartLook::Skin, 3.0, 41, 1);
    stage.maps.diffuse[0] = [0.0; 3];
    stage.maps.specular[0] = 0.04;
    let centre = stage.render().colour[20 * 41 + 20];
    assert!(centre.distance(Vec3::splat(0.04)) < 1e-5, "{centre}");
}

#[test]
fn light_falls_from_where_it_is() {
    let mut stage = sphere(PartLook::Flat(Vec3::new(0.5, 0.6, 0.7)), 3.0, 40, 1);
    stage.view.rotation = Quat::from_rotation_y(0.7) * Quat::from_rotation_x(0.4);
    stage.light =
        ShLight(std::array::from_fn(|index| 0.2 * Vec3::new(index as f32, 1.0, -(index as f32)).map(f32::sin)));
    stage.light.0[0] = Vec3::splat(3.0);
    let (light, rotation) = (stage.light, stage.view.rotation);
    check_sphere(&stage, 1e-3, |place, _| Vec3::new(0.5, 0.6, 0.7) * light.irradiance(rotation * place) / PI);
    // As a picture: light from above and from the right.
    stage.light = ShLight::constant(Vec3::ONE);
    stage.light.0[1] = Vec3::new(2.0, 0.0, 0.0);
    stage.light.0[3] = Vec3::new(0.0, 2.0, 0.0);
    let picture = stage.render().colour;
    let at = |x: usize, y: usize| picture[y * 40 + x];
    assert!(at(20, 10).x > 1.5 * at(20, 30).x, "above");
    assert!(at(30, 20).y > 1.5 * at(10, 20).y, "right");
}

#[test]
fn glossy_skin_reflects_what_lies_in_the_mirror_direction() {
    let mut stage = sphere(PartLook::Skin, 3.0, 40, 1);
    stage.maps.diffuse[0] = [0.0; 3];
    stage.maps.specular[0] = 0.3;
    stage.roughness = 0.0;
    stage.light.0[3] = Vec3::new(1.0, 0.0, 0.5);
    let light = stage.light;
    check_sphere(&stage, 1.5e-2, |normal, to_camera| {
        let cosine = normal.dot(to_camera);
        let fresnel = 0.3 + 0.7 * (1.0 - cosine).powi(5);
        fresnel * light.radiance(2.0 * cosine * normal - to_camera)
    });
}

#[test]
fn textures_are_neither_mirrored_nor_upside_down() {
    let size = 64;
    let texel = |index: usize| Vec3::new((index % size) as f32 + 0.5, (index / size) as f32 + 0.5, 0.0) / size as f32;
    let texture = Texels { size, values: (0..size * size).map(texel).collect() };
    let mut stage = sphere(PartLook::Texture(texture), 3.0, 40, 1);
    stage.view.rotation = Quat::from_rotation_y(0.3) * Quat::from_rotation_x(-0.2);
    check_sphere(&stage, 2e-3, |place, _| Vec3::new(0.5 + place.x.atan2(place.z) / TAU, place.y.acos() / PI, 0.0));
    stage.view.rotation = Quat::IDENTITY;
    let picture = stage.render().colour;
    assert!(picture[20 * 40 + 30].x > picture[20 * 40 + 10].x, "u grows to the right");
    assert!(picture[30 * 40 + 20].y > picture[10 * 40 + 20].y, "v grows downwards");
}

#[test]
fn normal_maps_turn_to_the_right_and_up() {
    let mut stage = sphere(PartLook::Skin, 3.0, 40, 1);
    (stage.maps.normals[0], stage.roughness) = ([0.4, 0.3, 0.8], 1.0);
    stage.light.0[1] = Vec3::splat(0.8);
    stage.light.0[3] = Vec3::splat(0.6);
    let light = stage.light;
    check_sphere(&stage, 2e-3, |place, _| {
        let right = Vec3::Y.cross(place).normalize();
        let normal = (0.4 * right + 0.3 * place.cross(right) + 0.8 * place).normalize();
        Vec3::new(0.7, 0.4, 0.2) * light.irradiance(normal) / PI
    });
}

#[test]
fn occlusion_darkens() {
    let mut stage = sphere(PartLook::Flat(Vec3::ONE), 3.0, 40, 1);
    stage.occlusion = Some(stage.geometry.vertices().iter().map(|place| 0.5 + 0.25 * place.x).collect());
    check_sphere(&stage, 1e-3, |place, _| Vec3::splat(0.5 + 0.25 * place.x));
}

#[test]
fn a_pixel_is_the_mean_of_its_samples() {
    let fine = sphere(PartLook::Flat(Vec3::new(0.2, 0.4, 0.6)), 3.0, 60, 1).render();
    let coarse = sphere(PartLook::Flat(Vec3::new(0.2, 0.4, 0.6)), 3.0, 20, 3).render();
    for pixel in 0..400 {
        let samples = (0..9).map(|s| (pixel / 20 * 3 + s / 3) * 60 + pixel % 20 * 3 + s % 3);
        let mean = samples.map(|sample| fine.colour[sample]).sum::<Vec3>() / 9.0;
        assert!(coarse.colour[pixel].distance(mean) < 1e-5, "{pixel}");
        assert!((coarse.colour[pixel].y - 0.4 * coarse.coverage[pixel]).abs() < 1e-6, "premultiplied");
    }
}

#[test]
fn a_crop_is_a_part_of_the_picture() {
    let head = template_head();
    let mut stage = head_on_stage(&head, 60, 1);
    let whole = stage.render();
    stage.view.rays.origin = stage.view.rays.at(20.0, 10.0);
    (stage.view.width, stage.view.height) = (25, 30);
    let crop = stage.render();
    let mut other = 0;
    for (index, colour) in crop.colour.iter().enumerate() {
        let place = (10 + index / 25) * 60 + 20 + index % 25;
        other += usize::from(colour.distance(whole.colour[place]) > 1e-3);
    }
    assert!(other < 4, "{other} pixels differ");
}

#[test]
fn skin_is_told_from_other_parts() {
    let head = template_head();
    let mut stage = head_on_stage(&head, 60, 2);
    let rendering = stage.render();
    let sum = |values: &[f32]| values.iter().sum::<f32>();
    let eyes = sum(&rendering.coverage) - sum(&rendering.skin);
    assert!(eyes > 4.0 && eyes < 0.1 * sum(&rendering.skin), "{eyes} pixels are no skin");
    stage.looks.truncate(1);
    let skin = stage.render();
    assert_eq!(skin.coverage, skin.skin);
    assert!(sum(&skin.coverage) < sum(&rendering.coverage), "holes at the eyes");
}

#[test]
fn a_survey_times_the_light_is_the_picture() {
    let head = template_head();
    let stage = head_on_stage(&head, 60, 2);
    let scene = stage.scene();
    let visibility = scene.visibility();
    let (rendering, survey) = (scene.render(&visibility), scene.survey(&visibility, &vec![1.0; 256 * 256]));
    for (pixel, response) in survey.response.iter().enumerate() {
        let product: Vec3 = response.iter().zip(stage.light.0).map(|(&response, light)| response * light).sum();
        assert!(product.distance(rendering.colour[pixel]) < 1e-5, "{product} is not {}", rendering.colour[pixel]);
        assert!((survey.mask[pixel] - rendering.skin[pixel]).abs() < 1e-5);
    }
}

#[test]
fn pictures_and_gradients_do_not_depend_on_the_number_of_threads() {
    let head = template_head();
    let stage = head_on_stage(&head, 70, 2);
    let mut noise = Noise(7);
    let seed: Vec<Vec3> = (0..70 * 70).map(|_| noise.vector()).collect();
    let run = |threads: usize| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let scene = stage.scene();
            let visibility = scene.visibility();
            let (rendering, gradients) = (scene.render(&visibility), scene.gradients(&visibility, &seed));
            (visibility, rendering, gradients)
        })
    };
    let one = run(1);
    assert!(one.2.rotation.is_finite() && one.2.rotation != Vec3::ZERO);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one, "{threads} threads");
    }
}

#[test]
fn empty_pictures_are_empty() {
    for (width, height) in [(0, 0), (0, 7), (7, 0)] {
        let mut stage = sphere(PartLook::Skin, 3.0, 4, 2);
        (stage.view.width, stage.view.height) = (width, height);
        let scene = stage.scene();
        let visibility = scene.visibility();
        assert!(scene.render(&visibility).colour.is_empty());
        assert_eq!(scene.gradients(&visibility, &[]).translation, Vec3::ZERO);
    }
    let mut stage = sphere(PartLook::Hidden, 3.0, 4, 0);
    let nothing = stage.render();
    assert_eq!((nothing.colour, nothing.coverage), (vec![Vec3::ZERO; 16], vec![0.0; 16]));
    (stage.looks, stage.view.translation) = (vec![PartLook::Skin], Vec3::ZERO);
    assert_eq!(stage.render().coverage, [0.0; 16], "from inside");
}

#[test]
fn odd_surfaces_and_scenes_stay_finite() {
    let mut stage = sphere(PartLook::Skin, 3.0, 30, 1);
    let scene = stage.scene();
    let visibility = scene.visibility();
    let seed = vec![Vec3::ONE; 900];
    let mut noise = Noise(9);
    let crumpled: Vec<Vec3> = stage
        .geometry
        .vertices()
        .iter()
        .enumerate()
        .map(|(index, place)| match index % 7 {
            0 => Vec3::ZERO,
            1 => noise.vector() * 1e12,
            2 => noise.vector() * 1e-30,
            _ => place.round(),
        })
        .collect();
    stage.geometry = Geometry::new(&stage.surface, crumpled);
    stage.maps.normals[0] = [0.0; 3];
    let scene = stage.scene();
    for visibility in [visibility, scene.visibility()] {
        let rendering = scene.render(&visibility);
        assert!(rendering.colour.iter().all(|colour| colour.is_finite()));
        let gradients = scene.gradients(&visibility, &seed);
        assert!(gradients.vertices.iter().all(|vertex| vertex.is_finite()));
        assert!(gradients.rotation.is_finite() && gradients.translation.is_finite());
        assert!(gradients.diffuse.iter().chain(&gradients.normals).flatten().all(|value| value.is_finite()));
    }
}
