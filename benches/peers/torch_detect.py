"""limbeck's training of detectors in PyTorch on CPU threads: a peer for its speed, a second opinion on its accuracy.

    python torch_detect.py --bench                    times three rows, each a line of the form that compare.py keeps
    python torch_detect.py --train --data DIRECTORY   trains, prints losses and average precision
    python torch_detect.py --eval --data DIRECTORY --weights FILE
    python torch_detect.py --show                     values and GFLOP
    python torch_detect.py --check FILE.reference.json --weights FILE.weights
    python torch_detect.py --serve                    answers lines as protocol/src/lib.rs describes
    python torch_detect.py --inputs DIRECTORY         writes the files of weights and inputs that --serve reads

A network is a .cfg, or a name of one in --cfgs. Every line of output is JSON.
"""

import argparse
import datetime
import json
import math
import os
import pathlib
import resource
import statistics
import time

import torch
from safetensors.torch import load_file, save_file

import torch_peer
from darknet_net import Darknet
from detect_work import (
    BATCH, DECAY, FORWARD, KD_WEIGHTS, LEARNING_RATE, MOMENTUM, WEIGHTS, WORK, Trainer, cfg, floats, inputs, networks,
    prepare, sgd,
)

CFGS = pathlib.Path(__file__).resolve().parent.parent.parent / "src" / "models" / "darknet" / "cfg"


def emit(**line):
    print(json.dumps(line), flush=True)


def about(options):
    layout = ", channels last" if options.channels_last else ""
    return f"PyTorch {torch.__version__}, CPU, {torch.get_num_threads()} threads{layout}"


def bench(options):
    for work, title in WORK.items():
        if options.only not in title:
            continue
        student, teacher = networks(work, options.cfgs)
        started = time.perf_counter()
        run, values = prepare(work, inputs(work, options.cfgs), options)
        first = values(run())
        first_s = time.perf_counter() - started
        for _ in range(options.warm_ups - 1):
            run()
        ms = []
        for _ in range(options.steps):
            start = time.perf_counter()
            run()
            ms.append((time.perf_counter() - start) * 1e3)
        # A training step costs three passes, a frozen teacher one.
        images, passes = (1, 1) if work == FORWARD else (BATCH, 3)
        flops = images * (passes * student.flops() + (teacher.flops() if teacher else 0))
        # Of the whole program so far: --only has it for a row.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peer = {"about": about(options), "first_s": first_s, "values": first, "runs": 1, "ms": ms, "peak_mib": peak}
        median = statistics.median(ms)
        emit(
            work=title,
            flops=flops,
            peers={"torch": peer},
            rounds=options.steps,
            date=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
            load=os.getloadavg()[0],
            summary={"median": median, "least": min(ms), "most": max(ms), "gflops": flops / median / 1e6},
        )


# Training


def factor(step, total, warm_up, start):
    """On the learning rate: from `start` to 1 in a line, then half a cosine to 0."""
    if step < warm_up:
        return start + (1 - start) * step / warm_up
    return (1 + math.cos(math.pi * (step - warm_up) / max(total - warm_up, 1))) / 2


def network(name, width, weights, options, classes):
    net = Darknet(cfg(name, options.cfgs), width, classes, options.size, options.anchors)
    if weights:
        net.load(weights)
    return net


def images(options, part, names, first=None):
    from detect_data import Images

    return Images(options.data, part, options.size, names, first, options.float_pixels)


def settings(options):
    """What a training goes by."""
    other = ["bench", "train", "eval", "show", "serve", "only", "steps", "warm_ups", "cfgs", "names", "classes"]
    return {k: v for k, v in vars(options).items() if v is not None and k not in other}


def train(options):
    from detect_data import measure

    torch.manual_seed(options.seed)
    data = images(options, options.train_part, options.names, options.images)
    classes = len(data.names)
    student = network(options.student, options.width, options.weights, options, classes)
    teacher = None
    if options.teacher:
        if not options.teacher_weights:
            raise SystemExit("--teacher wants --teacher-weights, the file that a training of it saved")
        teacher = network(options.teacher, options.teacher_width, options.teacher_weights, options, classes)
    test = data
    if options.test_part != options.train_part:
        test = images(options, options.test_part, data.names)
    emit(about=about(options), images=[len(data), len(test)], left_out=data.left_out + test.left_out, names=data.names,
         values=student.values(), settings=settings(options))
    if teacher:
        emit(teacher=measure(teacher, test, options.greedy_nms, options.clip_boxes))
    trainer = Trainer(student, sgd(student, options), teacher, options.loss_weights, options.kd_weights, options.clip)
    learn(trainer, data, test, options, measure)
    if options.save:
        save_file(floats(student), options.save)


def learn(trainer, data, test, options, measure):
    batches = len(data) // options.batch
    if batches == 0:
        raise SystemExit(f"{len(data)} images make no batch of {options.batch}")
    total = options.epochs * batches
    order = torch.Generator().manual_seed(options.seed)
    started, step = time.perf_counter(), 0
    for epoch in range(options.epochs):
        trainer.student.train()
        places, losses, parts = torch.randperm(len(data), generator=order), [], []
        for batch in places.split(options.batch)[:batches]:
            for group in trainer.optimizer.param_groups:
                group["lr"] = options.learning_rate * factor(step, total, options.warm_up, options.warm_up_start)
            losses.append(trainer.step(*data.batch(batch)))
            parts.append(trainer.parts)
            step += 1
            if step == options.max_steps:
                break
        last = epoch + 1 == options.epochs or step == options.max_steps
        if last or (epoch + 1) % options.every == 0:
            line = {"epoch": epoch + 1, "step": step, "loss": torch.stack(losses).mean().item()}
            names = ["box", "objectness", "class", "kd box", "kd objectness", "kd class"]
            line |= zip(names, torch.stack(parts).mean(0).tolist())
            line["seconds"] = round(time.perf_counter() - started, 1)
            emit(**line, **measure(trainer.student, test, options.greedy_nms, options.clip_boxes))
        if last:
            return


