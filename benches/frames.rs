//! What an avatar costs a game: its frames while one is generated and spawned, its memory, and the wait.
//!
//! `cargo bench --profile dev --bench frames`: the dev profile is optimised and shares its build of Bevy with the tests.
//! The embedded backend is measured always, ONNX Runtime where it is found; each without a renderer, where frames hold
//! little but the plugin's own systems, and with one, where the graphics driver and the avatar's thread may have to
//! share the processor. `-- bare embedded`, for instance, runs one of the four alone.
//!
//! `-- faces` measures something else: the frames of thirty avatars that all stand in the picture, first at rest, then with
//! an expression, blinks, gaze, lip sync and a sequence each, by the fastest backend that there is.

use std::{
    env, fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bevy::{
    app::{MainScheduleOrder, PluginsState},
    asset::RenderAssetUsages,
    camera::RenderTarget,
    ecs::schedule::ScheduleLabel,
    prelude::*,
    render::{Render, RenderApp, RenderSystems, render_asset::AssetExtractionSystems, render_resource::TextureFormat},
    window::ExitCondition,
    winit::WinitPlugin,
};
use bevy_fitdiff::{
    avatar::AvatarSystems,
    pipeline::{GenerateOptions, Guidance},
    prelude::*,
    runtime::{BackendChoice, Runtime, RuntimeOptions},
};

/// Time from the start of one frame to that of the next: 60 Hz.
const FRAME: Duration = Duration::from_nanos(16_666_667);

/// Idle frames that are measured.
const IDLE_FRAMES: usize = 600;

/// Frames that follow an avatar's appearance, and its end, in which the renderer may still be at it.
const FRAMES_AFTER: usize = 30;

/// Avatars that are generated, one after the other.
const AVATARS: usize = 8;

/// Denoising steps of each avatar.
const STEPS: usize = 20;

/// Avatars whose faces move at once, the denoising steps of each, and the frames that are measured of them.
const FACES: u64 = 30;
const FACE_STEPS: usize = 4;
const FACE_FRAMES: usize = 20;

/// Side of the picture that is rendered, in pixels: small, because the driver may be a software one.
const PICTURE: u32 = 128;

/// What is measured in each frame: from its start to that of the next one, all schedules of the main world, what runs
/// while the plugin's systems do, for avatars as such and for their faces; then how long assets are extracted, which the
/// main world waits for, and prepared, and the render world as a whole, which runs beside the main world of the next frame.
const COLUMNS: [&str; 7] =
    ["frame", "main world", "of it avatars", "of it faces", "extract", "of render: prepare", "render world"];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let backends = ["onnxruntime", "embedded"];
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            // A process has one peak of memory.
            for (backend, renderer) in backends.iter().flat_map(|backend| [(backend, "bare"), (backend, "rendered")]) {
                let program = env::current_exe().expect("this program has a path");
                let status = Command::new(program).args([renderer, backend]).status().expect("it starts");
                assert!(status.success(), "{renderer} {backend}: {status}");
            }
        }
        [renderer @ ("bare" | "rendered"), backend] => match backend.parse() {
            Ok(choice) => measure(renderer, backend, choice),
            Err(reason) => panic!("{reason}"),
        },
        ["faces"] => measure_faces(),
        _ => panic!("expected nothing, `faces`, or `bare` or `rendered` and one of {backends:?}; found {arguments:?}"),
    }
}

/// What a frame is part of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Loading,
    Idle,
    Generating,
    Spawning,
    /// Without a renderer, which takes the meshes' data over, they are freed in the main world.
    Despawning,
    /// Thirty avatars with faces at rest.
    Resting,
    /// The same with faces that move.
    Moving,
}

/// Times of one frame, in the order of [`COLUMNS`].
type Times = [Duration; COLUMNS.len()];

/// A column of the frame at hand.
#[derive(Default)]
struct Lap {
    begun: Option<Instant>,
    time: Duration,
}

/// Times of the frame at hand. Both worlds write it.
#[derive(Resource, Clone, Default)]
struct Stopwatch(Arc<Mutex<[Lap; COLUMNS.len()]>>);

impl Stopwatch {
    fn begin(column: usize) -> impl Fn(Res<Self>) {
        move |watch| watch.0.lock().unwrap()[column].begun = Some(Instant::now())
    }

    fn end(column: usize) -> impl Fn(Res<Self>) {
        move |watch| {
            let Lap { begun, time } = &mut watch.0.lock().unwrap()[column];
            *time += begun.take().map_or(Duration::ZERO, |begun| begun.elapsed());
        }
    }

    fn take(&self) -> Times {
        self.0.lock().unwrap().each_mut().map(|lap| std::mem::take(&mut lap.time))
    }
}

#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct Begin;

#[derive(ScheduleLabel, Clone, Debug, PartialEq, Eq, Hash)]
struct End;

/// An app whose frames are timed.
struct Timed {
    app: App,
    watch: Stopwatch,
    next: Instant,
    frames: Vec<(Phase, Times)>,
}

