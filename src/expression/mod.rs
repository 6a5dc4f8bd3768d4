//! Living faces: expressions, blinks, gaze, lip sync, and sequences of expressions.
//!
//! All of it is components on the entity of an [`Avatar`](crate::avatar::Avatar). They may be there before the avatar is
//! ready, and they write its [`MorphWeights`] from then on.
//!
//! ```no_run
//! use bevy::prelude::*;
//! use bevy_fitdiff::prelude::*;
//!
//! App::new()
//!     .add_plugins((DefaultPlugins, FitDiffPlugin::default()))
//!     .add_systems(Startup, |mut commands: Commands| {
//!         let camera = commands.spawn((Camera3d::default(), Transform::from_xyz(0.0, 0.0, 0.6))).id();
//!         let happy = Expression::of(ExpressionPreset::Happy);
//!         commands.spawn((Avatar::random(7), LivingFace, happy, LookAt::entity(camera)));
//!     })
//!     .run();
//! ```
//!
//! | component | what the face does |
//! |---|---|
//! | [`Expression`] | shows preset expressions of VRM and single blendshapes, and goes smoothly from one to the next |
//! | [`ExpressionPlayer`] | plays [`ExpressionSequence`]s: captures and hand-made ones |
//! | [`LipSync`] | speaks: weights of visemes become mouths |
//! | [`NaturalBlink`] | blinks now and then |
//! | [`LookAt`], [`HeadTurn`] | looks at a place, a camera, another avatar; the head takes part if you like |
//! | [`NaturalGaze`] | has eyes that are never quite still |
//! | [`LivingFace`] | brings `Expression`, `NaturalBlink` and `NaturalGaze` along |
//!
//! # How layers combine
//!
//! From below to the top; what is said of weights goes for each blendshape by itself, and the result is within 0 to 1.
//!
//! 1. **Expression.** Presets and single blendshapes are added up.
//! 2. **Sequences** cover the blendshapes that they have tracks for, as far as their weight and fade go. A sequence that has
//!    the lids keeps blinks out, one that has the eyes keeps [`LookAt`] out: a captured face has its own.
//! 3. **Speech** has the mouth: as far as there is any, what forms lips and jaw below yields to it, and smiles and frowns stay
//!    by half. It is VRM's `overrideMouth: blend` the other way round, because a face that is happy should still be
//!    understood. Visemes that add up to more than 1 are scaled to 1.
//! 4. **Gaze** turns the eyes from where the layers below have them to the target. Lids follow the eyes up and down.
//! 5. **Blinks** close what is left open: an expression that closes the eyes by a third leaves two thirds to a blink. It is
//!    VRM's `overrideBlink: blend`, with the closure of the expression as its weight.
//!
//! Some things would go through each other, and do not: closed lids are the same whatever else moves them, since squinting,
//! widening and turned eyes fade out behind them; and lips are not closed further than the jaw is open.
//!
//! # When
//!
//! In [`PostUpdate`], in the sets of [`ExpressionSystems`], after transforms are propagated; the renderer takes the weights
//! when it extracts the frame. What a system of `Update` writes to the components is seen in the same frame. The weights of
//! an entity with one of the components belong to it, all 52: write your own to [`Expression::set_blendshape`], or write
//! `MorphWeights` in every frame in a system after [`ExpressionSystems::Weights`] to have the last word. Avatars without
//! the components are left alone, and weights are not touched where nothing has changed.
//!
//! Without a renderer everything works as well. It takes [`Time`], and a virtual time that is paused pauses it.

mod blendshape;
mod blink;
mod csv;
mod emotion;
mod error;
mod face;
mod fixation;
mod gaze;
mod head_turn;
mod json;
mod lips;
mod loader;
mod player;
mod preset;
mod random;
mod rig;
mod sequence;
mod target;
mod transition;
mod viseme;

use bevy::prelude::*;

pub use blendshape::{ArkitBlendshape, BLENDSHAPES, BlendshapeWeights, UnknownBlendshape};
pub use blink::NaturalBlink;
pub use emotion::Expression;
pub use error::SequenceError;
pub use fixation::NaturalGaze;
pub use gaze::{LookAt, LookTarget};
pub use head_turn::HeadTurn;
pub use lips::LipSync;
pub use loader::{SequenceCsvLoader, SequenceCsvSettings, SequenceJsonLoader};
pub use player::{AtEnd, ExpressionPlayer, ExpressionSequenceEnded, SequencePlayback};
pub use preset::{ExpressionPreset, UnknownPreset};
pub use rig::FaceRig;
pub use sequence::{ExpressionSequence, ExpressionTrack, Interpolation, SEQUENCE_VERSION};
pub use viseme::{VISEMES, Viseme};

/// A face that blinks and whose eyes move, and that can show an [`Expression`].
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq, Reflect)]
#[reflect(Component, Default, Clone, Debug, PartialEq)]
#[require(Expression, NaturalBlink, NaturalGaze)]
pub struct LivingFace;

/// When faces are moved, in [`PostUpdate`].
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpressionSystems {
    /// Heads turn, before transforms are propagated.
    HeadTurn,
    /// Weights are found and written, after transforms are propagated.
    Weights,
}

/// Moves the faces of avatars. [`FitDiffPlugin`](crate::FitDiffPlugin) adds it; heads of other kinds with a [`FaceRig`] can
/// do with it alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpressionPlugin;

impl Plugin for ExpressionPlugin {
    fn build(&self, app: &mut App) {
        app.register_type::<BlendshapeWeights>()
            .register_type::<Expression>()
            .register_type::<ExpressionPlayer>()
            .register_type::<FaceRig>()
            .register_type::<HeadTurn>()
            .register_type::<LipSync>()
            .register_type::<LivingFace>()
            .register_type::<LookAt>()
            .register_type::<NaturalBlink>()
            .register_type::<NaturalGaze>();
        app.register_required_components::<HeadTurn, head_turn::Turning>();
        app.init_resource::<rig::ToldMissing>().add_observer(rig::fit).add_observer(rig::unfit);
        app.configure_sets(
            PostUpdate,
            (
                ExpressionSystems::HeadTurn.before(TransformSystems::Propagate),
                ExpressionSystems::Weights.after(TransformSystems::Propagate),
            ),
        );
        app.configure_sets(
            PostUpdate,
            (ExpressionSystems::HeadTurn, ExpressionSystems::Weights).run_if(resource_exists::<Time>),
        );
        app.add_systems(PostUpdate, head_turn::advance.in_set(ExpressionSystems::HeadTurn)).add_systems(
            PostUpdate,
            (
                emotion::advance,
                player::advance.run_if(resource_exists::<Assets<ExpressionSequence>>),
                lips::advance,
                blink::advance,
                gaze::advance,
                face::apply,
            )
                .chain()
                .in_set(ExpressionSystems::Weights),
        );
    }

    /// Sequences are assets, whose plugin may be added later than this one.
    fn finish(&self, app: &mut App) {
        if app.world().contains_resource::<AssetServer>() {
            app.init_asset::<ExpressionSequence>()
                .register_asset_loader(SequenceJsonLoader)
                .register_asset_loader(SequenceCsvLoader);
        }
    }
}
