//! Bundles that lie about themselves are refused, with the file, the expected and the found value.

use std::{fs, path::Path};

use bevy_fitdiff::{
    bundle::{Bundle, BundleError, ColourSpace, MANIFEST_FILE, PredictionType},
    runtime::{BackendChoice, Runtime, RuntimeError, RuntimeOptions},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

mod common;

/// A copy of the default bundle that a test may spoil.
fn copy() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(common::bundle().root()).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    dir
}

/// A folder with the default bundle's manifest and nothing else.
fn copy_manifest() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(common::bundle().root().join(MANIFEST_FILE), dir.path().join(MANIFEST_FILE)).unwrap();
    dir
}

fn edit_manifest(dir: &Path, edit: impl FnOnce(&mut Value)) {
    let path = dir.join(MANIFEST_FILE);
    let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

fn load(dir: &Path, network: &str) -> Result<(), BundleError> {
    let options = RuntimeOptions { backend: BackendChoice::Embedded, ..Default::default() };
    let runtime = Runtime::new(options).unwrap();
    Bundle::open(dir)?.load(&runtime, network).map(|_| ())
}

/// Replaces a network's file and states the new content's length and hash.
fn replace_file(dir: &Path, content: &[u8]) {
    fs::write(dir.join("recogniser.onnx"), content).unwrap();
    edit_manifest(dir, |manifest| {
        let file = &mut manifest["networks"]["recogniser"]["file"];
        file["bytes"] = json!(content.len());
        file["sha256"] = json!(Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    });
}

#[test]
fn the_default_bundle_is_whole_and_runs_on_every_backend() {
    let bundle = common::bundle();
    let networks = bundle.manifest().networks.keys();
    let total: u64 = bundle.manifest().networks.values().map(|network| network.file.bytes).sum();
    assert!(total < 60_000_000, "{total} bytes");
    for (backend, runtime) in common::runtimes() {
        for network in networks.clone() {
            bundle.load(&runtime, network).unwrap_or_else(|error| panic!("{backend}, {network}: {error}"));
        }
    }
}

#[test]
fn a_missing_folder_or_manifest_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("nowhere")] {
        let error = Bundle::open(&path).unwrap_err();
        assert!(matches!(error, BundleError::Read { .. }), "{error}");
        assert!(error.to_string().contains(MANIFEST_FILE), "{error}");
    }
}

#[test]
fn a_manifest_that_is_no_manifest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "{", "[]", "{\"format\": 1}", "{\"format\": -1}", "\u{0}\u{1}", "{\"format\": 1, \"id\": 3}"] {
        fs::write(dir.path().join(MANIFEST_FILE), text).unwrap();
        let error = Bundle::open(dir.path()).unwrap_err();
        assert!(matches!(error, BundleError::Manifest { .. }), "{text:?}: {error}");
    }
    fs::write(dir.path().join(MANIFEST_FILE), vec![b' '; 2 << 20]).unwrap();
    assert!(matches!(Bundle::open(dir.path()).unwrap_err(), BundleError::TooLarge { .. }));
}

#[test]
fn a_manifest_of_another_format_is_told_apart_from_a_broken_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(MANIFEST_FILE), "{\"format\": 7, \"new\": true}").unwrap();
    let error = Bundle::open(dir.path()).unwrap_err();
    assert!(matches!(error, BundleError::Format { expected: 1, found: 7, .. }), "{error}");
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    let dir = copy_manifest();
    edit_manifest(dir.path(), |manifest| manifest["face"]["detecters"] = json!([]));
    let error = Bundle::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("detecters"), "{error}");
}

#[test]
fn a_swapped_file_is_refused_by_its_hash() {
    let dir = copy();
    let path = dir.path().join("recogniser.onnx");
    let mut content = fs::read(&path).unwrap();
    content[5_000_000] ^= 1;
    fs::write(&path, content).unwrap();
    let error = load(dir.path(), "recogniser").unwrap_err();
    assert!(matches!(error, BundleError::Hash { .. }), "{error}");
    assert!(error.to_string().contains("recogniser.onnx"), "{error}");
}

