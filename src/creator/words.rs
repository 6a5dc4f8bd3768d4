//! Every word that the creator shows, in one place, for translation.
//!
//! Texts with a number or a name in them are functions; what errors are told with is in [`messages`](super::messages).

use std::time::Duration;

use crate::{avatar::AvatarStage, expression::ArkitBlendshape, pipeline::Guidance};

#[allow(missing_docs)]
mod texts {
    pub const TITLE: &str = "Create your avatar";
    pub const CLOSE: &str = "Close";
    pub const CLOSE_HINT: &str = "Leave without an avatar";
    pub const BACK: &str = "Back";
    pub const CANCEL: &str = "Cancel";
    pub const DISMISS: &str = "Dismiss";
    pub const DETAILS: &str = "Details";

    pub const EMPTY_STAGE: &str = "Your avatar will be here";

    pub const STEP_START: &str = "Start";
    pub const STEP_PHOTO: &str = "Photo";
    pub const STEP_REFINE: &str = "Refine";
    pub const STEP_FINISH: &str = "Finish";
    pub const NO_PHOTO_STEP: &str = "First agree to how your photo is used";
    pub const NO_AVATAR_YET: &str = "Create an avatar first";
    pub const STILL_WORKING: &str = "Wait until the avatar is ready, or cancel";

    pub const WELCOME_HEADING: &str = "How do you want to begin?";
    pub const CONSENT_HEADING: &str = "Your photo stays with you";
    pub const CONSENT: &str = "Your photo and what is recognised in it are used on this computer only. Nothing is sent \
                               anywhere, and nothing is stored unless you save it. “Forget me” deletes it from memory at \
                               any time.";
    pub const AGREE: &str = "Use a photo of me";
    pub const AGREE_HINT: &str = "I agree that my face is analysed on this computer";
    pub const RANDOM: &str = "Make up a person";
    pub const RANDOM_HINT: &str = "Somebody who does not exist. No photo is needed.";
    pub const LOAD: &str = "Load a saved avatar…";
    pub const LOAD_HINT: &str = "Opens a file that was saved here before.";

    pub const AGREE_FIRST: &str = "Photos are not used yet.";
    pub const AGREE_FIRST_ADVICE: &str = "Read what happens with them and choose “Use a photo of me”.";

    pub const PHOTO_HEADING: &str = "Choose a photo";
    pub const PHOTO_TIPS: &str = "Best is a sharp photo from the front, in even light, with nothing over the face.";
    pub const DROP_HERE: &str = "Drop a photo here";
    pub const DROP_NOW: &str = "Let go to use this photo";
    pub const DROP_FORMATS: &str = "JPEG, PNG or WebP";
    pub const CHOOSE_PHOTO: &str = "Choose a photo…";
    pub const OTHER_PHOTO: &str = "Choose another photo…";
    pub const PATH: &str = "Path of a photo";
    pub const PATH_HINT: &str = "or type its path";
    pub const OPEN: &str = "Open";
    pub const NO_PATH: &str = "Type a path first";
    pub const OPENING_PHOTO: &str = "Reading the photo…";
    pub const REMOVE_PHOTO: &str = "Remove photo";
    pub const PHOTO: &str = "Your photo";
    pub const PRIVACY_LINE: &str = "Stays on this computer, stored only if you save.";
    pub const LOOKING: &str = "Looking for a face…";
    pub const ONE_FACE: &str = "This face is used.";
    pub const WHICH_FACE: &str = "Several faces were found. Which one are you?";
    pub const QUALITY: &str = "How much work to put into likeness";
    pub const CREATE: &str = "Create my avatar";
    pub const NEED_PHOTO: &str = "Choose a photo first";
    pub const NEED_FACE: &str = "No face was found in this photo";
    pub const NEED_FACES: &str = "The photo is still being looked at";

    pub const WEBCAM: &str = "Use the webcam";
    pub const WEBCAM_STARTING: &str = "Starting the webcam…";
    pub const WEBCAM_PICTURE: &str = "Picture of the webcam";
    pub const TAKE_PICTURE: &str = "Take the picture";
    pub const WEBCAM_STOP: &str = "Stop the webcam";

