"""What a guest is made of: Debian's kernel, unpacked but not installed, and an initramfs; both kept in the cache."""
import fcntl
import glob
import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
CACHE = os.environ.get("LAB_CACHE", "/var/tmp/numapin-lab")
KERNELS = {"6.12": "linux-image-6.12-amd64", "6.1": "linux-image-amd64"}  # bookworm-security; bookworm's own

# Loaded before the snapshot is taken; an nvme at work cannot be saved, so its driver comes after.
EARLY_MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "e1000e"]
LATE_MODULES = ["nvme", "brd", "crc32c_generic", "ext4"]


class LabError(Exception):
    pass


def run(command, **options):
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if r.returncode:
        raise LabError(f"{' '.join(command)} failed: {r.stdout[-800:]}")
    return r.stdout


def locked(name):
    os.makedirs(CACHE, exist_ok=True)
    f = open(os.path.join(CACHE, name + ".lock"), "w")
    fcntl.flock(f, fcntl.LOCK_EX)
    return f


def digest(*parts):
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def cached(name, make):
    """The path of `name` in the cache; `make(path)` writes it when it is not there."""
    path = os.path.join(CACHE, name)
    with locked(name):
        if not os.path.exists(path):
            make(path + ".new")
            os.rename(path + ".new", path)
    return path


def text_of(*names):
    return [open(os.path.join(HERE, n)).read() for n in names]


# ---- the kernel ------------------------------------------------------------------------------------------------------
def kernel_dir(kernel):
    """Holds `vmlinux` and lib/modules."""
    return cached("kernel-" + kernel, lambda path: unpack_kernel(KERNELS[kernel], path))


def newest_package(meta_package):
    """The package that the meta package stands for now; None when apt's lists lack it."""
    found = subprocess.run(["apt-cache", "depends", meta_package], capture_output=True, text=True).stdout
    depends = re.search(r"Depends: (linux-image-\S+-amd64)\b", found)
    return depends and depends[1]


def unpack_kernel(meta_package, path):
    package = newest_package(meta_package)
    if not package:  # a fresh container has no lists at all
        subprocess.run((["sudo"] if os.geteuid() else []) + ["apt-get", "-qq", "update"], stdout=subprocess.DEVNULL)
        package = newest_package(meta_package)
    if not package:
        raise LabError(f"apt-cache knows no {meta_package}: 6.12 comes from bookworm-security, 6.1 from bookworm")
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    run(["apt-get", "download", package], cwd=path)
    deb, = glob.glob(path + "/*.deb")
    run(["dpkg", "-x", deb, path])
    os.unlink(deb)
    with open(path + "/vmlinux", "wb") as f:
        f.write(elf_in_bzimage(open(glob.glob(path + "/boot/vmlinuz-*")[0], "rb").read()))


def elf_in_bzimage(image):
    """QEMU boots the ELF kernel by PVH: no decompressor runs in the guest."""
    start = ((image[0x1f1] or 4) + 1) * 512  # setup_sects of the boot protocol
    offset, length = struct.unpack_from("<II", image, 0x248)  # payload_offset, payload_length
    payload = image[start + offset:start + offset + length]
    if payload[:6] == b"\xfd7zXZ\0":
        out = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(payload)
    elif payload[:4] == b"\x28\xb5\x2f\xfd":
        out = subprocess.run(["zstd", "-dc"], input=payload[:-4], stdout=subprocess.PIPE).stdout
    else:
        raise LabError("unknown compression of the kernel: " + payload[:6].hex())
    if out[:4] != b"\x7fELF":
        raise LabError("no ELF kernel inside the kernel image")
    return out


def modules(kernel, names):
    """(name, bytes) of the modules and of what they depend on, in loading order; built-in ones are left out."""
    files = {os.path.basename(f).split(".")[0].replace("-", "_"): f
             for f in glob.glob(kernel_dir(kernel) + "/lib/modules/**/*.ko*", recursive=True)}
    found = {}

    def add(name):
        name = name.replace("-", "_")
        if name in found or name not in files:
            return
        data = open(files[name], "rb").read()
        if files[name].endswith(".xz"):
            data = lzma.decompress(data)
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for d in filter(None, depends[1].decode().split(",") if depends else []):
            add(d)
        found[name] = data

    for n in names:
        add(n)
    return found