#[test]
fn truncated_extended_and_missing_files_are_refused() {
    let dir = copy();
    let path = dir.path().join("blazeface_short.onnx");
    let content = fs::read(&path).unwrap();
    let bytes = content.len() as u64;
    fs::write(&path, &content[..1000]).unwrap();
    let error = load(dir.path(), "detector_short").unwrap_err();
    assert!(matches!(error, BundleError::Size { expected, found: 1000, .. } if expected == bytes), "{error}");
    fs::write(&path, [&content[..], b"more"].concat()).unwrap();
    let error = load(dir.path(), "detector_short").unwrap_err();
    assert!(matches!(error, BundleError::Size { found, .. } if found == bytes + 4), "{error}");
    fs::remove_file(&path).unwrap();
    let error = load(dir.path(), "detector_short").unwrap_err();
    assert!(matches!(error, BundleError::Read { .. }), "{error}");
    fs::create_dir(&path).unwrap();
    let error = load(dir.path(), "detector_short").unwrap_err();
    assert!(matches!(error, BundleError::Read { .. }), "{error}");
}

#[test]
fn files_of_absurd_length_are_refused_without_reading() {
    let dir = copy_manifest();
    edit_manifest(dir.path(), |manifest| manifest["networks"]["recogniser"]["file"]["bytes"] = json!(u64::MAX));
    let error = load(dir.path(), "recogniser").unwrap_err();
    assert!(matches!(error, BundleError::TooLarge { bytes: u64::MAX, .. }), "{error}");
}

#[test]
fn paths_out_of_the_folder_are_refused() {
    let dir = copy();
    let absolute = dir.path().join("face_mesh_478.onnx").display().to_string();
    for path in ["../face_mesh_478.onnx", "nets/../../face_mesh_478.onnx", &absolute, ".."] {
        edit_manifest(dir.path(), |manifest| manifest["networks"]["landmarks"]["file"]["path"] = json!(path));
        let error = load(dir.path(), "landmarks").unwrap_err();
        assert!(matches!(error, BundleError::Outside { .. }), "{path}: {error}");
    }
}

#[test]
fn a_graph_of_another_shape_or_name_is_refused() {
    let dir = copy();
    edit_manifest(dir.path(), |manifest| manifest["networks"]["landmarks"]["outputs"][0]["shape"] = json!([1, 468, 3]));
    let error = load(dir.path(), "landmarks").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("f32[1, 468, 3]") && text.contains("f32[1, 478, 3]"), "expected and found: {text}");

    let dir = copy();
    edit_manifest(dir.path(), |manifest| {
        manifest["networks"]["recogniser"]["outputs"][0]["name"] = json!("embedding");
        manifest["face"]["identity"]["embedding"] = json!("embedding");
        manifest["generator"]["networks"].as_object_mut().unwrap().remove("regressor");
    });
    let error = load(dir.path(), "recogniser").unwrap_err();
    let BundleError::Network { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(&**source, RuntimeError::Signature { tensor, .. } if tensor == "embedding"), "{error}");
}

#[test]
fn bytes_that_are_no_onnx_are_refused_by_every_backend() {
    let dir = copy();
    for content in [&b"not an ONNX graph at all"[..], &[0xFF; 64], &[]] {
        replace_file(dir.path(), content);
        let bundle = Bundle::open(dir.path()).unwrap();
        for (backend, runtime) in common::runtimes() {
            let error = bundle.load(&runtime, "recogniser").unwrap_err();
            assert!(matches!(error, BundleError::Network { .. }), "{backend}, {content:?}: {error}");
        }
    }
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused_where_it_does() {
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 9] = [
        ("face.detectors", |m| m["face"]["detectors"] = json!([])),
        ("face.detectors[0].network", |m| m["face"]["detectors"][0]["network"] = json!("nobody")),
        ("face.detectors[0].boxes", |m| m["face"]["detectors"][0]["strides"] = json!([8, 16])),
        ("face.detectors[1].strides", |m| m["face"]["detectors"][1]["strides"] = json!([0])),
        ("face.detectors[0].input_range", |m| m["face"]["detectors"][0]["input_range"] = json!([1.0, -1.0])),
        ("face.landmarks.index", |m| m["face"]["landmarks"]["index"]["chin"] = json!(478)),
        ("face.landmarks.box_points", |m| m["face"]["landmarks"]["box_points"] = json!(500)),
        ("face.identity.chip", |m| m["face"]["identity"]["chip"]["points"] = json!([[0.0, 0.0]])),
        ("networks.recogniser.file.sha256", |m| m["networks"]["recogniser"]["file"]["sha256"] = json!("beef")),
    ];
    for (wanted, edit) in edits {
        let dir = copy_manifest();
        edit_manifest(dir.path(), edit);
        let error = Bundle::open(dir.path()).unwrap_err();
        assert!(matches!(&error, BundleError::Inconsistent { place, .. } if place == wanted), "{wanted}: {error}");
    }
}

