//! Avatars as binary glTF files, read back by another library and compared with what they were made of.

mod common;

use std::sync::{Arc, LazyLock};

use bevy::{color::Color, math::Vec3};
use bevy_fitdiff::{
    avatar::AvatarLook,
    export::{ExportError, ExportOptions, ExportProgress, ExportStage, to_glb},
    pipeline::{AvatarData, AvatarMaps},
    runtime::CancelToken,
};
use common::{ASTRONAUT, avatar_of_photo};
use gltf::{Gltf, Semantic, buffer, image::Format, material::AlphaMode, mesh::Mode};
use serde_json::Value;

fn export(data: &AvatarData, look: &AvatarLook, options: &ExportOptions) -> Result<Vec<u8>, ExportError> {
    to_glb(data, look, options, &CancelToken::default(), &mut |_| {})
}

/// The file of [`avatar_of_photo`] with nothing changed.
fn file() -> &'static [u8] {
    static FILE: LazyLock<Vec<u8>> =
        LazyLock::new(|| export(avatar_of_photo(), &Default::default(), &Default::default()).unwrap());
    &FILE
}

/// A file as the other library reads it.
struct Read {
    document: gltf::Document,
    buffers: Vec<buffer::Data>,
    images: Vec<gltf::image::Data>,
    json: Value,
}

impl Read {
    fn new(file: &[u8]) -> Self {
        let (document, buffers, images) = gltf::import_slice(file).expect("the file is valid");
        let json = serde_json::from_slice(&gltf::Glb::from_slice(file).unwrap().json).unwrap();
        Self { document, buffers, images, json }
    }

    fn data(&self, buffer: gltf::Buffer) -> Option<&[u8]> {
        self.buffers.get(buffer.index()).map(|data| &data.0[..])
    }

    fn part(&self, name: &str) -> gltf::Primitive<'_> {
        let mesh = self.document.meshes().find(|mesh| mesh.name() == Some(name)).expect("the part is there");
        assert_eq!(mesh.primitives().len(), 1);
        mesh.primitives().next().unwrap()
    }

    fn material(&self, name: &str) -> gltf::Material<'_> {
        self.document.materials().find(|material| material.name() == Some(name)).expect("the material is there")
    }

    fn image(&self, texture: gltf::Texture) -> &gltf::image::Data {
        &self.images[texture.source().index()]
    }
}

fn default_file() -> Read {
    Read::new(file())
}

#[test]
fn parts_are_meshes_below_one_node_with_the_heads_vertices_and_triangles() {
    let (data, read) = (avatar_of_photo(), default_file());
    let head = &data.head;
    let scene = read.document.default_scene().unwrap();
    let roots: Vec<_> = scene.nodes().collect();
    assert_eq!((roots.len(), roots[0].name()), (1, Some("avatar")));
    let names: Vec<_> = roots[0].children().map(|node| node.name().unwrap().to_owned()).collect();
    assert_eq!(names, head.parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>());
    assert!(read.document.nodes().all(|node| {
        node.transform().matrix()
            == gltf::scene::Transform::Decomposed {
                translation: [0.0; 3],
                rotation: [0.0, 0.0, 0.0, 1.0],
                scale: [1.0; 3],
            }
            .matrix()
    }));

    for part in &head.parts {
        let primitive = read.part(&part.name);
        let reader = primitive.reader(|buffer| read.data(buffer));
        let [first, count] = part.vertices;
        let positions: Vec<Vec3> = reader.read_positions().unwrap().map(Vec3::from_array).collect();
        assert_eq!(positions, data.vertices[first..first + count], "{}: positions, bit for bit", part.name);
        let uv: Vec<_> = reader.read_tex_coords(0).unwrap().into_f32().collect();
        assert!(uv.iter().zip(&head.uv[first..]).all(|(found, expected)| *found == expected.to_array()));
        assert!(reader.read_normals().unwrap().all(|normal| Vec3::from_array(normal).is_normalized()));

        let corners: Vec<usize> = reader.read_indices().unwrap().into_u32().map(|index| index as usize).collect();
        let [start, length] = part.triangles;
        // Of triangles that the template has with both orientations one is left.
        let both = primitive.material().double_sided() && part.material != "lash";
        let mut wanted = head.triangles[start..start + length].iter().map(|corners| corners.map(usize::from));
        for triangle in corners.as_chunks::<3>().0 {
            let triangle = triangle.map(|corner| corner + first);
            assert!(wanted.any(|known| known == triangle), "{}: {triangle:?}", part.name);
        }
        assert!(corners.len() == 3 * length || both || part.material == "lash", "{}", part.name);
        assert_eq!((primitive.mode(), primitive.material().name()), (Mode::Triangles, Some(part.material.as_str())));
    }
}

