//! Photos from a webcam. Capture runs on a thread of its own; without the feature `webcam` there is none.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use bevy::prelude::*;
use image::RgbImage;

use super::{CreatorState, CreatorStep, Notice, actions::Creator, photo::texture};
use crate::avatar::Photo;

/// Whether webcams can be used.
pub(super) const BUILT_IN: bool = cfg!(feature = "webcam");

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(feature = "webcam"), allow(dead_code, reason = "capture is not built in"))]
pub enum WebcamError {
    /// Capture is not built in.
    #[error("bevy_fitdiff was built without its feature `webcam`")]
    NotBuilt,
    /// There is no camera.
    #[error("no webcam was found ({0})")]
    Missing(String),
    /// It is used by another program, not permitted, or was unplugged.
    #[error("the webcam gives no pictures: {0}")]
    Broken(String),
}

type Frame = Result<RgbImage, WebcamError>;

/// The webcam, while it runs.
#[derive(Resource, Default)]
pub(super) struct Webcam {
    capture: Option<Capture>,
    latest: Option<(Arc<RgbImage>, Handle<Image>)>,
}

/// A thread that captures; dropping this ends it.
struct Capture {
    frames: Mutex<Receiver<Frame>>,
    stop: Arc<AtomicBool>,
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Webcam {
    /// Whether it runs, or is being started.
    pub fn is_running(&self) -> bool {
        self.capture.is_some()
    }

    /// What it sees.
    pub fn picture(&self) -> Option<(&Handle<Image>, Vec2)> {
        let (pixels, texture) = self.latest.as_ref()?;
        Some((texture, Vec2::new(pixels.width() as f32, pixels.height() as f32)))
    }

    pub fn stop(&mut self) {
        *self = Self::default();
    }

    fn start(&mut self) -> Result<(), WebcamError> {
        let (sender, frames) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let started = std::thread::Builder::new().name("webcam".into()).spawn(move || {
            if let Err(error) = capture(&sender, &stopped) {
                let _ = sender.send(Err(error));
            }
        });
        started.map_err(|reason| WebcamError::Broken(reason.to_string()))?;
        self.capture = Some(Capture { frames: Mutex::new(frames), stop });
        Ok(())
    }
}

impl Creator<'_, '_> {
    pub fn start_webcam(&mut self) {
        if !self.agreed_to_photos() || self.webcam.is_running() || self.state.step != CreatorStep::Photo {
            return;
        }
        self.state.notices.clear();
        if let Err(error) = self.webcam.start() {
            self.state.tell(Notice::from(&error));
        }
    }

    /// Takes what the webcam sees as the photo.
    pub fn take_picture(&mut self) {
        if let Some((pixels, _)) = self.webcam.latest.take() {
            let photo = self.photos.add(Photo(pixels));
            self.use_photo(photo);
        }
    }
}

/// Takes over what was captured since the last frame.
pub(super) fn receive(mut webcam: ResMut<Webcam>, mut state: ResMut<CreatorState>, mut images: ResMut<Assets<Image>>) {
    let Some(capture) = &webcam.capture else { return };
    let newest = capture.frames.lock().unwrap_or_else(PoisonError::into_inner).try_iter().last();
    match newest {
        None => {}
        Some(Ok(pixels)) => webcam.latest = Some((Arc::new(pixels.clone()), images.add(texture(pixels)))),
        Some(Err(error)) => {
            warn!("{error}");
            webcam.stop();
            state.tell(Notice::from(&error));
        }
    }
}

/// Gives a frame to whoever listens, if he took the one before; whether he listens.
#[cfg_attr(not(feature = "webcam"), allow(dead_code, reason = "capture is not built in"))]
fn offer(frames: &SyncSender<Frame>, frame: RgbImage) -> bool {
    !matches!(frames.try_send(Ok(frame)), Err(TrySendError::Disconnected(_)))
}

#[cfg(not(feature = "webcam"))]
fn capture(_frames: &SyncSender<Frame>, _stopped: &AtomicBool) -> Result<(), WebcamError> {
    Err(WebcamError::NotBuilt)
}

#[cfg(feature = "webcam")]
fn capture(frames: &SyncSender<Frame>, stopped: &AtomicBool) -> Result<(), WebcamError> {
    use nokhwa::{
        Camera, native_api_backend,
        pixel_format::RgbFormat,
        query,
        utils::{ApiBackend, RequestedFormat, RequestedFormatType},
    };
    let backend = native_api_backend().unwrap_or(ApiBackend::Auto);
    let cameras = query(backend).map_err(|reason| WebcamError::Missing(reason.to_string()))?;
    let first = cameras.first().ok_or_else(|| WebcamError::Missing("none is listed".into()))?;
    let broken = |reason: nokhwa::NokhwaError| WebcamError::Broken(reason.to_string());
    let format = RequestedFormat::new::<RgbFormat>(RequestedFormatType::AbsoluteHighestResolution);
    let mut camera = Camera::new(first.index().clone(), format).map_err(broken)?;
    camera.open_stream().map_err(broken)?;
    while !stopped.load(Ordering::Relaxed) {
        let pixels = camera.frame().and_then(|frame| frame.decode_image::<RgbFormat>()).map_err(broken)?;
        let (width, height) = pixels.dimensions();
        let frame = RgbImage::from_raw(width, height, pixels.into_raw())
            .ok_or_else(|| WebcamError::Broken("it gives pictures of another size than it says".into()))?;
        if !offer(frames, frame) {
            break;
        }
    }
    camera.stop_stream().map_err(broken)
}
