"""Encoders of texts in PyTorch: transformers' BertModel with what stands on it, and the inputs of their rows."""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertModel

WORDS, TEXTS, TOKENS, CLASSES, LEARNING_RATE = 30522, 32, 32, 2, 1e-3
# Layers, width, heads, inner width; as in limbeck/src/texts.rs.
SIZES = {"minilm": (6, 384, 12, 1536), "encoder-train": (2, 128, 2, 512)}


class Encoder(BertModel):
    """A text's vector is the mean of its tokens; a training's classes are read off it."""

    def __init__(self, name):
        layers, width, heads, inner = SIZES[name]
        super().__init__(BertConfig(
            vocab_size=WORDS, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=inner, max_position_embeddings=TOKENS, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0), add_pooling_layer=False)
        self.classifier = nn.Linear(width, CLASSES) if name == "encoder-train" else None

    def forward(self, tokens):
        pooled = super().forward(tokens.long()).last_hidden_state.mean(1)
        return self.classifier(pooled) if self.classifier else pooled


def weights(name):
    return {k: v for k, v in Encoder(name).state_dict().items() if v.dtype == torch.float32}


def inputs():
    return {"tokens": torch.randint(0, WORDS, (TEXTS, TOKENS)), "labels": torch.randint(0, CLASSES, (TEXTS,))}


def prepare(name, tensors, inputs):
    """The function to run; a forward pass gives vectors, a training step the loss."""
    net = Encoder(name)
    net.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("input.")}, strict=False)
    if not net.classifier:
        def forward():
            with torch.inference_mode():
                return [net(inputs["tokens"])]

        return forward
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE)

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(net(inputs["tokens"]), inputs["labels"].long())
        loss.backward()
        optimizer.step()
        return [loss.item()]

    return step
