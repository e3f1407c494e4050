"""CLIP's towers as fast PyTorch modules: with fused attention, and texts cut at the end token."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, width, causal):
        super().__init__()
        self.heads, self.causal = width // 64, causal
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, n, w = x.shape
        q, k, v = self.in_proj(self.ln_1(x)).view(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        attention = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out_proj(attention.transpose(1, 2).reshape(b, n, w))
        h = self.c_fc(self.ln_2(x))
        return x + self.c_proj(h * torch.sigmoid(1.702 * h))

    def take(self, weights, prefix):
        pairs = {"attn.in_proj_": self.in_proj, "attn.out_proj.": self.out_proj, "ln_1.": self.ln_1, "ln_2.": self.ln_2,
                 "mlp.c_fc.": self.c_fc, "mlp.c_proj.": self.c_proj}
        for name, module in pairs.items():
            module.weight.data, module.bias.data = weights[f"{prefix}.{name}weight"], weights[f"{prefix}.{name}bias"]


def blocks(weights, prefix, width, causal):
    layers = 1 + max(int(k[len(prefix):].split(".")[0]) for k in weights if k.startswith(prefix))
    out = nn.ModuleList(Block(width, causal) for _ in range(layers))
    for i, block in enumerate(out):
        block.take(weights, f"{prefix}{i}")
    return out


class Vision(nn.Module):
    """(n, 3, R, R) -> (n, embed)"""

    def __init__(self, weights):
        super().__init__()
        width, _, patch, _ = weights["visual.conv1.weight"].shape
        self.conv = nn.Conv2d(3, width, patch, patch, bias=False)
        self.conv.weight.data = weights["visual.conv1.weight"]
        self.cls, self.pos = nn.Parameter(weights["visual.class_embedding"]), nn.Parameter(weights["visual.positional_embedding"])
        self.pre, self.post = nn.LayerNorm(width), nn.LayerNorm(width)
        for module, name in ((self.pre, "visual.ln_pre"), (self.post, "visual.ln_post")):
            module.weight.data, module.bias.data = weights[name + ".weight"], weights[name + ".bias"]
        self.blocks = blocks(weights, "visual.transformer.resblocks.", width, False)
        self.proj = nn.Parameter(weights["visual.proj"])

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], 1) + self.pos
        x = self.pre(x)
        for block in self.blocks:
            x = block(x)
        return self.post(x[:, 0]) @ self.proj


class TextCut(nn.Module):
    """(n, tokens) and the position of the end token in each row -> (n, embed); rows are as long as the longest text."""

    def __init__(self, weights):
        super().__init__()
        width = weights["ln_final.weight"].shape[0]
        self.tokens = nn.Embedding.from_pretrained(weights["token_embedding.weight"])
        pos = torch.cat([weights["positional_embedding"][:20], weights["positional_embedding_res"][20:]])
        self.pos = nn.Parameter(pos)
        self.blocks = blocks(weights, "transformer.resblocks.", width, True)
        self.final = nn.LayerNorm(width)
        self.final.weight.data, self.final.bias.data = weights["ln_final.weight"], weights["ln_final.bias"]
        self.proj = nn.Parameter(weights["text_projection"])

    def forward(self, ids, ends):
        x = self.tokens(ids) + self.pos[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.final(x[torch.arange(len(x)), ends]) @ self.proj