# ---- the disk --------------------------------------------------------------------------------------------------------
def disk():
    """An ext4 file system of 1 GiB, nearly all of it holes, with one file, "data"."""
    return cached("disk.ext4", write_disk)


def write_disk(path):
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/data", "w") as f:
            f.write("x")
        run(["truncate", "-s", "1G", path])
        run([shutil.which("mkfs.ext4") or "/sbin/mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", directory, path])


# ---- the initramfs ---------------------------------------------------------------------------------------------------
def initramfs(kernel, machine):
    key = digest(kernel, os.listdir(kernel_dir(kernel) + "/lib/modules"), madt(machine).hex(), EARLY_MODULES, LATE_MODULES,
                 text_of("guest/init", "guest/init2"))
    return cached(f"initramfs-{key}.cpio", lambda path: write_initramfs(path, kernel, machine))


def write_initramfs(path, kernel, machine):
    early = modules(kernel, EARLY_MODULES)
    late = {n: data for n, data in modules(kernel, LATE_MODULES).items() if n not in early}
    tables, root = Cpio(), Cpio()
    for d in "kernel", "kernel/firmware", "kernel/firmware/acpi":
        tables.add(d, mode=0o40755)
    tables.add("kernel/firmware/acpi/madt.aml", madt(machine))
    for d in "bin dev proc sys mod ro rw new".split():
        root.add(d, mode=0o40755)
    root.add("dev/console", mode=0o20600, device=(5, 1))
    root.add("bin/busybox", open("/bin/busybox", "rb").read(), 0o100755)
    for n in "init", "init2":
        root.add(n, open(f"{HERE}/guest/{n}", "rb").read(), 0o100755)
    for n, data in {**early, **late}.items():
        root.add(f"mod/{n}.ko", data)
    root.add("mod/early", "\n".join(early).encode() + b"\n")
    root.add("mod/late", "\n".join(late).encode() + b"\n")
    with open(path, "wb") as f:
        f.write(tables.done() + root.done())


class Cpio:
    """An archive in the "newc" format, which the kernel unpacks."""

    def __init__(self):
        self.data, self.count = bytearray(), 0

    def add(self, name, data=b"", mode=0o100644, device=(0, 0)):
        self.count += 1
        name = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        for part in (b"070701" + "".join(f"{v:08X}" for v in fields).encode() + name, data):
            self.data += part + b"\0" * (-(len(self.data) + len(part)) % 4)

    def done(self):
        self.add("TRAILER!!!")
        return bytes(self.data) + b"\0" * (-len(self.data) % 512)


def madt(machine):
    """QEMU's MADT with the CPUs in the order in which Linux shall number them.

    QEMU lists hyper-threads side by side, so Linux would number them 0,1 2,3. Linux numbers CPUs in MADT order and takes
    a newer table from the initramfs (CONFIG_ACPI_TABLE_UPGRADE; our OEM revision, 2, is above QEMU's)."""
    body = struct.pack("<II", 0xFEE00000, 1)
    uid = {thread: i for i, thread in enumerate(machine.threads_in_qemu_order)}
    for thread in sorted(machine.cpu_number, key=machine.cpu_number.get):
        body += struct.pack("<BBBBI", 0, 8, uid[thread], machine.apic_id(*thread), 1)
    body += struct.pack("<BBBBII", 1, 12, 0, 0, 0xFEC00000, 0)      # I/O APIC
    body += struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)               # interrupt overrides
    for irq in 5, 9, 10, 11:
        body += struct.pack("<BBBBIH", 2, 10, 0, irq, irq, 0xd)
    body += struct.pack("<BBBHB", 4, 6, 0xFF, 0, 1)                 # NMI
    table = bytearray(struct.pack("<4sIBB6s8sI4sI", b"APIC", 36 + len(body), 3, 0, b"BOCHS ", b"BXPC    ", 2, b"BXPC", 1))
    table += body
    table[9] = -sum(table) & 0xFF  # the checksum makes the bytes sum up to 0
    return bytes(table)


# ---- small programs --------------------------------------------------------------------------------------------------
def compiled(source, *flags):
    """A C file beside this one, compiled into the cache."""
    text, = text_of(source)
    name = f"{os.path.splitext(os.path.basename(source))[0]}-{digest(text, flags)}"
    return cached(name, lambda path: run(["gcc", "-O2", "-Wall", "-Wextra", *flags, "-o", path, f"{HERE}/{source}"]))