impl Timed {
    fn new(renderer: &str, backend: BackendChoice, steps: usize) -> Self {
        let mut app = App::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let assets = AssetPlugin { file_path: root.join("assets").display().to_string(), ..default() };
        if renderer == "bare" {
            app.add_plugins((MinimalPlugins, assets));
        } else {
            let window = WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() };
            app.add_plugins(DefaultPlugins.set(assets).set(window).disable::<WinitPlugin>())
                .add_systems(Startup, spawn_scene);
        }
        let options = GenerateOptions { steps, guidance: Guidance::Off, ..default() };
        app.add_plugins(FitDiffPlugin { runtime: RuntimeOptions { backend, ..default() } })
            .insert_resource(FitDiffSettings { bundle: root.join("models/base"), options, ..default() });
        let watch = Stopwatch::default();
        insert_stopwatch(&mut app, &watch);
        while app.plugins_state() == PluginsState::Adding {
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();
        Self { app, watch, next: Instant::now(), frames: Vec::new() }
    }

    /// Runs a frame, and waits for the next one's time.
    fn frame(&mut self, phase: Phase) {
        let start = Instant::now();
        self.app.update();
        self.next += FRAME;
        let mut times = self.watch.take();
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next = self.next.max(Instant::now() - FRAME);
        times[0] = start.elapsed();
        self.frames.push((phase, times));
    }
}

/// Puts the stopwatch around what is measured.
fn insert_stopwatch(app: &mut App, watch: &Stopwatch) {
    let mut order = app.world_mut().resource_mut::<MainScheduleOrder>();
    order.insert_before(First, Begin);
    order.insert_after(Last, End);
    app.insert_resource(watch.clone())
        .add_systems(Begin, Stopwatch::begin(1))
        .add_systems(End, Stopwatch::end(1))
        .add_systems(PreUpdate, (Stopwatch::begin(2).before(AvatarSystems), Stopwatch::end(2).after(AvatarSystems)))
        .add_systems(
            PostUpdate,
            (
                Stopwatch::begin(3).after(TransformSystems::Propagate).before(ExpressionSystems::Weights),
                Stopwatch::end(3).after(ExpressionSystems::Weights),
            ),
        );
    let Some(render) = app.get_sub_app_mut(RenderApp) else { return };
    render.insert_resource(watch.clone()).add_systems(
        ExtractSchedule,
        (Stopwatch::begin(4).before(AssetExtractionSystems), Stopwatch::end(4).after(AssetExtractionSystems)),
    );
    use RenderSystems::{Cleanup, ExtractCommands, PostCleanup, PrepareAssets, PrepareMeshes};
    render.add_systems(
        Render,
        (
            Stopwatch::begin(5).after(ExtractCommands).before(PrepareAssets),
            Stopwatch::end(5).after(PrepareAssets).before(PrepareMeshes),
            Stopwatch::begin(6).before(ExtractCommands),
            Stopwatch::end(6).after(Cleanup).after(PostCleanup),
        ),
    );
}

fn spawn_scene(mut commands: Commands, mut images: ResMut<Assets<Image>>) {
    let mut picture = Image::new_target_texture(PICTURE, PICTURE, TextureFormat::Rgba8UnormSrgb, None);
    picture.asset_usage = RenderAssetUsages::RENDER_WORLD;
    let target = RenderTarget::Image(images.add(picture).into());
    let place = Transform::from_xyz(0.0, 0.0, 0.6).looking_at(Vec3::ZERO, Vec3::Y);
    commands.spawn((Camera3d::default(), Msaa::Off, target, place));
    commands.spawn((DirectionalLight::default(), Transform::from_xyz(1.0, 1.0, 2.0).looking_at(Vec3::ZERO, Vec3::Y)));
}

fn measure(renderer: &str, backend: &str, choice: BackendChoice) {
    if let Err(error) = Runtime::new(RuntimeOptions { backend: choice, ..default() }) {
        return println!("{backend} is not measured: {error}");
    }
    let start = Instant::now();
    let mut timed = Timed::new(renderer, choice, STEPS);
    loop {
        timed.frame(Phase::Loading);
        match timed.app.world().resource::<FitDiffModel>() {
            FitDiffModel::Ready(_) => break,
            FitDiffModel::Failed(reason) => panic!("{reason}"),
            FitDiffModel::Unloaded | FitDiffModel::Loading => {}
        }
    }
    let loaded = start.elapsed();
    (0..IDLE_FRAMES).for_each(|_| timed.frame(Phase::Idle));
    let waits: Vec<String> = (0..AVATARS).map(|_| format!("{:.2}", avatar(&mut timed).as_secs_f64())).collect();
    let waits = waits.join(" ");
    println!(
        "{renderer}, {backend}: model {:.2} s, photo to avatar {waits} s, {}",
        loaded.as_secs_f64(),
        peak_memory()
    );
    let phases = [Phase::Loading, Phase::Idle, Phase::Generating, Phase::Spawning, Phase::Despawning];
    print_table(&timed.frames, &phases);
}

