//! What the evaluations share.
#![allow(dead_code)]

use bevy::math::{Quat, Vec3};
use bevy_fitdiff::{
    bundle::Bundle,
    face::{Face, FaceAnalyser, FaceChoice},
    fitting::{
        FittingHead, PhotoFit,
        render::{Rays, ShLight, View},
    },
    pipeline::AvatarData,
    runtime::{BackendChoice, CancelToken, Runtime, RuntimeOptions},
};
use image::RgbImage;

/// Behind heads.
const BACKGROUND: [u8; 3] = [90, 95, 100];

/// Pixels along each side of pictures of heads.
pub const SIDE: usize = 512;

/// A runtime of each kind that this machine has, by name; says which is not measured.
pub fn runtimes() -> impl Iterator<Item = (&'static str, Runtime)> {
    let kinds = [("onnxruntime", BackendChoice::OnnxRuntime), ("embedded", BackendChoice::Embedded)];
    kinds.into_iter().filter_map(|(name, backend)| {
        let runtime = Runtime::new(RuntimeOptions { backend, ..Default::default() });
        runtime.inspect_err(|error| println!("{name} is not measured: {error}")).ok().map(|runtime| (name, runtime))
    })
}

/// Takes pictures of avatars, and looks at them as at photos.
pub struct Eye {
    head: FittingHead,
    analyser: FaceAnalyser,
}

impl Eye {
    pub fn new(bundle: &Bundle, runtime: &Runtime, head: FittingHead) -> Self {
        Self { head, analyser: FaceAnalyser::load(bundle, runtime).expect("the face networks") }
    }

    /// The most prominent face in a picture, if any.
    pub fn face(&mut self, picture: &RgbImage) -> Option<Face> {
        let analysis = self.analyser.analyse(picture, FaceChoice::MostProminent, &CancelToken::default());
        analysis.ok().map(|analysis| analysis.face)
    }

    pub fn picture(&self, data: &AvatarData, view: View, light: ShLight, expression: &[f32]) -> RgbImage {
        data.portrait(&self.head, view, light, expression, BACKGROUND)
    }

    /// The avatar as the photo shows the person: its place, size, light and expression.
    pub fn as_in_photo(&self, data: &AvatarData, fit: &PhotoFit) -> RgbImage {
        let (width, height) = fit.photo_size;
        let rays = Rays::perspective(fit.camera.vertical_field_of_view(height), width as usize, height as usize);
        let view = View {
            rotation: fit.pose.rotation,
            translation: fit.pose.translation,
            rays,
            width: width as usize,
            height: height as usize,
            supersampling: 2,
        };
        self.picture(data, view, fit.light, &fit.expression)
    }

    /// The avatar at rest, turned by so many degrees, in a light of its own.
    pub fn turned(&self, data: &AvatarData, degrees: f32) -> RgbImage {
        let view = View {
            rotation: Quat::from_rotation_y(degrees.to_radians()),
            translation: Vec3::new(0.0, 0.03, -0.9),
            rays: Rays::perspective(0.45, SIDE, SIDE),
            width: SIDE,
            height: SIDE,
            supersampling: 2,
        };
        self.picture(data, view, studio(), &[])
    }
}

/// Light from all around, more from above and from the right.
pub fn studio() -> ShLight {
    let mut light = ShLight::constant(Vec3::splat(0.9));
    light.0[2] = Vec3::splat(0.4);
    light.0[3] = Vec3::splat(0.3);
    light
}
