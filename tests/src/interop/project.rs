//! A folder of `tests/interop`, prepared once in the target folder.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::skipped::skipped;

/// A folder of `tests/interop` with its packages, as `npm ci` installs them: `target/interop/<name>`.
///
/// Without Node or npm, prints once that tests are skipped and returns `None`. With `CI=true`, where no test
/// may be skipped, panics instead.
///
/// # Panics
///
/// If the packages cannot be installed, or if Node or npm is missing and `CI=true`.
pub fn node_project(name: &str) -> Option<PathBuf> {
    project(name, &["node", "npm"], "package-lock.json", |folder| {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        npm
    })
}

/// A folder of `tests/interop` that Maven has compiled: its classes are in `target/classes`, and the jars
/// that they need in `target/lib`.
///
/// Without a JDK or Maven, prints once that tests are skipped and returns `None`. With `CI=true`, where no
/// test may be skipped, panics instead.
///
/// # Panics
///
/// If the project cannot be compiled, or if a JDK or Maven is missing and `CI=true`.
pub fn maven_project(name: &str) -> Option<PathBuf> {
    project(name, &["javac", "mvn"], "", |folder| {
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "compile", "dependency:copy-dependencies", "-DoutputDirectory=target/lib"]);
        maven.current_dir(folder);
        maven
    })
}

fn project(
    name: &str,
    tools: &[&str],
    lock: &str,
    install: impl FnOnce(&Path) -> Command,
) -> Option<PathBuf> {
    for tool in tools {
        if !is_there(tool) {
            let why = format!("`{tool}` is needed for tests/interop/{name}, and is not installed");
            assert!(env::var("CI").as_deref() != Ok("true"), "{why}");
            skipped(&why);
            return None;
        }
    }
    let prepared = prepare(name, lock, install);
    Some(prepared.unwrap_or_else(|error| panic!("tests/interop/{name}: {error}")))
}

/// Copies the files of `tests/interop/<name>` into the target folder, and runs `install` there if `lock`, a
/// file or a folder, has changed since the last installation. One process at a time prepares a project;
/// others wait.
///
/// # Errors
///
/// If a file cannot be copied, or if `install` fails; the error then has its output.
pub fn prepare(name: &str, lock: &str, install: impl FnOnce(&Path) -> Command) -> io::Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let from = tests.join("interop").join(name);
    let all = tests.join("../target/interop");
    fs::create_dir_all(&all)?;
    let all = all.canonicalize()?;
    let to = all.join(name);
    // The lock is held until the file is closed, however this function ends.
    let alone = File::create(all.join(format!("{name}.lock")))?;
    alone.lock()?;
    copy(&from, &to)?;
    let installed = all.join(format!("{name}.installed"));
    let wanted = contents(&from.join(lock))?;
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

/// The bytes of a file, or of all files of a folder, in the order of their names.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    if path.is_file() {
        return fs::read(path);
    }
    let entries: io::Result<BTreeSet<PathBuf>> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    let all: io::Result<Vec<Vec<u8>>> = entries?.iter().map(|path| contents(path)).collect();
    Ok(all?.concat())
}

/// Copies only files that differ, so that a file that another process may be reading is not rewritten.
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
