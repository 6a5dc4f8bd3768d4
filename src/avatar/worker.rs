//! The thread on which avatars are generated.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use bevy::prelude::*;
use thread_priority::{ThreadPriority, set_current_thread_priority};

use super::{
    AvatarError, AvatarLook,
    head::HeadAssets,
    searcher::{Search, Searcher, SeenFace},
};
use crate::{
    bundle::Bundle,
    cache::{Cache, CacheSettings},
    pipeline::{AvatarData, AvatarRecipe, BundleId, GenerateRequest, Pipeline, PipelineError, Progress, Stage},
    runtime::{CancelToken, Runtime},
};

/// Something to do for the worker.
pub(super) enum Order {
    /// Make the model of this folder ready.
    Load(PathBuf),
    /// Generate an avatar.
    Generate(Box<Job>),
    /// Look for faces; this goes between the steps of an avatar that is generated.
    Search(Search),
}

/// An avatar to generate.
pub(super) struct Job {
    pub id: u64,
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// Where avatars are kept, if they are.
    pub cache: Option<CacheSettings>,
    pub task: Task,
    /// How it is to look; `None` for a draft, of which nothing is to be rendered.
    pub look: Option<AvatarLook>,
    pub cancel: CancelToken,
}

pub(super) enum Task {
    New(GenerateRequest),
    Again(Arc<AvatarRecipe>),
}

/// What the worker tells.
pub(super) enum Report {
    /// The model of the folder is being read.
    Loading,
    /// The model is ready or cannot be used.
    Loaded(Result<BundleId, Arc<PipelineError>>),
    /// A job has come this far.
    Progress { job: u64, progress: Progress },
    /// A job has ended.
    Done { job: u64, result: Box<Result<Finished, AvatarError>> },
    /// A search has ended.
    Faces { search: u64, result: Box<Result<Vec<SeenFace>, AvatarError>> },
}

/// A generated avatar with what the renderer needs of it.
pub(super) struct Finished {
    pub data: Arc<AvatarData>,
    /// `None` for a draft.
    pub head: Option<HeadAssets>,
}

/// The worker: dropping it cancels what it does and waits for it.
#[derive(Resource)]
pub(super) struct Worker {
    orders: Option<Sender<Order>>,
    reports: std::sync::Mutex<Receiver<Report>>,
    running: CancelToken,
    searching: CancelToken,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread.
    pub fn start(runtime: Arc<Runtime>) -> std::io::Result<Self> {
        let (orders, received) = channel();
        let (sender, reports) = channel();
        let thread = std::thread::Builder::new().name("fitdiff".into()).spawn(move || {
            lower_priority();
            State::new(runtime, sender, received).run();
        })?;
        Ok(Self {
            orders: Some(orders),
            reports: std::sync::Mutex::new(reports),
            running: CancelToken::default(),
            searching: CancelToken::default(),
            thread: Some(thread),
        })
    }

    /// Makes the model of a folder ready.
    pub fn load(&self, bundle: PathBuf) {
        self.order(Order::Load(bundle));
    }

    /// Starts a job; the one before it has ended.
    pub fn generate(&mut self, job: Job) {
        self.running = job.cancel.clone();
        self.order(Order::Generate(Box::new(job)));
    }

    /// Starts a search; the one before it has ended.
    pub fn search(&mut self, search: Search) {
        self.searching = search.cancel.clone();
        self.order(Order::Search(search));
    }

