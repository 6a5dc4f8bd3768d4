//! What a decoder repeats from cell to cell of a map, though nothing in the face does: the checkerboard of its sub-pixel
//! convolutions (Odena, Dumoulin and Olah, "Deconvolution and checkerboard artifacts", Distill 2016), plain on stubble.

/// Side of a cell in texels: one feature of the decoders' branches, which work at an eighth of the maps' side.
/// What repeats after 4 or 2 texels does so after 8, too.
const CELL: usize = 8;

/// Cells to each side of one that it is compared with.
const REACH: usize = 2;

/// Takes the checkerboard out of planes of `size` × `size` values, row by row.
///
/// A pattern is what the neighbours of a cell have in common beyond their means: at every place of a cell it is the
/// median, over the cells up to [`REACH`] away, of how far the values there lie from the mean over a cell's width around
/// them. What has no period, such as a brow or an edge, is in few of these cells, so that the median passes it over.
pub(super) fn remove(planes: &mut [f32], size: usize) {
    for plane in planes.chunks_exact_mut(size * size) {
        let mean = transposed(&row_means(&transposed(&row_means(plane, size), size), size), size);
        let detail: Vec<f32> = plane.iter().zip(mean).map(|(value, mean)| *value - mean).collect();
        let mut common = Vec::with_capacity((2 * REACH + 1).pow(2));
        for (index, value) in plane.iter_mut().enumerate() {
            common.clear();
            for row in neighbours(index / size, size) {
                common.extend(neighbours(index % size, size).map(|column| detail[row * size + column]));
            }
            let middle = common.len() / 2;
            *value -= *common.select_nth_unstable_by(middle, f32::total_cmp).1;
        }
    }
}

/// The same place in the cells around, those on the map alone.
fn neighbours(place: usize, size: usize) -> impl Iterator<Item = usize> {
    let first = place - (place / CELL).min(REACH) * CELL;
    (first..=place + REACH * CELL).step_by(CELL).take_while(move |place| *place < size)
}

/// Means over a cell's width along rows; the two ends, which are one place of the cell, count half. Beyond a row, its last
/// value goes on.
fn row_means(plane: &[f32], size: usize) -> Vec<f32> {
    let half = (CELL / 2) as isize;
    let mean = |row: &[f32], column: usize| {
        let at = |offset: isize| row[column.saturating_add_signed(offset).min(size - 1)];
        let ends = 0.5 * (at(-half) + at(half));
        (ends + (1 - half..half).map(at).sum::<f32>()) / CELL as f32
    };
    plane.chunks_exact(size).flat_map(|row| (0..size).map(move |column| mean(row, column))).collect()
}

fn transposed(plane: &[f32], size: usize) -> Vec<f32> {
    (0..size * size).map(|index| plane[index % size * size + index / size]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64;

    fn plane(value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        (0..SIZE * SIZE).map(|index| value(index % SIZE, index / SIZE)).collect()
    }

    /// Largest difference away from the border.
    fn difference(a: &[f32], b: &[f32]) -> f32 {
        let inside = |index: &usize| [index % SIZE, index / SIZE].iter().all(|place| (4..SIZE - 4).contains(place));
        (0..SIZE * SIZE).filter(inside).map(|index| (a[index] - b[index]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn what_every_cell_repeats_is_gone_and_what_changes_slowly_stays() {
        let slow = plane(|x, y| 0.4 + 0.003 * x as f32 - 0.002 * y as f32);
        // Without a mean: what every cell adds on the whole is no pattern.
        let pattern = |x: usize, y: usize| 0.05 * ((x % CELL) as f32 - 3.5) * ((y % CELL) as f32 - 3.5) / 12.0;
        let mut found: Vec<f32> = slow.iter().zip(plane(pattern)).map(|(slow, pattern)| slow + pattern).collect();
        assert!(difference(&found, &slow) > 0.05);
        remove(&mut found, SIZE);
        assert!(difference(&found, &slow) < 1e-5, "{}", difference(&found, &slow));
    }

    #[test]
    fn lines_and_spots_stay_as_they_are() {
        let features = plane(|x, y| {
            let (brow, mole) = ((30..33).contains(&y) && x < 50, (x, y) == (40, 13));
            f32::from(u8::from(brow || mole))
        });
        let mut found = features.clone();
        remove(&mut found, SIZE);
        assert_eq!(found, features);
    }

    #[test]
    fn planes_are_apart_and_may_be_smaller_than_a_cell() {
        let mut planes = [vec![0.25; SIZE * SIZE], vec![0.75; SIZE * SIZE]].concat();
        let before = planes.clone();
        remove(&mut planes, SIZE);
        assert_eq!(planes, before);
        let mut small = vec![0.1, 0.2, 0.3, 0.4];
        remove(&mut small, 2);
        assert!(small.iter().all(|value| value.is_finite()));
    }
}
