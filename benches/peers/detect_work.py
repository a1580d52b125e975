"""A step of a detector's training, and what is timed of it: weights, inputs and the work itself."""

import pathlib

import torch

import torch_peer
from darknet_net import BATCH_NORM_MOMENTUM, Darknet
from detect_loss import box_loss, obj_kd

# Of box, objectness and classes.
WEIGHTS, KD_WEIGHTS = (3.0, 1.0, 1.0), (1.0, 1.0, 1.0)
# What is timed: a name of the protocol, and what it is called in a table.
FORWARD, STEP, DISTIL = "yolov4-tiny", "detect-step", "detect-distil"
WORK = {
    FORWARD: "yolov4-tiny forward, 416 pixels, one image",
    STEP: "yolov4-tiny x0.25 training step, 16 images of 160 pixels",
    DISTIL: "the same step with a live teacher, yolov4 x0.25, obj-kd",
}
SMALL = {"width": 0.25, "classes": 3, "size": 160}
BATCH, LEARNING_RATE, MOMENTUM, DECAY = 16, 0.01, 0.9, 5e-4
# Boxes of an image in the rows that are timed, of places for boxes: the median and most of BCCD.
BOXES, PLACES = 14, 30


def cfg(name, folder):
    path = pathlib.Path(name)
    return path if path.suffix == ".cfg" else pathlib.Path(folder) / f"{name}.cfg"


def sgd(net, options=None):
    """All parameters decay, those of batch norms and biases too, as limbeck's do."""
    rate, momentum, decay = LEARNING_RATE, MOMENTUM, DECAY
    if options:
        rate, momentum, decay = options.learning_rate, options.momentum, options.weight_decay
    return torch.optim.SGD(net.parameters(), rate, momentum, weight_decay=decay, nesterov=momentum > 0)


def weighed(parts, weights):
    return (parts * torch.tensor(weights)).sum()


class Trainer:
    """A student that learns from labels, and from a teacher where there is one."""

    def __init__(self, student, optimizer, teacher=None, weights=WEIGHTS, kd_weights=KD_WEIGHTS, clip=None):
        self.student, self.optimizer, self.clip = student, optimizer, clip
        self.teacher = teacher and teacher.eval()
        self.weights, self.kd_weights = weights, kd_weights

    def step(self, pixels, boxes, classes):
        """The loss; `parts` says what it was made of."""
        maps = self.student(pixels)
        parts = box_loss(maps, self.student.heads, boxes, classes)
        loss, self.parts = weighed(parts, self.weights), parts.detach()
        if self.teacher:
            with torch.no_grad():
                theirs = self.teacher(pixels)
            kd = obj_kd(maps, self.student.heads, theirs, self.teacher.heads)
            loss, self.parts = loss + weighed(kd, self.kd_weights), torch.cat([self.parts, kd.detach()])
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip:
            torch.nn.utils.clip_grad_norm_(self.student.parameters(), self.clip)
        self.optimizer.step()
        return loss.detach()


def networks(work, folder):
    """Student and teacher of a row."""
    if work == FORWARD:
        return Darknet(cfg("yolov4-tiny", folder), size=416), None
    teacher = Darknet(cfg("yolov4", folder), **SMALL) if work == DISTIL else None
    return Darknet(cfg("yolov4-tiny", folder), **SMALL), teacher


def prepare(work, tensors, options):
    """A function that does the work once, and one that says what it computed, as torch_peer.prepare has them."""
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    student, teacher = networks(work, options.cfgs)
    weights = {k: v for k, v in tensors.items() if not k.startswith(("input.", "teacher."))}
    student.load_state_dict(weights, strict=False)
    student.to(memory_format=layout)
    pixels = tensors["input.x"].contiguous(memory_format=layout)
    if work == FORWARD:
        student.eval()

        def forward():
            with torch.no_grad():
                return student(pixels)

        return forward, lambda maps: [number for raw in maps for number in torch_peer.digest(raw)]
    if teacher is not None:
        theirs = {k.removeprefix("teacher."): v for k, v in tensors.items() if k.startswith("teacher.")}
        teacher.load_state_dict(theirs, strict=False)
        teacher.to(memory_format=layout)
    trainer = Trainer(student, sgd(student), teacher)
    boxes, classes = tensors["input.boxes"], tensors["input.classes"].long()
    return (lambda: trainer.step(pixels, boxes, classes)), lambda loss: [loss.item()]


def inputs(work, folder):
    """Weights as training starts from them, random pixels, and boxes as large as blood cells."""
    torch.manual_seed(0)
    student, teacher = networks(work, folder)
    images = 1 if work == FORWARD else BATCH
    pixels = torch.rand(images, 3, student.size, student.size)
    if work == FORWARD:
        settle(student, pixels)
    tensors = floats(student) | {"input.x": pixels}
    if teacher is not None:
        settle(teacher, pixels)
        tensors |= {f"teacher.{name}": t for name, t in floats(teacher).items()}
    if work != FORWARD:
        boxes, classes = torch.zeros(images, PLACES, 4), torch.full((images, PLACES), -1.0)
        boxes[:, :BOXES, :2] = 0.1 + 0.8 * torch.rand(images, BOXES, 2)
        boxes[:, :BOXES, 2:] = 0.06 + 0.3 * torch.rand(images, BOXES, 2)
        classes[:, :BOXES] = torch.randint(SMALL["classes"], (images, BOXES)).float()
        tensors |= {"input.boxes": boxes, "input.classes": classes}
    return tensors


@torch.no_grad()
def settle(net, pixels):
    """Gives batch norms the statistics of these images: without any, numbers grow from layer to layer in evaluation."""
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    net.train()(pixels)
    for norm in norms:
        norm.momentum = BATCH_NORM_MOMENTUM


def floats(net):
    return {k: v.clone() for k, v in net.state_dict().items() if v.dtype == torch.float32}