    /// What the worker has told since the last call.
    pub fn reports(&self) -> Vec<Report> {
        let reports = self.reports.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        reports.try_iter().collect()
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread ends when this side hangs up, not before: panics of jobs are caught.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.running.cancel();
        self.searching.cancel();
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Of 0 to 99, where 50 is normal; niceness 9 on Linux.
const PRIORITY: u8 = 25;

/// Frames come first: on Linux the threads that ONNX Runtime starts from here inherit the priority.
fn lower_priority() {
    let priority = PRIORITY.try_into().expect("the priority is below 100");
    if let Err(reason) = set_current_thread_priority(ThreadPriority::Crossplatform(priority)) {
        debug!("avatars are generated at normal priority: {reason:?}");
    }
}

/// What the thread owns.
struct State {
    orders: Orders,
    reports: Sender<Report>,
    model: Model,
    searcher: Searcher,
}

/// What the worker is asked for.
struct Orders {
    received: Receiver<Order>,
    /// Received, and to be done later.
    waiting: VecDeque<Order>,
}

impl Orders {
    /// The next one; `None` when nobody asks any more.
    fn next(&mut self) -> Option<Order> {
        self.waiting.pop_front().or_else(|| self.received.recv().ok())
    }

    /// The searches that were asked for by now.
    fn searches(&mut self) -> Vec<Search> {
        let mut searches = Vec::new();
        for order in self.received.try_iter() {
            match order {
                Order::Search(search) => searches.push(search),
                other => self.waiting.push_back(other),
            }
        }
        searches
    }
}

/// The model, once it is loaded.
struct Model {
    runtime: Arc<Runtime>,
    loaded: Option<(PathBuf, Pipeline)>,
}

impl Model {
    /// The model of a folder, read now if it is another one than before.
    fn load(&mut self, bundle: PathBuf, reports: &Sender<Report>) -> Result<&mut Pipeline, Arc<PipelineError>> {
        if self.loaded.as_ref().is_none_or(|(loaded, _)| *loaded != bundle) {
            self.loaded = None;
            let _ = reports.send(Report::Loading);
            let opened = Bundle::open(&bundle).map_err(PipelineError::from);
            let pipeline = opened.and_then(|opened| Pipeline::load(&opened, &self.runtime)).map_err(Arc::new);
            let state = pipeline.as_ref().map(|pipeline| pipeline.bundle_id().clone()).map_err(Arc::clone);
            let _ = reports.send(Report::Loaded(state));
            self.loaded = Some((bundle, pipeline?));
        }
        Ok(&mut self.loaded.as_mut().expect("the model was loaded above").1)
    }
}

impl State {
    fn new(runtime: Arc<Runtime>, reports: Sender<Report>, received: Receiver<Order>) -> Self {
        Self {
            orders: Orders { received, waiting: VecDeque::new() },
            reports,
            searcher: Searcher::new(runtime.clone()),
            model: Model { runtime, loaded: None },
        }
    }

    fn run(mut self) {
        while let Some(order) = self.orders.next() {
            let told = match order {
                Order::Load(bundle) => {
                    // A panic leaves no model behind; the first avatar tries again and tells of it.
                    let _ = catch_unwind(AssertUnwindSafe(|| self.model.load(bundle, &self.reports).map(drop)));
                    true
                }
                Order::Generate(job) => self.generate(*job),
                Order::Search(search) => self.searcher.answer(search, &self.reports),
            };
            if !told {
                return;
            }
        }
    }

    /// Whether somebody still listens.
    fn generate(&mut self, job: Job) -> bool {
        let id = job.id;
        let result = catch_unwind(AssertUnwindSafe(|| self.finish(job))).unwrap_or_else(|panic| {
            // A network may be left in the middle of a run.
            self.model.loaded = None;
            Err(AvatarError::Bug(panic_text(panic)))
        });
        self.reports.send(Report::Done { job: id, result: Box::new(result) }).is_ok()
    }

    fn finish(&mut self, job: Job) -> Result<Finished, AvatarError> {
        let Job { id, bundle, cache, task, look, cancel } = job;
        if cancel.is_cancelled() {
            return Err(PipelineError::Cancelled.into());
        }
        let Self { orders, reports, model, searcher } = self;
        let model = model.load(bundle.clone(), reports).map_err(|source| AvatarError::Model { bundle, source })?;
        let mut observe = |progress| {
            let _ = reports.send(Report::Progress { job: id, progress });
            for search in orders.searches() {
                searcher.answer(search, reports);
            }
        };
        let data = make(model, &task, cache.as_ref(), &cancel, &mut observe)?;
        let head = look.map(|look| HeadAssets::new(&data, look.iris_of(&data)));
        if cancel.is_cancelled() {
            return Err(PipelineError::Cancelled.into());
        }
        Ok(Finished { data: Arc::new(data), head })
    }
}

/// Generates an avatar, or takes it from the cache.
fn make(
    model: &mut Pipeline,
    task: &Task,
    cache: Option<&CacheSettings>,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Progress),
) -> Result<AvatarData, PipelineError> {
    let Some(cache) = cache else { return generate(model, task, cancel, observe) };
    let known = match task {
        Task::New(request) => model.foretold(request),
        Task::Again(recipe) => Some((**recipe).clone()),
    };
    if let Some(recipe) = known {
        model.check_recipe(&recipe)?;
        if let Some(data) = Cache::new(cache, model).get(&recipe) {
            observe(Progress { stage: Stage::Decoding, fraction: 1.0, remaining: None, preview: None });
            return Ok(data);
        }
    }
    let data = generate(model, task, cancel, observe)?;
    Cache::new(cache, model).put(&data);
    Ok(data)
}

fn generate(
    model: &mut Pipeline,
    task: &Task,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Progress),
) -> Result<AvatarData, PipelineError> {
    match task {
        Task::New(request) => model.generate(request, cancel, observe),
        Task::Again(recipe) => model.regenerate(recipe, cancel, observe),
    }
}

pub(super) fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic without a message".into())
}
