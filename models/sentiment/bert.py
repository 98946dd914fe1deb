"""The BERT encoder of MiniLM, written plainly: what the exporter sees is what is served.

J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers" (2018); sizes as in
the weights' config.json.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

PREFIX = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attended",
    "attention.output.LayerNorm": "norm_attended",
    "intermediate.dense": "feed_in",
    "output.dense": "feed_out",
    "output.LayerNorm": "norm_feed",
}


class Layer(nn.Module):
    """Self-attention and feed-forward, each with a residual and a norm after it."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, inner, eps = config["hidden_size"], config["intermediate_size"], config["layer_norm_eps"]
        self.heads = config["num_attention_heads"]
        self.query, self.key, self.value, self.attended = (nn.Linear(width, width) for _ in range(4))
        self.norm_attended, self.norm_feed = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.feed_in, self.feed_out = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, hidden: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """`hidden` (batch, tokens, width), `bias` (batch, 1, 1, tokens) is 0 or very negative for padding."""
        query, key, value = (self._split(part(hidden)) for part in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / (query.shape[-1] ** 0.5) + bias
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        hidden = self.norm_attended(hidden + self.attended(mixed))
        normed: torch.Tensor = self.norm_feed(hidden + self.feed_out(functional.gelu(self.feed_in(hidden))))
        return normed

    def _split(self, hidden: torch.Tensor) -> torch.Tensor:
        batch, tokens, _ = hidden.shape
        return hidden.view(batch, tokens, self.heads, -1).transpose(1, 2)


class Encoder(nn.Module):
    """Token ids to one vector a text: the mean over its tokens."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.words = nn.Embedding(config["vocab_size"], width)
        self.positions = nn.Embedding(config["max_position_embeddings"], width)
        self.types = nn.Embedding(config["type_vocab_size"], width)
        self.norm = nn.LayerNorm(width, config["layer_norm_eps"])
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Vectors of shape (batch, width); masked tokens count nowhere."""
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        hidden = self.norm(self.words(input_ids) + self.positions(places) + self.types.weight[0])
        mask = attention_mask.to(hidden.dtype)
        bias = (1.0 - mask)[:, None, None, :] * -1e4
        for layer in self.layers:
            hidden = layer(hidden, bias)
        weights = mask[:, :, None]
        vectors: torch.Tensor = (hidden * weights).sum(1) / weights.sum(1)
        return vectors

    def load_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Take the published names; every parameter here must be found."""
        own_weights = {
            "words.weight": weights["embeddings.word_embeddings.weight"],
            "positions.weight": weights["embeddings.position_embeddings.weight"],
            "types.weight": weights["embeddings.token_type_embeddings.weight"],
            "norm.weight": weights["embeddings.LayerNorm.weight"],
            "norm.bias": weights["embeddings.LayerNorm.bias"],
        }
        for number in range(len(self.layers)):
            for published, own in PREFIX.items():
                for kind in ("weight", "bias"):
                    own_weights[f"layers.{number}.{own}.{kind}"] = weights[f"encoder.layer.{number}.{published}.{kind}"]
        self.load_state_dict(own_weights)
