//! The embedded pure-Rust backend: tract, for machines without ONNX Runtime.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use half::f16;
use tract_linalg::multithread::{Executor, multithread_tract_scope};
use tract_onnx::{
    pb::{ModelProto, tensor_proto::DataLocation},
    prelude::{
        Datum, DatumType, Framework, InferenceFact, InferenceModelExt, IntoRunnable, TVec, TractResult, TypedSimplePlan,
    },
    tract_core::{self, plan},
    tract_hir::internal::{DimLike, Factoid, TValue, Tensor as TractTensor, bail},
};

use super::{
    AnyTensor, CancelToken, ElementType, ExternalWeights, RuntimeError, Tensor, TensorSpec,
    model::{DeclaredTensor, NetworkSession},
};

/// Name of the backend in reports and errors.
pub(super) const NAME: &str = "tract";

/// Version of the backend: the one that `Cargo.toml` asks for.
pub(super) const VERSION: &str = "0.23";

/// Keeps tract from a spatial convolution path that is slower for these networks: 45 % of a decoder's time.
const KNOBS: [(&str, &str); 1] = [("TRACT_DISABLE_DIRECT_SPATIAL", "true")];

/// The embedded backend and its threads.
pub(super) struct Embedded {
    threads: usize,
    executor: OnceLock<Executor>,
}

impl Embedded {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, executor: OnceLock::new() }
    }

    /// Starts the threads with the first network: on Linux they inherit the priority of the thread that loads it.
    fn executor(&self) -> Executor {
        let start = || match self.threads {
            0 | 1 => Executor::SingleThread,
            threads => Executor::multithread_with_name(threads, "fitdiff"),
        };
        self.executor.get_or_init(start).clone()
    }

    /// Parses and optimises an ONNX graph with its inputs pinned to the shapes of `inputs`.
    pub(super) fn load(
        &self,
        model: &str,
        onnx: &[u8],
        weights: Option<&ExternalWeights>,
        inputs: &[TensorSpec],
    ) -> Result<EmbeddedSession, RuntimeError> {
        // A malformed graph makes tract index out of bounds in places; that must not end the game.
        let session = catch_unwind(AssertUnwindSafe(|| self.session(onnx, weights, inputs)));
        let reason = match session {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "the graph is malformed".to_owned(),
        };
        Err(RuntimeError::Load { model: model.into(), backend: NAME.into(), reason })
    }

    fn session(
        &self,
        mut onnx: &[u8],
        weights: Option<&ExternalWeights>,
        inputs: &[TensorSpec],
    ) -> TractResult<EmbeddedSession> {
        let parser = tract_onnx::onnx();
        let mut proto = parser.proto_model_for_read(&mut onnx)?;
        if let Some(weights) = weights {
            inline_weights(&mut proto, weights)?;
        }
        let mut graph = parser.model_for_proto_model(&proto)?;
        let mut declared_inputs = Vec::new();
        let mut order = Vec::new();
        for (index, outlet) in graph.input_outlets()?.to_vec().into_iter().enumerate() {
            let name = graph.node(outlet.node).name.clone();
            let fact = graph.input_fact(index)?.clone();
            let shape: Vec<Option<usize>> =
                fact.shape.dims().map(|axis| axis.concretize().and_then(|axis| axis.to_usize().ok())).collect();
            let element = fact.datum_type.concretize().map_or(Err("unknown".into()), element_type);
            if let Some(wanted) = inputs.iter().find(|spec| spec.name == name) {
                let pinned = InferenceFact::dt_shape(datum_type(wanted.element), &wanted.shape);
                // A contradiction with the graph is reported by the signature check, in its own words.
                if let Ok(pinned) = fact.unify(&pinned) {
                    graph.set_input_fact(index, pinned)?;
                }
            }
            declared_inputs.push(DeclaredTensor { name: name.clone(), element, shape });
            order.push(name);
        }
        let names: Vec<String> = graph
            .output_outlets()?
            .iter()
            .map(|&outlet| graph.outlet_label(outlet).unwrap_or(&graph.node(outlet.node).name).to_owned())
            .collect();
        let knobs = tract_core::knobs::KnobScope::new(KNOBS)?;
        let executor = self.executor();
        let plan =
            multithread_tract_scope(executor.clone(), || knobs.enter(|| graph.into_optimized()?.into_runnable()))?;
        let outputs = names
            .into_iter()
            .enumerate()
            .map(|(index, name)| {
                let fact = plan.model().output_fact(index)?;
                let shape = fact.shape.iter().map(|axis| axis.to_usize().ok()).collect();
                Ok(DeclaredTensor { name, element: element_type(fact.datum_type), shape })
            })
            .collect::<TractResult<_>>()?;
        Ok(EmbeddedSession { plan, executor, order, inputs: declared_inputs, outputs })
    }
}