#[test]
fn every_part_that_moves_has_all_blendshapes_of_the_head_to_the_last_bit() {
    let (data, read) = (avatar_of_photo(), default_file());
    let head = &data.head;
    assert_eq!(head.blendshapes.len(), 52);
    let names: Vec<&str> = head.blendshapes.iter().map(|shape| shape.name.as_str()).collect();
    let mut moving = 0;
    for part in &head.parts {
        let [first, count] = part.vertices;
        let expected: Vec<Vec<Vec3>> = head
            .blendshapes
            .iter()
            .map(|shape| {
                let mut offsets = vec![Vec3::ZERO; count];
                for (&vertex, &offset) in shape.vertices.iter().zip(&shape.offsets) {
                    if let Some(index) = usize::from(vertex).checked_sub(first).filter(|index| *index < count) {
                        offsets[index] = offset;
                    }
                }
                offsets
            })
            .collect();
        let mesh = read.document.meshes().find(|mesh| mesh.name() == Some(&part.name)).unwrap();
        let primitive = read.part(&part.name);
        if expected.iter().flatten().all(|offset| *offset == Vec3::ZERO) {
            assert_eq!((primitive.morph_targets().len(), mesh.weights()), (0, None), "{}", part.name);
            continue;
        }
        moving += 1;
        let extras: Value = serde_json::from_str(mesh.extras().as_ref().unwrap().get()).unwrap();
        assert_eq!(extras["targetNames"], serde_json::json!(names), "{}", part.name);
        assert_eq!(mesh.weights(), Some(&[0.0; 52][..]));

        let reader = primitive.reader(|buffer| read.data(buffer));
        let rest: Vec<Vec3> = reader.read_normals().unwrap().map(Vec3::from_array).collect();
        assert_eq!(reader.read_morph_targets().len(), 52);
        for ((positions, normals, _), (name, expected)) in reader.read_morph_targets().zip(names.iter().zip(&expected))
        {
            let found: Vec<Vec3> = positions.unwrap().map(Vec3::from_array).collect();
            assert!(found == *expected, "{}: {name}", part.name);
            let normals: Vec<Vec3> = normals.unwrap().map(Vec3::from_array).collect();
            assert_eq!(normals.len(), count);
            let turned = normals.iter().zip(&rest).all(|(difference, rest)| (rest + difference).is_normalized());
            assert!(turned, "{}: {name}", part.name);
        }
    }
    assert!(moving >= 8, "{moving}");
}

#[test]
fn normals_of_an_expression_are_those_of_its_surface() {
    let (data, read) = (avatar_of_photo(), default_file());
    let head = &data.head;
    let index = head.blendshapes.iter().position(|shape| shape.name == "jawOpen").unwrap();
    let mut weights = vec![0.0; 52];
    weights[index] = 1.0;
    let posed = head.posed(&data.vertices, &weights);
    let primitive = read.part("skin");
    let reader = primitive.reader(|buffer| read.data(buffer));
    let (_, normals, _) = reader.read_morph_targets().nth(index).unwrap();
    let rest: Vec<Vec3> = reader.read_normals().unwrap().map(Vec3::from_array).collect();
    let turned: Vec<Vec3> =
        rest.iter().zip(normals.unwrap()).map(|(rest, turn)| *rest + Vec3::from_array(turn)).collect();
    let corners: Vec<usize> = reader.read_indices().unwrap().into_u32().map(|index| index as usize).collect();
    // Angles between triangles and the normals at their corners, weighted by area.
    let agreement = |normals: &[Vec3]| {
        let (mut sum, mut area) = (0.0, 0.0);
        for &[a, b, c] in corners.as_chunks::<3>().0 {
            let normal = (posed[b] - posed[a]).cross(posed[c] - posed[a]);
            sum += [a, b, c].iter().map(|&corner| normals[corner].dot(normal)).sum::<f32>() / 3.0;
            area += normal.length();
        }
        sum / area
    };
    let (with, without) = (agreement(&turned), agreement(&rest));
    assert!(with > 0.99 && with > without + 1e-3, "{with} with the differences, {without} without");
}

