//! Morph targets. Most move a few vertices, so that the others are left out (sparse accessors) where that is shorter.

use bevy::{math::Vec3, mesh::morph::MorphAttributes};
use gltf_json::{
    Accessor, Index,
    accessor::{ComponentType, Type},
    mesh::MorphTarget,
};

use super::document::{Document, Numbers, le_bytes, sparse_vectors};

/// Differences of all vertices, as they are kept.
enum Kept {
    /// None differs.
    Still,
    /// So many of the pool, from this one on.
    Sparse {
        first: usize,
        count: usize,
    },
    Dense(Vec<[f32; 3]>),
}

/// The vectors that are not left out of the sparse accessors of a part, and their vertices.
struct Pool {
    vertices: Vec<u16>,
    vectors: Vec<[f32; 3]>,
}

impl Pool {
    /// Keeps the differences of all vertices in the shorter way.
    fn keep(&mut self, differences: impl ExactSizeIterator<Item = Vec3> + Clone) -> Kept {
        let total = differences.len();
        let moved = || differences.clone().enumerate().filter(|(_, difference)| *difference != Vec3::ZERO);
        let count = moved().count();
        if count == 0 {
            return Kept::Still;
        }
        if count * (size_of::<u16>() + size_of::<[f32; 3]>()) >= total * size_of::<[f32; 3]>() {
            return Kept::Dense(differences.map(Vec3::into).collect());
        }
        let first = self.vertices.len();
        // The template's vertices are numbered in 16 bits.
        self.vertices.extend(moved().map(|(vertex, _)| vertex as u16));
        self.vectors.extend(moved().map(|(_, difference)| difference.to_array()));
        Kept::Sparse { first, count }
    }
}

/// Adds the morph targets of a part of so many vertices; `differences` are those of all targets, one after the other.
pub(super) fn morph_targets(
    document: &mut Document,
    differences: &[MorphAttributes],
    vertices: usize,
) -> Vec<MorphTarget> {
    // Readers that want something in every accessor find a vertex that stays where it is.
    let mut pool = Pool { vertices: vec![0], vectors: vec![[0.0; 3]] };
    let kept: Vec<[Kept; 2]> = differences
        .chunks_exact(vertices)
        .map(|target| {
            [
                pool.keep(target.iter().map(|vertex| vertex.position)),
                pool.keep(target.iter().map(|vertex| vertex.normal)),
            ]
        })
        .collect();

    let Pool { vertices: moved, vectors } = pool;
    let moved = document.view(moved.iter().flat_map(|vertex| vertex.to_le_bytes()), None);
    let values = document.view(le_bytes(&vectors), None);
    let sparse = |document: &mut Document, first: usize, count: usize| {
        // What is left out is zero.
        let known = vectors[first..first + count].iter().copied().chain([[0.0; 3]]);
        document.accessor(Numbers {
            view: None,
            sparse: Some(sparse_vectors(moved, values, first, count)),
            count: vertices,
            component: ComponentType::F32,
            kind: Type::Vec3,
            bounds: Some(bounds(known)),
        })
    };
    let mut still: Option<Index<Accessor>> = None;
    let mut accessor = |kept: Kept| match kept {
        Kept::Still => *still.get_or_insert_with(|| sparse(document, 0, 1)),
        Kept::Sparse { first, count } => sparse(document, first, count),
        Kept::Dense(vectors) => document.vectors(&vectors, Type::Vec3, Some(bounds(vectors.iter().copied()))),
    };
    kept.into_iter()
        .map(|[positions, normals]| MorphTarget {
            positions: Some(accessor(positions)),
            normals: Some(accessor(normals)),
            tangents: None,
        })
        .collect()
}

/// Least and largest of each coordinate; zero where there is none.
pub(super) fn bounds(vectors: impl Iterator<Item = [f32; 3]> + Clone) -> [[f32; 3]; 2] {
    [f32::min, f32::max].map(|which: fn(f32, f32) -> f32| {
        let extreme = |a: [f32; 3], b: [f32; 3]| std::array::from_fn(|axis| which(a[axis], b[axis]));
        vectors.clone().reduce(extreme).unwrap_or_default()
    })
}