def evaluate(options):
    from detect_data import measure

    data = images(options, options.test_part, options.names)
    net = network(options.student, options.width, options.weights, options, len(data.names))
    emit(images=len(data), **measure(net, data, options.greedy_nms, options.clip_boxes))


def show(options):
    net = Darknet(cfg(options.student, options.cfgs), options.width, options.classes, options.size, options.anchors)
    emit(network=options.student, size=net.size, values=net.values(), gflop=net.flops() / 1e9,
         strides=[head.stride for head in net.heads])


@torch.no_grad()
def check(options):
    """Head outputs for the file's input against those that it has."""
    reference = json.loads(pathlib.Path(options.check).read_text())
    size = reference["size"]
    net = Darknet(cfg(options.student, options.cfgs), size=size).eval()
    net.load(options.weights)
    c, y, x = torch.meshgrid(torch.arange(3), torch.arange(size), torch.arange(size), indexing="ij")
    pixels = ((37 * c + 17 * y + 11 * x) % 256).float() / 255
    for eps in sorted({head["bn_eps"] for head in reference["heads"]}):
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = eps
        heads = [head for head in reference["heads"] if head["bn_eps"] == eps]
        for raw, head in zip(net(pixels[None]), heads, strict=True):
            expected = torch.tensor(head["value"])
            error = (raw.flatten()[head["index"]] - expected).abs().max().item()
            same = list(raw.shape) == head["shape"]
            emit(layer=head["layer"], bn_eps=eps, shape_is_same=same, largest_difference=error,
                 mean_differs_by=abs(raw.double().mean().item() - head["mean"]))


def names(text):
    """`RBC,WBC`, or a file with one a line."""
    path = pathlib.Path(text)
    return path.read_text().splitlines() if path.is_file() else text.split(",")


def numbers(text):
    return tuple(float(part) for part in text.split(","))


def anchors(text):
    """`10x14/23x27`, in pixels of the network's input."""
    return [tuple(float(side) for side in pair.split("x")) for pair in text.split("/")]


def arguments():
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add = options.add_argument
    for mode in ("bench", "train", "eval", "show", "serve"):
        add(f"--{mode}", action="store_true")
    add("--check")
    add("--inputs")
    add("--cfgs", default=CFGS, help="the folder of named networks")
    add("--threads", type=int, default=int(os.environ.get("PEER_THREADS", os.cpu_count())))
    add("--only", default="", help="of --bench, the row whose name has this")
    add("--steps", type=int, default=20, help="of --bench, timed runs of a row")
    add("--warm-ups", type=int, default=3, help="of --bench, runs before")
    add("--channels-last", action="store_true", help="of --bench and --serve: faster for most convolutions")
    add("--student", default="yolov4-tiny")
    add("--width", type=float, default=1.0)
    add("--classes", type=int)
    add("--size", type=int)
    add("--anchors", type=anchors)
    add("--weights", help="what the student starts from, or what is measured: .safetensors or .weights")
    add("--teacher")
    add("--teacher-width", type=float, default=1.0)
    add("--teacher-weights")
    add("--data", help="a folder with Annotations, ImageSets and JPEGImages, or with images and labels")
    add("--train-part", default="train")
    add("--test-part", default="test")
    add("--names", type=names, help="of classes in their order, or a file of them; else by the alphabet")
    add("--greedy-nms", action="store_true", help="darknet's greedynms in place of plain IoU")
    add("--float-pixels", action="store_true", help="images that were resized are not rounded to bytes")
    add("--clip-boxes", action="store_true", help="cut off what of a box is out of its image")
    add("--images", type=int, help="only so many images of the training part")
    add("--epochs", type=int, default=40)
    add("--max-steps", type=int)
    add("--every", type=int, default=5, help="epochs between measurements")
    add("--batch", type=int, default=BATCH)
    add("--learning-rate", type=float, default=LEARNING_RATE)
    add("--momentum", type=float, default=MOMENTUM)
    add("--weight-decay", type=float, default=DECAY)
    add("--warm-up", type=int, default=0, help="steps")
    add("--warm-up-start", type=float, default=0.0, help="first factor on the learning rate")
    add("--clip", type=float, help="most norm of all gradients")
    add("--loss-weights", type=numbers, default=WEIGHTS, help="of box, objectness, classes")
    add("--kd-weights", type=numbers, default=KD_WEIGHTS, help="of the same, from the teacher")
    add("--seed", type=int, default=0)
    add("--save", help="a safetensors file for the trained student")
    return options


def main():
    parser = arguments()
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.bench:
        return bench(options)
    if options.show:
        return show(options)
    if options.serve:
        return torch_peer.serve(lambda work, path: prepare(work, load_file(path), options))
    if options.inputs:
        os.makedirs(options.inputs, exist_ok=True)
        for work in WORK:
            save_file(inputs(work, options.cfgs), os.path.join(options.inputs, f"{work}.safetensors"))
        return None
    if options.check:
        return check(options)
    if not (options.train or options.eval) or not options.data:
        parser.error("expected --train or --eval with --data, --bench, --show, --check, --serve or --inputs")
    options.size = options.size or 160
    return train(options) if options.train else evaluate(options)


if __name__ == "__main__":
    main()
