"""nano's two towers in PyTorch, under upstream's tensor names, and reading and writing their files."""
import os
import sys

import numpy as np
import safetensors.numpy
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from pack import unpacked  # noqa: E402

WIDTH, PATCH, SIDE, EMBED, RANK, VOCAB, CONTEXT, LONG_CONTEXT = 192, 8, 64, 256, 64, 49408, 77, 248
KEPT_POSITIONS = 20  # rows that stretching leaves unchanged; a long table takes the others from `positional_embedding_res`
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# A CPU that has no products of bf16 is slower in bf16 than in f32.
FAST_DTYPE = torch.bfloat16 if DEVICE == "cuda" or torch.cpu._is_avx512_bf16_supported() else torch.float32


def in_fast_dtype():
    return torch.autocast(DEVICE, torch.bfloat16, enabled=FAST_DTYPE == torch.bfloat16)


def attention(q, k, v, causal):
    if causal or q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    # On a CPU, the gradient of PyTorch's fused attention takes half of a step.
    return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).float().softmax(-1).to(v.dtype) @ v


class QuickGELU(nn.Module):
    def forward(self, x):
        return F.silu(1.702 * x) / 1.702


class Block(nn.Module):
    def __init__(self, d, layers):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out, self.c_fc, self.c_proj = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.act = QuickGELU()
        narrow = d**-0.5 * (2 * layers) ** -0.5
        for m, s in ((self.qkv, d**-0.5), (self.out, narrow), (self.c_fc, (2 * d) ** -0.5), (self.c_proj, narrow)):
            nn.init.normal_(m.weight, std=s)
            nn.init.zeros_(m.bias)

    def forward(self, x, causal):
        b, n, d = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(b, n, 3, d // 64, 64).permute(2, 0, 3, 1, 4)
        x = x + self.out(attention(q, k, v, causal).transpose(1, 2).reshape(b, n, d))
        return x + self.c_proj(self.act(self.c_fc(self.ln_2(x))))

    def upstream(self):
        pairs = {"ln_1": self.ln_1, "ln_2": self.ln_2, "attn.out_proj": self.out, "mlp.c_fc": self.c_fc, "mlp.c_proj": self.c_proj}
        out = {f"{k}.{p}": getattr(m, p) for k, m in pairs.items() for p in ("weight", "bias")}
        return {**out, "attn.in_proj_weight": self.qkv.weight, "attn.in_proj_bias": self.qkv.bias}


class ImageTower(nn.Module):
    def __init__(self, layers):
        super().__init__()
        n = (SIDE // PATCH) ** 2
        self.conv1 = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(WIDTH) * WIDTH**-0.5)
        self.positional_embedding = nn.Parameter(torch.randn(n + 1, WIDTH) * WIDTH**-0.5)
        self.ln_pre, self.ln_post = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(Block(WIDTH, layers) for _ in range(layers))
        self.proj = nn.Parameter(torch.randn(WIDTH, EMBED) * WIDTH**-0.5)

    def forward(self, x, keep=None):
        """x (B, 3, 64, 64) normalised -> (B, 256). `keep`: use this many random patches, for training (FLIP)."""
        x = self.conv1(x).flatten(2).transpose(1, 2) + self.positional_embedding[1:]
        if keep:
            pick = torch.rand(x.shape[:2], device=x.device).argsort(1)[:, :keep, None].expand(-1, -1, WIDTH)
            x = x.gather(1, pick)
        x = self.ln_pre(torch.cat([(self.class_embedding + self.positional_embedding[0]).expand(len(x), 1, -1).to(x.dtype), x], 1))
        for b in self.blocks:
            x = b(x, False)
        return self.ln_post(x[:, 0]) @ self.proj

    def upstream(self):
        out = {"visual.conv1.weight": self.conv1.weight, "visual.class_embedding": self.class_embedding,
               "visual.positional_embedding": self.positional_embedding, "visual.proj": self.proj}
        for n, m in (("ln_pre", self.ln_pre), ("ln_post", self.ln_post)):
            out[f"visual.{n}.weight"], out[f"visual.{n}.bias"] = m.weight, m.bias
        for i, b in enumerate(self.blocks):
            out.update({f"visual.transformer.resblocks.{i}.{k}": v for k, v in b.upstream().items()})
        return out


class TextTower(nn.Module):
    """A text tower with a factorised token table: A (49408, 64) times B (64, 192)."""

    def __init__(self, layers, context=CONTEXT):
        super().__init__()
        self.A, self.B = nn.Parameter(torch.randn(VOCAB, RANK) * 0.16), nn.Parameter(torch.randn(RANK, WIDTH) * 0.02)
        self.positional_embedding = nn.Parameter(torch.randn(context, WIDTH) * 0.01)
        self.blocks = nn.ModuleList(Block(WIDTH, layers) for _ in range(layers))
        self.ln_final, self.text_projection = nn.LayerNorm(WIDTH), nn.Parameter(torch.randn(WIDTH, EMBED) * WIDTH**-0.5)

    @property
    def context(self):
        return len(self.positional_embedding)

    def forward(self, ids):
        """ids (B, T), in which the end token is the largest id -> (B, 256)."""
        x = F.embedding(ids, self.A) @ self.B + self.positional_embedding[: ids.shape[1]]
        for b in self.blocks:
            x = b(x, True)
        return self.ln_final(x)[torch.arange(len(ids), device=ids.device), ids.argmax(1)] @ self.text_projection

    def upstream(self):
        out = {"token_embedding.A": self.A, "token_embedding.B": self.B, "positional_embedding": self.positional_embedding,
               "ln_final.weight": self.ln_final.weight, "ln_final.bias": self.ln_final.bias, "text_projection": self.text_projection}
        for i, b in enumerate(self.blocks):
            out.update({f"transformer.resblocks.{i}.{k}": v for k, v in b.upstream().items()})
        return out


# ---------------------------------------------------------------- files


def layers_in(tensors, prefix):
    return len({k[len(prefix):].split(".")[0] for k in tensors if k.startswith(prefix)})


def load(path):
    """The two towers and the logarithm of the temperature of a file, packed or not, with 77 or 248 positions."""
    tensors = {name: torch.from_numpy(tensor) for name, tensor in unpacked(safetensors.numpy.load_file(path)).items()}
    if "positional_embedding_res" in tensors:
        kept, stretched = tensors["positional_embedding"][:KEPT_POSITIONS], tensors["positional_embedding_res"][KEPT_POSITIONS:]
        tensors["positional_embedding"] = torch.cat([kept, stretched])
    image = ImageTower(layers_in(tensors, "visual.transformer.resblocks."))
    text = TextTower(layers_in(tensors, "transformer.resblocks."), len(tensors["positional_embedding"]))
    with torch.no_grad():
        for tower in (image, text):
            for name, weight in tower.upstream().items():
                weight.copy_(tensors[name].float())
    return image.to(DEVICE), text.to(DEVICE), tensors["logit_scale"].float()


def save(path, tensors):
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path + ".part")
    os.replace(path + ".part", path)