/// Puts another generator and template head into a manifest: maps of 64², latents of 4 × 4, a head of one triangle.
fn add_generator(manifest: &mut Value) {
    let tensor = |name: &str, shape: &[usize]| json!({"name": name, "dtype": "f32", "shape": shape});
    let file = |path: &str, bytes: u64| json!({"path": path, "bytes": bytes, "sha256": "0".repeat(64)});
    let network = |inputs: Value, outputs: Value| json!({"file": file("x.onnx", 9), "origin": "", "licence": "CC0-1.0", "inputs": inputs, "outputs": outputs});
    let maps = json!([
        tensor("diffuse", &[1, 3, 64, 64]),
        tensor("specular", &[1, 1, 64, 64]),
        tensor("normals", &[1, 3, 64, 64])
    ]);
    let one = |name: &str| json!([tensor(name, &[1, 1])]);
    let front_end = ["detector_short", "detector_full", "landmarks", "recogniser"];
    let networks = &mut manifest["networks"];
    networks.as_object_mut().unwrap().retain(|name, _| front_end.contains(&name.as_str()));
    networks["reflectance_decoder"] = network(json!([tensor("latent", &[1, 8, 4, 4])]), maps);
    for role in ["unet", "reflectance_decoder_vjp", "shape_decoder", "shape_decoder_vjp", "features", "loss"] {
        networks[role] = network(one("x"), one("y"));
    }
    networks["shape_decoder"]["weights"] = json!("template.bin");
    networks["regressor"] = network(
        json!([
            tensor("descriptor", &[1, 128]),
            tensor("landmarks", &[1, 478, 3]),
            tensor("rotation", &[1, 3]),
            tensor("chip", &[1, 3, 150, 150]),
            tensor("places", &[1, 478, 2])
        ]),
        json!([
            tensor("shape", &[1, 2]),
            tensor("shape_deviation", &[1, 2]),
            tensor("diffuse", &[1, 3, 16, 16]),
            tensor("diffuse_deviation", &[1, 1, 16, 16])
        ]),
    );
    networks["iris_reader"] = network(
        json!([tensor("chip", &[1, 3, 150, 150]), tensor("places", &[1, 478, 2])]),
        json!([tensor("iris", &[1, 3])]),
    );
    let map = |output: &str, channels: usize, space: &str, range: [f32; 2]| json!({"output": output, "size": 64, "channels": channels, "colour_space": space, "range": range});
    manifest["generator"] = json!({
        "version": "0.1.0", "licence": "CC0-1.0", "embedding_size": 128, "guidance_scale": 1.5,
        "temperature": {"reflectance": 0.8, "shape": 0.3},
        "reflectance_latent": {"shape": [8, 4, 4], "scale": 1.0},
        "shape_latent": {"coefficients": 2, "scale": 1.0},
        "schedule": {
            "type": "linear", "train_timesteps": 3, "prediction_type": "v", "alphas_cumprod": [0.9, 0.5, 0.1]
        },
        "networks": {
            "unet": "unet", "reflectance_decoder": "reflectance_decoder",
            "reflectance_decoder_vjp": "reflectance_decoder_vjp", "shape_decoder": "shape_decoder",
            "shape_decoder_vjp": "shape_decoder_vjp", "recogniser_features": "features", "recogniser_loss": "loss",
            "regressor": "regressor", "iris_reader": "iris_reader"
        },
        "perceptual_layers": [], "losses": [],
        "prefixes": {"seed": "seed_", "gradient": "grad_", "target": "target_"},
        "maps": {
            "diffuse": map("diffuse", 3, "srgb", [0.0, 1.0]),
            "specular": map("specular", 1, "linear", [0.0, 0.08]),
            "normals": map("normals", 3, "linear", [-1.0, 1.0])
        }
    });
    manifest["template"] = json!({
        "file": file("template.bin", 100), "version": 1, "frame": "metres, Y up", "vertices": 3, "triangles": 1,
        "components": 2, "blendshapes": ["jawOpen"],
        "parts": [{"name": "skin", "material": "skin", "vertices": [0, 3], "triangles": [0, 1]}],
        "eyes": {
            "centre": "the last vertex", "texture_rim_radians": 1.0, "iris_radians": 0.4, "convergence_radians": 0.0,
            "look_radians": {"Up": 0.3}
        },
        "sections": {
            "positions": {"offset": 0, "dtype": "f32", "shape": [3, 3]},
            "triangles": {"offset": 48, "dtype": "u16", "shape": [1, 3]}
        }
    });
}

