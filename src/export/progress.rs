//! How far an export is.

/// What the materials take, in vertices of a part with all its morph targets.
const MATERIALS_WORK: usize = 5000;

/// What putting the file together and writing it takes, in vertices.
const FILE_WORK: usize = 2000;

/// Where an export is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExportProgress {
    /// What is being done.
    pub stage: ExportStage,
    /// The part of the whole work that is done, 0 to 1. It never falls.
    pub fraction: f32,
}

/// What is being done in an export, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExportStage {
    /// Materials are described, and their textures packed.
    Materials,
    /// Parts become meshes with morph targets.
    Meshes,
    /// The file is put together and written.
    File,
}

/// Turns finished work into reports.
pub(super) struct Tracker<'a> {
    observe: &'a mut dyn FnMut(ExportProgress),
    vertices: usize,
}

impl<'a> Tracker<'a> {
    /// Tracks the export of a head of so many vertices.
    pub fn new(vertices: usize, observe: &'a mut dyn FnMut(ExportProgress)) -> Self {
        Self { observe, vertices }
    }

    /// The export begins.
    pub fn materials(&mut self) {
        self.report(ExportStage::Materials, 0);
    }

    /// The parts of so many vertices are done.
    pub fn meshes(&mut self, vertices: usize) {
        self.report(ExportStage::Meshes, MATERIALS_WORK + vertices);
    }

    /// All parts are done.
    pub fn file(&mut self) {
        self.report(ExportStage::File, MATERIALS_WORK + self.vertices);
    }

    /// All is done.
    pub fn finished(&mut self) {
        self.report(ExportStage::File, self.total());
    }

    fn total(&self) -> usize {
        MATERIALS_WORK + self.vertices + FILE_WORK
    }

    fn report(&mut self, stage: ExportStage, done: usize) {
        let fraction = done as f32 / self.total() as f32;
        (self.observe)(ExportProgress { stage, fraction });
    }
}
