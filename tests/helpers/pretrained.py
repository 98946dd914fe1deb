"""Small folders of transformers with seeded weights, as save_pretrained writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from .artefacts import write_pretrained
from .tokenizer_files import bert_word_tokenizer

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
PATCHES = {**SIZES, "image_size": 32, "patch_size": 8}
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 32, "width": 32},
    "resample": 2,
    "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.3],
}


def save_bert(transformers: Any, name: str, folder: Path, **config: Any) -> Any:
    """Write a BERT of one layer with a tokenizer of whole words; return the module."""
    torch.manual_seed(3)
    settings = transformers.BertConfig(vocab_size=8, max_position_embeddings=32, **SIZES, **config)
    module = getattr(transformers, name)(settings).eval()
    module.save_pretrained(folder)
    bert_word_tokenizer().save(str(folder / "tokenizer.json"))
    return module


def save_sentence_bert(transformers: Any, folder: Path) -> Any:
    """Write what sentence-transformers writes of a BERT: the mean of its tokens, divided by its length."""
    module = save_bert(transformers, "BertModel", folder)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for path, kind in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    write_pretrained(folder / "1_Pooling", {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True})
    return module


def save_vit(transformers: Any, folder: Path) -> Any:
    """Write a ViT of one layer with its image processor; return the module."""
    torch.manual_seed(3)
    config = transformers.ViTConfig(**PATCHES, id2label={0: "cat", 1: "dog", 2: "bird"})
    module = transformers.ViTForImageClassification(config).eval()
    module.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return module


def save_yolos(transformers: Any, folder: Path) -> Any:
    """Write a YOLOS of one layer that finds up to five objects; return the module."""
    torch.manual_seed(3)
    config = transformers.YolosConfig(
        **{**PATCHES, "image_size": [32, 32]}, num_detection_tokens=5, id2label={0: "cat", 1: "dog"}
    )
    module = transformers.YolosForObjectDetection(config).eval()
    module.save_pretrained(folder)
    size = {"size": {"shortest_edge": 32, "longest_edge": 64}}
    (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **size}))
    return module


def save_segformer(transformers: Any, folder: Path) -> Any:
    """Write a SegFormer of one small layer whose logits have a quarter of the pictures' sides; return the module."""
    torch.manual_seed(3)
    config = transformers.SegformerConfig(
        num_encoder_blocks=1,
        depths=[1],
        sr_ratios=[1],
        hidden_sizes=[8],
        patch_sizes=[7],
        strides=[4],
        num_attention_heads=[1],
        mlp_ratios=[2],
        decoder_hidden_size=8,
        id2label={0: "road", 1: "wall", 2: "sky"},
    )
    module = transformers.SegformerForSemanticSegmentation(config).eval()
    module.save_pretrained(folder)
    processor = {"image_processor_type": "SegformerImageProcessor", "size": {"height": 32, "width": 48}}
    (folder / "preprocessor_config.json").write_text(json.dumps({**PROCESSOR, **processor}))
    return module
