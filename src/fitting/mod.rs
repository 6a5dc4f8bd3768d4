//! From an avatar and a photo to how well they agree, and how to make them agree better.
//!
//! A [`Fitter`] holds what a bundle offers for it. A [`PhotoTarget`] is one face of a photo; a [`FaceFit`] is where a head
//! stands in it, first from the landmarks ([`LandmarkFitter`]). A [`Guide`] then takes gradient steps: it decodes latents,
//! solves the photo's light in closed form from the skin's pixels, renders the head on the recogniser's aligned chip
//! ([`render`]), and follows the gradient of the losses ([`LossWeights`]) back to latents, pose and expression. The
//! [pipeline](crate::pipeline) calls it from within the sampler, on the predicted clean latents (manifold-preserving
//! guidance, He et al., arXiv 2311.16424), and keeps its [`PhotoFit`] with the avatar.
//!
//! The landmark network errs, by about as much as a guided head is off. It also looks at the rendering, now and then: what it
//! sees there and in the photo tells where the head's landmarks are to be, less the errors that it makes in both.
//!
//! What pixels do not tell is left to others: hair, glasses and hard shadows are told from the bare face by the unguided
//! face in the photo's light, and lose their say; of the albedo, details alone are followed, since what changes slowly over
//! a face may as well be the light. Tone and form come from the model and from a [`Regressor`], whose [`Reading`] of the photo
//! joins the losses.

mod adam;
mod camera;
pub(crate) mod colour;
mod elsewhere;
mod error;
mod eye;
mod fit;
mod fitter;
mod guide;
mod head;
mod landmark_aim;
mod landmark_loss;
mod landmark_state;
mod landmarks;
mod light;
mod losses;
mod margin;
mod mirror;
mod mouth;
mod occlusion;
mod recogniser;
mod regressor;
pub mod render;
mod similarity;
#[cfg(test)]
mod slope;
mod target;

pub use camera::{Camera, HeadPose};
pub use error::FittingError;
pub use eye::{UNKNOWN_IRIS, eye_colour};
pub use fit::PhotoFit;
pub use fitter::Fitter;
pub use guide::{GuidanceOptions, Guide, Losses};
pub use head::FittingHead;
pub use landmarks::{FaceFit, LandmarkFitter, ShapePrior};
pub use losses::LossWeights;
pub(crate) use mouth::{front_of_teeth, light_in_mouth};
pub use recogniser::{Impression, LossNetwork, RecognitionLoss};
pub use regressor::{Reading, Regressor};
pub use target::PhotoTarget;
