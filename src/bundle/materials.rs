//! Names of the materials that the parts of a template head wear.

/// The material of the part that wears the generated maps; also the name of that part.
pub const SKIN: &str = "skin";

/// The eyeballs'.
pub const EYE: &str = "eye";

/// The lashes'.
pub const LASH: &str = "lash";

/// That of the teeth.
pub const TEETH: &str = "teeth";

/// That of gums, palate, tongue and eye sockets.
pub const MOUTH: &str = "mouth";
