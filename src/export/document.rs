//! A glTF document as it grows, and the binary chunk that goes with it.

use gltf_json::{
    Accessor, Buffer, Image, Index, Root, Texture,
    accessor::{ComponentType, GenericComponentType, IndexComponentType, Type, sparse},
    buffer::{Target, View},
    image::MimeType,
    texture::{MagFilter, MinFilter, Sampler, WrappingMode},
    validation::{Checked::Valid, USize64},
};
use serde_json::json;

use super::ExportError;

/// Bytes that chunks and views begin at multiples of.
const ALIGNMENT: usize = 4;

/// The first bytes of a binary glTF file, and the types of its chunks.
const MAGIC: &[u8; 4] = b"glTF";
const JSON_CHUNK: &[u8; 4] = b"JSON";
const BINARY_CHUNK: &[u8; 4] = b"BIN\0";

/// The version of the container.
const VERSION: u32 = 2;

/// What an accessor's numbers are and where they lie.
pub(super) struct Numbers {
    pub view: Option<Index<View>>,
    pub sparse: Option<sparse::Sparse>,
    pub count: usize,
    pub component: ComponentType,
    pub kind: Type,
    /// Least and largest of each component.
    pub bounds: Option<[[f32; 3]; 2]>,
}

/// The JSON document and its only buffer.
#[derive(Default)]
pub(super) struct Document {
    pub root: Root,
    chunk: Vec<u8>,
    sampler: Option<Index<Sampler>>,
}

impl Document {
    /// Adds bytes to the buffer. Those that vertices and triangles are read from have a target.
    pub fn view(&mut self, bytes: impl IntoIterator<Item = u8>, target: Option<Target>) -> Index<View> {
        let offset = self.chunk.len();
        self.chunk.extend(bytes);
        let length = self.chunk.len() - offset;
        self.chunk.resize(self.chunk.len().next_multiple_of(ALIGNMENT), 0);
        self.root.push(View {
            buffer: Index::new(0),
            byte_length: USize64::from(length),
            byte_offset: Some(USize64::from(offset)),
            byte_stride: None,
            name: None,
            target: target.map(Valid),
            extensions: None,
            extras: Default::default(),
        })
    }

    /// Adds an accessor.
    pub fn accessor(&mut self, numbers: Numbers) -> Index<Accessor> {
        let Numbers { view, sparse, count, component, kind, bounds } = numbers;
        let [min, max] = match bounds {
            Some(bounds) => bounds.map(|bound| Some(json!(bound))),
            None => [None, None],
        };
        self.root.push(Accessor {
            buffer_view: view,
            byte_offset: None,
            count: USize64::from(count),
            component_type: Valid(GenericComponentType(component)),
            type_: Valid(kind),
            min,
            max,
            normalized: false,
            sparse,
            name: None,
            extensions: None,
            extras: Default::default(),
        })
    }

    /// Adds vectors of each vertex.
    pub fn vectors<const N: usize>(
        &mut self,
        vectors: &[[f32; N]],
        kind: Type,
        bounds: Option<[[f32; 3]; 2]>,
    ) -> Index<Accessor> {
        let view = self.view(le_bytes(vectors), Some(Target::ArrayBuffer));
        let component = ComponentType::F32;
        self.accessor(Numbers { view: Some(view), sparse: None, count: vectors.len(), component, kind, bounds })
    }

    /// Adds corners of triangles.
    pub fn indices(&mut self, indices: &[u32], vertices: usize) -> Index<Accessor> {
        let target = Some(Target::ElementArrayBuffer);
        // The largest number of a type is not a vertex, it restarts a strip.
        let (view, component) = if vertices <= usize::from(u16::MAX) {
            let bytes = indices.iter().flat_map(|&index| (index as u16).to_le_bytes());
            (self.view(bytes, target), ComponentType::U16)
        } else {
            (self.view(indices.iter().flat_map(|index| index.to_le_bytes()), target), ComponentType::U32)
        };
        let (count, kind) = (indices.len(), Type::Scalar);
        self.accessor(Numbers { view: Some(view), sparse: None, count, component, kind, bounds: None })
    }

    /// Adds a texture, a PNG file, that ends at its borders.
    pub fn texture(&mut self, name: &str, png: Vec<u8>) -> Index<Texture> {
        let view = self.view(png, None);
        let source = self.root.push(Image {
            buffer_view: Some(view),
            mime_type: Some(MimeType("image/png".into())),
            name: Some(name.to_owned()),
            uri: None,
            extensions: None,
            extras: Default::default(),
        });
        let sampler = *self.sampler.get_or_insert_with(|| {
            self.root.push(Sampler {
                mag_filter: Some(Valid(MagFilter::Linear)),
                min_filter: Some(Valid(MinFilter::LinearMipmapLinear)),
                wrap_s: Valid(WrappingMode::ClampToEdge),
                wrap_t: Valid(WrappingMode::ClampToEdge),
                ..Default::default()
            })
        });
        let name = Some(name.to_owned());
        self.root.push(Texture { name, sampler: Some(sampler), source, extensions: None, extras: Default::default() })
    }

    /// The whole as a binary glTF file.
    pub fn into_glb(mut self) -> Result<Vec<u8>, ExportError> {
        self.root.push(Buffer {
            byte_length: USize64::from(self.chunk.len()),
            name: None,
            uri: None,
            extensions: None,
            extras: Default::default(),
        });
        let mut json = serde_json::to_vec(&self.root).expect("the document is made of text and finite numbers");
        json.resize(json.len().next_multiple_of(ALIGNMENT), b' ');
        let header = MAGIC.len() + 2 * size_of::<u32>();
        let chunk_header = size_of::<u32>() + JSON_CHUNK.len();
        let total = header + 2 * chunk_header + json.len() + self.chunk.len();
        let length = u32::try_from(total).map_err(|_| ExportError::TooLarge { bytes: total })?;

        let mut file = Vec::with_capacity(total);
        file.extend(MAGIC);
        file.extend(VERSION.to_le_bytes());
        file.extend(length.to_le_bytes());
        for (kind, content) in [(JSON_CHUNK, json), (BINARY_CHUNK, self.chunk)] {
            // Each is shorter than the whole.
            file.extend((content.len() as u32).to_le_bytes());
            file.extend(kind);
            file.extend(content);
        }
        Ok(file)
    }
}

/// Vectors as they lie in a buffer.
pub(super) fn le_bytes<const N: usize>(vectors: &[[f32; N]]) -> impl Iterator<Item = u8> {
    vectors.as_flattened().iter().flat_map(|value| value.to_le_bytes())
}

/// Where sparse numbers lie: `count` of them, from number `first` of both views.
pub(super) fn sparse_vectors(indices: Index<View>, values: Index<View>, first: usize, count: usize) -> sparse::Sparse {
    sparse::Sparse {
        count: USize64::from(count),
        indices: sparse::Indices {
            buffer_view: indices,
            byte_offset: USize64::from(first * size_of::<u16>()),
            component_type: Valid(IndexComponentType(ComponentType::U16)),
            extensions: None,
            extras: Default::default(),
        },
        values: sparse::Values {
            buffer_view: values,
            byte_offset: USize64::from(first * size_of::<[f32; 3]>()),
            extensions: None,
            extras: Default::default(),
        },
        extensions: None,
        extras: Default::default(),
    }
}
