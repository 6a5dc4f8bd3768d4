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
    /// Who it is, as the denoiser is to know it.
    pub identity: Identity,
    /// The same with the photos' mirror images where they are looked at, surer by what these err another way.
    pub symmetric_identity: Identity,
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
    /// The same face in the photo's mirror image, where it is looked at and found.
    pub mirrored: Option<Face>,
    /// The number of the photo, from 0.
    pub photo: usize,
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

    /// Reads photos of one person, and their mirror images if asked to: guidance alone makes use of these.
    ///
    /// # Errors
    /// [`PipelineError::NoPhotos`], [`PipelineError::Photo`], [`PipelineError::DifferentPeople`] and
    /// [`PipelineError::NotFinite`] when no identity can be taken from them; [`PipelineError::Runtime`] when a network
    /// fails or `cancel` is called.
    pub fn read(
        &mut self,
        photos: &[SourcePhoto],
        mirror_images: bool,
        cancel: &CancelToken,
        tracker: &mut Tracker,
    ) -> Result<Seen, PipelineError> {
        let mut faces = Vec::with_capacity(photos.len());
        let (mut identities, mut mirrored_identities) = (Vec::with_capacity(photos.len()), Vec::new());
        let mut warnings = Vec::new();
        tracker.photos(0);
        for (index, photo) in photos.iter().enumerate() {
            let analysis = self.analyser.analyse(&photo.image, photo.face, cancel);
            let face = analysis.map_err(|error| PipelineError::photo(index, photos.len(), error))?.face;
            check_identity(&face.identity, self.embedding_size)?;
            let mirrored = if mirror_images {
                let mirrored = self.analyser.analyse_mirrored(&photo.image, &face, cancel);
                mirrored.map_err(|error| PipelineError::photo(index, photos.len(), error))?
            } else {
                None
            };
            let weight = fuse::weight(&face.quality, &self.reliable);
            identities.push((face.identity.clone(), weight));
            if let Some(mirrored) = &mirrored {
                check_identity(&mirrored.identity, self.embedding_size)?;
                mirrored_identities.push((mirrored.identity.clone(), weight));
            }
            warnings.extend(&face.quality.warnings);
            faces.push(SeenFace { face, mirrored, photo: index, size: photo.image.dimensions(), weight });
            tracker.photos(index + 1);
        }
        let identity = fuse::fuse(&identities, self.limit)?;
        let symmetric_identity = fuse::mean(&[identities, mirrored_identities].concat());
        let iris = self.iris(&faces, cancel)?;
        faces.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let mut faces = faces.into_iter();
        let best = faces.next().ok_or(PipelineError::NoPhotos)?;
        Ok(Seen { identity, symmetric_identity, best, others: faces.collect(), iris, warnings })
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

#[cfg(test)]
mod tests {
    use image::{
        RgbImage,
        imageops::{self, FilterType},
    };

    use super::*;
    use crate::runtime::RuntimeOptions;

    #[test]
    fn the_most_reliable_photo_comes_first_and_is_known_by_its_number() {
        let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
        let (runtime, cancel) = (Runtime::new(RuntimeOptions::default()).unwrap(), CancelToken::default());
        let generator = bundle.manifest().generator.as_ref().unwrap();
        let mut reader = PhotoReader::load(&bundle, &runtime, generator).unwrap();
        let photo = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/selfies/astronaut.png");
        let photo: RgbImage = image::open(photo).unwrap().to_rgb8();
        let small = imageops::resize(&photo, photo.width() / 4, photo.height() / 4, FilterType::Triangle);
        let photos = [small.clone(), photo.clone(), photo.clone()].map(SourcePhoto::from);
        let mut look = |photos: &[SourcePhoto], mirror_images| {
            let mut ignored = |_| {};
            let mut tracker = Tracker::new(photos.len(), 0, &mut ignored);
            reader.read(photos, mirror_images, &cancel, &mut tracker).unwrap()
        };
        let seen = look(&photos, true);
        assert_eq!((seen.best.photo, seen.best.size, seen.best.weight), (1, photo.dimensions(), 1.0));
        let others: Vec<_> = seen.others.iter().map(|other| (other.photo, other.size)).collect();
        assert_eq!(others, [(2, photo.dimensions()), (0, small.dimensions())]);
        assert!(seen.others[1].weight < 0.9 && !seen.warnings.is_empty(), "{}", seen.others[1].weight);
        // Of each of them there is another look, in the mirror image, which counts for who it is as much as the photo.
        let sum = |SeenFace { face, mirrored, weight, .. }: &SeenFace| {
            let [own, mirrored] = [face, mirrored.as_ref().unwrap()].map(|face| face.identity.values()[0]);
            assert_ne!(own, mirrored);
            weight * (own + mirrored)
        };
        let whole = sum(&seen.best) + sum(&seen.others[0]) + sum(&seen.others[1]);
        let expected = whole / (2.0 * (2.0 + seen.others[1].weight));
        assert!((seen.symmetric_identity.values()[0] - expected).abs() < 1e-6);
        assert_ne!(seen.identity, seen.symmetric_identity);
        let photos_alone = look(&photos, false);
        assert_eq!(photos_alone.identity, seen.identity);
        assert!(
            photos_alone.others.iter().all(|other| other.mirrored.is_none()) && photos_alone.best.mirrored.is_none()
        );

        // The colour of the irises is a mean of all, in which the small photo counts for less.
        let mut alone = |photo: &SourcePhoto| look(std::slice::from_ref(photo), false).iris.unwrap();
        let (small, large, weight) = (alone(&photos[0]), alone(&photos[1]), seen.others[1].weight);
        let expected = (2.0 * large + weight * small) / (2.0 + weight);
        assert!(seen.iris.unwrap().distance(expected) < 1e-6 && small.distance(large) > 1e-4);
    }
}
