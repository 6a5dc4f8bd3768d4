//! What the examples share: apps without a window, and the pictures that they write.

use std::{
    fs, panic,
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bevy::{
    app::ScheduleRunnerPlugin,
    prelude::*,
    render::{
        Render, RenderApp, RenderSystems,
        render_resource::{PipelineCache, TextureFormat},
    },
    window::ExitCondition,
    winit::WinitPlugin,
};
use image::RgbImage;

/// Frames in which nothing is compiled before a picture is taken: what is uploaded in one is drawn in the next.
const QUIET_FRAMES: usize = 6;

/// Sides of a picture, in pixels, that every graphics driver renders to.
const SIDES: std::ops::RangeInclusive<u32> = 16..=4096;

/// Number of pipelines that are being compiled.
#[derive(Resource, Clone, Default)]
struct Compiling(Arc<AtomicUsize>);

/// Number of frames since something was compiled or changed.
#[derive(Resource, Default)]
pub struct Settling(usize);

impl Settling {
    /// To be called when something changes that a picture is to show.
    pub fn restart(&mut self) {
        self.0 = 0;
    }

    /// Whether a picture taken now shows everything.
    pub fn is_settled(&self) -> bool {
        self.0 >= QUIET_FRAMES
    }
}

/// Says in one sentence what is missing where there is no graphics driver; Bevy panics over it while its plugins are
/// added, before a system could tell. To be called before that.
pub fn explain_missing_gpu() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload_as_str().is_some_and(|message| message.contains("Unable to find a GPU")) {
            eprintln!(
                "no graphics adapter was found: install a Vulkan driver (Debian and Ubuntu: mesa-vulkan-drivers, which \
                 needs no GPU)"
            );
            process::exit(1);
        }
        usual(info);
    }));
}

/// Everything that an app without a window needs. It gives up after `timeout` seconds.
pub fn headless_plugins(app: &mut App, timeout: u64) {
    app.add_plugins((
        DefaultPlugins
            .set(AssetPlugin { file_path: concat!(env!("CARGO_MANIFEST_DIR"), "/assets").into(), ..default() })
            .set(WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() })
            .disable::<WinitPlugin>(),
        ScheduleRunnerPlugin::run_loop(Duration::from_millis(2)),
    ));
    let compiling = Compiling::default();
    let end = Instant::now() + Duration::from_secs(timeout);
    app.insert_resource(compiling.clone())
        .init_resource::<Settling>()
        .add_systems(First, |compiling: Res<Compiling>, mut settling: ResMut<Settling>| {
            settling.0 = if compiling.0.load(Ordering::Relaxed) == 0 { settling.0 + 1 } else { 0 };
        })
        .add_systems(Last, move |mut exit: MessageWriter<AppExit>| {
            if Instant::now() > end {
                fail(&mut exit, &format!("gave up after {timeout} s"));
            }
        });
    if let Some(render) = app.get_sub_app_mut(RenderApp) {
        let count = |cache: Res<PipelineCache>, compiling: Res<Compiling>| {
            compiling.0.store(cache.waiting_pipelines().count(), Ordering::Relaxed);
        };
        render.insert_resource(compiling).add_systems(Render, count.in_set(RenderSystems::Cleanup));
    }
}

/// What a camera without a window renders to.
pub fn render_target(images: &mut Assets<Image>, width: u32, height: u32) -> Handle<Image> {
    images.add(Image::new_target_texture(width, height, TextureFormat::Rgba8UnormSrgb, None))
}

/// Ends the app with a reason.
pub fn fail(exit: &mut MessageWriter<AppExit>, reason: &str) {
    eprintln!("{reason}");
    exit.write(AppExit::error());
}

/// The pixels of a captured picture.
pub fn pixels(image: &Image) -> Result<RgbImage, String> {
    image.clone().try_into_dynamic().map(|picture| picture.to_rgb8()).map_err(|error| error.to_string())
}

/// Writes a captured picture.
pub fn save(image: &Image, path: &Path) -> Result<(), String> {
    let pixels = pixels(image)?;
    create_parent(path)?;
    pixels.save(path).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Makes the folder that a file goes to.
pub fn create_parent(path: &Path) -> Result<(), String> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let made = parent.map_or(Ok(()), fs::create_dir_all);
    made.map_err(|error| format!("the folder of {} cannot be made: {error}", path.display()))
}

/// Reads the side of a picture from the command line.
pub fn parse_side(text: &str) -> Result<u32, String> {
    let side = text.parse().ok().filter(|side| SIDES.contains(side));
    side.ok_or_else(|| format!("expected {} to {} pixels, found `{text}`", SIDES.start(), SIDES.end()))
}
