//! What the command line can ask for.

use std::path::PathBuf;

use argh::FromArgs;
use bevy_fitdiff::{pipeline::Guidance, runtime::BackendChoice};

use super::common::parse_side;

/// A selfie becomes an avatar.
#[derive(FromArgs, Clone)]
pub struct Arguments {
    /// the photo (default without a window: assets/selfies/astronaut.png); without a window, several photos of a person
    /// may be given by repeating it
    #[argh(option)]
    pub selfie: Vec<PathBuf>,
    /// a random person of this seed instead of a photo
    #[argh(option)]
    pub random: Option<u64>,
    /// seed of the noise
    #[argh(option, default = "0")]
    pub seed: u64,
    /// number of denoising steps
    #[argh(option)]
    pub steps: Option<usize>,
    /// how much work makes the avatar look like the person in the photo: off, fast, balanced (default) or best
    #[argh(option, default = "Guidance::default()")]
    pub guidance: Guidance,
    /// auto (default), onnxruntime or embedded
    #[argh(option, default = "BackendChoice::Auto")]
    pub backend: BackendChoice,
    /// render without a window, write pictures, and exit
    #[argh(switch)]
    pub headless: bool,
    /// the picture to write (default: avatar.png)
    #[argh(option, default = "\"avatar.png\".into()")]
    pub out: PathBuf,
    /// write this many views around the head instead of one, numbered
    #[argh(option, default = "1")]
    pub turntable: usize,
    /// side of the pictures in pixels (default: 768)
    #[argh(option, default = "768", from_str_fn(parse_side))]
    pub size: u32,
    /// degrees by which the camera goes around the head, to the person's left
    #[argh(option, default = "0.0")]
    pub yaw: f32,
    /// degrees by which the lights go around the head
    #[argh(option, default = "0.0")]
    pub light: f32,
    /// weight of a blendshape, such as jawOpen=0.5; may be repeated
    #[argh(option, from_str_fn(parse_expression))]
    pub expression: Vec<(String, f32)>,
    /// picture to write of the photo beside what became of it: in its pose and light, neutral, other views, maps
    #[argh(option)]
    pub compare: Option<PathBuf>,
    /// folder to write the three maps to, as PNG
    #[argh(option)]
    pub maps: Option<PathBuf>,
    /// binary glTF file to write the avatar to, for other programs; it rests in the expression that is asked for
    #[argh(option)]
    pub export: Option<PathBuf>,
    /// regenerate the avatar of this recipe if the file exists, and write its recipe there otherwise; a recipe made from
    /// a photo holds the latents of the face, which are personal data
    #[argh(option)]
    pub recipe: Option<PathBuf>,
    /// seconds after which to give up, without a window (default: 300)
    #[argh(option, default = "300")]
    pub timeout: u64,
}

impl Arguments {
    /// The photos, or the shipped one.
    pub fn photos(&self) -> Vec<PathBuf> {
        if self.selfie.is_empty() {
            return vec![concat!(env!("CARGO_MANIFEST_DIR"), "/assets/selfies/astronaut.png").into()];
        }
        self.selfie.clone()
    }
}

fn parse_expression(text: &str) -> Result<(String, f32), String> {
    let (name, weight) = text.split_once('=').ok_or("expected NAME=WEIGHT")?;
    let number = weight.parse().ok().filter(|number: &f32| number.is_finite());
    Ok((name.to_owned(), number.ok_or_else(|| format!("`{weight}` is no number"))?))
}
