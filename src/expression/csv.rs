//! Expression sequences from captures in CSV, as Live Link Face writes them.

use std::sync::Arc;

use ::csv::{ByteRecord, ReaderBuilder, Trim};

use super::{
    ArkitBlendshape, ExpressionSequence, ExpressionTrack, Interpolation, SequenceError,
    blendshape::{BLENDSHAPES, unit},
    sequence::{MAX_BYTES, MAX_COLUMNS, MAX_SECONDS},
};

/// Rates at which cameras record.
const FRAME_RATES: [f32; 7] = [24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 120.0];

/// The rate at which Live Link Face records unless told otherwise.
const USUAL_RATE: f32 = 60.0;

const TIMECODE: &str = "Timecode";
const COUNT: &str = "BlendShapeCount";

const DAY: f64 = 86_400.0;

/// A row of the file.
struct Row {
    line: u64,
    /// Whole seconds of the day, and frames since.
    seconds: f64,
    frames: f64,
}

impl ExpressionSequence {
    /// Reads a capture of ARKit's face as CSV, as Live Link Face and what follows it write them:
    ///
    /// ```csv
    /// Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,…,TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,…
    /// 16:42:10:22.618,61,0.0123,0.0510,…
    /// ```
    ///
    /// Columns are found by their names, in any case and order; those of the head's and the eyes' rotation and all others
    /// that are no blendshapes are left out. Timecodes are hours, minutes, seconds and frames with a fraction; the first
    /// row is at 0 s, and midnight may pass. Rows with a `BlendShapeCount` of 0, in which no face was seen, are left out, as
    /// are those at the time of the row before. Weights are limited to 0 to 1: captures overshoot a little.
    ///
    /// The file does not tell its `frame_rate`. Where it is `None`, it is the least usual rate (24, 25, 30, 48, 50, 60 or
    /// 120 frames per second) that the frames of a second do not exceed, and 60 where the capture is shorter than a second.
    ///
    /// # Errors
    /// [`SequenceError::Empty`] without a timecode, a blendshape or a row; [`SequenceError::Columns`],
    /// [`SequenceError::Fields`], [`SequenceError::Timecode`], [`SequenceError::Number`], [`SequenceError::Time`] and
    /// [`SequenceError::FrameRate`] for what they say.
    pub fn from_csv(content: &[u8], frame_rate: Option<f32>) -> Result<Self, SequenceError> {
        if content.len() > MAX_BYTES {
            return Err(SequenceError::TooLong);
        }
        if let Some(found) = frame_rate.filter(|rate| !(1.0..=1000.0).contains(rate)) {
            return Err(SequenceError::FrameRate { found });
        }
        let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(content);
        let columns = Columns::new(reader.byte_headers()?)?;
        let (mut rows, mut weights) = (Vec::new(), vec![Vec::new(); columns.shapes.len()]);
        let mut record = ByteRecord::new();
        while reader.read_byte_record(&mut record)? {
            let line = record.position().map_or(0, |position| position.line());
            if columns.is_without_face(&record) {
                continue;
            }
            if record.len() != columns.count {
                return Err(SequenceError::Fields { line, expected: columns.count, found: record.len() });
            }
            rows.push(columns.timecode(&record, line)?);
            for (weights, (shape, column)) in weights.iter_mut().zip(&columns.shapes) {
                weights.push(unit(number(&record, *column, shape.as_str(), line)?));
            }
        }
        let rate = frame_rate.unwrap_or_else(|| guess_rate(&rows));
        let (kept, times) = times(&rows, f64::from(rate))?;
        if times.is_empty() {
            return Err(SequenceError::Empty { expected: "a row in which a face was seen" });
        }
        let times: Arc<[f32]> = times.into();
        let tracks = columns.shapes.iter().zip(weights).map(|((shape, _), weights)| {
            let weights = kept.iter().map(|&row| weights[row]).collect();
            ExpressionTrack::of_shared_times(*shape, Interpolation::Linear, times.clone(), weights)
        });
        let mut sequence = Self::new(tracks.collect::<Result<_, _>>()?)?;
        sequence.ignored = columns.ignored;
        Ok(sequence)
    }
}

/// What stands in which column.
struct Columns {
    count: usize,
    timecode: usize,
    blendshapes: Option<usize>,
    shapes: Vec<(ArkitBlendshape, usize)>,
    ignored: Vec<String>,
}

