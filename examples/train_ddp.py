#!/usr/bin/env python3
"""Data-parallel training on synthetic data, beside its GPUs. The same command line under every launcher, and alone:

    numapin launch --gpus all -- python3 examples/train_ddp.py
    torchrun --nproc-per-node 8 examples/train_ddp.py
    srun --ntasks-per-node 8 --gpus-per-node 8 python3 examples/train_ddp.py
    python3 examples/train_ddp.py --model tiny --steps 20

Each rank binds itself beside its GPU (--no-bind: leaves that to what started it), takes its DataLoader workers there,
trains, and prints one line of what it reached and one of where it ran. NCCL where there are GPUs, gloo on the CPU.
"""
import argparse
import os
import sys
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

try:
    import numapin
    import numapin.torch
except ImportError:  # the script trains without it too
    numapin = None


# ---- who are we: torchrun's and numapin's variables, else Slurm's, else alone -------------------------------------------


def first_host(nodelist):
    """"gpu[03-05,7],login" -> "gpu03" """
    head, bracket, rest = nodelist.partition("[")
    return (head + rest.split("]")[0].split(",")[0].split("-")[0]) if bracket and "," not in head else nodelist.split(",")[0]


def settle_ranks(env):
    """Fills in what init_process_group(init_method="env://") wants; returns the local rank."""
    if "RANK" not in env and env.get("SLURM_STEP_ID", "").isdigit():
        env.setdefault("MASTER_ADDR", first_host(env["SLURM_STEP_NODELIST"]))
        # one port for all tasks of a step, another for the next step on the same hosts
        env.setdefault("MASTER_PORT", str(20000 + (int(env["SLURM_JOB_ID"]) * 16 + int(env["SLURM_STEP_ID"])) % 20000))
        env.update(RANK=env["SLURM_PROCID"], WORLD_SIZE=env["SLURM_NTASKS"], LOCAL_RANK=env["SLURM_LOCALID"])
    for name, alone in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29500")):
        env.setdefault(name, alone)
    return int(env["LOCAL_RANK"])


def own_device(local_rank):
    """A launcher shows a rank every GPU of the host, or its own alone, which is then number 0."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local_rank if torch.cuda.device_count() > 1 else 0)
    torch.cuda.set_device(device)
    return device


# ---- models -------------------------------------------------------------------------------------------------------------


class Bottleneck(nn.Module):
    """ResNet's block of 1x1, 3x3 and 1x1 convolutions (He et al., 2015; the stride in the 3x3, as in torchvision)."""

    def __init__(self, inputs, width, stride):
        super().__init__()

        def conv(a, b, size, s=1):
            return nn.Sequential(nn.Conv2d(a, b, size, s, size // 2, bias=False), nn.BatchNorm2d(b))
        outputs = 4 * width
        self.body = nn.Sequential(conv(inputs, width, 1), nn.ReLU(True), conv(width, width, 3, stride), nn.ReLU(True), conv(width, outputs, 1))
        self.skip = nn.Identity() if inputs == outputs and stride == 1 else conv(inputs, outputs, 1, stride)

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


def resnet(blocks=(3, 4, 6, 3), width=64, classes=1000):
    """ResNet-50, unless told otherwise: 25.6 million parameters."""
    layers = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)]
    inputs = width
    for stage, count in enumerate(blocks):
        for i in range(count):
            layers.append(Bottleneck(inputs, width << stage, 2 if i == 0 and stage > 0 else 1))
            inputs = 4 * (width << stage)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


