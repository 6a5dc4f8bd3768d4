//! What is read and written beside the pictures: only what the command line asks for.

use std::{fs, time::Instant};

use bevy_fitdiff::{
    avatar::{Avatar, AvatarLook},
    export::{self, ExportOptions},
    face::{self, PhotoLimits},
    pipeline::AvatarData,
    prelude::{AvatarRecipe, Photo},
    runtime::CancelToken,
};

use super::{args::Arguments, common::create_parent, compare};

/// What the arguments ask for: the photos that have to be added as assets, or all that an avatar needs.
pub enum Wanted {
    Photos(Vec<Photo>),
    Avatar(Avatar),
}

/// Reads the photos or the recipe.
pub fn read(arguments: &Arguments) -> Result<Wanted, String> {
    if let Some(path) = arguments.recipe.as_ref().filter(|path| path.exists()) {
        println!("recipe: {}", path.display());
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let recipe: AvatarRecipe =
            serde_json::from_str(&text).map_err(|error| format!("{} is no recipe: {error}", path.display()))?;
        return Ok(Wanted::Avatar(Avatar::from_recipe(recipe)));
    }
    if let Some(seed) = arguments.random {
        println!("random person: {seed}");
        return Ok(Wanted::Avatar(Avatar::random(seed)));
    }
    let paths = arguments.photos();
    if paths.len() > 1 && !arguments.headless {
        return Err("the character creator takes one photo: add --headless, or leave all --selfie but one out".into());
    }
    let photos = paths.iter().map(|path| {
        println!("photo: {}", path.display());
        face::open_photo(path, &PhotoLimits::default()).map(Photo::from).map_err(|error| error.to_string())
    });
    photos.collect::<Result<_, _>>().map(Wanted::Photos)
}

/// Writes maps, comparison, avatar and recipe; `weights` are those of the expression.
pub fn write(arguments: &Arguments, data: &AvatarData, look: &AvatarLook, weights: &[f32]) -> Result<(), String> {
    if let Some(folder) = &arguments.maps {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let (diffuse, specular, normals) = data.maps.to_images();
        let written = diffuse
            .save(folder.join("diffuse.png"))
            .and_then(|()| specular.save(folder.join("specular.png")))
            .and_then(|()| normals.save(folder.join("normals.png")));
        written.map_err(|error| format!("{}: {error}", folder.display()))?;
        println!("wrote diffuse.png, specular.png and normals.png to {}", folder.display());
    }
    if let Some(path) = &arguments.compare {
        compare::write(arguments, path, data)?;
    }
    if let Some(path) = &arguments.export {
        create_parent(path)?;
        let (start, options) = (Instant::now(), ExportOptions { weights: weights.to_vec() });
        export::save_glb(path, data, look, &options, &CancelToken::default(), &mut |_| {})
            .map_err(|error| error.to_string())?;
        println!("wrote {} in {:.2} s", path.display(), start.elapsed().as_secs_f32());
    }
    if let Some(path) = arguments.recipe.as_ref().filter(|path| !path.exists()) {
        create_parent(path)?;
        let text = serde_json::to_string(&data.recipe).map_err(|error| error.to_string())?;
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("wrote the recipe to {}", path.display());
    }
    Ok(())
}
