"""Starts a script again so that no engine sees anything of this CPU beyond AVX2 (`avx2_only.c`).

Where the kernel cannot make CPUID fault, the script runs with copies of the engines' libraries in which each CPUID is a UD2.
The copies are made once, next to the packages; that takes minutes, because `objdump` has to find the instructions.
"""
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ARCH_SET_CPUID, SYS_ARCH_PRCTL = 0x1012, 158
CPUID, UD2 = b"\x0f\xa2", b"\x0f\x0b"
ENGINES = ("onnxruntime", "openvino", "torch")


def hide():
    """Replaces this process, unless it was replaced before or the CPU has nothing to hide."""
    with open("/proc/cpuinfo") as file:
        hidden = re.search(r"\b(avx512f|avx_vnni|amx_tile)\b", file.read())
    if not hidden or "avx2_only" in os.environ.get("LD_PRELOAD", ""):
        return
    library = os.path.join(tempfile.mkdtemp(), "avx2_only.so")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "avx2_only.c")], check=True)
    environment = {**os.environ, "LD_PRELOAD": library, "LONGCLIP_CPU": "avx2"}
    if not cpuid_can_fault():
        environment |= {"AVX2_ONLY_COPIES": "1", "PYTHONPATH": copies()}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def cpuid_can_fault():
    probe = f"import ctypes; raise SystemExit(ctypes.CDLL(None).syscall({SYS_ARCH_PRCTL}, {ARCH_SET_CPUID}, 1) != 0)"
    return subprocess.run([sys.executable, "-c", probe]).returncode == 0


def copies():
    """The folder with the copies; other files in it are hard links."""
    packages = sysconfig.get_path("platlib")
    folder = packages.rstrip("/") + "-avx2"
    if not os.path.exists(folder):
        making = tempfile.mkdtemp(dir=os.path.dirname(folder))
        for engine in ENGINES:
            shutil.copytree(os.path.join(packages, engine), os.path.join(making, engine), copy_function=os.link)
        libraries = [os.path.join(at, name) for at, _, names in os.walk(making) for name in names if re.search(r"\.so(\.|$)", name)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            counts = pool.map(replace_cpuid, libraries)
        print("libraries without CPUID:", ", ".join(f"{os.path.basename(lib)} ({n})" for lib, n in zip(libraries, counts) if n), flush=True)
        os.rename(making, folder)
    return folder


def replace_cpuid(library):
    """Returns the number of instructions replaced. The bytes of CPUID occur inside other instructions too, so they are not searched for."""
    with open(library, "rb") as file:
        data = file.read()
    if CPUID not in data or not data.startswith(b"\x7fELF"):
        return 0
    # Sections of code: name, size, address, and place in the file.
    sections = subprocess.run(["objdump", "-h", "-w", library], capture_output=True, text=True, check=True).stdout
    code = [[int(x, 16) for x in m.groups()] for m in re.finditer(r"^ *\d+ \S+ +(\w+)  (\w+)  \w+  (\w+) .*CODE", sections, re.M)]
    listing = subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", library], stdout=subprocess.PIPE)
    found = subprocess.run(["grep", "-P", r"\tcpuid\b"], stdin=listing.stdout, capture_output=True, text=True).stdout
    places = []
    for line in found.splitlines():
        address = int(line.split(":")[0], 16)
        places += [address - start + at for size, start, at in code if start <= address < start + size]
    changed = bytearray(data)
    for place in places:
        assert changed[place : place + 2] == CPUID, f"{library}: no CPUID at {place:#x}"
        changed[place : place + 2] = UD2
    os.unlink(library)  # a hard link
    with open(library, "wb") as file:
        file.write(changed)
    return len(places)
