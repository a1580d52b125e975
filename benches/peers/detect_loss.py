"""What a detector learns from labels (darknet's assignment, CIoU) and from a teacher (`obj-kd`), by autograd."""

import math

import torch
import torch.nn.functional as F

from darknet_net import decode, logits

# Added to what CIoU divides by, for boxes that are equal.
TINY = 1e-9


def edges(boxes):
    """Upper left and lower right corners of (.., 4) boxes, each (.., 2)."""
    return boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2


def iou(a, b):
    (low_a, high_a), (low_b, high_b) = edges(a), edges(b)
    inner = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(min=0).prod(-1)
    return inner / (a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - inner)


def ciou(a, b):
    """Zheng et al. 1911.08287. No gradient flows through the factor of the aspect."""
    share = iou(a, b)
    (low_a, high_a), (low_b, high_b) = edges(a), edges(b)
    outer = torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)
    distance = (a[..., :2] - b[..., :2]).square().sum(-1) / (outer.square().sum(-1) + TINY)
    turn = torch.atan(b[..., 2] / b[..., 3]) - torch.atan(a[..., 2] / a[..., 3])
    aspect = 4 / math.pi**2 * turn.square()
    with torch.no_grad():
        alpha = aspect / (1 - share + aspect + TINY)
    return share - distance - alpha * aspect


def shape_iou(a, b):
    """Of shapes (.., 2) with one centre."""
    inner = torch.minimum(a, b).prod(-1)
    return inner / (a.prod(-1) + b.prod(-1) - inner)


def assign(found, truths, classes, head):
    """Which rows of a head answer for which truth.

    `found` (N, A, H, W, 4), `truths` (N, M, 4), `classes` (N, M), -1 where there is none. Gives the flat places (P) of
    rows that answer, their boxes (P, 4), their classes (P, C), and what each row's objectness counts (N, A, H, W).
    """
    n, anchors, h, w, _ = found.shape
    there = classes >= 0
    shapes = truths[:, :, None, 2:] * torch.tensor([w, h]) * head.stride
    every = shape_iou(shapes, torch.tensor(head.all_anchors))
    mask = torch.tensor(head.mask)
    # argmax takes the first of equals.
    learns = (every.argmax(-1, keepdim=True) == mask) | (every[..., mask] > head.assign_threshold)
    image, truth, anchor = (learns & there[..., None]).nonzero(as_tuple=True)
    x = (truths[..., 0] * w).floor().long().clamp(0, w - 1)[image, truth]
    y = (truths[..., 1] * h).floor().long().clamp(0, h - 1)[image, truth]
    places = ((image * anchors + anchor) * h + y) * w + x
    # Of several truths in one place the first gives the box, and all of them their classes.
    rows, of = places.unique(return_inverse=True)
    first = torch.full_like(rows, truths.shape[1]).scatter_reduce(0, of, truth, "amin")
    boxes = truths[rows // (anchors * h * w), first]
    hot = torch.zeros(len(rows), head.classes)
    hot[of, classes[image, truth]] = 1.0
    # A truth that is none has no sides, so that nothing overlaps it.
    sides = truths.where(there[..., None], torch.zeros(()))
    near = iou(found.reshape(n, -1, 1, 4), sides[:, None]).amax(-1) > head.ignore_threshold
    counts = (~near).float().view(-1)
    counts[rows] = 1.0
    return rows, boxes, hot, counts.view(n, anchors, h, w)


def box_loss(maps, heads, truths, classes):
    """The parts box, objectness and classes: sums over rows, means over images."""
    parts = torch.zeros(3)
    for raw, head in zip(maps, heads):
        boxes, (objectness, classes_of) = decode(raw, head), logits(raw, head)
        with torch.no_grad():
            rows, wanted, hot, counts = assign(boxes, truths, classes, head)
        positive = torch.zeros(objectness.numel())
        positive[rows] = 1.0
        sure = F.binary_cross_entropy_with_logits(objectness, positive.view_as(objectness), counts, reduction="sum")
        missing = (1 - ciou(boxes.reshape(-1, 4)[rows], wanted)).sum()
        named = classes_of.reshape(-1, head.classes)[rows]
        named = F.binary_cross_entropy_with_logits(named, hot, reduction="sum")
        parts = parts + torch.stack([missing, sure, named])
    return parts / len(truths)


def pairs(student, teacher):
    """Heads of one stride: (place among the student's, place among the teacher's, for each of the student's anchors the
    teacher's of the best shape)."""
    found = []
    for place, head in enumerate(student):
        for at, other in enumerate(teacher):
            if head.stride == other.stride:
                shapes = shape_iou(torch.tensor(head.anchors)[:, None], torch.tensor(other.anchors))
                found.append((place, at, shapes.argmax(-1)))
    if not found:
        raise SystemExit("the two networks have no stride in common")
    return found


def obj_kd(maps, heads, teacher_maps, teacher_heads):
    """Mehta and Ozturk 1805.06361 on decoded boxes: the parts box, objectness and classes, sums over rows, means over
    images. Boxes and classes count as much as the teacher is sure of a row."""
    parts = torch.zeros(3)
    for ours, theirs, anchors in pairs(heads, teacher_heads):
        with torch.no_grad():
            other, raw = teacher_heads[theirs], teacher_maps[theirs]
            sure, named = (x[:, anchors].sigmoid() for x in logits(raw, other))
            wanted = decode(raw, other)[:, anchors]
        objectness, classes = logits(maps[ours], heads[ours])
        boxes = decode(maps[ours], heads[ours])
        missing = (sure * (1 - ciou(boxes, wanted))).sum()
        rows = F.binary_cross_entropy_with_logits(classes, named, reduction="none").sum(-1)
        objectness = F.binary_cross_entropy_with_logits(objectness, sure, reduction="sum")
        parts = parts + torch.stack([missing, objectness, (sure * rows).sum()])
    return parts / len(maps[0])
