"""What releases of torch older than the tested one cannot do; tests of it are left out there."""

import pytest
import torch

from info_nce.compiler import FOLLOWED

SHARDS = torch.__version__ >= "2.8"

compiler = pytest.mark.skipif(not FOLLOWED, reason="torch.compile follows a loss from torch 2.13 on")
shards = pytest.mark.skipif(not SHARDS, reason="fully_shard works on a CPU from torch 2.8 on")
