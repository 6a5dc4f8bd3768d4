//! Whether identities and latents are those of a bundle.

use super::PipelineError;
use crate::{
    diffusion::{LatentLayout, Latents},
    face::Identity,
};

/// Checks that an identity has so many numbers, all finite.
pub(super) fn check_identity(identity: &Identity, length: usize) -> Result<(), PipelineError> {
    let (what, values) = ("identity's numbers", identity.values());
    if values.len() != length {
        let (expected, found) = (format!("[{length}]"), format!("[{}]", values.len()));
        return Err(PipelineError::Shape { what, expected, found });
    }
    if values.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(PipelineError::NotFinite { what }) }
}

/// Checks that latents have this layout and are finite.
pub(super) fn check_latents(latents: &Latents, layout: LatentLayout) -> Result<(), PipelineError> {
    let (what, describe) = ("latents", |layout: LatentLayout| format!("{:?} + [{}]", layout.reflectance, layout.shape));
    if latents.layout() != layout {
        let (expected, found) = (describe(layout), describe(latents.layout()));
        return Err(PipelineError::Shape { what, expected, found });
    }
    if latents.is_finite() { Ok(()) } else { Err(PipelineError::NotFinite { what }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_and_latents_of_another_bundle_are_refused() {
        let layout = LatentLayout { reflectance: [2, 1, 2], shape: 3 };
        assert!(check_identity(&Identity::new(vec![0.5; 4]), 4).is_ok());
        let error = check_identity(&Identity::new(vec![0.5; 5]), 4).unwrap_err();
        assert!(matches!(error, PipelineError::Shape { .. }), "{error}");
        let error = check_identity(&Identity::new(vec![0.5, f32::NAN, 0.0, 0.0]), 4).unwrap_err();
        assert!(matches!(error, PipelineError::NotFinite { .. }), "{error}");

        let mut latents = Latents::zeros(layout);
        assert!(check_latents(&latents, layout).is_ok());
        latents.shape_mut()[0] = f32::INFINITY;
        assert!(matches!(check_latents(&latents, layout), Err(PipelineError::NotFinite { .. })));
        let turned = Latents::zeros(LatentLayout { reflectance: [2, 2, 1], shape: 3 });
        let error = check_latents(&turned, layout).unwrap_err();
        assert!(error.to_string().contains("[2, 1, 2] + [3], found [2, 2, 1] + [3]"), "{error}");
    }
}
