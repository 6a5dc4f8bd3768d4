//! The Bevy plugin: starts the inference engine with the app and keeps its report.

use std::sync::Arc;

use bevy::{
    log::{error, info},
    prelude::*,
};

use crate::runtime::{Runtime, RuntimeOptions, RuntimeReport};

/// Adds bevy_fitdiff to an app.
///
/// | resource | what it is |
/// |---|---|
/// | [`FitDiffRuntime`] | the inference engine, absent when none could be started |
/// | [`RuntimeReport`] | which engine and providers were chosen, what was passed over, and why |
///
/// When no engine can be started the app goes on: the reason is logged as an error and stands in the report.
///
/// ```
/// use bevy::prelude::*;
/// use bevy_fitdiff::prelude::*;
///
/// let mut app = App::new();
/// app.add_plugins((MinimalPlugins, FitDiffPlugin::default()));
/// app.update();
/// println!("{}", app.world().resource::<RuntimeReport>());
/// ```
#[derive(Clone, Debug, Default)]
pub struct FitDiffPlugin {
    /// How networks are run.
    pub runtime: RuntimeOptions,
}

/// The inference engine that the app started.
#[derive(Resource, Clone, Debug, Deref)]
pub struct FitDiffRuntime(Arc<Runtime>);

impl Plugin for FitDiffPlugin {
    fn build(&self, app: &mut App) {
        match Runtime::new(self.runtime.clone()) {
            Ok(runtime) => {
                let report = runtime.report();
                info!("{report}");
                app.insert_resource(FitDiffRuntime(Arc::new(runtime))).insert_resource(report);
            }
            Err(problem) => {
                error!("{problem}");
                let error = Some(problem.to_string());
                app.insert_resource(RuntimeReport { error, ..default() });
            }
        }
        app.add_systems(First, refresh_report.run_if(resource_exists::<FitDiffRuntime>));
    }
}

/// Takes over what loading networks added to the report.
fn refresh_report(runtime: Res<FitDiffRuntime>, mut report: ResMut<RuntimeReport>, mut seen: Local<usize>) {
    let loads = runtime.loads();
    if loads != *seen {
        *seen = loads;
        *report = runtime.report();
    }
}