#[test]
fn bounds_are_those_of_the_numbers() {
    let read = default_file();
    let mut checked = 0;
    let mut check = |accessor: gltf::Accessor, values: Vec<[f32; 3]>| {
        let bound = |which: fn(f32, f32) -> f32| {
            values.iter().copied().reduce(|a, b| std::array::from_fn(|axis| which(a[axis], b[axis]))).unwrap()
        };
        let stated = |bound: Option<Value>| serde_json::from_value::<[f32; 3]>(bound.unwrap()).unwrap();
        assert_eq!(stated(accessor.min()), bound(f32::min));
        assert_eq!(stated(accessor.max()), bound(f32::max));
        checked += 1;
    };
    for mesh in read.document.meshes() {
        let primitive = mesh.primitives().next().unwrap();
        let reader = primitive.reader(|buffer| read.data(buffer));
        check(primitive.get(&Semantic::Positions).unwrap(), reader.read_positions().unwrap().collect());
        for (target, (positions, ..)) in primitive.morph_targets().zip(reader.read_morph_targets()) {
            check(target.positions().unwrap(), positions.unwrap().collect());
        }
    }
    assert!(checked > 400, "{checked}");
}

#[test]
fn targets_that_move_little_take_little_room() {
    let read = default_file();
    let head = &avatar_of_photo().head;
    let dense: usize = read
        .document
        .meshes()
        .flat_map(|mesh| mesh.primitives())
        .map(|primitive| {
            primitive.morph_targets().len()
                * primitive.get(&Semantic::Positions).unwrap().count()
                * 2
                * size_of::<[f32; 3]>()
        })
        .sum();
    let moved: usize = head.blendshapes.iter().map(|shape| shape.vertices.len()).sum();
    println!("{} bytes; morph targets would take {dense} in full, {moved} vertices move", file().len());
    assert!(file().len() < dense / 3, "{} bytes", file().len());
}

/// Alpha of each texel, and the F0 that full alpha means by the definition of both extensions.
fn specular(read: &Read) -> (Vec<u8>, f64) {
    let material = read.material("skin");
    let extension = material.extension_value("KHR_materials_specular").unwrap();
    assert_eq!(extension.get("specularFactor"), None, "1");
    let colour: Vec<f64> = serde_json::from_value(extension["specularColorFactor"].clone()).unwrap();
    assert!(colour.len() == 3 && colour.iter().all(|channel| *channel == colour[0]));
    let ior = match material.ior() {
        Some(ior) => f64::from(ior),
        None => material.extension_value("KHR_materials_ior").unwrap()["ior"].as_f64().unwrap(),
    };
    let texture =
        read.document.textures().nth(extension["specularTexture"]["index"].as_u64().unwrap() as usize).unwrap();
    let image = read.image(texture);
    assert_eq!(image.format, Format::R8G8B8A8);
    let alpha = image.pixels.as_chunks::<4>().0.iter().map(|[.., alpha]| *alpha).collect();
    (alpha, (((ior - 1.0) / (ior + 1.0)).powi(2) * colour[0]).min(1.0))
}

/// Whether a texel and those around it lie on the head: what is beside its border is filled up.
fn is_inside(data: &AvatarData, texel: usize) -> bool {
    let (size, masks) = (data.maps.size, &data.head.masks);
    let around = |place: usize| [place.saturating_sub(2), place, (place + 2).min(size - 1)];
    let scaled = |place: usize| (2 * place + 1) * masks.size / (2 * size);
    let rows = around(texel / size);
    rows.iter().all(|&y| around(texel % size).iter().all(|&x| masks.chart[scaled(y) * masks.size + scaled(x)]))
}