impl Columns {
    fn new(header: &ByteRecord) -> Result<Self, SequenceError> {
        if header.len() > MAX_COLUMNS {
            return Err(SequenceError::Columns { found: header.len() });
        }
        let (mut timecode, mut blendshapes, mut shapes, mut ignored) = (None, None, Vec::new(), Vec::new());
        let mut seen = [false; BLENDSHAPES];
        for (column, name) in header.iter().enumerate() {
            let name = String::from_utf8_lossy(name);
            if name.eq_ignore_ascii_case(TIMECODE) {
                timecode = timecode.or(Some(column));
            } else if name.eq_ignore_ascii_case(COUNT) {
                blendshapes = blendshapes.or(Some(column));
            } else if let Ok(shape) = name.parse::<ArkitBlendshape>() {
                if std::mem::replace(&mut seen[shape as usize], true) {
                    return Err(SequenceError::Twice { name: name.into_owned() });
                }
                shapes.push((shape, column));
            } else {
                ignored.push(name.into_owned());
            }
        }
        let timecode = timecode.ok_or(SequenceError::Empty { expected: "a column `Timecode`" })?;
        if shapes.is_empty() {
            return Err(SequenceError::Empty { expected: "a column with the name of a blendshape of ARKit" });
        }
        Ok(Self { count: header.len(), timecode, blendshapes, shapes, ignored })
    }

    /// Whether a row says that no face was seen; it may be shorter than others.
    fn is_without_face(&self, record: &ByteRecord) -> bool {
        self.blendshapes.and_then(|column| record.get(column)).is_some_and(|count| count == b"0")
    }

    fn timecode(&self, record: &ByteRecord, line: u64) -> Result<Row, SequenceError> {
        let text = field(record, self.timecode);
        let parsed = parse_timecode(&text).map(|[seconds, frames]| Row { line, seconds, frames });
        parsed.ok_or(SequenceError::Timecode { line, found: text })
    }
}

/// A field as text, as much of it as a message can show.
fn field(record: &ByteRecord, column: usize) -> String {
    const SHOWN: usize = 40;
    let bytes = record.get(column).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned()
}

fn number(record: &ByteRecord, column: usize, name: &str, line: u64) -> Result<f32, SequenceError> {
    let text = record.get(column).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let number = text.and_then(|text| text.parse().ok()).filter(|number: &f32| number.is_finite());
    number.ok_or_else(|| SequenceError::Number { line, column: name.into(), found: field(record, column) })
}

/// Seconds of the day and frames of `HH:MM:SS:FF.fff`; a semicolon before the frames marks drop-frame timecode.
fn parse_timecode(text: &str) -> Option<[f64; 2]> {
    let mut parts = text.split([':', ';']);
    let mut whole = |below: u32| parts.next()?.parse().ok().filter(|number: &u32| *number < below);
    let [hours, minutes, seconds] = [whole(24)?, whole(60)?, whole(60)?];
    let frames = parts.next()?;
    let plain = !frames.is_empty() && frames.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let frames: f64 = frames.parse().ok().filter(|frames| plain && (0.0..1000.0).contains(frames))?;
    parts.next().is_none().then(|| [f64::from(hours * 3600 + minutes * 60 + seconds), frames])
}

/// The frame rate that the rows were recorded at.
fn guess_rate(rows: &[Row]) -> f32 {
    // A second that is left has shown its last frame.
    let whole = rows.first().zip(rows.last()).is_some_and(|(first, last)| last.seconds != first.seconds);
    let least = rows.iter().map(|row| row.frames.floor() + 1.0).fold(0.0, f64::max);
    let usual = FRAME_RATES.into_iter().filter(|rate| whole || *rate >= USUAL_RATE);
    usual.into_iter().find(|rate| f64::from(*rate) >= least).unwrap_or(least as f32)
}

/// Numbers of the rows to keep, and their times in seconds since the first one.
fn times(rows: &[Row], rate: f64) -> Result<(Vec<usize>, Vec<f32>), SequenceError> {
    let (mut kept, mut times) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    let (mut start, mut days) = (None, 0.0);
    let mut last = f64::NEG_INFINITY;
    for (index, row) in rows.iter().enumerate() {
        let mut time = row.seconds + row.frames / rate + days;
        if time < last - DAY / 2.0 {
            days += DAY;
            time += DAY;
        }
        let since = (time - *start.get_or_insert(time)) as f32;
        let after = times.last().copied().unwrap_or(0.0);
        if time < last || since > MAX_SECONDS {
            return Err(SequenceError::Time { place: format!("line {}", row.line), after, found: since });
        }
        last = time;
        if times.is_empty() || since > after {
            kept.push(index);
            times.push(since);
        }
    }
    Ok((kept, times))
}

#[cfg(test)]
mod tests {
    use ArkitBlendshape::{EyeBlinkLeft, JawOpen};

    use super::*;

    fn read(text: &str) -> Result<ExpressionSequence, SequenceError> {
        ExpressionSequence::from_csv(text.as_bytes(), None)
    }

    fn times_of(text: &str) -> Vec<f32> {
        read(text).unwrap().tracks()[0].keys().map(|(time, _)| time).collect()
    }

