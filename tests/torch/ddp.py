"""A distributed training step as people write it for torchrun: nothing here knows of numapin."""
import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

on_gpu = torch.cuda.is_available()
local_rank = int(os.environ["LOCAL_RANK"])
if on_gpu:
    torch.cuda.set_device(local_rank)
device = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
dist.init_process_group("nccl" if on_gpu else "gloo")
rank = dist.get_rank()

torch.manual_seed(0)
model = DistributedDataParallel(torch.nn.Linear(8, 1).to(device), device_ids=[local_rank] if on_gpu else None)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
torch.manual_seed(1 + rank)  # each rank its own part of the data
for _ in range(3):
    optimizer.zero_grad()
    x = torch.randn(16, 8).to(device)
    loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
    loss.backward()
    optimizer.step()

total = torch.tensor([float(rank + 1)], device=device)
dist.all_reduce(total)
weights = sum(float(p.sum()) for p in model.parameters())
print(f"rank {rank} of {dist.get_world_size()}: sum {total.item():.0f}, weights {weights:.5f}, CPUs {len(os.sched_getaffinity(0))}", flush=True)
dist.destroy_process_group()