/// The frames of faces at rest and in motion.
fn measure_faces() {
    let mut timed = Timed::new("rendered", BackendChoice::Auto, FACE_STEPS);
    // The camera is spawned in the first one.
    timed.frame(Phase::Loading);
    let world = timed.app.world_mut();
    let mut cameras = world.query_filtered::<&mut Transform, With<Camera3d>>();
    for mut place in cameras.iter_mut(world) {
        *place = Transform::from_xyz(0.0, 0.0, 4.0).looking_at(Vec3::ZERO, Vec3::Y);
    }
    let avatars: Vec<Entity> = (0..FACES)
        .map(|seed| {
            let (column, row) = (seed % 6, seed / 6);
            let place = Vec3::new(0.4 * column as f32 - 1.0, 0.4 * row as f32 - 0.8, 0.0);
            world.spawn((Avatar::random(seed), Transform::from_translation(place))).id()
        })
        .collect();
    let sequence = world.resource::<AssetServer>().load("expressions/hello.csv");
    for &avatar in &avatars {
        while stage(&timed, avatar) != AvatarStage::Ready {
            timed.frame(Phase::Generating);
        }
    }
    (0..FRAMES_AFTER).for_each(|_| timed.frame(Phase::Spawning));
    (0..FACE_FRAMES).for_each(|_| timed.frame(Phase::Resting));
    for avatar in avatars {
        let mut player = ExpressionPlayer::default();
        player.play(sequence.clone()).repeat();
        let happy = Expression::of(ExpressionPreset::Happy);
        let layers = (LivingFace, happy, LipSync::default(), LookAt::position(Vec3::Z * 4.0), player);
        timed.app.world_mut().entity_mut(avatar).insert(layers);
    }
    timed.app.add_systems(Update, speak);
    (0..FACE_FRAMES).for_each(|_| timed.frame(Phase::Moving));
    println!("{FACES} faces, {}", peak_memory());
    print_table(&timed.frames, &[Phase::Resting, Phase::Moving]);
}

/// Every face speaks another sound every tenth of a second.
fn speak(time: Res<Time>, mut lips: Query<&mut LipSync>) {
    let sound = (10.0 * time.elapsed_secs()) as usize;
    for (index, mut lips) in lips.iter_mut().enumerate() {
        lips.speak(Viseme::ALL[(sound + index) % Viseme::ALL.len()]);
    }
}

fn stage(timed: &Timed, avatar: Entity) -> AvatarStage {
    let progress = timed.app.world().get::<AvatarProgress>(avatar).expect("avatars have a progress");
    assert_ne!(progress.stage, AvatarStage::Failed, "{:?}", timed.app.world().get::<AvatarFailure>(avatar));
    progress.stage
}

fn print_table(all: &[(Phase, Times)], phases: &[Phase]) {
    println!("{:10} {:>6}{}", "", "frames", COLUMNS.map(|column| format!(" {column:>21}")).concat());
    for &phase in phases {
        let frames: Vec<Times> = all.iter().filter(|(during, _)| *during == phase).map(|(_, times)| *times).collect();
        let columns: [String; COLUMNS.len()] = std::array::from_fn(|column| {
            let mut times: Vec<Duration> = frames.iter().map(|times| times[column]).collect();
            times.sort_unstable();
            let at = |share: usize| 1e3 * times[(times.len() - 1) * share / 100].as_secs_f64();
            format!(" {:7.2}{:7.2}{:7.2}", at(50), at(99), at(100))
        });
        println!("{:10} {:6}{}", format!("{phase:?}"), frames.len(), columns.concat());
    }
    println!("           times in ms: median, 99th percentile, longest\n");
}

/// The time from the photo's path to the avatar; it is despawned in the end.
fn avatar(timed: &mut Timed) -> Duration {
    let start = Instant::now();
    let photo = timed.app.world().resource::<AssetServer>().load("selfies/astronaut.png");
    let avatar = timed.app.world_mut().spawn(Avatar::from_selfie(photo)).id();
    loop {
        timed.frame(Phase::Generating);
        match timed.app.world().get::<AvatarProgress>(avatar).expect("avatars have a progress").stage {
            AvatarStage::Failed => panic!("{:?}", timed.app.world().get::<AvatarFailure>(avatar)),
            AvatarStage::Spawning => timed.frames.last_mut().expect("a frame was run").0 = Phase::Spawning,
            AvatarStage::Ready => break,
            _ => {}
        }
    }
    timed.frames.last_mut().expect("a frame was run").0 = Phase::Spawning;
    let wait = start.elapsed();
    (0..FRAMES_AFTER).for_each(|_| timed.frame(Phase::Spawning));
    timed.app.world_mut().despawn(avatar);
    (0..FRAMES_AFTER).for_each(|_| timed.frame(Phase::Despawning));
    wait
}

/// Peak of the memory that this process holds, on Linux.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown");
    format!("peak memory {}", peak.trim())
}
