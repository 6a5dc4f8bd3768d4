//! Mouths of speech: the fifteen visemes that lip sync engines tell, and how they map to others.

use bevy::prelude::*;

use super::ArkitBlendshape;

/// Number of visemes.
pub const VISEMES: usize = 15;

/// What a mouth looks like in a speech sound: the visemes of the MPEG-4 face animation set as Oculus Lipsync orders them.
/// The last five are VRM's `aa`, `ee`, `ih`, `oh` and `ou`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Reflect)]
#[reflect(Default, Clone, Debug, PartialEq, Hash)]
#[repr(u8)]
pub enum Viseme {
    /// Silence.
    #[default]
    Sil,
    /// p, b, m: the lips meet.
    Pp,
    /// f, v: the lower lip meets the teeth.
    Ff,
    /// th: the tongue between the teeth.
    Th,
    /// t, d.
    Dd,
    /// k, g.
    Kk,
    /// tʃ, dʒ, ʃ.
    Ch,
    /// s, z.
    Ss,
    /// n, l.
    Nn,
    /// r.
    Rr,
    /// The vowel of *car*.
    Aa,
    /// The vowel of *bed*.
    Ee,
    /// The vowel of *tip*.
    Ih,
    /// The vowel of *toe*.
    Oh,
    /// The vowel of *book*.
    Ou,
}

impl Viseme {
    /// All of them, in the order of Oculus Lipsync: `sil PP FF TH DD kk CH SS nn RR aa E ih oh ou`.
    pub const ALL: [Self; VISEMES] = [
        Self::Sil,
        Self::Pp,
        Self::Ff,
        Self::Th,
        Self::Dd,
        Self::Kk,
        Self::Ch,
        Self::Ss,
        Self::Nn,
        Self::Rr,
        Self::Aa,
        Self::Ee,
        Self::Ih,
        Self::Oh,
        Self::Ou,
    ];

