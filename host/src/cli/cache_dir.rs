//! Where derived data is kept: what can be made again, but not for nothing.

use std::{env, ffi::OsString, path::PathBuf};

/// `OUTRIDER_CACHE_DIR` if it is set (to nothing: no folder), else `outrider` in `XDG_CACHE_HOME` or in `~/.cache`. It
/// need not exist. `None` where nothing is to be kept, or nobody says where.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    resolve(|name| env::var_os(name))
}

fn resolve(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folder) = variable("OUTRIDER_CACHE_DIR") {
        return Some(PathBuf::from(folder)).filter(|folder| !folder.as_os_str().is_empty());
    }
    // Relative paths are to be ignored (XDG base directory specification).
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("outrider"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<String> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        let folder = resolve(|name| find(name).map(|(_, value)| value.into()));
        folder.map(|folder| folder.into_os_string().into_string().unwrap())
    }

    #[test]
    fn the_nearest_variable_decides() {
        let (ours, xdg, home) = (("OUTRIDER_CACHE_DIR", "here"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h"));
        assert_eq!(of(&[ours, xdg, home]).as_deref(), Some("here"));
        assert_eq!(of(&[xdg, home]).as_deref(), Some("/x/outrider"));
        assert_eq!(of(&[home]).as_deref(), Some("/h/.cache/outrider"));
        assert_eq!(of(&[("XDG_CACHE_HOME", "x"), home]).as_deref(), Some("/h/.cache/outrider"));
        assert_eq!(of(&[("OUTRIDER_CACHE_DIR", ""), xdg, home]), None);
        assert_eq!(of(&[]), None);
    }
}
