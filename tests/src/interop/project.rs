//! A folder of `tests/interop`, prepared once in the target folder.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// A folder of `tests/interop` with its packages, as `npm ci` installs them: `target/interop/<name>`.
///
/// Without Node or npm it says so once and is `None`, but for `CI=true`, where nothing may be passed over.
///
/// # Panics
///
/// If the packages cannot be installed, and without Node or npm where `CI=true`.
pub fn node_project(name: &str) -> Option<PathBuf> {
    for tool in ["node", "npm"] {
        if !is_there(tool) {
            let why = format!("`{tool}` is needed for tests/interop/{name}, and is not installed");
            assert!(env::var("CI").as_deref() != Ok("true"), "{why}");
            super::skipped(&why);
            return None;
        }
    }
    let prepared = prepare(name, "package-lock.json", |folder| {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        npm
    });
    Some(prepared.unwrap_or_else(|error| panic!("tests/interop/{name}: {error}")))
}

/// Copies the files of `tests/interop/<name>` into the target folder, and runs `install` there if the file
/// `lock` is not the one of the last installation. One process at a time: the others wait.
///
/// # Errors
///
/// If a file cannot be copied, or `install` fails: then with all that it said.
pub fn prepare(name: &str, lock: &str, install: impl FnOnce(&Path) -> Command) -> io::Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let from = tests.join("interop").join(name);
    let all = tests.join("../target/interop");
    fs::create_dir_all(&all)?;
    let all = all.canonicalize()?;
    let to = all.join(name);
    // Held until the file is closed, however this ends.
    let alone = File::create(all.join(format!("{name}.lock")))?;
    alone.lock()?;
    copy(&from, &to)?;
    let installed = all.join(format!("{name}.installed"));
    let wanted = fs::read(from.join(lock))?;
    if fs::read(&installed).ok().as_deref() != Some(wanted.as_slice()) {
        let mut install = install(&to);
        let output = install.output().map_err(|error| io::Error::other(format!("{install:?}: {error}")))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            return Err(io::Error::other(format!("{install:?} ended with {}:\n{said}", output.status)));
        }
        fs::write(installed, wanted)?;
    }
    Ok(to)
}

/// Copies what differs: a file that another process may be reading is not written again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
            continue;
        }
        let wanted = fs::read(entry.path())?;
        if fs::read(&target).ok().as_deref() != Some(wanted.as_slice()) {
            fs::write(target, wanted)?;
        }
    }
    Ok(())
}

fn is_there(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}
