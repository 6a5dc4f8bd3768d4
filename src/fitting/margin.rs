//! Texels beside the texture's chart, which filtering meets at its border: they take the values of those within.
//!
//! The avatar's textures are filled with smooth colours, for the sake of their mip maps. Here gradients flow back, which
//! the nearest value makes simple; along the border both are the same but for the mean of a texel's neighbours.

use std::collections::VecDeque;

/// Which texels take the values of which others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Margin {
    /// Texels and where their values come from.
    sources: Vec<(usize, usize)>,
}

impl Margin {
    /// All texels of a square of `side` that are not `inside` take the value of the nearest that is, in steps along
    /// rows and columns.
    pub fn new(inside: &[bool], side: usize) -> Self {
        let mut reached = inside.to_vec();
        let mut border: VecDeque<(usize, usize)> =
            (0..side * side).filter(|&texel| inside[texel]).map(|texel| (texel, texel)).collect();
        let mut sources = Vec::new();
        while let Some((texel, source)) = border.pop_front() {
            let (x, y) = (texel % side, texel / side);
            let beside = [
                (x > 0).then(|| texel - 1),
                (x + 1 < side).then_some(texel + 1),
                (y > 0).then(|| texel - side),
                (y + 1 < side).then_some(texel + side),
            ];
            for next in beside.into_iter().flatten() {
                if !std::mem::replace(&mut reached[next], true) {
                    sources.push((next, source));
                    border.push_back((next, source));
                }
            }
        }
        Self { sources }
    }

    /// Fills the margin of a map.
    pub fn fill<T: Copy>(&self, texels: &mut [T]) {
        self.sources.iter().for_each(|&(texel, source)| texels[texel] = texels[source]);
    }

    /// The transpose of [`fill`](Self::fill), for gradients: what a texel of the margin does, its source does.
    pub fn gather<const CHANNELS: usize>(&self, gradient: &mut [[f32; CHANNELS]]) {
        for &(texel, source) in &self.sources {
            let part = std::mem::replace(&mut gradient[texel], [0.0; CHANNELS]);
            gradient[source].iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 9;

    /// A disc.
    fn inside() -> Vec<bool> {
        let off = |place: usize| place.abs_diff(4).pow(2);
        (0..SIDE * SIDE).map(|texel| off(texel % SIDE) + off(texel / SIDE) <= 6).collect()
    }

    #[test]
    fn the_margin_takes_the_nearest_value() {
        let inside = inside();
        let mut texels: Vec<usize> = (0..SIDE * SIDE).collect();
        Margin::new(&inside, SIDE).fill(&mut texels);
        let steps = |a: usize, b: usize| (a % SIDE).abs_diff(b % SIDE) + (a / SIDE).abs_diff(b / SIDE);
        for (texel, &source) in texels.iter().enumerate() {
            let nearest = (0..SIDE * SIDE).filter(|&other| inside[other]).map(|other| steps(texel, other)).min();
            assert!(inside[source] && Some(steps(texel, source)) == nearest, "{texel} takes {source}");
        }
    }

    #[test]
    fn gathering_is_the_transpose_of_filling() {
        let margin = Margin::new(&inside(), SIDE);
        let values = |salt: f32| -> Vec<[f32; 2]> {
            (0..SIDE * SIDE).map(|i| [(i as f32 * salt).sin(), (i as f32 * salt).cos()]).collect()
        };
        let product = |a: &[[f32; 2]], b: &[[f32; 2]]| -> f32 {
            a.as_flattened().iter().zip(b.as_flattened()).map(|(a, b)| a * b).sum()
        };
        let (texels, gradient) = (values(0.7), values(1.3));
        let (mut filled, mut gathered) = (texels.clone(), gradient.clone());
        margin.fill(&mut filled);
        margin.gather(&mut gathered);
        assert!((product(&filled, &gradient) - product(&texels, &gathered)).abs() < 1e-4);
        assert_ne!(filled, texels);
    }

    #[test]
    fn nothing_inside_leaves_all_as_it_is() {
        let mut texels = vec![3, 1, 2, 0];
        Margin::new(&[false; 4], 2).fill(&mut texels);
        assert_eq!(texels, [3, 1, 2, 0]);
    }
}
