//! Programs that checks use, from Debian.

use crate::workspace::{self, command, is_there, output};
use std::env;
use std::path::Path;

/// Installs a program where it is missing and everything is checked: on Debian, as root, with CI=true. Elsewhere, and where it
/// cannot be had, the check that needs it says so.
pub fn provide(program: &str) {
    let is_root = || output(&mut command("id -u")).is_ok_and(|id| id.trim() == "0");
    if is_there(program)
        || env::var("CI").as_deref() != Ok("true")
        || !Path::new("/etc/debian_version").exists()
        || !is_root()
    {
        return;
    }
    for line in ["apt-get update".to_owned(), format!("apt-get install -y --no-install-recommends {program}")]
    {
        // Without a network there is none; the check says so.
        let _ = workspace::run(command(&line).env("DEBIAN_FRONTEND", "noninteractive"));
    }
}
