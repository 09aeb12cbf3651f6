"""Machine code of the kernels: compiled once by LLVM, kept on disk, loaded by every later process.

llvmlite is imported with the first kernel, not with `ptycho`. An entry on disk is run only if its folder and file can
be written by this user or root alone, its digest is that of its content and its key, and it needs nothing from outside.
A folder that cannot be used costs a compilation (a fraction of a second) in each process, never an error.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import inspect
import itertools
import json
import logging
import os
import stat
import struct
import sys
import tempfile
import threading
from pathlib import Path

logger = logging.getLogger(__name__)

SUFFIX = ".kernel"
FLAGS = {"fast_math": "contract", "speed_level": 3, "loop_vectorization": True}  # contract: as XLA in the reference

_C_TYPES = {"int64": ctypes.c_int64, "float32": ctypes.c_float, "float64": ctypes.c_double}
_DIGEST_BYTES = hashlib.sha256().digest_size

_lock = threading.Lock()
_numbers = itertools.count()
_kept = []  # what frees the code when it is collected


@functools.cache
def compiler():
    """Import llvmlite's binding to LLVM; None where it is missing, too old or cannot be loaded."""
    try:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        llvm.create_pass_builder, llvm.create_lljit_compiler  # noqa: B018
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        logger.info("no compiled kernels, since llvmlite cannot be used: %s", error)
        return None
    return llvm


@functools.cache
def _processor():
    llvm = compiler()
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def load(function, kinds):
    """Return a kernel as a function of C, from disk if it is there, else compiled and kept.

    Parameters
    ----------
    function : function
        See `ptycho.kernel_ir`.
    kinds : tuple of (str, bool)
        Of each argument: the name of its dtype, and whether it is a pointer to an array of it.
    """
    with _lock:
        key = _key(function, kinds)
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}-{key[:32]}{SUFFIX}"
        code = _read(name, key)
        if code is None:
            code = _compile(function, kinds)
            _write(name, key, code)
        signature = [ctypes.c_void_p if is_array else _C_TYPES[dtype] for dtype, is_array in kinds]
        return ctypes.CFUNCTYPE(None, *signature)(_address(code))  # runs without the interpreter lock


def _key(function, kinds):
    """Digest of all that machine code depends on."""
    import llvmlite

    from ptycho import kernel_ir

    # The whole module's source, as numba did: to find the kernel in it takes longer than all the rest.
    sources = (inspect.getsource(module) for module in (sys.modules[function.__module__], kernel_ir))
    versions = llvmlite.__version__, compiler().llvm_version_info
    facts = [*sources, function.__qualname__, kinds, FLAGS, *versions, *_processor()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _target_machine():
    triple, cpu, features = _processor()
    target = compiler().Target.from_triple(triple)
    return target.create_target_machine(
        cpu=cpu, features=features, opt=FLAGS["speed_level"], reloc="pic", codemodel="small"
    )


def _compile(function, kinds):
    """Return the object code of a kernel."""
    from ptycho.kernel_ir import translate

    llvm, machine = compiler(), _target_machine()
    module = llvm.parse_assembly(translate(function, kinds, FLAGS["fast_math"]))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=FLAGS["speed_level"])
    options.loop_vectorization = FLAGS["loop_vectorization"]
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module)


def _address(code):
    """Load object code into this process; return the address of the kernel."""
    needed = undefined_symbols(code)
    if needed:
        raise RuntimeError(f"a kernel must need nothing from outside, this one needs {', '.join(needed)}")
    llvm = compiler()
    linker = llvm.create_lljit_compiler(_target_machine())
    library = llvm.JITLibraryBuilder().add_object_img(code).export_symbol("kernel")
    tracker = library.link(linker, f"kernel{next(_numbers)}")
    _kept.append((linker, tracker))
    return tracker["kernel"]


def undefined_symbols(code):
    """Names that object code (ELF, 64 bits, as on Linux) takes from outside."""
    if code[:6] != b"\x7fELF\x02\x01":
        raise RuntimeError("object code of 64 bits in the format ELF is expected")
    (at,) = struct.unpack_from("<Q", code, 0x28)
    size, count = struct.unpack_from("<HH", code, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, at + size * number) for number in range(count)]
    names = []
    for _, kind, _, _, offset, length, link, _, _, entry in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        for symbol in range(offset + entry, offset + length, entry):
            name, _, _, section = struct.unpack_from("<IBBH", code, symbol)
            if section == 0:
                start = sections[link][4] + name
                names.append(code[start : code.index(b"\0", start)].decode())
    return names


def folders():
    """Return the folders of the code in the order of preference; the variable of numba names the only one."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return [Path(chosen)]
    found = [Path(__file__).parent / "__pycache__"]
    with contextlib.suppress(RuntimeError):  # no home
        found.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ptycho")
    return found


def _check_owner(status, path):
    """Raise PermissionError if another user could have written there."""
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{path} must belong to this user or root, and be writable by no one else")


def _read(name, key):
    """Return the object code of an entry, None where no folder has a sound one."""
    for folder in folders():
        try:
            _check_owner(folder.stat(), folder)
            with (folder / name).open("rb") as file:
                _check_owner(os.fstat(file.fileno()), folder / name)
                entry = file.read()
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.info("machine code is not read: %s", error)
            continue
        digest, code = entry[:_DIGEST_BYTES], entry[_DIGEST_BYTES:]
        if digest == hashlib.sha256(key.encode() + code).digest():
            return code
        logger.info("machine code is damaged and made again: %s", folder / name)
    return None


def _write(name, key, code):
    """Keep object code in the first folder that takes it."""
    for folder in folders():
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            _check_owner(folder.stat(), folder)
            handle, temporary = tempfile.mkstemp(prefix=name, dir=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    os.fchmod(handle, 0o644)
                    file.write(hashlib.sha256(key.encode() + code).digest() + code)
                os.replace(temporary, folder / name)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            logger.info("machine code is not kept in %s: %s", folder, error)
            continue
        return