#[test]
fn a_generator_that_fits_its_networks_and_head_is_accepted() {
    let dir = copy_manifest();
    edit_manifest(dir.path(), add_generator);
    let bundle = Bundle::open(dir.path()).unwrap();
    let generator = bundle.manifest().generator.as_ref().unwrap();
    assert_eq!(generator.schedule.prediction_type, PredictionType::V);
    assert_eq!(generator.maps.diffuse.colour_space, ColourSpace::Srgb);
}

#[test]
fn a_generator_that_contradicts_its_networks_or_head_is_refused_where_it_does() {
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 22] = [
        ("generator.networks.unet.network", |m| m["generator"]["networks"]["unet"] = json!("nobody")),
        ("generator.embedding_size", |m| m["generator"]["embedding_size"] = json!(512)),
        ("generator.shape_latent.scale", |m| m["generator"]["shape_latent"]["scale"] = json!(0.0)),
        ("generator.shape_latent.coefficients", |m| m["generator"]["shape_latent"]["coefficients"] = json!(3)),
        ("networks.reflectance_decoder.inputs", |m| {
            m["generator"]["reflectance_latent"]["shape"] = json!([4, 4, 4]);
        }),
        ("generator.schedule.alphas_cumprod", |m| m["generator"]["schedule"]["train_timesteps"] = json!(1000)),
        ("generator.schedule.alphas_cumprod", |m| {
            m["generator"]["schedule"]["alphas_cumprod"] = json!([0.1, 0.5, 0.9]);
        }),
        ("generator.maps.diffuse.channels", |m| m["generator"]["maps"]["diffuse"]["channels"] = json!(4)),
        ("generator.maps.normals.size", |m| m["generator"]["maps"]["normals"]["size"] = json!(512)),
        ("template", |m| m["template"] = Value::Null),
        ("template.parts.skin", |m| m["template"]["parts"][0]["vertices"] = json!([1, 2])),
        ("template.parts", |m| m["template"]["triangles"] = json!(2)),
        ("template.sections.positions", |m| m["template"]["sections"]["positions"]["offset"] = json!(80)),
        ("networks.regressor.outputs.shape", |m| m["networks"]["regressor"]["outputs"][0]["shape"] = json!([1, 3])),
        ("networks.regressor.outputs.diffuse", |m| {
            m["networks"]["regressor"]["outputs"][2]["shape"] = json!([1, 3, 24, 24]);
        }),
        ("networks.regressor.inputs", |m| m["networks"]["regressor"]["inputs"][2]["name"] = json!("pose")),
        ("networks.regressor.inputs.landmarks", |m| {
            m["networks"]["regressor"]["inputs"][1]["shape"] = json!([1, 468, 3]);
        }),
        ("networks.regressor.inputs.chip", |m| {
            m["networks"]["regressor"]["inputs"][3]["shape"] = json!([1, 3, 112, 112]);
        }),
        ("networks.iris_reader.outputs.iris", |m| {
            m["networks"]["iris_reader"]["outputs"][0]["shape"] = json!([1, 1]);
        }),
        ("networks.iris_reader.inputs", |m| m["networks"]["iris_reader"]["inputs"][0]["name"] = json!("photo")),
        ("networks.iris_reader.inputs.places", |m| {
            m["networks"]["iris_reader"]["inputs"][1]["shape"] = json!([1, 468, 2]);
        }),
        ("networks.shape_decoder.weights", |m| m["networks"]["shape_decoder"]["weights"] = json!("other.bin")),
    ];
    for (wanted, edit) in edits {
        let dir = copy_manifest();
        edit_manifest(dir.path(), |manifest| {
            add_generator(manifest);
            // Without its template the shape decoder must not name it.
            if wanted == "template" {
                manifest["networks"]["shape_decoder"]["weights"] = json!("recogniser.onnx");
            }
            edit(manifest);
        });
        let error = Bundle::open(dir.path()).unwrap_err();
        assert!(matches!(&error, BundleError::Inconsistent { place, .. } if place == wanted), "{wanted}: {error}");
    }
}

#[test]
fn an_unknown_network_is_named() {
    let error = load(common::bundle().root(), "nobody").unwrap_err();
    assert!(matches!(&error, BundleError::NoNetwork { network, .. } if network == "nobody"), "{error}");
}