/// Puts weights that a graph keeps in another file into the graph.
fn inline_weights(proto: &mut ModelProto, weights: &ExternalWeights) -> TractResult<()> {
    for tensor in proto.graph.iter_mut().flat_map(|graph| &mut graph.initializer) {
        if tensor.data_location != Some(DataLocation::External as i32) {
            continue;
        }
        let field = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &*entry.value);
        if field("location") != Some(&weights.file) {
            bail!("tensor {} lies in {}, not in {}", tensor.name, field("location").unwrap_or("no file"), weights.file);
        }
        let start: usize = field("offset").unwrap_or("0").parse()?;
        let rest = weights.content.get(start..).unwrap_or_default();
        let length = field("length").map_or(Ok(rest.len()), str::parse)?;
        let Some(content) = rest.get(..length) else {
            bail!("tensor {} lies beyond the end of {}", tensor.name, weights.file)
        };
        tensor.raw_data = content.to_vec();
        tensor.data_location = None;
    }
    Ok(())
}

/// An optimised graph, ready to run.
pub(super) struct EmbeddedSession {
    plan: Arc<TypedSimplePlan>,
    executor: Executor,
    /// Names of the inputs in the order of the plan.
    order: Vec<String>,
    inputs: Vec<DeclaredTensor>,
    outputs: Vec<DeclaredTensor>,
}

impl NetworkSession for EmbeddedSession {
    fn inputs(&self) -> &[DeclaredTensor] {
        &self.inputs
    }

    fn outputs(&self) -> &[DeclaredTensor] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[(&str, &AnyTensor)], cancel: &CancelToken) -> Result<Vec<(String, AnyTensor)>, String> {
        let run = || -> TractResult<Vec<(String, AnyTensor)>> {
            let mut feed: TVec<TValue> = TVec::new();
            for wanted in &self.order {
                let tensor = inputs.iter().find(|(name, _)| name == wanted);
                let Some((_, tensor)) = tensor else { bail!("input {wanted} is missing") };
                feed.push(to_tract(tensor)?.into());
            }
            let values = multithread_tract_scope(self.executor.clone(), || {
                self.plan.spawn()?.run_plan_with_eval(feed, |context, state, node, inputs| {
                    // Between two operators is where a run can be left.
                    if cancel.is_cancelled() {
                        bail!("cancelled");
                    }
                    plan::eval(context, state, node, inputs)
                })
            })?;
            self.outputs.iter().zip(&values).map(|(spec, value)| Ok((spec.name.clone(), from_tract(value)?))).collect()
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => result.map_err(|error| format!("{error:#}")),
            Err(_) => Err("an operator panicked".to_owned()),
        }
    }
}

fn element_type(datum: DatumType) -> Result<ElementType, String> {
    match datum {
        DatumType::F32 => Ok(ElementType::F32),
        DatumType::F16 => Ok(ElementType::F16),
        DatumType::I64 => Ok(ElementType::I64),
        other => Err(format!("{other:?}")),
    }
}

fn datum_type(element: ElementType) -> DatumType {
    match element {
        ElementType::F32 => f32::datum_type(),
        ElementType::F16 => f16::datum_type(),
        ElementType::I64 => i64::datum_type(),
    }
}

fn to_tract(tensor: &AnyTensor) -> TractResult<TractTensor> {
    match tensor {
        AnyTensor::F32(tensor) => TractTensor::from_shape(tensor.shape(), tensor.data()),
        AnyTensor::F16(tensor) => TractTensor::from_shape(tensor.shape(), tensor.data()),
        AnyTensor::I64(tensor) => TractTensor::from_shape(tensor.shape(), tensor.data()),
    }
}

fn from_tract(value: &TractTensor) -> TractResult<AnyTensor> {
    let shape = value.shape().to_vec();
    Ok(match value.datum_type() {
        DatumType::F16 => Tensor::new(shape, value.to_plain_array_view::<f16>()?.iter().copied().collect())?.into(),
        // Symbolic sizes are integers that depend on the input's shape, which is fixed here.
        DatumType::I64 | DatumType::TDim => {
            let value = value.cast_to::<i64>()?;
            Tensor::new(shape, value.to_plain_array_view::<i64>()?.iter().copied().collect())?.into()
        }
        _ => Tensor::new(shape, value.to_plain_array_view::<f32>()?.iter().copied().collect())?.into(),
    })
}
