#!/usr/bin/env python3
"""Train a ResNet-50 on synthetic images, for `numapin compare`: a GPU if there is one, else the CPU.

    numapin compare --gpu 0 --metric 'speed: ([0-9.]+) images/s' --higher-is-better -- python3 resnet50.py --bound data

--bound data: workers decompress and augment every image on the CPU, and the network is cut to one block a stage, so that
the loader sets the pace. --bound compute: ready tensors and the whole network. One line of speed every --report steps.
"""
import argparse
import time
import zlib

import torch
from torch import nn


class Bottleneck(nn.Module):
    """He et al., "Deep residual learning for image recognition" (2015), table 1: 1x1, 3x3, 1x1."""

    def __init__(self, channels, width, stride):
        super().__init__()
        out = 4 * width
        self.path = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out))
        same = channels == out and stride == 1
        self.skip = nn.Identity() if same else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return torch.relu(self.path(x) + self.skip(x))


def resnet(blocks=(3, 4, 6, 3), classes=1000):
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for block in range(count):
            layers.append(Bottleneck(channels, width, 2 if stage > 0 and block == 0 else 1))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class Images(torch.utils.data.Dataset):
    """Synthetic images of `size` pixels a side. With `packed` each is decompressed, flipped and normalised when asked for,
    as a loader of real pictures does."""

    def __init__(self, count, size, packed):
        self.count, self.size, self.packed = count, size, packed
        generator = torch.Generator().manual_seed(1)
        pixels = torch.randint(0, 64, (3, size, size), dtype=torch.uint8, generator=generator)
        self.ready = pixels.float() / 64
        self.bytes = zlib.compress(pixels.numpy().tobytes() if hasattr(pixels, "numpy") else bytes(pixels.flatten().tolist()), 6)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not self.packed:
            return self.ready, index % 1000
        pixels = torch.frombuffer(bytearray(zlib.decompress(self.bytes)), dtype=torch.uint8).view(3, self.size, self.size)
        image = pixels.float().div_(255)
        if index % 2:
            image = image.flip(2)
        return (image - 0.45) / 0.225, index % 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bound", choices=["data", "compute"], default="data", help="what is to set the pace")
    parser.add_argument("--batch", type=int, default=0, help="images a step (128 on a GPU, 8 on a CPU)")
    parser.add_argument("--size", type=int, default=0, help="pixels a side (224 on a GPU, 64 on a CPU)")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--skip", type=int, default=10, help="steps before the clock starts")
    parser.add_argument("--report", type=int, default=10, help="steps a line of speed")
    parser.add_argument("--workers", type=int, default=4, help="processes of the DataLoader")
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    batch, size = options.batch or (128 if gpu else 8), options.size or (224 if gpu else 64)
    data = options.bound == "data"
    model = resnet((1, 1, 1, 1) if data else (3, 4, 6, 3)).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = Images(batch * (options.steps + options.skip), size, packed=data)
    loader = torch.utils.data.DataLoader(images, batch, num_workers=options.workers, pin_memory=gpu)
    start = done = 0
    for step, (image, label) in enumerate(loader):
        if step >= options.skip and (step - options.skip) % options.report == 0:
            if gpu:
                torch.cuda.synchronize()
            now = time.perf_counter()
            if step > options.skip:
                print(f"speed: {batch * options.report / (now - start):.1f} images/s", flush=True)
            start = now
        image = image.to(device, non_blocking=True, memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=gpu):
            loss = nn.functional.cross_entropy(model(image), label.to(device, non_blocking=True))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        done += 1
    print(f"loss: {loss.item():.3f} after {done} steps on {device}")


if __name__ == "__main__":
    main()