#[test]
fn the_skins_textures_are_the_generated_maps_within_8_bits() {
    let (data, read) = (avatar_of_photo(), default_file());
    let AvatarMaps { size, diffuse, specular: f0, normals, .. } = &*data.maps;
    let inside: Vec<usize> = (0..size * size).filter(|&texel| is_inside(data, texel)).collect();
    assert!(inside.len() > size * size / 3);

    let skin = read.material("skin");
    let base = read.image(skin.pbr_metallic_roughness().base_color_texture().unwrap().texture());
    let normal = read.image(skin.normal_texture().unwrap().texture());
    for image in [base, normal] {
        assert_eq!((image.format, image.width as usize, image.height as usize), (Format::R8G8B8, *size, *size));
    }
    let (base, normal) = (base.pixels.as_chunks::<3>().0, normal.pixels.as_chunks::<3>().0);
    let (alpha, full) = specular(&read);
    let (mut most, mut least) = (0.0_f64, 1.0_f64);
    for &texel in &inside {
        assert_eq!(base[texel], diffuse[texel]);
        let found = normal[texel].map(|value| f32::from(value) / 127.5 - 1.0);
        assert!(found.iter().zip(normals[texel]).all(|(found, expected)| (found - expected).abs() < 1.01 / 255.0));
        let (found, expected) = (full * f64::from(alpha[texel]) / 255.0, f64::from(f0[texel]));
        assert!((found - expected).abs() < 0.501 / 255.0 * full, "F0 is {found} instead of {expected}");
        (most, least) = (most.max(found), least.min(found));
    }
    println!("F0 {least:.4} to {most:.4}, {full:.4} at full alpha");
    assert!(full <= f64::from(data.maps.specular_range[1]) + 1e-6 && most > 0.8 * full);
}

#[test]
fn materials_are_those_of_the_look() {
    let look =
        AvatarLook { iris: Some(Color::linear_rgb(0.02, 0.3, 0.05)), skin_roughness: 0.8, ..AvatarLook::default() };
    let read = Read::new(&export(avatar_of_photo(), &look, &Default::default()).unwrap());
    let roughness = |name: &str| read.material(name).pbr_metallic_roughness().roughness_factor();
    assert_eq!([roughness("skin"), roughness("eye"), roughness("teeth")], [0.8, 0.1, 0.3]);
    assert!(read.document.materials().all(|material| material.pbr_metallic_roughness().metallic_factor() == 0.0));
    let used: Vec<_> = read.document.extensions_used().collect();
    assert_eq!(used, ["KHR_materials_specular", "KHR_materials_ior"]);
    assert_eq!(read.document.extensions_required().count(), 0);

    let eye = read.material("eye").pbr_metallic_roughness().base_color_texture().unwrap().texture();
    let (eye, eyes) = (read.image(eye), &avatar_of_photo().head.eyes);
    // Two thirds of the way from the pupil's centre to the iris's rim.
    let radius = 0.5 * eyes.iris_radians / eyes.texture_rim_radians * 0.67 * eye.width as f32;
    let texel = (eye.height / 2 * eye.width + eye.width / 2) as usize + radius as usize;
    let [red, green, blue] = eye.pixels.as_chunks::<3>().0[texel];
    assert!(green > 2 * red && green > 2 * blue, "{red} {green} {blue}");

    let lash = read.material("lash");
    assert!(lash.alpha_mode() == AlphaMode::Blend && lash.double_sided());
    let image = read.image(lash.pbr_metallic_roughness().base_color_texture().unwrap().texture());
    assert_eq!(image.format, Format::R8G8B8A8);
    for name in ["skin", "eye", "teeth", "mouth"] {
        assert_eq!(read.material(name).alpha_mode(), AlphaMode::Opaque, "{name}");
    }
    for part in &avatar_of_photo().head.parts {
        let primitive = read.part(&part.name);
        let shaded = ["eye", "teeth", "mouth"].contains(&part.material.as_str());
        assert_eq!(primitive.get(&Semantic::Colors(0)).is_some(), shaded, "{}", part.name);
        assert_eq!(primitive.get(&Semantic::Tangents).is_some(), part.material == "skin", "{}", part.name);
        let reader = primitive.reader(|buffer| read.data(buffer));
        let unit = |[x, y, z, side]: [f32; 4]| Vec3::new(x, y, z).is_normalized() && side.abs() == 1.0;
        assert!(reader.read_tangents().into_iter().flatten().all(unit), "{}", part.name);
    }
}

#[test]
fn the_file_says_that_the_likeness_is_generated_and_by_which_model() {
    let read = default_file();
    let asset = &read.json["asset"];
    assert_eq!(asset["version"], "2.0");
    assert_eq!(asset["generator"], concat!("bevy_fitdiff ", env!("CARGO_PKG_VERSION")));
    assert_eq!(asset["extras"]["provenance"], "synthetic likeness generated by a model");
    let bundle = &avatar_of_photo().recipe.bundle;
    assert_eq!(asset["extras"]["model"], serde_json::to_value(bundle).unwrap());
}