class Transformer(nn.Module):
    """BERT-base's shape over patches of 16x16 (as ViT-B/16): 12 layers, 768 wide, 12 heads; 86 million parameters."""

    def __init__(self, image, layers=12, width=768, classes=1000):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.positions = nn.Parameter(torch.randn(1, (image // 16) ** 2, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, width // 64, 4 * width, batch_first=True, norm_first=True, activation="gelu")
        self.layers = nn.TransformerEncoder(layer, layers)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.layers(tokens).mean(1))


def make_model(name, image):
    if name == "resnet50":
        return resnet()
    return Transformer(image) if name == "transformer" else resnet((1, 1), width=8, classes=10)


# ---- data -----------------------------------------------------------------------------------------------------------------


class Synthetic(Dataset):
    """Images made and augmented on the CPU, with about the work of decoding a JPEG: what loaders are for."""

    def __init__(self, count, image, classes):
        self.count, self.image, self.classes = count, image, classes

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        random = torch.Generator().manual_seed(i)
        raw = torch.randint(0, 256, (3, self.image + 32, self.image + 32), dtype=torch.uint8, generator=random)
        y, x = torch.randint(0, 33, (2,), generator=random).tolist()
        crop = raw[:, y:y + self.image, x:x + self.image].float().div_(255)
        return (crop.flip(2) if i % 2 else crop).sub_(0.45).div_(0.225), i % self.classes


def make_loader(o, world, rank):
    data = Synthetic(o.batch_size * world * (o.warmup + o.steps), o.image_size, 10 if o.model == "tiny" else 1000)
    sampler = DistributedSampler(data, world, rank)
    options = dict(num_workers=o.workers)
    if numapin and not o.no_bind and o.workers > 0:
        options = numapin.torch.dataloader_kwargs(num_workers=o.workers)
    if o.workers > 0:
        options.update(persistent_workers=True, multiprocessing_context=o.start_method)
    return DataLoader(data, o.batch_size, sampler=sampler, pin_memory=torch.cuda.is_available(), drop_last=True, **options)


# ---- training -------------------------------------------------------------------------------------------------------------


def train(o, model, loader, device):
    """Samples a second of this rank, after the warm-up; and numapin's verdict while the workers are alive."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()
    amp = device.type == "cuda"
    start, verdict = None, None
    for step, (images, labels) in enumerate(loader):
        if step == o.warmup:
            if device.type == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            loss = loss_of(model(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step + 1 == o.warmup + o.steps:
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
            verdict = numapin.torch.check() if numapin else None
            return o.batch_size * o.steps / seconds, float(loss.detach()), verdict
    raise RuntimeError("the loader ended too early")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["resnet50", "transformer", "tiny"], default="resnet50")
    parser.add_argument("--steps", type=int, default=50, help="measured steps (50)")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them (5)")
    parser.add_argument("--batch-size", type=int, default=64, help="of each rank (64)")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=4, help="DataLoader workers of each rank (4)")
    parser.add_argument("--start-method", choices=["fork", "spawn", "forkserver"], default="fork")
    parser.add_argument("--worker-cores", default="auto", help="cores of the share for the workers: a number, auto, none")
    parser.add_argument("--no-bind", action="store_true", help="leave masks and policy as they are")
    o = parser.parse_args()
    if o.model == "tiny":
        o.image_size = min(o.image_size, 32)
    return o


def bind(o):
    """Before anything large is touched. A rank with a single core has none to set apart."""
    cores = None if o.worker_cores == "none" or o.workers == 0 else int(o.worker_cores) if o.worker_cores.isdigit() else "auto"
    try:
        return numapin.bind(worker_cores=cores)
    except numapin.Error as e:
        print(f"not bound: {e}", file=sys.stderr)


def main():
    o = parse_options()
    local_rank = settle_ranks(os.environ)
    binding = bind(o) if numapin and not o.no_bind else None
    device = own_device(local_rank)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    if binding:
        print(f"rank {rank}: {binding}", flush=True)
    torch.manual_seed(0)
    model = make_model(o.model, o.image_size).to(device)
    model = nn.parallel.DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)
    rate, loss, verdict = train(o, model, make_loader(o, world, rank), device)
    if verdict is not None:
        print(verdict, flush=True)
    total = torch.tensor([rate], device=device)
    dist.all_reduce(total)
    if rank == 0:
        print(f"throughput {total.item():.1f} samples/s ({world} ranks, {o.model}, batch {o.batch_size}, loss {loss:.3f})", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
