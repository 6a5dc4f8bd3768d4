//! Loads expression sequences as assets.

use bevy::{
    asset::{AssetLoader, AsyncReadExt, LoadContext, io::Reader},
    log::warn,
    reflect::TypePath,
};
use serde::{Deserialize, Serialize};

use super::{ExpressionSequence, SequenceError, sequence::MAX_BYTES};

/// Names that a message lists.
const SHOWN_NAMES: usize = 8;

/// Loads `*.expression.json` as [`ExpressionSequence`]s; the format is that of [`ExpressionSequence::from_json`].
#[derive(Debug, Default, TypePath)]
pub struct SequenceJsonLoader;

/// Loads captures in `*.csv` as [`ExpressionSequence`]s; the format is that of [`ExpressionSequence::from_csv`].
#[derive(Debug, Default, TypePath)]
pub struct SequenceCsvLoader;

/// How a capture is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SequenceCsvSettings {
    /// Frames per second of the timecodes. `None` finds it out; see [`ExpressionSequence::from_csv`].
    pub frame_rate: Option<f32>,
}

impl AssetLoader for SequenceJsonLoader {
    type Asset = ExpressionSequence;
    type Settings = ();
    type Error = SequenceError;

    async fn load(
        &self,
        reader: &mut dyn Reader,
        _settings: &(),
        context: &mut LoadContext<'_>,
    ) -> Result<ExpressionSequence, SequenceError> {
        let sequence = ExpressionSequence::from_json(&read(reader, context).await?)?;
        if let Some(names) = listed(sequence.ignored()) {
            warn!("{} moves what is no blendshape of ARKit, and is left out: {names}", context.path());
        }
        Ok(sequence)
    }

    fn extensions(&self) -> &[&str] {
        &["expression.json"]
    }
}

impl AssetLoader for SequenceCsvLoader {
    type Asset = ExpressionSequence;
    type Settings = SequenceCsvSettings;
    type Error = SequenceError;

    async fn load(
        &self,
        reader: &mut dyn Reader,
        settings: &SequenceCsvSettings,
        context: &mut LoadContext<'_>,
    ) -> Result<ExpressionSequence, SequenceError> {
        // Captures have columns of other things; that is nothing to tell.
        ExpressionSequence::from_csv(&read(reader, context).await?, settings.frame_rate)
    }

    fn extensions(&self) -> &[&str] {
        &["csv"]
    }
}

/// The file's content, of which no more is read than a sequence may have.
async fn read(reader: &mut dyn Reader, context: &LoadContext<'_>) -> Result<Vec<u8>, SequenceError> {
    let mut content = Vec::new();
    let read = reader.take(MAX_BYTES as u64 + 1).read_to_end(&mut content).await;
    read.map_err(|source| SequenceError::Read { path: context.path().path().to_owned(), source })?;
    if content.len() > MAX_BYTES {
        return Err(SequenceError::TooLong);
    }
    Ok(content)
}

/// The first few names, and how many there are beside them.
fn listed(names: &[String]) -> Option<String> {
    let first = names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(SHOWN_NAMES);
    match names.len() {
        0 => None,
        _ if more == 0 => Some(first),
        _ => Some(format!("{first} and {more} more")),
    }
}
