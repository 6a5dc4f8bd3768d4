//! Errors and warnings as a player understands them: what happened, what to do, and the technical words for those who ask.

use std::fmt;

use super::WebcamError;
use crate::{
    avatar::AvatarError,
    export::ExportError,
    face::{FaceError, PhotoError, QualityWarning},
    pipeline::PipelineError,
    save::SaveError,
};

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something was done.
    Good,
    /// Something to know.
    Hint,
    /// It works, but not well.
    Warning,
    /// It did not work.
    Error,
}

/// A message to the player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// What happened, in a short sentence.
    pub text: String,
    /// What to do about it; may be empty.
    pub advice: String,
    /// The technical words.
    pub details: Option<String>,
}

impl Notice {
    /// Something was done.
    pub fn good(text: impl Into<String>) -> Self {
        Self { tone: Tone::Good, text: text.into(), advice: String::new(), details: None }
    }

    /// Something to know.
    pub fn hint(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { tone: Tone::Hint, text: text.into(), advice: advice.into(), details: None }
    }

    /// Something did not work; `error` has the technical words.
    pub fn error(text: impl Into<String>, advice: impl Into<String>, error: &dyn fmt::Display) -> Self {
        Self { tone: Tone::Error, text: text.into(), advice: advice.into(), details: Some(error.to_string()) }
    }
}

impl From<&PhotoError> for Notice {
    fn from(error: &PhotoError) -> Self {
        let (text, advice) = match error {
            PhotoError::Read { .. } => {
                ("This photo cannot be opened.", "Check that the file is there and may be read.")
            }
            PhotoError::Empty => ("This file is empty.", "Copy or download the photo again."),
            PhotoError::UnknownFormat => ("This is not a photo.", "Choose a JPEG, PNG or WebP picture."),
            PhotoError::Truncated => ("This photo is incomplete.", "Copy or download it again."),
            PhotoError::Decode { .. } => {
                ("This photo is damaged.", "Choose another one, or save it anew as JPEG or PNG.")
            }
            PhotoError::FileTooLarge { .. } | PhotoError::TooLarge { .. } => {
                ("This photo is too large.", "Save a smaller version of it and choose that.")
            }
            PhotoError::TooSmall { .. } => ("This photo is too small.", "Choose a photo with more pixels."),
        };
        Self::error(text, advice, error)
    }
}

impl From<&FaceError> for Notice {
    fn from(error: &FaceError) -> Self {
        let (text, advice) = match error {
            FaceError::NoFace => (
                "No face was found in this photo.",
                "Choose one in which the face is well lit, in full view, upright and not too far away.",
            ),
            FaceError::NoSuchFace { .. } => ("This face is no longer there.", "Choose the face again."),
            FaceError::Runtime(_) => ("The photo could not be looked at.", "Try again."),
        };
        Self::error(text, advice, error)
    }
}

impl From<&PipelineError> for Notice {
    fn from(error: &PipelineError) -> Self {
        const REPAIR: &str = "Install the app again, or tell its makers.";
        let (text, advice) = match error {
            PipelineError::Photo { source, .. } => return Self::from(&**source),
            PipelineError::NoGenerator { .. } | PipelineError::Bundle(_) => {
                ("The files that avatars are made with are missing or damaged.", REPAIR)
            }
            PipelineError::Cancelled => ("It was cancelled.", ""),
            PipelineError::NoPhotos => ("There is no photo.", "Choose one, or make up a person."),
            PipelineError::DifferentPeople { .. } => {
                ("The photos do not seem to show the same person.", "Use photos of one person only.")
            }
            PipelineError::RecipeVersion { .. } => {
                ("This avatar was saved by another version of the app.", "Create it again.")
            }
            PipelineError::OtherBundle { .. } | PipelineError::Shape { .. } => {
                ("This avatar was made with another model than this app has.", "Create it again here.")
            }
            PipelineError::NotFinite { .. } => ("This avatar's file is damaged.", "Load another copy of it."),
            PipelineError::Fitting(_) => (
                "The head could not be fitted to this photo.",
                "Choose a photo from the front, or “Draft” as the amount of work.",
            ),
            PipelineError::Diffusion(_) | PipelineError::Runtime(_) => (
                "The avatar could not be created.",
                "Try again. If it happens again, restart the app and tell its makers.",
            ),
        };
        Self::error(text, advice, error)
    }
}

impl From<&AvatarError> for Notice {
    fn from(error: &AvatarError) -> Self {
        let (text, advice) = match error {
            AvatarError::Pipeline(error) => return Self::from(error),
            AvatarError::Photo { .. } => ("This photo cannot be opened.", "Choose another one."),
            AvatarError::NoPhoto => ("The photo is gone.", "Choose it again."),
            AvatarError::Model { .. } => (
                "The files that avatars are made with are missing or damaged.",
                "Install the app again, or tell its makers.",
            ),
            AvatarError::NoRuntime { .. } => (
                "This computer cannot create avatars: the engine for it did not start.",
                "Install the app again, or tell its makers.",
            ),
            AvatarError::Bug(_) => {
                ("Something broke inside.", "Try again. If it happens again, tell the makers of bevy_fitdiff.")
            }
        };
        Self::error(text, advice, error)
    }
}

