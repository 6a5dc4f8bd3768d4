//! The plugin in an app without a window.

use std::path::PathBuf;

use bevy::prelude::*;
use bevy_fitdiff::{
    bundle::Bundle,
    prelude::*,
    runtime::{BackendChoice, RuntimeOptions},
};

fn app_with(runtime: RuntimeOptions) -> App {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, FitDiffPlugin { runtime }));
    app.update();
    app
}

#[test]
fn the_report_names_the_engine_and_follows_loading() {
    let mut app = app_with(RuntimeOptions { backend: BackendChoice::Embedded, ..default() });
    let report = app.world().resource::<RuntimeReport>();
    assert_eq!(report.backend.as_ref().unwrap().name, "tract");
    assert!(report.models.is_empty());

    let runtime = app.world().resource::<FitDiffRuntime>().clone();
    let bundle = Bundle::open(concat!(env!("CARGO_MANIFEST_DIR"), "/models/base")).unwrap();
    bundle.load(&runtime, "detector_short").unwrap();
    app.update();
    let report = app.world().resource::<RuntimeReport>();
    assert_eq!(report.models.len(), 1);
    assert!(report.to_string().contains("detector_short"), "{report}");
}

#[test]
fn an_app_without_an_engine_goes_on_and_says_why() {
    let library = Some(PathBuf::from("no/such/library.so"));
    let app = app_with(RuntimeOptions { library, ..default() });
    assert!(!app.world().contains_resource::<FitDiffRuntime>());
    let report = app.world().resource::<RuntimeReport>();
    assert!(report.error.as_ref().unwrap().contains("no/such/library.so"), "{report}");
    assert!(report.to_string().contains("inference: none"), "{report}");
}
