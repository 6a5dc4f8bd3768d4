//! The Bevy plugin: starts the inference engine with the app and keeps its report.

use std::sync::Arc;

use bevy::{
    log::{error, info},
    prelude::*,
};

use crate::{
    avatar,
    expression::ExpressionPlugin,
    runtime::{Runtime, RuntimeOptions, RuntimeReport},
};

/// Adds bevy_fitdiff to an app: entities with an [`Avatar`](crate::avatar::Avatar) become facial avatars.
///
/// | resource | what it is |
/// |---|---|
/// | [`FitDiffRuntime`] | the inference engine, absent when none could be started |
/// | [`RuntimeReport`] | which engine and providers were chosen, what was passed over, and why |
/// | [`FitDiffSettings`](crate::avatar::FitDiffSettings) | where the model is and how avatars are generated; yours, if you insert one |
/// | [`FitDiffModel`](crate::avatar::FitDiffModel) | whether the model is loaded, and why not |
///
/// It adds [`ExpressionPlugin`], which moves the avatars' faces.
///
/// When no engine can be started the app goes on: the reason is logged as an error and stands in the report, and
/// avatars fail with it. Avatars need Bevy's `AssetPlugin`; to be seen they need `PbrPlugin`.
///
/// ```no_run
/// use bevy::prelude::*;
/// use bevy_fitdiff::prelude::*;
///
/// App::new()
///     .add_plugins((DefaultPlugins, FitDiffPlugin::default()))
///     .add_systems(Startup, |mut commands: Commands| {
///         commands.spawn(Avatar::random(7));
///     })
///     .run();
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
        if !app.is_plugin_added::<ExpressionPlugin>() {
            app.add_plugins(ExpressionPlugin);
        }
        app.add_systems(First, refresh_report.run_if(resource_exists::<FitDiffRuntime>));
    }

    fn finish(&self, app: &mut App) {
        let runtime = app.world().get_resource::<FitDiffRuntime>().map(|runtime| runtime.0.clone());
        avatar::build(app, runtime);
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
