"""Images with boxes from a folder, what a network finds in them, and its average precision by pycocotools."""

import contextlib
import io
import pathlib
import xml.etree.ElementTree as ElementTree

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from darknet_net import decode, logits

# Boxes of a lower score are left out, and of two of a class that overlap by more the less sure one.
SCORE, OVERLAP = 0.005, 0.45
# Exponent of the distance's share that darknet's `greedynms` takes off the overlap.
GREEDY = 0.6


class Images:
    """A part of a data set in memory: `images` (N, 3, S, S) from 0 to 255, stretched, `boxes` (N, M, 4) as centre,
    width and height in shares of the image, `classes` (N, M), -1 where there is no box. Points are left out."""

    def __init__(self, root, part, size, names=None, first=None, floats=False):
        root = pathlib.Path(root)
        every = voc(root, part, names) if (root / "Annotations").is_dir() else yolo(root, names)
        self.names, listed = every[0], every[1][:first]
        self.sizes = [side for _, side, _ in listed]
        self.images = torch.stack([stretched(path, size, floats) for path, _, _ in listed])
        most = max(len(boxes) for _, _, boxes in listed)
        self.boxes, self.classes = torch.zeros(len(listed), most, 4), torch.full((len(listed), most), -1)
        self.left_out = 0
        for place, (_, _, boxes) in enumerate(listed):
            kept = [(k, box) for k, box in boxes if box[2] > 0 and box[3] > 0]
            self.left_out += len(boxes) - len(kept)
            for row, (k, box) in enumerate(kept):
                self.classes[place, row], self.boxes[place, row] = k, torch.tensor(box)

    def __len__(self):
        return len(self.images)

    def batch(self, places):
        """Pixels from 0 to 1, boxes and classes."""
        return self.images[places].float() / 255, self.boxes[places], self.classes[places]


def voc(root, part, names):
    """Names of classes, and for each image of a part its file, its width and height, its boxes as (class, shares)."""
    ids = (root / "ImageSets" / "Main" / f"{part}.txt").read_text().split()
    read = [ElementTree.parse(root / "Annotations" / f"{name}.xml").getroot() for name in ids]
    names = names or sorted({o.find("name").text for label in read for o in label.iter("object")})
    listed = []
    for name, label in zip(ids, read):
        width, height = (int(label.find(f"size/{side}").text) for side in ("width", "height"))
        boxes = []
        for o in label.iter("object"):
            x0, y0, x1, y1 = (float(o.find(f"bndbox/{edge}").text) for edge in ("xmin", "ymin", "xmax", "ymax"))
            box = [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]
            boxes.append((names.index(o.find("name").text), box))
        listed.append((root / "JPEGImages" / f"{name}.jpg", (width, height), boxes))
    return names, listed


def yolo(root, names):
    """The same of a folder with images/ and labels/, whose files may lie deeper; it has no parts."""
    listed = []
    for path in sorted((root / "images").rglob("*.jpg")):
        label = root / "labels" / path.relative_to(root / "images").with_suffix(".txt")
        lines = label.read_text().splitlines() if label.exists() else []
        boxes = [(int(k), [float(share) for share in box]) for k, *box in map(str.split, lines)]
        with Image.open(path) as image:
            listed.append((path, image.size, boxes))
    if not names:
        raise SystemExit(f"{root}: expected --names, which labels of this kind do not have")
    return names, listed


def stretched(path, size, floats=False):
    """darknet's resize: bilinear, corners of both images on each other, nothing averaged. darknet keeps `floats`."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float()
    pixels = F.interpolate(pixels, (size, size), mode="bilinear", align_corners=True)
    return pixels[0] if floats else pixels[0].round().to(torch.uint8)


def suppress(boxes, scores, greedy):
    """Places that stay, the surest first."""
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    areas = boxes[:, 2:].prod(1)
    left, kept = np.argsort(-scores, kind="stable"), []
    while len(left):
        best, rest = left[0], left[1:]
        kept.append(best)
        inner = (np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])).clip(0).prod(1)
        overlap = inner / (areas[best] + areas[rest] - inner)
        if greedy:
            outer = np.square(np.maximum(high[best], high[rest]) - np.minimum(low[best], low[rest])).sum(1)
            overlap -= (np.square(boxes[best, :2] - boxes[rest, :2]).sum(1) / outer) ** GREEDY
        left = rest[overlap <= OVERLAP]
    return kept


@torch.no_grad()
def find(net, pixels, greedy=False):
    """For each image what the network finds: (box (4) in shares, class, score), class by class."""
    boxes, scores = [], []
    for raw, head in zip(net(pixels), net.heads):
        objectness, classes = logits(raw, head)
        boxes.append(decode(raw, head).flatten(1, 3))
        scores.append((objectness.sigmoid()[..., None] * classes.sigmoid()).flatten(1, 3))
    boxes, scores = torch.cat(boxes, 1).double().numpy(), torch.cat(scores, 1).numpy()
    found = []
    for box, score in zip(boxes, scores):
        rows = [(k, np.flatnonzero(score[:, k] > SCORE)) for k in range(score.shape[1])]
        kept = [(k, at[suppress(box[at], score[at, k], greedy)]) for k, at in rows if len(at)]
        found.append([(box[row], k, float(score[row, k])) for k, at in kept for row in at])
    return found


def measure(net, data, greedy=False, clip=False, batch=16):
    """AP, AP50 and AP50 by class on a data set, in pixels of the files' images. `clip` cuts off what reaches out."""
    net.eval()
    parts = [data.batch(slice(at, at + batch))[0] for at in range(0, len(data), batch)]
    found = [image for pixels in parts for image in find(net, pixels, greedy)]
    truths = []
    for boxes, classes in zip(data.boxes.double().numpy(), data.classes.tolist()):
        truths.append([(box, k) for box, k in zip(boxes, classes) if k >= 0])
    return average_precision(found, truths, data.sizes, data.names, clip)


def average_precision(found, truths, sizes, names, clip=False):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def bounds(box, size):
        low, high = (box[:2] + side * box[2:] / 2 for side in (-1, 1))
        if clip:
            low, high = low.clip(0, 1), high.clip(0, 1)
        return [*(low * size), *((high - low) * size)]

    there, seen = [], []
    for image, size in enumerate(sizes):
        for box, k in truths[image]:
            left, top, width, height = bounds(box, size)
            entry = {"id": len(there) + 1, "image_id": image, "category_id": k, "iscrowd": 0}
            there.append(entry | {"bbox": [left, top, width, height], "area": width * height})
        for box, k, score in found[image]:
            seen.append({"image_id": image, "category_id": k, "score": score, "bbox": bounds(box, size)})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        images = [{"id": i, "width": w, "height": h} for i, (w, h) in enumerate(sizes)]
        categories = [{"id": k, "name": name} for k, name in enumerate(names)]
        coco.dataset = {"images": images, "annotations": there, "categories": categories, "info": {}}
        coco.createIndex()
        if not seen:
            return {"AP": 0.0, "AP50": 0.0, "AP50 by class": dict.fromkeys(names, 0.0)}
        run = COCOeval(coco, coco.loadRes(seen), "bbox")
        run.evaluate(), run.accumulate(), run.summarize()
    # Thresholds, recalls, classes, areas, most detections.
    by_class = run.eval["precision"][0, :, :, 0, -1]
    shares = {name: max(0.0, by_class[:, k].mean()) for k, name in enumerate(names) if (by_class[:, k] >= 0).any()}
    return {"AP": run.stats[0], "AP50": run.stats[1], "AP50 by class": shares}
