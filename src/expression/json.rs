//! Expression sequences as JSON.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
    ser::SerializeMap,
};

use super::{
    ExpressionSequence, ExpressionTrack, Interpolation, SequenceError,
    sequence::{MAX_BYTES, SEQUENCE_VERSION},
};

/// What is read of a file to tell its version.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<f32>,
    tracks: Tracks,
}

/// Tracks by name, in the file's order.
struct Tracks(Vec<(String, Track)>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Track {
    #[serde(default)]
    interpolation: Interpolation,
    keys: Vec<(f32, f32)>,
}

impl<'de> Deserialize<'de> for Tracks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;

        impl<'de> Visitor<'de> for Named {
            type Value = Tracks;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("tracks by the names of their blendshapes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tracks, A::Error> {
                let (mut tracks, mut names) = (Vec::new(), HashSet::new());
                while let Some((name, track)) = map.next_entry::<String, Track>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!("`{name}` has two tracks")));
                    }
                    tracks.push((name, track));
                }
                Ok(Tracks(tracks))
            }
        }

        deserializer.deserialize_map(Named)
    }
}

impl Serialize for Tracks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, track) in &self.0 {
            map.serialize_entry(name, track)?;
        }
        map.end()
    }
}

impl ExpressionSequence {
    /// Reads the JSON format:
    ///
    /// ```json
    /// {
    ///   "version": 1,
    ///   "duration": 2.5,
    ///   "tracks": {
    ///     "mouthSmileLeft": { "interpolation": "ease", "keys": [[0.0, 0.0], [0.4, 0.8], [2.0, 0.0]] },
    ///     "jawOpen": { "keys": [[0.2, 0.0], [0.5, 0.3]] }
    ///   }
    /// }
    /// ```
    ///
    /// Keys are times in seconds, rising from 0 on, and weights of 0 to 1. `interpolation` is `linear` (the default),
    /// `ease` or `step`. `duration` may be left out; the sequence ends with its last key then. Tracks whose names are no
    /// blendshapes of ARKit are [left out](Self::ignored).
    ///
    /// # Errors
    /// [`SequenceError::Version`] for another version, [`SequenceError::Json`] for what is no such JSON, and the errors of
    /// [`ExpressionTrack::new`] and [`ExpressionSequence::new`].
    pub fn from_json(content: &[u8]) -> Result<Self, SequenceError> {
        if content.len() > MAX_BYTES {
            return Err(SequenceError::TooLong);
        }
        let Version { version: found } = serde_json::from_slice(content)?;
        if found != SEQUENCE_VERSION {
            return Err(SequenceError::Version { found });
        }
        let File { duration, tracks, .. } = serde_json::from_slice(content)?;
        let (mut known, mut ignored) = (Vec::new(), Vec::new());
        for (name, track) in tracks.0 {
            match name.parse() {
                Ok(shape) => known.push(ExpressionTrack::new(shape, track.interpolation, &track.keys)?),
                Err(_) => ignored.push(name),
            }
        }
        let mut sequence = Self::new(known)?;
        if let Some(duration) = duration {
            sequence = sequence.with_duration(duration)?;
        }
        sequence.ignored = ignored;
        Ok(sequence)
    }

    /// The sequence in the format that [`from_json`](Self::from_json) reads.
    pub fn to_json(&self) -> String {
        let track = |track: &ExpressionTrack| {
            let keys = track.keys().collect();
            (track.blendshape().to_string(), Track { interpolation: track.interpolation(), keys })
        };
        let tracks = Tracks(self.tracks().iter().map(track).collect());
        let file = File { version: SEQUENCE_VERSION, duration: Some(self.duration()), tracks };
        serde_json::to_string(&file).expect("finite numbers and strings can be written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::ArkitBlendshape::{JawOpen, MouthSmileLeft};

    fn read(text: &str) -> Result<ExpressionSequence, SequenceError> {
        ExpressionSequence::from_json(text.as_bytes())
    }

    #[test]
    fn the_documented_example_is_read_and_survives_a_round_trip() {
        let sequence = read(
            r#"{"version": 1, "duration": 2.5, "tracks": {
                "mouthSmileLeft": {"interpolation": "ease", "keys": [[0.0, 0.0], [0.4, 0.8], [2.0, 0.0]]},
                "jawOpen": {"keys": [[0.2, 0.0], [0.5, 0.3]]},
                "hatTilt": {"keys": [[0.0, 7.0]]}}}"#,
        )
        .unwrap();
        assert_eq!(sequence.duration(), 2.5);
        assert_eq!(sequence.ignored(), ["hatTilt"]);
        assert_eq!(sequence.sample(MouthSmileLeft, 0.4), Some(0.8));
        assert!((sequence.sample(JawOpen, 0.35).unwrap() - 0.15).abs() < 1e-6);
        let again = read(&sequence.to_json()).unwrap();
        assert_eq!((again.tracks(), again.duration()), (sequence.tracks(), sequence.duration()));
    }

    #[test]
    fn what_is_no_sequence_is_refused_with_a_reason() {
        let keys = |keys: &str| format!(r#"{{"version": 1, "tracks": {{"jawOpen": {{"keys": {keys}}}}}}}"#);
        let cases = [
            (String::new(), "EOF"),
            ("[]".into(), "no expression sequence"),
            (r#"{"tracks": {}}"#.into(), "version"),
            (r#"{"version": 2, "frames": []}"#.into(), "found version 2"),
            (r#"{"version": 1, "tracks": {}}"#.into(), "nothing to play"),
            (r#"{"version": 1, "tracks": {"hat": {"keys": [[0, 1]]}}}"#.into(), "nothing to play"),
            (r#"{"version": 1, "tracks": {}, "speed": 2}"#.into(), "speed"),
            (keys("[]"), "a key in each track"),
            (keys("[[0]]"), "length"),
            (keys("[[0, 0], [0, 1]]"), "key 1"),
            (keys("[[-1, 0]]"), "key 0"),
            (keys("[[1e300, 0]]"), "key 0"),
            (keys("[[0, NaN]]"), "no expression sequence"),
            (keys("[[0, 1e999]]"), "out of range"),
            (keys("[[0, 2]]"), "found 2"),
            (keys(&"[".repeat(100_000)), "no expression sequence"),
            (keys("[[0, 0], [1, 1]"), "no expression sequence"),
            (
                r#"{"version": 1, "tracks": {"jawOpen": {"keys": [[0, 1]]}, "jawOpen": {"keys": [[0, 1]]}}}"#.into(),
                "two tracks",
            ),
            (
                r#"{"version": 1, "tracks": {"jawOpen": {"keys": [[0, 1]]}, "JawOpen": {"keys": [[0, 1]]}}}"#.into(),
                "two tracks",
            ),
            (r#"{"version": 1, "duration": 0.5, "tracks": {"jawOpen": {"keys": [[1, 1]]}}}"#.into(), "found 0.5"),
        ];
        for (text, reason) in cases {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{}: {error}", &text[..text.len().min(80)]);
        }
    }
}
