"""Build backend (PEP 517, PEP 660): a wheel of pure Python is a zip of the package and four lines about it."""
import base64
import hashlib
import os
import re
import sys
import tarfile
import zipfile

HERE = os.path.dirname(os.path.realpath(__file__))
PACKAGE = "numapin"
WHEEL = "Wheel-Version: 1.0\nGenerator: build_package\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _text(*path):
    with open(os.path.join(HERE, *path), encoding="utf-8") as f:
        return f.read()


def _version():
    return re.search(r'^PACKAGE_VERSION = "(.+)"$', _text(PACKAGE, "_library.py"), re.MULTILINE)[1]


def _metadata():
    return (f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {_version()}\n"
            "Summary: Bind a Python process, its threads and its DataLoader workers beside its GPU\n"
            "License: BSD-3-Clause\nRequires-Python: >=3.8\nClassifier: Operating System :: POSIX :: Linux\n"
            "Classifier: Typing :: Typed\nDescription-Content-Type: text/markdown\n\n" + _text("README.md"))


def _sources():
    return sorted(f"{PACKAGE}/{name}" for name in os.listdir(os.path.join(HERE, PACKAGE)) if name.endswith((".py", ".typed")))


def _write_wheel(directory, files):
    info = f"{PACKAGE}-{_version()}.dist-info"
    files = {**files, f"{info}/METADATA": _metadata(), f"{info}/WHEEL": WHEEL}
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    name = f"{PACKAGE}-{_version()}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))  # the same sources, the same bytes
            entry.external_attr = 0o100644 << 16
            wheel.writestr(entry, text)
    return name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _write_wheel(wheel_directory, {name: _text(name) for name in _sources()})


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _write_wheel(wheel_directory, {f"{PACKAGE}.pth": HERE + "\n"})


def build_sdist(sdist_directory, config_settings=None):
    base = f"{PACKAGE}-{_version()}"
    with tarfile.open(os.path.join(sdist_directory, base + ".tar.gz"), "w:gz") as archive:
        for name in ["pyproject.toml", "build_package.py", "README.md", *_sources()]:
            archive.add(os.path.join(HERE, name), f"{base}/{name}")
    return base + ".tar.gz"


if __name__ == "__main__":  # build_package.py DIRECTORY: for Debian's package, which needs no pip
    print(build_wheel(sys.argv[1]))
