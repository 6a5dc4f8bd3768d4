//! From a finished head to entities: assets first, spread over frames, then all parts at once.

use std::{collections::VecDeque, sync::Arc};

use bevy::{
    camera::visibility::NoAutoAabb,
    mesh::morph::{MeshMorphWeights, MorphWeights},
    prelude::*,
};

use super::{
    AvatarLook, AvatarPart, AvatarProgress, AvatarReady, AvatarStage, FitDiffSettings, GeneratedAvatar,
    head::{HeadAssets, HeadPart, image_bytes, mesh_bytes},
    look::PaintedEyes,
    material::part_material,
    skin::SkinTextures,
};
use crate::{
    bundle::materials::{EYE, LASH, MOUTH, SKIN, TEETH},
    pipeline::AvatarData,
};

/// A head on its way to the renderer.
#[derive(Component)]
pub(super) struct Spawning {
    pub data: Arc<AvatarData>,
    blendshapes: usize,
    iris: Color,
    reflectance: f32,
    images: VecDeque<Image>,
    added_images: Vec<Handle<Image>>,
    parts: VecDeque<HeadPart>,
    added_parts: Vec<AddedPart>,
}

/// A part whose mesh is an asset already.
struct AddedPart {
    name: String,
    material: String,
    mesh: Handle<Mesh>,
    bounds: bevy::camera::primitives::Aabb,
    morphs: bool,
    two_sided: bool,
}

impl Spawning {
    pub fn new(data: Arc<AvatarData>, head: HeadAssets) -> Self {
        let HeadAssets { parts, skin, eye, iris, lash, blendshapes } = head;
        let SkinTextures { diffuse, normal, specular, reflectance } = skin;
        Self {
            data,
            blendshapes,
            iris,
            reflectance,
            images: [diffuse, normal, specular, eye, lash].into(),
            added_images: Vec::new(),
            parts: parts.into(),
            added_parts: Vec::new(),
        }
    }

    /// Adds the next image or mesh; its bytes, or `None` when all are added.
    fn add_next(&mut self, images: &mut Assets<Image>, meshes: &mut Assets<Mesh>) -> Option<usize> {
        if let Some(image) = self.images.pop_front() {
            let bytes = image_bytes(&image);
            self.added_images.push(images.add(image));
            return Some(bytes);
        }
        let HeadPart { name, material, mesh, bounds, morphs, two_sided } = self.parts.pop_front()?;
        let bytes = mesh_bytes(&mesh);
        self.added_parts.push(AddedPart { name, material, mesh: meshes.add(mesh), bounds, morphs, two_sided });
        Some(bytes)
    }
}

/// Adds assets up to the budget of a frame; spawns avatars whose assets are all added.
pub(super) fn spawn(
    mut commands: Commands,
    settings: Res<FitDiffSettings>,
    mut images: ResMut<Assets<Image>>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
    mut spawning: Query<(Entity, &mut Spawning, &mut AvatarProgress, &AvatarLook, Option<&Children>)>,
    old: Query<(), With<AvatarPart>>,
) {
    let mut bytes = 0;
    for (entity, mut head, mut progress, look, children) in &mut spawning {
        let complete = loop {
            if bytes > settings.upload_bytes_per_frame {
                break false;
            }
            match head.add_next(&mut images, &mut meshes) {
                Some(added) => bytes += added,
                None => break true,
            }
        };
        if !complete {
            return;
        }
        for child in children.into_iter().flatten().filter(|child| old.contains(**child)) {
            commands.entity(*child).try_despawn();
        }
        let weights = vec![0.0; head.blendshapes];
        let skin = head.added_parts.iter().find(|part| part.material == SKIN).map(|part| part.mesh.clone());
        match MorphWeights::new(weights, skin) {
            Ok(weights) => drop(commands.entity(entity).try_insert(weights)),
            Err(reason) => warn!("this avatar has no expressions: {reason}"),
        }
        let wardrobe = Materials::new(&head, look, &mut materials);
        for part in &head.added_parts {
            let mut child = commands.spawn((
                AvatarPart { name: part.name.clone(), material: part.material.clone() },
                Name::new(part.name.clone()),
                Mesh3d(part.mesh.clone()),
                MeshMaterial3d(wardrobe.of(part, &mut materials)),
                part.bounds,
                NoAutoAabb,
                ChildOf(entity),
            ));
            if part.morphs {
                child.insert(MeshMorphWeights::Reference(entity));
            }
        }
        let generated = (GeneratedAvatar { data: head.data.clone() }, PaintedEyes::new(head.iris));
        commands.entity(entity).remove::<Spawning>().try_insert(generated);
        commands.trigger(AvatarReady { entity });
        progress.stage = AvatarStage::Ready;
        progress.fraction = 1.0;
        progress.preview = None;
    }
}

/// The materials of one head.
struct Materials {
    skin: Handle<StandardMaterial>,
    eye: Handle<StandardMaterial>,
    lash: Handle<StandardMaterial>,
    teeth: StandardMaterial,
    mouth: StandardMaterial,
}

impl Materials {
    fn new(head: &Spawning, look: &AvatarLook, materials: &mut Assets<StandardMaterial>) -> Self {
        let [diffuse, normal, specular, eye, lash] =
            std::array::from_fn(|index| Some(head.added_images[index].clone()));
        Self {
            skin: materials.add(StandardMaterial {
                base_color_texture: diffuse,
                normal_map_texture: normal,
                specular_texture: specular,
                reflectance: head.reflectance,
                ..part_material(SKIN, look)
            }),
            eye: materials.add(StandardMaterial { base_color_texture: eye, ..part_material(EYE, look) }),
            lash: materials.add(StandardMaterial { base_color_texture: lash, ..part_material(LASH, look) }),
            teeth: part_material(TEETH, look),
            mouth: part_material(MOUTH, look),
        }
    }

    fn of(&self, part: &AddedPart, materials: &mut Assets<StandardMaterial>) -> Handle<StandardMaterial> {
        let plain = match part.material.as_str() {
            SKIN => return self.skin.clone(),
            EYE => return self.eye.clone(),
            LASH => return self.lash.clone(),
            TEETH => self.teeth.clone(),
            _ => self.mouth.clone(),
        };
        let cull_mode = if part.two_sided { None } else { plain.cull_mode };
        materials.add(StandardMaterial { double_sided: part.two_sided, cull_mode, ..plain })
    }
}
