//! What the runtime found, chose and passed over, in words.

use std::{fmt, path::PathBuf, time::Duration};

use bevy::prelude::Resource;

use super::{LibraryProblem, Provider};

/// What runs the networks, and why. A Bevy resource that [`FitDiffPlugin`](crate::FitDiffPlugin) keeps up to date,
/// logged at start and printed by `cargo run --example doctor`; its `Display` is meant for people.
#[derive(Resource, Clone, Debug, Default)]
pub struct RuntimeReport {
    /// The engine in use; `None` when there is none, and [`error`](Self::error) says why.
    pub backend: Option<BackendInfo>,
    /// Libraries that were found and not used, with the reason.
    pub skipped_libraries: Vec<LibraryProblem>,
    /// The networks loaded so far.
    pub models: Vec<ModelReport>,
    /// Why no engine could be started.
    pub error: Option<String>,
}

/// The engine that runs the networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendInfo {
    /// `ONNX Runtime` or `tract`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// The dynamic library it was loaded from; `None` for the embedded backend.
    pub library: Option<PathBuf>,
    /// Threads that one network call uses.
    pub threads: usize,
}

/// How one network is run.
#[derive(Clone, Debug)]
pub struct ModelReport {
    /// Name of the network.
    pub name: String,
    /// What it runs on. An ONNX Runtime session may still place single operators on the CPU.
    pub provider: Provider,
    /// How long loading and optimising took.
    pub load_time: Duration,
    /// Providers that come before [`provider`](Self::provider) in the wanted order, and why they were passed over.
    pub skipped: Vec<ProviderSkip>,
}

/// Why an execution provider does not run a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSkip {
    /// The provider.
    pub provider: Provider,
    /// What is missing, as a person would look for it, or ONNX Runtime's own words where that is not known.
    pub reason: String,
}

impl fmt::Display for ProviderSkip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.provider, self.reason)
    }
}

impl fmt::Display for BackendInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)?;
        match &self.library {
            Some(library) => write!(f, " from {}", library.display())?,
            None => f.write_str(" (embedded)")?,
        }
        write!(f, ", {} thread{}", self.threads, if self.threads == 1 { "" } else { "s" })
    }
}

impl fmt::Display for RuntimeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.backend, &self.error) {
            (Some(backend), _) => write!(f, "inference: {backend}")?,
            (None, Some(error)) => write!(f, "inference: none, {error}")?,
            (None, None) => f.write_str("inference: not started")?,
        }
        for problem in &self.skipped_libraries {
            write!(f, "\n  passed over {problem}")?;
        }
        for model in &self.models {
            let millis = model.load_time.as_secs_f64() * 1e3;
            write!(f, "\n  {:<18} on {} (loaded in {millis:.0} ms)", model.name, model.provider)?;
        }
        // The same reason for every network is said once.
        let mut said = Vec::new();
        for skip in self.models.iter().flat_map(|model| &model.skipped) {
            if !said.contains(&skip) {
                write!(f, "\n  not on {skip}")?;
                said.push(skip);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_shared_by_all_networks_is_printed_once() {
        let skip = ProviderSkip { provider: Provider::Cuda, reason: "cuDNN 9 is missing".into() };
        let model = |name: &str| ModelReport {
            name: name.into(),
            provider: Provider::Cpu,
            load_time: Duration::from_millis(12),
            skipped: vec![skip.clone()],
        };
        let report = RuntimeReport { models: vec![model("one"), model("two")], ..Default::default() };
        let text = report.to_string();
        assert_eq!(text.matches("cuDNN 9 is missing").count(), 1, "{text}");
        assert_eq!(text.matches("on CPU").count(), 2, "{text}");
    }
}
