//! Pictures without a window.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bevy::{
    app::ScheduleRunnerPlugin,
    camera::RenderTarget,
    mesh::morph::MorphWeights,
    prelude::*,
    render::{
        Render, RenderApp, RenderSystems,
        render_resource::{PipelineCache, TextureFormat},
        renderer::RenderAdapterInfo,
        view::screenshot::{Screenshot, ScreenshotCaptured},
    },
    window::ExitCondition,
    winit::WinitPlugin,
};
use bevy_fitdiff::prelude::*;

use super::{args::Arguments, files, scene};

/// Frames in which nothing is compiled before a picture is taken: what is uploaded in one is drawn in the next.
const QUIET_FRAMES: usize = 6;

/// Number of pipelines that are being compiled.
#[derive(Resource, Clone, Default)]
struct Compiling(Arc<AtomicUsize>);

#[derive(Resource)]
struct Shoot {
    arguments: Arguments,
    avatar: Entity,
    target: Handle<Image>,
    start: Instant,
    quiet: usize,
    next: usize,
    pending: bool,
    stage: Option<AvatarStage>,
}

/// Everything that an app without a window needs.
pub fn plugins(app: &mut App) {
    app.add_plugins((
        DefaultPlugins
            .set(AssetPlugin { file_path: concat!(env!("CARGO_MANIFEST_DIR"), "/assets").into(), ..default() })
            .set(WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() })
            .disable::<WinitPlugin>(),
        ScheduleRunnerPlugin::run_loop(Duration::from_millis(2)),
    ));
    let compiling = Compiling::default();
    app.insert_resource(compiling.clone());
    if let Some(render) = app.get_sub_app_mut(RenderApp) {
        let count = |cache: Res<PipelineCache>, compiling: Res<Compiling>| {
            compiling.0.store(cache.waiting_pipelines().count(), Ordering::Relaxed);
        };
        render.insert_resource(compiling).add_systems(Render, count.in_set(RenderSystems::Cleanup));
    }
}

/// Takes the pictures that the arguments ask for, and exits.
pub fn shoot(app: &mut App, arguments: Arguments) {
    app.add_systems(Startup, move |world: &mut World| {
        let size = arguments.size;
        let mut images = world.resource_mut::<Assets<Image>>();
        let target = images.add(Image::new_target_texture(size, size, TextureFormat::Rgba8UnormSrgb, None));
        let camera = scene::camera(&mut images);
        world.spawn((camera, RenderTarget::Image(target.clone().into())));
        world.insert_resource(scene::Studio { yaw: arguments.yaw, light: arguments.light, ..default() });
        let avatar = world.query_filtered::<Entity, With<Avatar>>().single(world).expect("one avatar is asked for");
        let arguments = arguments.clone();
        let (start, stage) = (Instant::now(), None);
        world.insert_resource(Shoot { arguments, avatar, target, start, quiet: 0, next: 0, pending: false, stage });
    });
    app.add_systems(Update, (report, watch, step).chain());
}

fn fail(exit: &mut MessageWriter<AppExit>, reason: &str) {
    eprintln!("{reason}");
    exit.write(AppExit::error());
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
fn watch(
    shoot: Res<Shoot>,
    adapter: Option<Res<RenderAdapterInfo>>,
    failures: Query<&AvatarFailure>,
    mut exit: MessageWriter<AppExit>,
) {
    if adapter.is_none() {
        let advice = "no graphics adapter was found: install a Vulkan driver (Debian and Ubuntu: mesa-vulkan-drivers)";
        fail(&mut exit, advice);
    } else if let Ok(failure) = failures.get(shoot.avatar) {
        fail(&mut exit, &failure.to_string());
    } else if shoot.start.elapsed() > Duration::from_secs(shoot.arguments.timeout) {
        fail(&mut exit, &format!("gave up after {} s", shoot.arguments.timeout));
    }
}

fn step(
    mut commands: Commands,
    mut shoot: ResMut<Shoot>,
    mut studio: ResMut<scene::Studio>,
    compiling: Res<Compiling>,
    avatars: Query<(&AvatarProgress, Option<&GeneratedAvatar>)>,
    mut weights: Query<&mut MorphWeights>,
    mut exit: MessageWriter<AppExit>,
) {
    let Ok((progress, generated)) = avatars.get(shoot.avatar) else { return };
    let (AvatarStage::Ready, Some(generated)) = (progress.stage, generated) else { return };
    if shoot.quiet == 0 {
        if let Err(reason) = express(&mut weights, shoot.avatar, generated, &shoot.arguments.expression) {
            return fail(&mut exit, &reason);
        }
        if shoot.next == 0
            && let Err(reason) = files::write(&shoot.arguments, &generated.data)
        {
            return fail(&mut exit, &reason);
        }
    }
    shoot.quiet = if compiling.0.load(Ordering::Relaxed) == 0 { shoot.quiet + 1 } else { 1 };
    if shoot.pending || shoot.quiet < QUIET_FRAMES {
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
              mut studio: ResMut<scene::Studio>,
              mut exit: MessageWriter<AppExit>| {
            let written =
                captured.image.clone().try_into_dynamic().map_err(|error| error.to_string()).and_then(|image| {
                    files::create_parent(&out)?;
                    image.to_rgb8().save(&out).map_err(|error| error.to_string())
                });
            match written {
                Ok(()) => println!("{:6.2} s  wrote {}", shoot.start.elapsed().as_secs_f32(), out.display()),
                Err(reason) => return fail(&mut exit, &format!("{} cannot be written: {reason}", out.display())),
            }
            shoot.next += 1;
            shoot.quiet = 1;
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
