"""install.sh as far as it goes without changing the machine."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "install.sh"
NEEDED = ("install.sh", "config.json", "requirements.txt", "www/package-lock.json")
# What the script would call to change something; each says so and succeeds.
TOOLS = ("apt-get", "sudo", "npm", "node", "systemctl", "ffmpeg")


def install(
    *options: str, script: Path = SCRIPT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *options],
        env=dict(os.environ) | dict(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_shell_scripts_parse() -> None:
    for name in ("install.sh", ".ci/run", ".githooks/pre-commit"):
        first = (ROOT / name).read_text().splitlines()[0]
        shell = "bash" if "bash" in first else "sh"
        subprocess.run([shell, "-n", str(ROOT / name)], check=True)


def test_help_names_every_option() -> None:
    done = install("--help")
    assert (done.returncode, done.stderr) == (0, "")
    accepted = re.search(r"^ +(--[a-z-]+(?: \| --[a-z-]+)+)\)$", SCRIPT.read_text(), re.MULTILINE)
    assert accepted
    for option in accepted[1].split(" | "):
        assert re.search(rf"^  {option} ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("option", ["--nonsense", "start", "-x", ""])
def test_unknown_option_is_named(option: str) -> None:
    done = install(option)
    assert done.returncode == 2
    assert done.stderr == f"install.sh: unknown option {option}, see ./install.sh --help\n"


@pytest.mark.parametrize("options", [("--test", "--systemd"), ("--systemd", "--no-start")])
def test_options_that_exclude_each_other_are_refused(options: tuple[str, str]) -> None:
    done = install(*options)
    assert done.returncode == 2
    assert done.stderr == f"install.sh: {options[0]} and {options[1]} exclude each other\n"


class Clone:
    """A copy of the repository's first lines of defence, in which every tool is a pretence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "h5sup"
        self.tools = folder / "tools"
        self.calls = folder / "calls"
        for name in NEEDED:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.folder / name)
        self.tools.mkdir()
        self.calls.touch()
        for name in TOOLS:
            self.pretend(name, "exit 0")

    def pretend(self, name: str, body: str) -> None:
        """Put a tool in front of the real one; it notes each of its calls."""
        path = self.tools / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{body}\n')
        path.chmod(0o755)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run its install.sh."""
        env = {"PATH": f"{self.tools}:{os.environ['PATH']}"}
        return install(*options, script=self.folder / "install.sh", env=env)


def test_a_second_run_leaves_the_configuration_as_it_is(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.pretend("dpkg-query", "printf installed")
    clone.pretend("npm", "mkdir -p www/node_modules")
    # the virtual environment is there and works; pip has nothing to do
    python = clone.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    (python.parent / "pip").write_text(f"#!{python}\n")
    media = clone.folder / "media"
    media.mkdir()
    (media / "demo.mp4").write_text("a clip")
    config = clone.folder / "config.json"
    config.write_text('{"sources": [], "http": {"port": 8081}}\n')
    before = hashlib.sha256(config.read_bytes()).hexdigest(), config.stat().st_mtime_ns
    for _ in range(2):
        done = clone.run("--no-start")
        assert done.returncode == 0, done.stderr
        assert "installed; ./install.sh or ./run.py starts h5sup" in done.stdout
    after = hashlib.sha256(config.read_bytes()).hexdigest(), config.stat().st_mtime_ns
    assert after == before
    assert (media / "demo.mp4").read_text() == "a clip"
    assert "apt-get" not in clone.calls.read_text()
    assert clone.calls.read_text().count("npm --prefix www ci") == 1


def test_a_folder_with_odd_letters_is_refused(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "it's here")
    done = clone.run("--no-start")
    assert done.returncode == 1
    assert done.stderr.startswith("install.sh: the folder's path must be plain")


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.pretend("dpkg", "echo armhf")
    done = clone.run("--no-start")
    assert done.returncode == 1
    assert "64 bit (amd64 or arm64); this system is armhf" in done.stderr
    assert not (clone.folder / ".venv").exists()


def test_another_distribution_is_refused(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    script = clone.folder / "install.sh"
    release = tmp_path / "os-release"
    release.write_text('ID=fedora\nVERSION_ID=42\nPRETTY_NAME="Fedora Linux 42"\n')
    script.write_text(script.read_text().replace("/etc/os-release", str(release)))
    done = clone.run("--no-start")
    assert done.returncode == 1
    assert done.stderr == (
        "install.sh: h5sup installs on Debian 12 or 13 or Raspberry Pi OS, "
        "64 bit (amd64 or arm64); this is Fedora Linux 42\n"
    )


def test_packages_that_can_not_be_installed_are_said(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.pretend("dpkg-query", "exit 1")
    clone.pretend("apt-get", "exit 100")
    clone.pretend("sudo", '[ "$1" = -v ] || exec "$@"')
    done = clone.run("--no-start")
    assert done.returncode == 1
    assert "Debian packages could not be installed: check the network and /etc/apt" in done.stderr
    assert "apt-get -o DPkg::Lock::Timeout=300 -q -y install" in clone.calls.read_text()
