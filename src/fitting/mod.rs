//! From an avatar and a photo to how well they agree, and how to make them agree better.

mod adam;
mod camera;
pub(crate) mod colour;
mod error;
mod eye;
mod fit;
mod fitter;
mod guide;
mod head;
mod landmark_loss;
mod landmarks;
mod light;
mod losses;
mod occlusion;
mod recogniser;
pub mod render;
mod target;

pub use camera::{Camera, HeadPose};
pub use error::FittingError;
pub use eye::eye_colour;
pub use fit::PhotoFit;
pub use fitter::Fitter;
pub use guide::{GuidanceOptions, Guide, Losses};
pub use head::FittingHead;
pub use landmarks::{FaceFit, LandmarkFitter, ShapePrior};
pub use losses::LossWeights;
pub use recogniser::{Impression, LossNetwork, RecognitionLoss};
pub use target::PhotoTarget;