    /// The viseme for one of the 22 numbers (0 to 21) that Microsoft's speech interfaces tell; `None` for others.
    pub const fn from_sapi(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::Sil,
            1 | 2 | 9 | 11 => Self::Aa,
            3 | 8 | 10 => Self::Oh,
            4 => Self::Ee,
            5 | 13 => Self::Rr,
            6 => Self::Ih,
            7 => Self::Ou,
            12 | 20 => Self::Kk,
            14 => Self::Nn,
            15 => Self::Ss,
            16 => Self::Ch,
            17 => Self::Th,
            18 => Self::Ff,
            19 => Self::Dd,
            21 => Self::Pp,
            _ => return None,
        })
    }

    /// The blendshapes of the viseme at full weight.
    pub const fn blendshapes(self) -> &'static [(ArkitBlendshape, f32)] {
        use ArkitBlendshape::{
            JawOpen, MouthDimpleLeft, MouthDimpleRight, MouthFunnel, MouthLowerDownLeft, MouthLowerDownRight,
            MouthPressLeft, MouthPressRight, MouthPucker, MouthRollLower, MouthRollUpper, MouthShrugUpper,
            MouthSmileLeft, MouthSmileRight, MouthStretchLeft, MouthStretchRight, MouthUpperUpLeft, MouthUpperUpRight,
        };
        match self {
            Self::Sil => &[],
            Self::Pp => {
                &[(MouthPressLeft, 0.35), (MouthPressRight, 0.35), (MouthRollLower, 0.25), (MouthRollUpper, 0.25)]
            }
            Self::Ff => &[
                (JawOpen, 0.04),
                (MouthRollLower, 0.55),
                (MouthShrugUpper, 0.25),
                (MouthUpperUpLeft, 0.2),
                (MouthUpperUpRight, 0.2),
            ],
            Self::Th => &[
                (JawOpen, 0.14),
                (MouthLowerDownLeft, 0.25),
                (MouthLowerDownRight, 0.25),
                (MouthUpperUpLeft, 0.15),
                (MouthUpperUpRight, 0.15),
            ],
            Self::Dd => &[
                (JawOpen, 0.1),
                (MouthLowerDownLeft, 0.25),
                (MouthLowerDownRight, 0.25),
                (MouthUpperUpLeft, 0.15),
                (MouthUpperUpRight, 0.15),
            ],
            Self::Kk => &[
                (JawOpen, 0.16),
                (MouthStretchLeft, 0.15),
                (MouthStretchRight, 0.15),
                (MouthUpperUpLeft, 0.15),
                (MouthUpperUpRight, 0.15),
            ],
            Self::Ch => &[(JawOpen, 0.07), (MouthFunnel, 0.55), (MouthPucker, 0.15)],
            Self::Ss => &[
                (JawOpen, 0.03),
                (MouthStretchLeft, 0.3),
                (MouthStretchRight, 0.3),
                (MouthLowerDownLeft, 0.3),
                (MouthLowerDownRight, 0.3),
                (MouthUpperUpLeft, 0.15),
                (MouthUpperUpRight, 0.15),
            ],
            Self::Nn => &[(JawOpen, 0.12), (MouthLowerDownLeft, 0.15), (MouthLowerDownRight, 0.15)],
            Self::Rr => &[(JawOpen, 0.12), (MouthFunnel, 0.3), (MouthPucker, 0.2)],
            Self::Aa => &[
                (JawOpen, 0.5),
                (MouthLowerDownLeft, 0.15),
                (MouthLowerDownRight, 0.15),
                (MouthUpperUpLeft, 0.2),
                (MouthUpperUpRight, 0.2),
            ],
            Self::Ee => &[
                (JawOpen, 0.25),
                (MouthStretchLeft, 0.2),
                (MouthStretchRight, 0.2),
                (MouthSmileLeft, 0.2),
                (MouthSmileRight, 0.2),
                (MouthUpperUpLeft, 0.15),
                (MouthUpperUpRight, 0.15),
            ],
            Self::Ih => &[
                (JawOpen, 0.13),
                (MouthStretchLeft, 0.35),
                (MouthStretchRight, 0.35),
                (MouthSmileLeft, 0.25),
                (MouthSmileRight, 0.25),
                (MouthDimpleLeft, 0.15),
                (MouthDimpleRight, 0.15),
                (MouthLowerDownLeft, 0.2),
                (MouthLowerDownRight, 0.2),
            ],
            Self::Oh => &[(JawOpen, 0.3), (MouthFunnel, 0.5), (MouthPucker, 0.15)],
            Self::Ou => &[(JawOpen, 0.1), (MouthFunnel, 0.3), (MouthPucker, 0.6)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visemes_count_as_oculus_lipsync_orders_them() {
        for (index, viseme) in Viseme::ALL.into_iter().enumerate() {
            assert_eq!(viseme as usize, index);
        }
        assert_eq!(Viseme::ALL[10..], [Viseme::Aa, Viseme::Ee, Viseme::Ih, Viseme::Oh, Viseme::Ou]);
    }

    #[test]
    fn every_number_of_sapi_has_a_viseme_and_no_other() {
        assert!((0..22).all(|id| Viseme::from_sapi(id).is_some()));
        assert_eq!(Viseme::from_sapi(0), Some(Viseme::Sil));
        assert_eq!(Viseme::from_sapi(21), Some(Viseme::Pp), "p, b, m");
        assert_eq!(Viseme::from_sapi(22), None);
    }

    #[test]
    fn lips_meet_in_p_b_m_and_the_jaw_falls_most_in_aa() {
        let jaw = |viseme: Viseme| {
            let shapes = viseme.blendshapes();
            shapes.iter().find(|(shape, _)| *shape == ArkitBlendshape::JawOpen).map_or(0.0, |(_, weight)| *weight)
        };
        assert_eq!(jaw(Viseme::Pp), 0.0);
        assert!(Viseme::ALL.into_iter().all(|viseme| viseme == Viseme::Aa || jaw(viseme) < jaw(Viseme::Aa)));
    }
}
