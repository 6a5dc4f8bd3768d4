//! Pictures without a window.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use bevy::{
    camera::RenderTarget,
    mesh::morph::MorphWeights,
    prelude::*,
    render::view::screenshot::{Screenshot, ScreenshotCaptured},
};
use bevy_fitdiff::{
    creator::{CreatorStudio, studio_camera},
    prelude::*,
};

use super::{
    args::Arguments,
    common::{self, Settling, fail},
    files::{self, Wanted},
};

#[derive(Resource)]
struct Shoot {
    arguments: Arguments,
    avatar: Entity,
    target: Handle<Image>,
    start: Instant,
    /// Whether the avatar is there, with the expression that is asked for.
    posed: bool,
    next: usize,
    pending: bool,
    stage: Option<AvatarStage>,
}

/// Takes the pictures that the arguments ask for, and exits.
pub fn shoot(app: &mut App, arguments: Arguments, mut wanted: Option<Wanted>) {
    app.add_plugins(CreatorStudioPlugin { camera: false });
    let seed = arguments.seed;
    app.add_systems(PreStartup, move |mut commands: Commands, mut photos: ResMut<Assets<Photo>>| {
        let avatar = match wanted.take() {
            Some(Wanted::Photos(of_person)) => {
                Avatar::from_selfies(of_person.into_iter().map(|photo| photos.add(photo))).with_seed(seed)
            }
            Some(Wanted::Avatar(avatar)) => avatar,
            None => return,
        };
        commands.spawn(avatar);
    });
    app.add_systems(Startup, move |world: &mut World| {
        let size = arguments.size;
        let mut images = world.resource_mut::<Assets<Image>>();
        let target = common::render_target(&mut images, size, size);
        let camera = studio_camera(&mut images);
        world.spawn((camera, RenderTarget::Image(target.clone().into())));
        world.insert_resource(CreatorStudio { yaw: arguments.yaw, light_yaw: arguments.light, ..default() });
        let avatar = world.query_filtered::<Entity, With<Avatar>>().single(world).expect("one avatar is asked for");
        let arguments = arguments.clone();
        let (start, stage) = (Instant::now(), None);
        world.insert_resource(Shoot { arguments, avatar, target, start, posed: false, next: 0, pending: false, stage });
    });
    app.add_systems(Update, (report, watch, step).chain());
}

/// Prints each stage once.
fn report(mut shoot: ResMut<Shoot>, avatars: Query<&AvatarProgress>) {
    let Ok(progress) = avatars.get(shoot.avatar) else { return };
    if shoot.stage != Some(progress.stage) {
        shoot.stage = Some(progress.stage);
        println!("{:6.2} s  {:?}", shoot.start.elapsed().as_secs_f32(), progress.stage);
    }
}

/// Ends what cannot succeed.
fn watch(shoot: Res<Shoot>, failures: Query<&AvatarFailure>, mut exit: MessageWriter<AppExit>) {
    if let Ok(failure) = failures.get(shoot.avatar) {
        fail(&mut exit, &failure.to_string());
    }
}

fn step(
    mut commands: Commands,
    mut shoot: ResMut<Shoot>,
    mut studio: ResMut<CreatorStudio>,
    mut settling: ResMut<Settling>,
    avatars: Query<(&AvatarProgress, &AvatarLook, Option<&GeneratedAvatar>)>,
    mut weights: Query<&mut MorphWeights>,
    mut exit: MessageWriter<AppExit>,
) {
    let Ok((progress, look, generated)) = avatars.get(shoot.avatar) else { return };
    let (AvatarStage::Ready, Some(generated)) = (progress.stage, generated) else { return };
    if !shoot.posed {
        let posed = express(&mut weights, shoot.avatar, generated, &shoot.arguments.expression);
        let weights = weights.get(shoot.avatar).map(MorphWeights::weights).unwrap_or_default();
        if let Err(reason) = posed.and_then(|()| files::write(&shoot.arguments, &generated.data, look, weights)) {
            return fail(&mut exit, &reason);
        }
        for warning in &generated.data.warnings {
            println!("warning: {warning}");
        }
        shoot.posed = true;
        settling.restart();
    }
    if shoot.pending || !settling.is_settled() {
        return;
    }
    let views = shoot.arguments.turntable.max(1);
    if shoot.next == views {
        exit.write(AppExit::Success);
        return;
    }
    let out = view_path(&shoot.arguments.out, shoot.next, views);
    shoot.pending = true;
    commands.spawn(Screenshot::image(shoot.target.clone())).observe(
        move |captured: On<ScreenshotCaptured>,
              mut shoot: ResMut<Shoot>,
              mut studio: ResMut<CreatorStudio>,
              mut settling: ResMut<Settling>,
              mut exit: MessageWriter<AppExit>| {
            if let Err(reason) = common::save(&captured.image, &out) {
                return fail(&mut exit, &reason);
            }
            println!("{:6.2} s  wrote {}", shoot.start.elapsed().as_secs_f32(), out.display());
            shoot.next += 1;
            settling.restart();
            shoot.pending = false;
            studio.yaw += 360.0 / views as f32;
        },
    );
    // The lights have to be placed before the first picture.
    studio.set_changed();
}

fn express(
    weights: &mut Query<&mut MorphWeights>,
    avatar: Entity,
    generated: &GeneratedAvatar,
    expression: &[(String, f32)],
) -> Result<(), String> {
    let Ok(mut weights) = weights.get_mut(avatar) else { return Ok(()) };
    for (name, weight) in expression {
        let names = generated.data.head.blendshapes.iter().map(|shape| &shape.name);
        let index = names.clone().position(|known| known == name);
        let index = index.ok_or_else(|| {
            format!("there is no blendshape `{name}`; known: {}", names.cloned().collect::<Vec<_>>().join(", "))
        })?;
        weights.weights_mut()[index] = *weight;
    }
    Ok(())
}

fn view_path(out: &Path, view: usize, views: usize) -> PathBuf {
    if views == 1 {
        return out.to_owned();
    }
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!("{stem}_{view:02}.png"))
}