    #[test]
    fn columns_are_found_by_name_in_any_case_and_order() {
        let text = "timecode,BlendshapeCount,jawOpen,HeadYaw,EYEBLINKLEFT\n\
                    00:00:01:00.000,3,0.5,-0.2,1.02\n\
                    00:00:01:30.000,3, 0.25 ,-0.3,-0.01\n\
                    00:00:02:00.000,3,0,0,0\n";
        let sequence = read(text).unwrap();
        assert_eq!(sequence.ignored(), ["HeadYaw"]);
        assert_eq!(sequence.sample(JawOpen, 0.0), Some(0.5));
        assert_eq!(sequence.sample(EyeBlinkLeft, 0.0), Some(1.0), "captures overshoot");
        assert_eq!(sequence.sample(EyeBlinkLeft, 1.0), Some(0.0));
    }

    #[test]
    fn the_frame_rate_is_told_by_the_frames_of_a_second() {
        for rate in [24, 25, 30, 48, 50, 60, 120] {
            let rows = (0..3 * rate).map(|frame| format!("10:59:{:02}:{:02}.5,0.1\n", 57 + frame / rate, frame % rate));
            let text = format!("Timecode,JawOpen\n{}", rows.collect::<String>());
            let times = times_of(&text);
            assert_eq!(times.len(), 3 * rate);
            for (frame, time) in times.into_iter().enumerate() {
                assert!((time - frame as f32 / rate as f32).abs() < 1e-3, "{rate}: frame {frame} at {time}");
            }
        }
        let short = "Timecode,JawOpen\n00:00:01:00,0\n00:00:01:12,0\n";
        assert_eq!(times_of(short), [0.0, 0.2], "60 frames a second where nothing tells otherwise");
        let sequence = ExpressionSequence::from_csv(short.as_bytes(), Some(24.0)).unwrap();
        assert_eq!(sequence.duration(), 0.5);
    }

    #[test]
    fn midnight_rows_without_a_face_and_rows_at_one_time_are_passed() {
        let text = "Timecode,BlendShapeCount,JawOpen\n\
                    23:59:59:30.0,1,0.1\n\
                    23:59:59:30.0,1,0.9\n\
                    23:59:59:45.0,0\n\
                    00:00:00:00.0,1,0.3\n";
        let sequence = ExpressionSequence::from_csv(text.as_bytes(), Some(60.0)).unwrap();
        let keys: Vec<_> = sequence.tracks()[0].keys().collect();
        assert_eq!(keys, [(0.0, 0.1), (0.5, 0.3)]);
    }

    #[test]
    fn what_is_no_capture_is_refused_with_a_reason() {
        let cases = [
            ("", "Timecode"),
            ("Timecode\n", "blendshape"),
            ("Timecode,HeadYaw\n00:00:00:00,1\n", "blendshape"),
            ("JawOpen\n0.5\n", "Timecode"),
            ("Timecode,JawOpen\n", "a row"),
            ("Timecode,JawOpen\n00:00:00:00\n", "line 2: expected 2 fields, found 1"),
            ("Timecode,JawOpen\n00:00:00:00,0.1,0.2\n", "found 3"),
            ("Timecode,JawOpen\n17,0.1\n", "found `17`"),
            ("Timecode,JawOpen\n00:00:00:NaN,0.1\n", "found `00:00:00:NaN`"),
            ("Timecode,JawOpen\n00:00:00:1e2,0.1\n", "timecode"),
            ("Timecode,JawOpen\n00:00:00:-1,0.1\n", "timecode"),
            ("Timecode,JawOpen\n00:61:00:00,0.1\n", "timecode"),
            ("Timecode,JawOpen\n00:00:00:00:00,0.1\n", "timecode"),
            ("Timecode,JawOpen\n00:00:00:00,NaN\n", "line 2, column jawOpen"),
            ("Timecode,JawOpen\n00:00:00:00,inf\n", "finite"),
            ("Timecode,JawOpen\n00:00:00:00,\n", "found ``"),
            ("Timecode,JawOpen\n00:00:00:00,1e99999\n", "finite"),
            ("Timecode,JawOpen\n00:00:01:00,0\n00:00:00:59,0\n", "line 3"),
            ("Timecode,JawOpen,jawOpen\n00:00:00:00,0,0\n", "two tracks"),
        ];
        for (text, reason) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        for rate in [0.0, -60.0, f32::NAN, f32::INFINITY] {
            let error = ExpressionSequence::from_csv(b"Timecode,JawOpen\n00:00:00:00,0\n", Some(rate)).unwrap_err();
            assert!(matches!(error, SequenceError::FrameRate { .. }), "{error}");
        }
    }
}
