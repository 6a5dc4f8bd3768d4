//! What photos of a person say: who it is, and where each of them shows the face.

use bevy::math::Vec3;

use super::{
    PipelineError, SourcePhoto,
    check::check_identity,
    fuse::{self, SAME_PERSON_SLACK},
    iris::IrisReader,
    progress::Tracker,
};
use crate::{
    bundle::{Bundle, BundleError, Generator, ReliableRange},
    face::{Face, FaceAnalyser, Identity, QualityWarning},
    runtime::{CancelToken, Runtime},
};

/// What the photos say.
pub(super) struct Seen {
    pub identity: Identity,
    /// The most reliable face, the first of equals.
    pub best: SeenFace,
    /// Those of the other photos.
    pub others: Vec<SeenFace>,
    /// Linear reflectance of the irises, where the bundle can tell.
    pub iris: Option<Vec3>,
    /// Of all photos one after the other.
    pub warnings: Vec<QualityWarning>,
}

/// A face in one of the photos.
pub(super) struct SeenFace {
    pub face: Face,
    /// Size of the photo in pixels.
    pub size: (u32, u32),
    /// How much it counts among the photos, above 0 and up to 1.
    pub weight: f32,
}

/// What reads photos.
pub(super) struct PhotoReader {
    analyser: FaceAnalyser,
    iris_reader: Option<IrisReader>,
    reliable: ReliableRange,
    /// Largest distance of two photos of one person.
    limit: f32,
    embedding_size: usize,
}

impl PhotoReader {
    /// Loads the networks of a bundle.
    pub fn load(bundle: &Bundle, runtime: &Runtime, generator: &Generator) -> Result<Self, BundleError> {
        let face = &bundle.manifest().face;
        Ok(Self {
            analyser: FaceAnalyser::load(bundle, runtime)?,
            iris_reader: IrisReader::load(bundle, runtime, generator)?,
            reliable: face.reliable.clone(),
            limit: face.identity.same_person_distance * SAME_PERSON_SLACK,
            embedding_size: generator.embedding_size,
        })
    }

    /// Reads photos of one person.
    ///
    /// # Errors
    /// [`PipelineError::NoPhotos`], [`PipelineError::Photo`], [`PipelineError::DifferentPeople`] and
    /// [`PipelineError::NotFinite`] when no identity can be taken from them; [`PipelineError::Runtime`] when a network
    /// fails or `cancel` is called.
    pub fn read(
        &mut self,
        photos: &[SourcePhoto],
        cancel: &CancelToken,
        tracker: &mut Tracker,
    ) -> Result<Seen, PipelineError> {
        let mut faces = Vec::with_capacity(photos.len());
        let mut identities = Vec::with_capacity(photos.len());
        let mut warnings = Vec::new();
        tracker.photos(0);
        for (index, photo) in photos.iter().enumerate() {
            let analysis = self.analyser.analyse(&photo.image, photo.face, cancel);
            let face = analysis.map_err(|error| PipelineError::photo(index, photos.len(), error))?.face;
            check_identity(&face.identity, self.embedding_size)?;
            let weight = fuse::weight(&face.quality, &self.reliable);
            identities.push((face.identity.clone(), weight));
            warnings.extend(&face.quality.warnings);
            faces.push(SeenFace { face, size: photo.image.dimensions(), weight });
            tracker.photos(index + 1);
        }
        let identity = fuse::fuse(&identities, self.limit)?;
        let iris = self.iris(&faces, cancel)?;
        faces.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let mut faces = faces.into_iter();
        let best = faces.next().ok_or(PipelineError::NoPhotos)?;
        Ok(Seen { identity, best, others: faces.collect(), iris, warnings })
    }

    /// The mean colour of the irises by the faces' weights.
    fn iris(&mut self, faces: &[SeenFace], cancel: &CancelToken) -> Result<Option<Vec3>, PipelineError> {
        let Some(reader) = &mut self.iris_reader else { return Ok(None) };
        let (mut sum, mut whole) = (Vec3::ZERO, 0.0);
        for SeenFace { face, weight, .. } in faces {
            if let Some(iris) = reader.read(face, cancel)? {
                sum += *weight * iris;
                whole += weight;
            }
        }
        Ok((whole > 0.0).then(|| sum / whole))
    }
}