def save_with_image(path, start, image, scale):
    """Writes the file `start` with another image tower and temperature; everything else stays as it is, to the bit."""
    others = {k: v for k, v in load_file(start).items() if not k.startswith("visual.")}
    tower = {k: v.half() for k, v in image.upstream().items()}
    save(path, {**others, **tower, "logit_scale": scale.float()})


# ---------------------------------------------------------------- texts and images

_tokenizer = None


def tokenizer():
    global _tokenizer
    if _tokenizer is None:
        import open_clip
        _tokenizer = open_clip.get_tokenizer("ViT-B-32")
    return _tokenizer


def ids_of(texts, context=CONTEXT):
    rows = [[49406] + tokenizer().encode(t)[: context - 2] + [49407] for t in texts]
    out = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, r in enumerate(rows):
        out[i, : len(r)] = torch.tensor(r)
    return out.to(DEVICE)


@torch.no_grad()
def encode(text, texts):
    """Texts -> (N, 256), unit length. Computed 256 at a time, with texts of similar length together."""
    order, out = sorted(range(len(texts)), key=lambda i: len(texts[i])), torch.empty(len(texts), EMBED)
    for i in range(0, len(order), 256):
        rows = order[i:i + 256]
        with in_fast_dtype():
            z = text(ids_of([texts[j] for j in rows], text.context))
        out[rows] = F.normalize(z.float(), dim=1).cpu()
    return out.to(DEVICE)


def normalised(x):
    return (x - torch.tensor(MEAN, device=x.device).view(3, 1, 1)) / torch.tensor(STD, device=x.device).view(3, 1, 1)


def augment(x, flip, smallest):
    """(N, 3, S, S) uint8 -> (N, 3, 64, 64) normalised: crop and zoom, flip, rotate, blur or sharpen, brightness, contrast, saturation,
    white balance. Images that may not be flipped are not rotated. Enlarged images, which are soft, are sharpened more often and more;
    some of the others are reduced to half their size and enlarged, so that both kinds look alike."""
    b, u = len(x), lambda lo, hi, *s: torch.empty(*(s or (len(x),)), device=DEVICE).uniform_(lo, hi)
    x = x.to(DEVICE).float() / 255
    scale, ratio = u(smallest, 1.15).sqrt(), torch.exp(u(-0.2, 0.2))
    sx, sy = scale * ratio, scale / ratio
    th = torch.zeros(b, 2, 3, device=DEVICE)
    mirror = torch.where((u(0, 1) < 0.5) & flip, -1.0, 1.0)
    angle = torch.where((u(0, 1) < 0.5) & flip, u(-0.35, 0.35), torch.zeros(b, device=DEVICE))
    th[:, 0, 0], th[:, 0, 1] = sx * mirror * angle.cos(), -sy * angle.sin()
    th[:, 1, 0], th[:, 1, 1] = sx * mirror * angle.sin(), sy * angle.cos()
    th[:, 0, 2], th[:, 1, 2] = u(-1, 1) * (1 - sx).abs(), u(-1, 1) * (1 - sy).abs()
    y = F.grid_sample(x, F.affine_grid(th, (b, 3, SIDE, SIDE), align_corners=False), mode="bicubic" if x.shape[-1] < SIDE else "bilinear",
                      padding_mode="reflection", align_corners=False)
    small = x.shape[-1] < SIDE
    if not small:
        pick = u(0, 1) < 0.25
        y[pick] = F.interpolate(F.avg_pool2d(y[pick], 2), (SIDE, SIDE), mode="bicubic", align_corners=False)
    soft = F.avg_pool2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), 3, 1)
    k, one = u(0, 1, b, 1, 1, 1), (b, 1, 1, 1)
    often, most = (0.4, 3.0) if small else (0.65, 1.5)
    y = y + torch.where(k < 0.2, u(0, 1, *one), torch.where(k > often, u(-most, 0, *one), torch.zeros(one, device=DEVICE))) * (soft - y)
    y = y * u(0.65, 1.35, *one) * u(0.9, 1.1, b, 3, 1, 1)
    m = y.mean((1, 2, 3), keepdim=True)
    y = (y - m) * u(0.65, 1.35, *one) + m
    g = y.mean(1, keepdim=True)
    y = g + (y - g) * u(0.6, 1.4, *one)
    return normalised(y.clamp(0, 1))