#[test]
fn the_file_holds_nothing_that_the_face_can_be_recognised_or_regenerated_by_a_number_of() {
    let data = avatar_of_photo();
    let identity = data.identity.as_ref().expect("a photo has an embedding").values();
    let latents = &data.latents;
    let contains = |needle: &[u8]| file().windows(needle.len()).any(|window| window == needle);
    // The search finds what is there.
    assert!(contains(&data.vertices[100].x.to_le_bytes()));
    for numbers in [identity, latents.reflectance(), latents.shape()] {
        // Two numbers, since four bytes may be there by chance.
        for pair in numbers.as_chunks::<2>().0.iter().filter(|pair| pair[0] != 0.0).take(64) {
            let bytes = pair.map(f32::to_le_bytes);
            assert!(!contains(bytes.as_flattened()));
            assert!(!contains(serde_json::to_string(&pair[0]).unwrap().as_bytes()));
        }
    }
    assert!(!String::from_utf8_lossy(file()).contains(ASTRONAUT));
}

#[test]
fn an_expression_at_rest_is_the_same_for_all_parts() {
    let options = ExportOptions { weights: vec![0.0, 0.25, 0.5] };
    let read = Read::new(&export(avatar_of_photo(), &Default::default(), &options).unwrap());
    let mut expected = [0.0; 52];
    expected[..3].copy_from_slice(&options.weights);
    let weights: Vec<_> = read.document.meshes().filter_map(|mesh| mesh.weights().map(<[f32]>::to_vec)).collect();
    assert!(weights.len() >= 8 && weights.iter().all(|weights| *weights == expected), "{weights:?}");
}

#[test]
fn what_is_no_avatar_is_refused() {
    let (good, look) = (avatar_of_photo(), AvatarLook::default());
    let refuse = |data: &AvatarData, look: &AvatarLook, weights: &[f32], message: &str| {
        let error = export(data, look, &ExportOptions { weights: weights.to_vec() }).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    refuse(good, &look, &[0.0; 53], "52 weights at most, found 53");
    refuse(good, &look, &[f32::NAN], "weights should be finite");
    refuse(good, &AvatarLook { skin_roughness: f32::INFINITY, ..look }, &[], "numbers of the look");
    refuse(good, &AvatarLook { iris: Some(Color::linear_rgb(0.0, f32::NAN, 0.0)), ..look }, &[], "numbers of the look");
    refuse(&AvatarData { vertices: good.vertices[1..].to_vec(), ..good.clone() }, &look, &[], "vertices");
    let mut vertices = good.vertices.clone();
    vertices[7].y = f32::NAN;
    refuse(&AvatarData { vertices, ..good.clone() }, &look, &[], "vertices should be finite");
    let maps = |change: &dyn Fn(&mut AvatarMaps)| {
        let mut maps = (*good.maps).clone();
        change(&mut maps);
        AvatarData { maps: Arc::new(maps), ..good.clone() }
    };
    refuse(&maps(&|maps| maps.diffuse.truncate(1)), &look, &[], "texels of the diffuse map");
    refuse(&maps(&|maps| maps.size += 1), &look, &[], "texels of the diffuse map");
    refuse(&maps(&|maps| maps.specular[0] = f32::NAN), &look, &[], "specular map should be finite");
    let empty = AvatarMaps { size: 0, diffuse: vec![], specular: vec![], normals: vec![], specular_range: [0.0, 0.06] };
    refuse(&AvatarData { maps: Arc::new(empty), ..good.clone() }, &look, &[], "texture");
}

#[test]
fn progress_rises_from_0_to_1() {
    let mut seen: Vec<ExportProgress> = Vec::new();
    let observe = &mut |progress| seen.push(progress);
    to_glb(avatar_of_photo(), &Default::default(), &Default::default(), &CancelToken::default(), observe).unwrap();
    assert!(seen.is_sorted_by(|a, b| a.fraction <= b.fraction && a.stage <= b.stage), "{seen:?}");
    assert_eq!(seen.first(), Some(&ExportProgress { stage: ExportStage::Materials, fraction: 0.0 }));
    assert_eq!(seen.last(), Some(&ExportProgress { stage: ExportStage::File, fraction: 1.0 }));
}

#[test]
fn a_reader_that_checks_nothing_finds_the_container_whole() {
    let gltf = Gltf::from_slice_without_validation(file()).unwrap();
    assert_eq!(gltf.blob.unwrap().len(), gltf.document.buffers().next().unwrap().length());
    assert_eq!(u32::from_le_bytes(file()[8..12].try_into().unwrap()) as usize, file().len());
}