    pub const GENERATE_HEADING: &str = "Creating your avatar";
    pub const PREVIEW: &str = "The skin as it emerges";
    pub const PREVIEW_EMPTY: &str = "The skin appears here as it emerges";
    pub const CANCEL_WORK: &str = "Cancel";

    pub const REFINE_HEADING: &str = "Make it yours";
    pub const VARIATIONS: &str = "Variations";
    pub const VARIATIONS_HINT: &str = "Other takes on the same person. Choose one to continue with it.";
    pub const VARIATIONS_RANDOM_HINT: &str = "Other people. Choose one to continue with it.";
    pub const MORE_VARIATIONS: &str = "More variations";
    pub const MORE_PEOPLE: &str = "Other people";
    pub const LIKENESS: &str = "Likeness";
    pub const LIKENESS_AGAIN: &str = "Create again";
    pub const LIKENESS_HINT: &str = "Creates the avatar again from the photo, with this much work.";
    pub const LIKENESS_NO_PHOTO: &str = "Likeness needs a photo";
    pub const SHAPE: &str = "Shape";
    pub const SKIN: &str = "Skin";
    pub const TONE: &str = "Tone";
    pub const TONE_LOW: &str = "darker";
    pub const TONE_HIGH: &str = "lighter";
    pub const WARMTH: &str = "Warmth";
    pub const WARMTH_LOW: &str = "cooler";
    pub const WARMTH_HIGH: &str = "warmer";
    pub const ROUGHNESS: &str = "Shine";
    pub const ROUGHNESS_LOW: &str = "glossy";
    pub const ROUGHNESS_HIGH: &str = "matte";
    pub const EYES: &str = "Eyes";
    pub const EYES_OWN: &str = "Their own eye colour";
    pub const EYES_CUSTOM: &str = "Another eye colour";
    pub const EXPRESSION: &str = "Expression";
    pub const EXPRESSION_HINT: &str = "To look at only; it is not part of the avatar.";
    pub const BLENDSHAPES: &str = "Single movements";
    pub const LIGHT: &str = "Light";
    pub const LIGHT_TURN: &str = "Turn the light";
    pub const LIGHT_TURN_LOW: &str = "to the left";
    pub const LIGHT_TURN_HIGH: &str = "to the right";
    pub const VIEW: &str = "View";
    pub const TURNTABLE: &str = "Turn around";
    pub const TURNTABLE_HINT: &str = "Turns the view around the head";
    pub const COMPARE: &str = "Without my changes";
    pub const COMPARE_HINT: &str = "Shows the avatar as it was created";
    pub const RESET_VIEW: &str = "Front view";
    pub const RESET_VIEW_HINT: &str = "Looks from the front again";
    pub const VIEW_HELP: &str = "Drag the head to turn it, scroll to come nearer.";
    pub const UNDO: &str = "Undo";
    pub const NOTHING_TO_UNDO: &str = "Nothing to undo";
    pub const REDO: &str = "Redo";
    pub const NOTHING_TO_REDO: &str = "Nothing to redo";
    pub const RESET: &str = "Reset";
    pub const RESET_HINT: &str = "Takes back all changes of shape, skin and eyes";
    pub const NOTHING_TO_RESET: &str = "Nothing is changed";
    pub const CONTINUE: &str = "Continue";

    pub const FINISH_HEADING: &str = "Keep your avatar";
    pub const SAVE_HEADING: &str = "Save";
    pub const SAVE_HINT: &str = "A small file from which this app makes the avatar again, with all your changes.";
    pub const SAVE: &str = "Save…";
    pub const SAVE_NOW: &str = "Save";
    pub const SAVE_PATH: &str = "File to save to";
    pub const KEEP_IDENTITY: &str = "Also store what identifies my face";
    pub const KEEP_IDENTITY_HINT: &str = "Lets other variations of you be made from the file later. It is biometric data: \
                                          share such a file only with those you trust.";
    pub const NO_IDENTITY: &str = "There is no identity to store: nobody was recognised in a photo";
    pub const EXPORT_HEADING: &str = "Export";
    pub const EXPORT_HINT: &str = "A glTF file (.glb) for Blender, other engines and viewers.";
    pub const EXPORT: &str = "Export…";
    pub const EXPORT_NOW: &str = "Export";
    pub const EXPORT_PATH: &str = "File to export to";
    pub const PATH_TYPED: &str = "or type a path";
    pub const LOAD_PATH: &str = "File to load";
    pub const FORGET_HEADING: &str = "Privacy";
    pub const FORGET: &str = "Forget me";
    pub const FORGET_HINT: &str = "Deletes the photo, what was recognised in it and all variations from memory. The avatar \
                                   that you see stays. Files that you saved are yours to delete.";
    pub const NOTHING_TO_FORGET: &str = "Nothing of you is in memory";
    pub const ACCEPT: &str = "Use this avatar";
    pub const BUSY: &str = "Wait until the file is written";

