//! One identity out of several photos of one person.

use super::PipelineError;
use crate::{
    bundle::ReliableRange,
    face::{Identity, Quality},
};

/// How much further apart two photos of one person may lie than the bundle's `same_person_distance`. Little: with the
/// default bundle (0.6), good photos of different people were measured from 0.67 on.
pub(super) const SAME_PERSON_SLACK: f32 = 1.05;

/// Least weight of a photo, so that any number of them has a mean.
const MIN_WEIGHT: f32 = 0.01;

/// How much a photo's identity counts in a mean: 1 for a photo within the bundle's reliable range, and less in
/// proportion for a face that is too small, too blurred or turned too far.
pub(super) fn weight(quality: &Quality, reliable: &ReliableRange) -> f32 {
    let shares = [
        quality.face_height / reliable.min_face_height,
        quality.sharpness / reliable.min_sharpness,
        reliable.max_yaw / quality.yaw.abs(),
        reliable.max_pitch / quality.pitch.abs(),
    ];
    shares.into_iter().map(|share| share.min(1.0)).product::<f32>().max(MIN_WEIGHT)
}

/// The mean of the identities by their weights. That of one photo is left as it is.
///
/// # Errors
/// [`PipelineError::NoPhotos`] for none, [`PipelineError::DifferentPeople`] with the two that lie furthest apart when
/// that is more than `limit`.
pub(super) fn fuse(identities: &[(Identity, f32)], limit: f32) -> Result<Identity, PipelineError> {
    match identities {
        [] => Err(PipelineError::NoPhotos),
        [(single, _)] => Ok(single.clone()),
        _ => {
            check_distances(identities, limit)?;
            Ok(mean(identities))
        }
    }
}

/// The mean of identities of one recogniser by their weights; of none, there are no numbers.
pub(super) fn mean(identities: &[(Identity, f32)]) -> Identity {
    let weights: f64 = identities.iter().map(|(_, weight)| f64::from(*weight)).sum();
    let mut sums = vec![0.0; identities.first().map_or(0, |(identity, _)| identity.values().len())];
    for (identity, weight) in identities {
        for (sum, value) in sums.iter_mut().zip(identity.values()) {
            *sum += f64::from(*value) * f64::from(*weight);
        }
    }
    Identity::new(sums.into_iter().map(|sum| (sum / weights) as f32).collect())
}

fn check_distances(identities: &[(Identity, f32)], limit: f32) -> Result<(), PipelineError> {
    let pairs =
        (0..identities.len()).flat_map(|first| (first + 1..identities.len()).map(move |second| (first, second)));
    let distance = |(first, second): (usize, usize)| identities[first].0.distance(&identities[second].0);
    let furthest = pairs.max_by(|a, b| distance(*a).total_cmp(&distance(*b)));
    match furthest.map(|pair| (pair, distance(pair))) {
        None => Ok(()),
        Some((_, distance)) if distance <= limit => Ok(()),
        Some(((first, second), distance)) => Err(PipelineError::DifferentPeople { first, second, distance, limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(values: [f32; 2]) -> Identity {
        Identity::new(values.to_vec())
    }

    fn quality(face_height: f32, sharpness: f32, yaw: f32, pitch: f32) -> Quality {
        Quality { face_height, sharpness, yaw, pitch, roll: 0.0, warnings: Vec::new() }
    }

    const RELIABLE: ReliableRange =
        ReliableRange { min_face_height: 60.0, min_sharpness: 0.08, max_yaw: 40.0, max_pitch: 30.0 };

    #[test]
    fn the_mean_is_weighted() {
        let photos = [(identity([0.0, 1.0]), 1.0), (identity([0.5, 1.0]), 0.25)];
        assert_eq!(fuse(&photos, 1.0).unwrap(), identity([0.1, 1.0]));
    }

    #[test]
    fn a_single_photo_keeps_its_identity_to_the_last_bit() {
        let single = identity([0.1, 1.0 / 3.0]);
        assert_eq!(fuse(&[(single.clone(), 0.3)], 0.0).unwrap(), single);
    }

    #[test]
    fn reliable_photos_count_alike_and_weak_ones_less() {
        assert_eq!(weight(&quality(300.0, 0.2, -10.0, 0.0), &RELIABLE), 1.0);
        assert_eq!(weight(&quality(60.0, 0.08, 40.0, -30.0), &RELIABLE), 1.0);
        assert_eq!(weight(&quality(30.0, 0.2, 0.0, 0.0), &RELIABLE), 0.5);
        assert_eq!(weight(&quality(30.0, 0.04, 80.0, 0.0), &RELIABLE), 0.125);
        assert_eq!(weight(&quality(0.0, 0.0, 0.0, 0.0), &RELIABLE), MIN_WEIGHT);
    }

    #[test]
    fn different_people_are_refused_by_the_pair_that_is_furthest_apart() {
        let places = [[0.0, 0.0], [0.4, 0.0], [0.0, 0.9]];
        let photos = places.map(|place| (identity(place), 1.0));
        let error = fuse(&photos, 0.6).unwrap_err();
        assert!(matches!(error, PipelineError::DifferentPeople { first: 1, second: 2, .. }), "{error}");
        assert!(error.to_string().contains("photos 1 and 2"), "{error}");
        assert!(fuse(&photos, 1.0).is_ok());
        let broken = [(identity([f32::NAN, 0.0]), 1.0), (identity([0.0, 0.0]), 1.0)];
        assert!(matches!(fuse(&broken, 0.6), Err(PipelineError::DifferentPeople { first: 0, second: 1, .. })));
    }

    #[test]
    fn no_photo_has_no_identity() {
        assert!(matches!(fuse(&[], 0.6), Err(PipelineError::NoPhotos)));
    }
}
