//! A loaded network: checked against its description once, and at every call.

use std::sync::Arc;

use super::{AnyTensor, CancelToken, Element, ElementType, RuntimeError, Tensor, TensorSpec};

/// What a backend does for a network.
pub(super) trait NetworkSession: Send {
    /// The graph's inputs as it declares them.
    fn inputs(&self) -> &[DeclaredTensor];
    /// The graph's outputs as it declares them.
    fn outputs(&self) -> &[DeclaredTensor];
    /// Runs the network; errors are the backend's own words.
    fn run(&mut self, inputs: &[(&str, &AnyTensor)], cancel: &CancelToken) -> Result<Vec<(String, AnyTensor)>, String>;
}

/// An input or output as a graph declares it. An axis of unknown length is `None`; an element type that
/// [`ElementType`] does not know is its name.
#[derive(Clone, Debug)]
pub(super) struct DeclaredTensor {
    pub name: String,
    pub element: Result<ElementType, String>,
    pub shape: Vec<Option<usize>>,
}

impl DeclaredTensor {
    fn fits(&self, spec: &TensorSpec) -> bool {
        self.element.as_ref() == Ok(&spec.element)
            && self.shape.len() == spec.shape.len()
            && self.shape.iter().zip(&spec.shape).all(|(declared, &wanted)| declared.is_none_or(|axis| axis == wanted))
    }

    /// `f32[?, 3, 150, 150]`
    fn describe(&self) -> String {
        let axes: Vec<String> =
            self.shape.iter().map(|axis| axis.map_or_else(|| "?".into(), |axis| axis.to_string())).collect();
        let element = self.element.as_ref().map_or_else(Clone::clone, ToString::to_string);
        format!("{element}[{}]", axes.join(", "))
    }
}

/// Name, inputs and outputs of a network, as its description states them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSpec {
    /// Name in reports and errors.
    pub name: String,
    /// All inputs of the graph.
    pub inputs: Vec<TensorSpec>,
    /// All outputs of the graph.
    pub outputs: Vec<TensorSpec>,
}

/// A file that holds weights of a graph outside of its ONNX file (ONNX external data). A graph and its gradient graph
/// share one.
#[derive(Clone, Debug)]
pub struct ExternalWeights {
    /// The file's name, as the graph's tensors refer to it.
    pub file: String,
    /// The file's content.
    pub content: Arc<[u8]>,
}

/// A network that is loaded and ready to run. One thread runs it at a time.
pub struct Model {
    spec: ModelSpec,
    backend: &'static str,
    session: Box<dyn NetworkSession>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("spec", &self.spec).field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Model {
    /// Pairs a session with its description, after checking that they agree.
    pub(super) fn new(
        spec: ModelSpec,
        backend: &'static str,
        session: Box<dyn NetworkSession>,
    ) -> Result<Self, RuntimeError> {
        check_side(&spec.name, "input", &spec.inputs, session.inputs())?;
        check_side(&spec.name, "output", &spec.outputs, session.outputs())?;
        Ok(Self { spec, backend, session })
    }

    /// The network's description.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Runs the network on inputs given by name.
    ///
    /// # Errors
    /// [`RuntimeError::Input`] when an input is missing, unknown, or of another shape or element type than
    /// described; [`RuntimeError::Cancelled`] soon after `cancel` is called (within one operator);
    /// [`RuntimeError::Run`] when the backend fails.
    pub fn run(&mut self, inputs: &[(&str, &AnyTensor)], cancel: &CancelToken) -> Result<Outputs, RuntimeError> {
        self.check_inputs(inputs)?;
        if cancel.is_cancelled() {
            return Err(RuntimeError::Cancelled);
        }
        match self.session.run(inputs, cancel) {
            Ok(tensors) => Ok(Outputs { model: self.spec.name.clone(), tensors }),
            Err(_) if cancel.is_cancelled() => Err(RuntimeError::Cancelled),
            Err(reason) => {
                Err(RuntimeError::Run { model: self.spec.name.clone(), backend: self.backend.into(), reason })
            }
        }
    }

    fn check_inputs(&self, inputs: &[(&str, &AnyTensor)]) -> Result<(), RuntimeError> {
        let error = |tensor: &str, expected: String, found: String| {
            Err(RuntimeError::Input { model: self.spec.name.clone(), tensor: tensor.into(), expected, found })
        };
        for spec in &self.spec.inputs {
            let mut given = inputs.iter().filter(|(name, _)| *name == spec.name);
            let Some((_, tensor)) = given.next() else {
                return error(&spec.name, spec.to_string(), "nothing".into());
            };
            if tensor.element() != spec.element || tensor.shape() != spec.shape {
                return error(&spec.name, spec.to_string(), format!("{}{:?}", tensor.element(), tensor.shape()));
            }
            if given.next().is_some() {
                return error(&spec.name, "one tensor".into(), "several".into());
            }
        }
        match inputs.iter().find(|(name, _)| !self.spec.inputs.iter().any(|spec| spec.name == *name)) {
            Some((name, tensor)) => {
                error(name, "no such input".into(), format!("{}{:?}", tensor.element(), tensor.shape()))
            }
            None => Ok(()),
        }
    }
}

fn check_side(
    model: &str,
    side: &'static str,
    specs: &[TensorSpec],
    declared: &[DeclaredTensor],
) -> Result<(), RuntimeError> {
    let error = |tensor: &str, expected: String, found: String| {
        Err(RuntimeError::Signature { model: model.into(), side, tensor: tensor.into(), expected, found })
    };
    for spec in specs {
        match declared.iter().find(|declared| declared.name == spec.name) {
            None => {
                let names: Vec<&str> = declared.iter().map(|declared| declared.name.as_str()).collect();
                return error(&spec.name, spec.to_string(), format!("only {}", names.join(", ")));
            }
            Some(declared) if !declared.fits(spec) => {
                return error(&spec.name, spec.to_string(), declared.describe());
            }
            Some(_) => {}
        }
    }
    match declared.iter().find(|declared| !specs.iter().any(|spec| spec.name == declared.name)) {
        Some(declared) => error(&declared.name, "nothing of this name".into(), declared.describe()),
        None => Ok(()),
    }
}

/// The outputs of one run.
#[derive(Debug)]
pub struct Outputs {
    model: String,
    tensors: Vec<(String, AnyTensor)>,
}

impl Outputs {
    /// Takes an output by name.
    ///
    /// # Errors
    /// [`RuntimeError::Output`] when there is none of this name and element type (or it was taken before).
    pub fn take<T: Element>(&mut self, name: &str) -> Result<Tensor<T>, RuntimeError> {
        let index = self.tensors.iter().position(|(output, tensor)| output == name && tensor.element() == T::TYPE);
        index.map(|index| self.tensors.swap_remove(index).1).and_then(|tensor| T::unwrap(tensor).ok()).ok_or_else(
            || RuntimeError::Output { model: self.model.clone(), tensor: name.to_owned(), element: T::TYPE },
        )
    }
}
