"""torch and transformers in float32, which reuse the prefix as in bfloat16."""

import torch

from . import torch_bf16

TITLE = f"torch {torch.__version__.partition('+')[0]} float32"


class Engine(torch_bf16.Engine):
    """The checkpoint as transformers loads it."""

    dtype = torch.float32
