"""Random weights under which every part of a model shows in its embeddings."""

import math

import torch


def fill(model, seed=0):
    """Fills all parameters in place: outputs of layers are about one, and no bias or norm has its default."""
    generator = torch.Generator().manual_seed(seed)
    normal = lambda shape: torch.randn(shape, generator=generator)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            shape = tuple(parameter.shape)
            is_norm = any(word in name.lower() for word in ("norm", "ln_", "layrnorm", "bn"))
            if name.endswith(("logit_scale",)):
                parameter.fill_(math.log(12.0))
            elif "embed" in name and "patch" not in name or name.endswith(("cls_token", "class_embedding")):
                parameter.copy_(normal(shape) * 0.7)
            elif is_norm and len(shape) == 1:
                parameter.copy_(normal(shape) * 0.3 + (1.0 if name.endswith("weight") else 0.0))
            elif len(shape) < 2:
                parameter.copy_(normal(shape) * 0.3)
            else:
                fan_in = shape[0] if name.endswith(("proj", "text_projection")) else math.prod(shape[1:])
                parameter.copy_(normal(shape) * 1.5 / math.sqrt(fan_in))
    return model.eval()
