"""The work in PyTorch on CPU threads, and the file of weights and inputs that all peers start from.

    python torch_peer.py            answers lines as protocol/src/lib.rs describes
    python torch_peer.py --inputs DIRECTORY    writes the files
"""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F
import torch_texts
from safetensors.torch import load_file, save_file
from torch import nn

TEMPERATURE, HARD, LEARNING_RATE, MOMENTUM = 4.0, 0.1, 0.01, 0.9


def cnn():
    layers = [("conv1", nn.Conv2d(1, 32, 3, padding=1)), ("conv2", nn.Conv2d(32, 64, 3, padding=1)),
              ("fc1", nn.Linear(64 * 7 * 7, 128)), ("fc2", nn.Linear(128, 10))]
    return nn.ModuleDict(layers)


def cnn_loss(net, inputs):
    y = F.max_pool2d(F.relu(net["conv1"](inputs["x"])), 2)
    y = F.max_pool2d(F.relu(net["conv2"](y)), 2)
    logits = net["fc2"](F.relu(net["fc1"](y.flatten(1))))
    student, teacher = (F.log_softmax(x / TEMPERATURE, 1) for x in (logits, inputs["teacher"]))
    soft = F.kl_div(student, teacher, log_target=True, reduction="batchmean") * TEMPERATURE**2
    return HARD * F.cross_entropy(logits, inputs["labels"].long()) + (1 - HARD) * soft


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.stride, self.zeros = stride, (c_out - c_in) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.zeros, self.zeros))
        return F.relu(y + x)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        widths = [16, 16, 32, 64]
        for stage in (1, 2, 3):
            first = Block(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)
            rest = [Block(widths[stage], widths[stage], 1) for _ in range(2)]
            setattr(self, f"layer{stage}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def resnet20_loss(net, inputs):
    return F.cross_entropy(net(inputs["x"]), inputs["labels"].long())


NETWORKS = {"cnn": (cnn, cnn_loss), "resnet20": (ResNet20, resnet20_loss)}


def digest(values):
    """As in protocol/src/lib.rs."""
    values = values.detach().flatten().double()
    weights = (torch.arange(len(values)) * 37 % 101 - 50).double()
    return [values.norm().item(), (values @ weights / weights.norm()).item()]


def training(name, tensors, inputs):
    make, loss_of = NETWORKS[name]
    net = make()
    net.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("input.")}, strict=False)
    optimizer = torch.optim.SGD(net.parameters(), LEARNING_RATE, MOMENTUM)

    def step():
        optimizer.zero_grad()
        loss = loss_of(net, inputs)
        loss.backward()
        optimizer.step()
        return [loss.item()]

    return step, lambda values: values


def prepare(name, path):
    """What to run, and what its result becomes when it is told."""
    tensors = load_file(path)
    inputs = {k.removeprefix("input."): v for k, v in tensors.items() if k.startswith("input.")}
    if name in NETWORKS:
        return training(name, tensors, inputs)
    values = lambda results: [number for result in results for number in digest(result)]
    if name in torch_texts.SIZES:
        run = torch_texts.prepare(name, tensors, inputs)
        return run, values if name == "minilm" else lambda losses: losses
    if name == "gemm":
        return (lambda: [inputs["a"] @ inputs["b"]]), values
    x, w = inputs["x"], inputs["w"]
    if name == "conv":
        return (lambda: [F.conv2d(x, w, padding=1)]), values

    def forward_and_backward():
        y = F.conv2d(x, w, padding=1)
        return [y, *torch.autograd.grad(y, [x, w], inputs["dy"])]

    x.requires_grad_(), w.requires_grad_()
    return forward_and_backward, values


def serve(prepare=prepare):
    about = f"PyTorch {torch.__version__}, CPU, {torch.get_num_threads()} threads"
    print(json.dumps({"about": about}), flush=True)
    run = values = None
    for line in sys.stdin:
        verb, *words = line.split()
        start = time.perf_counter()
        if verb == "prepare":
            run, values = prepare(*words)
            print(json.dumps({"ms": (time.perf_counter() - start) * 1e3}), flush=True)
        else:
            for _ in range(int(words[0])):
                last = run()
            ms = (time.perf_counter() - start) * 1e3
            print(json.dumps({"ms": ms, "values": values(last)}), flush=True)


def write_inputs(directory):
    os.makedirs(directory, exist_ok=True)
    torch.manual_seed(0)
    normal = torch.randn

    def save(name, **tensors):
        weights = tensors.pop("weights", {})
        file = {f"input.{k}": v.float().contiguous() for k, v in tensors.items()} | weights
        save_file(file, os.path.join(directory, f"{name}.safetensors"))

    for n in (256, 512, 1024):
        save(f"gemm-{n}", a=normal(n, n), b=normal(n, n))
    save("conv", x=normal(32, 32, 28, 28), w=normal(64, 32, 3, 3) / 17, dy=normal(32, 64, 28, 28))
    for name, x in (("cnn", normal(64, 1, 28, 28)), ("resnet20", normal(64, 3, 32, 32))):
        weights = {k: v for k, v in NETWORKS[name][0]().state_dict().items() if v.dtype == torch.float32}
        teacher, labels = 4 * normal(64, 10), torch.randint(0, 10, (64,))
        save(name, x=x, labels=labels, teacher=teacher, weights=weights)
    for name in torch_texts.SIZES:
        save(name, **torch_texts.inputs(), weights=torch_texts.weights(name))


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("PEER_THREADS", os.cpu_count())))
    write_inputs(sys.argv[2]) if sys.argv[1:2] == ["--inputs"] else serve()
