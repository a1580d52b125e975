"""Networks of darknet in PyTorch: a .cfg read from scratch, .weights and safetensors into it, boxes off its heads.

Parameters are named as limbeck names them (`layer5.conv.weight`, `layer5.bn.running_mean`), so that one's safetensors
file is the other's.
"""

import math
import pathlib
import re
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

BATCH_NORM_EPS, BATCH_NORM_MOMENTUM = 1e-5, 0.1
LEAKY_SLOPE = 0.1
# Filters are multiples of this, and at least one.
MULTIPLE = 8
# exp(t) of a side stays what it is at the second of these above it; below the first it would soon be 0, which has no
# aspect.
GROWTH = -30.0, 10.0
# How near to 0 and 1 the logit of a head's probability is taken.
LEAST_PROBABILITY = 1e-6

ACTIVATIONS = {
    "linear": lambda x: x,
    "leaky": lambda x: F.leaky_relu(x, LEAKY_SLOPE),
    "mish": F.mish,
    "swish": F.silu,
    "relu": F.relu,
    "relu6": F.relu6,
    "logistic": torch.sigmoid,
}


class Section(dict):
    """A section of a .cfg: values as they are written, by key."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def number(self, key, default):
        """A number ends where something else begins, so that text after it is harmless."""
        found = re.match(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", self.get(key, ""))
        return float(found[0]) if found else default

    def whole(self, key, default):
        return int(self.number(key, default))

    def list(self, key, kind=int):
        return [kind(part) for part in self.get(key, "").split(",") if part]


def sections(path):
    """The sections of a .cfg, `[net]` first. Of a repeated key the first counts; spaces within lines do not."""
    found = []
    for line in pathlib.Path(path).read_text().splitlines():
        line = re.sub(r"\s", "", line)
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            found.append(Section(line.strip("[]")))
        else:
            key, _, value = line.partition("=")
            found[-1].setdefault(key, value)
    return found


@dataclass
class Head:
    """How boxes are read off a map (N, A (5 + C), H, W)."""

    anchors: list
    all_anchors: list
    mask: list
    classes: int
    stride: int
    scale_x_y: float
    # Sides by (2 t)^2, and no sigmoid: the layer before had it.
    new_coords: bool
    ignore_threshold: float
    assign_threshold: float

    def split(self, raw):
        """The map as (N, A, 5 + C, H, W)."""
        n, _, h, w = raw.shape
        return raw.view(n, len(self.anchors), 5 + self.classes, h, w)


class Layer(nn.Module):
    """A convolution with what follows it in its section."""

    def __init__(self, c_in, c_out, size, stride, padding, groups, batch_norm, activation):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, size, stride, padding, groups=groups, bias=not batch_norm)
        if batch_norm:
            self.bn = nn.BatchNorm2d(c_out, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM)
        self.batch_norm, self.activation = batch_norm, ACTIVATIONS[activation]
        nn.init.normal_(self.conv.weight, std=math.sqrt(2 / self.conv.weight[0].numel()))
        if not batch_norm:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        y = self.conv(x)
        return self.activation(self.bn(y) if self.batch_norm else y)


class Darknet(nn.Module):
    """The network of a .cfg; its output is a list of maps, one for each of `heads`.

    `width` multiplies the filters of all convolutions but those before a head.
    """

    def __init__(self, path, width=1.0, classes=None, size=None, anchors=None):
        super().__init__()
        net, *layers = sections(path)
        self.size = size or net.whole("width", 416)
        if size is None and net.whole("height", 416) != self.size:
            raise SystemExit(f"{path}: expected square images, or --size")
        self.steps, self.heads, self.kept, self.convs = [], [], set(), []
        # Channels and side of what each layer gives; `before` is what the next one reads.
        shapes, before = [], (net.whole("channels", 3), self.size)
        for index, section in enumerate(layers):
            following = layers[index + 1] if index + 1 < len(layers) else Section("")
            if following.kind == "yolo":
                if classes is not None:
                    following["classes"] = str(classes)
                filters = len(following.list("mask")) * (5 + following.whole("classes", 20))
            else:
                filters = scaled(section.whole("filters", 1), width)
            step, before = self.layer(index, section, shapes, before, filters, anchors)
            self.steps.append(step)
            shapes.append(before)

    def layer(self, index, section, shapes, before, filters, anchors):
        """What a section does, as (kind, settings), and the shape that it gives."""
        kind, (channels, side) = section.kind, before

        def named(key):
            places = [at if at >= 0 else index + at for at in section.list(key)]
            self.kept.update(places)
            return places

        if kind == "convolutional":
            size, stride = section.whole("size", 1), section.whole("stride", 1)
            padding = size // 2 if section.whole("pad", 0) else section.whole("padding", 0)
            groups = section.whole("groups", 1)
            if groups > 1:
                # All grouped convolutions of these networks are depthwise, which have as many filters as they read.
                groups = filters = channels
            batch_norm = bool(section.whole("batch_normalize", 0))
            activation = section.get("activation", "logistic")
            made = Layer(channels, filters, size, stride, padding, groups, batch_norm, activation)
            self.add_module(f"layer{index}", made)
            side = (side + 2 * padding - size) // stride + 1
            self.convs.append((made.conv, side))
            return (kind, made), (filters, side)
        if kind == "maxpool":
            stride = section.whole("stride", 1)
            size = section.whole("size", stride)
            padding = section.whole("padding", size - 1)
            return (kind, (size, stride, padding)), (channels, (side + padding - size) // stride + 1)
        if kind == "upsample":
            stride = section.whole("stride", 2)
            return (kind, stride), (channels, side * stride)
        if kind == "route":
            places, groups = named("layers"), section.whole("groups", 1)
            part = section.whole("group_id", 0)
            channels = sum(shapes[at][0] // groups for at in places)
            return (kind, (places, groups, part)), (channels, shapes[places[0]][1])
        if kind == "shortcut":
            [place] = named("from")
            return (kind, (place, ACTIVATIONS[section.get("activation", "linear")])), before
        if kind == "dropout":
            return (kind, section.number("probability", 0.5)), before
        if kind == "yolo":
            self.heads.append(head(section, self.size // side, anchors))
            return (kind, None), before
        raise SystemExit(f"layer {index}: [{kind}] is none that is known here")

    def forward(self, x):
        kept, maps = {}, []
        for index, (kind, what) in enumerate(self.steps):
            if kind == "convolutional":
                x = what(x)
            elif kind == "maxpool":
                x = max_pool(x, *what)
            elif kind == "upsample":
                x = F.interpolate(x, scale_factor=what, mode="nearest")
            elif kind == "route":
                places, groups, part = what
                parts = [kept[at].chunk(groups, 1)[part] for at in places]
                x = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
            elif kind == "shortcut":
                place, activation = what
                x = activation(x + kept[place])
            elif kind == "dropout":
                x = F.dropout(x, what, self.training)
                # In place: who reads the layer before sees the same.
                if index - 1 in kept:
                    kept[index - 1] = x
            else:
                maps.append(x)
            if index in self.kept:
                kept[index] = x
        return maps

    def values(self):
        """How many numbers a .weights file of it has."""
        return sum(t.numel() for name, t in self.state_dict().items() if not name.endswith("num_batches_tracked"))

    def flops(self):
        """Of the convolutions for one image, forward; a product with its sum is two."""
        return sum(2 * conv.weight.numel() * side * side for conv, side in self.convs)

    def load(self, path):
        """Takes the values of a .weights file, all of it, or of a safetensors file."""
        if pathlib.Path(path).suffix == ".weights":
            return self.load_darknet(path)
        tensors = load_file(path)
        try:
            missing, unknown = self.load_state_dict(tensors, strict=False)
        except RuntimeError as error:
            raise SystemExit(f"{path}: {error}") from None
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or unknown:
            raise SystemExit(f"{path}: lacks {missing[:3]}, and has {unknown[:3]}, which are none of the network's")

    def load_darknet(self, path):
        raw = pathlib.Path(path).read_bytes()
        major, minor = np.frombuffer(raw, "<i4", 2)
        values = np.frombuffer(raw, "<f4", offset=20 if major * 10 + minor >= 2 else 16)
        if len(values) != self.values():
            raise SystemExit(f"{path}: has {len(values)} values, and the network {self.values()}")
        at = 0
        for conv, bn in ((layer.conv, getattr(layer, "bn", None)) for layer in self.children()):
            norm = [bn.bias, bn.weight, bn.running_mean, bn.running_var] if bn else [conv.bias]
            for target in [*norm, conv.weight]:
                part = torch.from_numpy(values[at : at + target.numel()].copy())
                target.data.copy_(part.view_as(target))
                at += target.numel()


def scaled(filters, width):
    """Filters by a factor: a multiple of 8, 8 at least, and no factor below 1 makes them more than they were."""
    found = max(math.floor(filters * width / MULTIPLE + 0.5) * MULTIPLE, MULTIPLE)
    if width == 1:
        return filters
    return min(found, filters) if width < 1 else max(found, filters)


def head(section, stride, anchors):
    flat = section.list("anchors", float)
    every = anchors or list(zip(flat[0::2], flat[1::2]))
    mask = section.list("mask")
    if max(mask) >= len(every):
        raise SystemExit(f"anchors: expected {len(flat) // 2}, got {len(every)}")
    return Head(
        anchors=[every[place] for place in mask],
        all_anchors=every,
        mask=mask,
        classes=section.whole("classes", 20),
        stride=stride,
        scale_x_y=section.number("scale_x_y", 1.0),
        new_coords=bool(section.whole("new_coords", 0)),
        ignore_threshold=section.number("ignore_thresh", 0.5),
        assign_threshold=section.number("iou_thresh", 1.0),
    )


def max_pool(x, size, stride, padding):
    """Windows start `padding // 2` before the image; what they reach beyond it never wins."""
    first = padding // 2
    last = []
    for side in x.shape[2:]:
        windows = (side + padding - size) // stride + 1
        last.append(max((windows - 1) * stride + size - side - first, 0))
    if last == [first, first] and first <= size // 2:
        return F.max_pool2d(x, size, stride, first)
    return F.max_pool2d(F.pad(x, (first, last[1], first, last[0]), value=-math.inf), size, stride)


def decode(raw, head):
    """Boxes (N, A, H, W, 4) as centre, width and height in shares of the input."""
    t = head.split(raw)
    h, w = raw.shape[2:]
    anchors = torch.tensor(head.anchors, dtype=raw.dtype) / torch.tensor([w, h]) / head.stride
    cells = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(h), indexing="xy"))
    at, sides = t[:, :, 0:2], t[:, :, 2:4]
    if head.new_coords:
        sides = (2 * sides) ** 2
    else:
        at, sides = at.sigmoid(), sides.clamp(*GROWTH).exp()
    reach = (head.scale_x_y - 1) / 2
    centres = (cells + head.scale_x_y * at - reach) / torch.tensor([w, h], dtype=raw.dtype)[:, None, None]
    return torch.cat([centres, sides * anchors[:, :, None, None]], 2).permute(0, 1, 3, 4, 2)


def logits(raw, head):
    """Objectness (N, A, H, W) and classes (N, A, H, W, C), before a sigmoid."""
    t = head.split(raw)[:, :, 4:]
    if head.new_coords:
        t = torch.logit(t, LEAST_PROBABILITY)
    return t[:, :, 0], t[:, :, 1:].permute(0, 1, 3, 4, 2)