impl From<&SaveError> for Notice {
    fn from(error: &SaveError) -> Self {
        const ANOTHER: &str = "Choose another file.";
        let (text, advice) = match error {
            SaveError::Read { .. } => ("This file cannot be opened.", "Check that it is there and may be read."),
            SaveError::Write { .. } => (
                "The avatar could not be saved there.",
                "Choose a folder that you may write to and that has room. Your avatar is still here.",
            ),
            SaveError::TooLarge { .. } | SaveError::Encoding | SaveError::Syntax { .. } => {
                ("This is not a saved avatar.", ANOTHER)
            }
            SaveError::Truncated { .. } | SaveError::Damaged { .. } | SaveError::Value { .. } => {
                ("This avatar’s file is damaged.", "Load another copy of it.")
            }
            SaveError::Newer { .. } => ("This avatar was saved by a newer version of the app.", "Update the app."),
            SaveError::OtherBundle { .. } => {
                ("This avatar was made with another model than this app has.", "Create it again here.")
            }
        };
        Self::error(text, advice, error)
    }
}

impl From<&ExportError> for Notice {
    fn from(error: &ExportError) -> Self {
        let (text, advice) = match error {
            ExportError::Cancelled => ("The export was cancelled.", ""),
            ExportError::Write { .. } => {
                ("The avatar could not be exported there.", "Choose a folder that you may write to and that has room.")
            }
            _ => ("The avatar could not be exported.", "Create it again, or tell the makers of the app."),
        };
        Self::error(text, advice, error)
    }
}

impl From<&WebcamError> for Notice {
    fn from(error: &WebcamError) -> Self {
        let (text, advice) = match error {
            WebcamError::NotBuilt => ("This app cannot use webcams.", "Choose a photo instead."),
            WebcamError::Missing(_) => {
                ("No webcam was found.", "Connect one and try again, or choose a photo instead.")
            }
            WebcamError::Broken(_) => (
                "The webcam gives no picture.",
                "Close other programs that use it, and check that it may be used. Or choose a photo instead.",
            ),
        };
        Self::error(text, advice, error)
    }
}

impl From<&QualityWarning> for Notice {
    fn from(warning: &QualityWarning) -> Self {
        let (text, advice) = match warning {
            QualityWarning::Small { .. } => {
                ("The face is small in this photo.", "A photo from closer by works better.")
            }
            QualityWarning::Blurred { .. } => ("The face is blurred.", "A sharper photo works better."),
            QualityWarning::TurnedAway { .. } => {
                ("The face looks away.", "A photo in which you look into the camera works better.")
            }
        };
        let details = Some(warning.to_string());
        Self { tone: Tone::Warning, text: text.into(), advice: advice.into(), details }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{bundle::BundleError, runtime::RuntimeError};

    /// Words that a player need not know.
    const JARGON: [&str; 8] = ["ONNX", "tensor", "latent", "embedding", "SHA", "bundle", "pixel", "struct"];

    fn check(notice: &Notice) {
        assert!(notice.text.ends_with('.') && notice.text.len() < 90, "{notice:?}");
        let told = format!("{} {}", notice.text, notice.advice);
        for word in JARGON.into_iter().filter(|word| *word != "pixel") {
            assert!(!told.contains(word), "{word}: {notice:?}");
        }
        assert!(notice.details.as_ref().is_some_and(|details| !details.is_empty()), "{notice:?}");
    }

    #[test]
    fn errors_of_photos_are_told_in_plain_words_with_what_to_do() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let errors = [
            PhotoError::Read { path: "me.jpg".into(), source: missing },
            PhotoError::Empty,
            PhotoError::UnknownFormat,
            PhotoError::Truncated,
            PhotoError::Decode { reason: "bad Huffman code".into() },
            PhotoError::FileTooLarge { bytes: 2, limit: 1 },
            PhotoError::TooLarge { width: 9, height: 9, max_side: 1, max_pixels: 1 },
            PhotoError::TooSmall { width: 1, height: 1, min_side: 32 },
        ];
        for error in &errors {
            let notice = Notice::from(error);
            check(&notice);
            assert!(!notice.advice.is_empty(), "{notice:?}");
        }
    }

    #[test]
    fn errors_of_avatars_are_told_in_plain_words() {
        let broken = || PipelineError::Bundle(BundleError::Manifest { path: "bundle.json".into(), reason: "?".into() });
        let errors = [
            AvatarError::Photo { path: None, reason: "?".into() },
            AvatarError::NoPhoto,
            AvatarError::Model { bundle: "models".into(), source: Arc::new(broken()) },
            AvatarError::NoRuntime { reason: "no library".into() },
            AvatarError::Bug("index out of bounds".into()),
            broken().into(),
            PipelineError::NoPhotos.into(),
            PipelineError::RecipeVersion { expected: 1, found: 2 }.into(),
            PipelineError::NotFinite { what: "latents" }.into(),
            PipelineError::Runtime(RuntimeError::EmbeddedNotBuilt).into(),
            PipelineError::Photo { index: 0, count: 1, source: Box::new(FaceError::NoFace) }.into(),
        ];
        errors.iter().for_each(|error| check(&Notice::from(error)));
        let no_face = Notice::from(errors.last().unwrap());
        assert!(no_face.text.contains("No face"), "the reason inside is told: {no_face:?}");
    }

    #[test]
    fn warnings_of_photos_are_no_errors() {
        let warning = QualityWarning::Small { face_height: 30.0, needed: 60.0 };
        let notice = Notice::from(&warning);
        check(&notice);
        assert_eq!(notice.tone, Tone::Warning);
    }
}
