//! A player who sees what screen readers see, and uses pointer and keys.

use std::{collections::HashMap, path::Path};

use bevy::prelude::*;
use bevy_egui::{
    EguiContext, EguiOutput, PrimaryEguiContext,
    egui::{
        Event, Key, Modifiers, PointerButton, Pos2, Rect,
        accesskit::{Action, ActionRequest, Node, NodeId, Role, TreeId},
        pos2,
    },
    input::EguiInputEvent,
};

/// What is in the panel, by name.
#[derive(Resource, Default)]
pub struct Player {
    seen: HashMap<String, Seen>,
    /// Frames in which what was found stayed where it is.
    still: usize,
    /// The slider that is held, and whether it was moved.
    held: Option<(Rect, bool)>,
}

#[derive(Clone)]
struct Seen {
    id: NodeId,
    rect: Rect,
    disabled: bool,
}

pub fn plugin(app: &mut App) {
    app.init_resource::<Player>().add_systems(First, look);
}

/// Reads what the panel told screen readers in the last frame.
fn look(mut contexts: Query<(&mut EguiContext, &EguiOutput), With<PrimaryEguiContext>>, mut player: ResMut<Player>) {
    let Ok((mut context, output)) = contexts.single_mut() else { return };
    context.get_mut().enable_accesskit();
    let Some(update) = &output.platform_output.accesskit_update else { return };
    let (labels, widgets): (Vec<_>, Vec<_>) = update.nodes.iter().partition(|(_, node)| node.role() == Role::Label);
    // A label beside what it names is not what is meant.
    player.seen = labels.into_iter().chain(widgets).filter_map(|(id, node)| see(*id, node)).collect();
}

fn see(id: NodeId, node: &Node) -> Option<(String, Seen)> {
    let name = node.label().or(node.value())?;
    let bounds = node.bounds()?;
    let rect = Rect::from_min_max(pos2(bounds.x0 as f32, bounds.y0 as f32), pos2(bounds.x1 as f32, bounds.y1 as f32));
    Some((name.to_owned(), Seen { id, rect, disabled: node.is_disabled() }))
}

/// Whether something of this name is in the panel.
pub fn sees(world: &World, name: &str) -> bool {
    world.resource::<Player>().seen.contains_key(name)
}

/// How many things in the panel have a name that begins so, all or those that can be used.
pub fn count(world: &World, name: &str, usable: bool) -> usize {
    let seen = &world.resource::<Player>().seen;
    seen.iter().filter(|(found, seen)| found.starts_with(name) && !(usable && seen.disabled)).count()
}

impl Player {
    /// Finds what can be used; has it scrolled into view, and waits until it is there.
    fn find(world: &mut World, name: &str) -> Option<Seen> {
        let seen = world.resource::<Self>().seen.get(name).filter(|seen| !seen.disabled)?.clone();
        let mut player = world.resource_mut::<Self>();
        player.still += 1;
        match player.still {
            1 => {
                let request = ActionRequest {
                    action: Action::ScrollIntoView,
                    target_tree: TreeId::ROOT,
                    target_node: seen.id,
                    data: None,
                };
                send(world, [Event::AccessKitActionRequest(request)]);
                None
            }
            // Scrolling is animated.
            2..=4 => None,
            _ => {
                player.still = 0;
                Some(seen)
            }
        }
    }

    pub fn show(world: &mut World, name: &str) -> bool {
        Self::find(world, name).is_some()
    }

    pub fn click(world: &mut World, name: &str) -> bool {
        let Some(seen) = Self::find(world, name) else { return false };
        println!("clicks {name}");
        click_at(world, seen.rect.center());
        true
    }

    /// Types a path in place of what was there.
    pub fn type_path(world: &mut World, path: &Path) -> bool {
        println!("types {}", path.display());
        Self::press(world, Modifiers::COMMAND, Key::A);
        send(world, [Event::Text(path.display().to_string())]);
        true
    }

    /// Drags a slider to a part of its way: pressed, moved and let go in frames of their own.
    pub fn slide(world: &mut World, name: &str, part: f32) -> bool {
        let button = |pos, pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        let Some((rect, moved)) = world.resource::<Self>().held else {
            let Some(seen) = Self::find(world, name) else { return false };
            println!("slides {name} to {part}");
            let from = seen.rect.center();
            send(world, [Event::PointerMoved(from), button(from, true)]);
            world.resource_mut::<Self>().held = Some((seen.rect, false));
            return false;
        };
        let to = pos2(rect.left() + part * rect.width(), rect.center().y);
        send(world, if moved { vec![button(to, false)] } else { vec![Event::PointerMoved(to)] });
        world.resource_mut::<Self>().held = (!moved).then_some((rect, true));
        moved
    }

    pub fn press(world: &mut World, modifiers: Modifiers, key: Key) -> bool {
        let event = |pressed| Event::Key { key, physical_key: None, pressed, repeat: false, modifiers };
        send(world, [event(true), event(false)]);
        true
    }
}

fn click_at(world: &mut World, pos: Pos2) {
    let button =
        |pressed| Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE };
    send(world, [Event::PointerMoved(pos), button(true), button(false)]);
}

fn send(world: &mut World, events: impl IntoIterator<Item = Event>) {
    let context = world.query_filtered::<Entity, With<PrimaryEguiContext>>().single(world);
    let Ok(context) = context else { return };
    for event in events {
        world.write_message(EguiInputEvent { context, event });
    }
}