    pub const SAVED: &str = "The avatar is saved.";
    pub const EXPORTED: &str = "The avatar is exported.";
    pub const EXPORT_CANCELLED: &str = "The export was cancelled. No file was written.";
    pub const LOADED: &str = "The avatar is loaded.";
    pub const FORGOTTEN: &str = "You are forgotten: photo, recognised identity and variations are no longer in memory.";
    pub const NOTHING_CHOSEN: &str = "No file was chosen.";
    pub const NO_DIALOG: &str = "If no dialog appeared, type a path instead, or drop a photo onto the window. On Linux \
                                 dialogs need xdg-desktop-portal.";
}
pub use texts::*;

/// What is being done, as a player says it.
pub fn stage(stage: AvatarStage) -> &'static str {
    match stage {
        AvatarStage::Queued => "Getting ready…",
        AvatarStage::Face => "Looking at the face…",
        AvatarStage::Sampling => "Imagining the head…",
        AvatarStage::Decoding => "Painting the skin…",
        AvatarStage::Spawning => "Putting it together…",
        AvatarStage::Ready => "Ready",
        AvatarStage::Failed => "It did not work",
    }
}

/// How long it still takes.
pub fn remaining(left: Option<Duration>) -> String {
    let Some(left) = left else { return String::new() };
    match left.as_secs() {
        0..=1 => "almost done".into(),
        seconds @ 2..=59 => format!("about {seconds} s left"),
        60..=69 => "about 1 min left".into(),
        seconds @ 70..=119 => format!("about 1 min {} s left", (seconds - 60) / 10 * 10),
        seconds => format!("about {} min left", (seconds + 30) / 60),
    }
}

/// A choice of how much work is put into likeness, and what it costs.
pub fn quality(quality: Guidance) -> (&'static str, &'static str) {
    match quality {
        Guidance::Off => ("Draft", "Somebody like you, at once"),
        Guidance::Fast => ("Quick", "A first likeness, in some seconds"),
        Guidance::Balanced => ("Good", "Good likeness, about a quarter of a minute on a fast machine"),
        Guidance::Best => ("Best", "Best likeness, three times as long as Good"),
    }
}

/// The button of a face of the photo, counted from 0.
pub fn face(index: usize) -> String {
    format!("Face {}", index + 1)
}

/// The button of a variation, counted from 0.
pub fn variation(index: usize) -> String {
    format!("Variation {}", index + 1)
}

/// A blendshape, from its name in ARKit: `eyeBlinkLeft` is "Eye blink left". Left and right are the person's own.
pub fn blendshape(shape: ArkitBlendshape) -> String {
    let mut words = String::new();
    for letter in shape.as_str().chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(if words.is_empty() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() });
    }
    words
}

/// A tooltip with the keys that do the same.
pub fn with_keys(hint: &str, keys: &str) -> String {
    if keys.is_empty() { hint.to_owned() } else { format!("{hint} ({keys})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blendshapes_have_their_names_as_words() {
        assert_eq!(blendshape(ArkitBlendshape::EyeLookInLeft), "Eye look in left");
        assert_eq!(blendshape(ArkitBlendshape::JawOpen), "Jaw open");
    }

    #[test]
    fn remaining_time_is_told_in_few_digits() {
        let told = |seconds: u64| remaining(Some(Duration::from_secs(seconds)));
        assert_eq!(told(1), "almost done");
        assert_eq!(told(42), "about 42 s left");
        assert_eq!(told(95), "about 1 min 30 s left");
        assert_eq!(told(170), "about 3 min left");
        assert_eq!(remaining(None), "");
    }
}
