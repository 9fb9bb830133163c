"""Finding libnumapin.so and calling its C ABI (include/numapin/numapin.h)."""
from __future__ import annotations

import ctypes
import glob
import json
import os
import sys
import threading
from typing import Any, Dict, List, Optional

PACKAGE_VERSION = "0.1.0"
_ABI_VERSION = 1
_NAME = "libnumapin.so.0"


class Error(RuntimeError):
    """What libnumapin could not do. ``str()`` is its message and, on a second line, the hint.

    Attributes:
        code: ``"not-found"``, ``"not-recorded"``, ``"denied"``, ``"unsupported"``, ``"bad-input"`` or ``"system"``.
        message: one line, "verb object: reason".
        hint: what to do about it; may be empty.
    """

    _CODES = {1: "not-found", 2: "not-recorded", 3: "denied", 4: "unsupported", 5: "bad-input", 6: "system"}

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message + ("\n  hint: " + hint if hint else ""))
        self.code, self.message, self.hint = code, message, hint

    def __reduce__(self):  # it crosses from a worker process to its parent
        return Error, (self.code, self.message, self.hint)


def _candidates() -> List[str]:
    """Where the library may be, in the order in which it is tried."""
    named = os.environ.get("NUMAPIN_LIBRARY")
    if named:
        return [named]  # whoever names one wants no other
    here = os.path.dirname(os.path.realpath(__file__))
    found = [os.path.join(here, _NAME), _NAME]  # packed beside us; the system's, as ld.so finds it
    for prefix in dict.fromkeys([sys.prefix, sys.base_prefix, "/usr/local"]):
        found += [os.path.join(prefix, "lib", _NAME)] + sorted(glob.glob(os.path.join(prefix, "lib", "*-linux-gnu", _NAME)))
    tree = os.path.join(here, "..", "..", "..", "build")  # used from a source tree
    return found + [os.path.join(os.path.realpath(tree), preset, _NAME) for preset in ("release", "dev")]


def _load() -> ctypes.CDLL:
    tried = []
    for path in _candidates():
        if os.path.sep in path and not os.path.exists(path):
            tried.append(f"{path}: no such file")
            continue
        try:
            return ctypes.CDLL(path)
        except OSError as e:
            tried.append(str(e) if path in str(e) else f"{path}: {e}")
    raise Error("not-found", "load libnumapin.so.0: " + "; ".join(tried),
                "install numapin (cmake --install), or name the file: NUMAPIN_LIBRARY=/path/to/libnumapin.so.0")


_lock = threading.Lock()
_loaded: Optional[ctypes.CDLL] = None


def library() -> ctypes.CDLL:
    """The library, loaded at first use, with its prototypes."""
    global _loaded
    with _lock:
        if _loaded is None:
            _loaded = _declare(_load())
        return _loaded


def _declare(lib: ctypes.CDLL) -> ctypes.CDLL:
    text, pointer, size, place = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p)
    prototypes = {
        "version": (text, []), "abi_version": (ctypes.c_int, []),
        "error_message": (text, [pointer]), "error_hint": (text, [pointer]), "error_free": (None, [pointer]),
        "free": (None, [pointer]), "machine_free": (None, [pointer]),
        "machine_discover": (ctypes.c_int, [place, place]), "machine_open": (ctypes.c_int, [text, place, place]),
        "machine_json": (ctypes.c_int, [pointer, place, place]),
        "plan": (ctypes.c_int, [pointer, text, place, place]), "bind_self": (ctypes.c_int, [pointer, text, place, place]),
        "inspect": (ctypes.c_int, [pointer, text, place, place]),
        "place_memory": (ctypes.c_int, [pointer, pointer, size, text, place, place]),
        "memory_nodes": (ctypes.c_int, [pointer, size, place, place]),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(lib, "numapin_" + name, None)
        if function is None:
            raise Error("unsupported", f"use {lib._name}: it has no numapin_{name}", "it is another release's: install the one of this package")
        function.restype, function.argtypes = result, arguments
    if lib.numapin_abi_version() != _ABI_VERSION:
        raise Error("unsupported", f"use {lib._name}: its ABI is {lib.numapin_abi_version()}, this package speaks {_ABI_VERSION}",
                    "install the library and the package of the same release")
    return lib


def _check(lib: ctypes.CDLL, code: int, error: ctypes.c_void_p) -> None:
    if code == 0:
        return
    message, hint = lib.numapin_error_message(error).decode(), lib.numapin_error_hint(error).decode()
    lib.numapin_error_free(error)
    raise Error(Error._CODES.get(code, "system"), message, hint)


def call(name: str, *arguments: Any) -> Any:
    """Calls a function that answers JSON, and reads it."""
    lib, answer, error = library(), ctypes.c_void_p(), ctypes.c_void_p()
    code = getattr(lib, "numapin_" + name)(*arguments, ctypes.byref(answer), ctypes.byref(error))
    _check(lib, code, error)
    try:
        return json.loads(ctypes.string_at(answer.value))
    finally:
        lib.numapin_free(answer)


def request(keys: Dict[str, Any]) -> bytes:
    """The JSON of a request; what is None is left out."""
    return json.dumps({key: value for key, value in keys.items() if value is not None}).encode()


class Handle:
    """A numapin_machine, freed with the object."""

    def __init__(self, path: Optional[str]) -> None:
        lib, machine, error = library(), ctypes.c_void_p(), ctypes.c_void_p()
        places = (ctypes.byref(machine), ctypes.byref(error))
        code = lib.numapin_machine_discover(*places) if path is None else lib.numapin_machine_open(os.fsencode(path), *places)
        _check(lib, code, error)
        self.pointer, self._free = machine, lib.numapin_machine_free

    def __del__(self) -> None:
        if getattr(self, "pointer", None):
            self._free(self.pointer)
