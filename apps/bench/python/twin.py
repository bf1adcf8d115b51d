"""The PyTorch twin of a network: the same layers, weights, batches and step sizes, trained a step at a time on request.

`bench speed --against pytorch` starts it and speaks to it over standard input and output, one JSON document a line.
It trains in three ways, each with a model of its own:

    backprop       gradient descent
    ghlPublished   GHL computed as its authors' code does: patches unfolded to [batch, P, D], one product an example,
                   the products, [batch, K, D], then summed
    ghlGradient    GHL with the same sum as one filter gradient, whose output cotangent is the competition's result

Images and weights come channels last, as TensorFlow.js has them, and are turned to PyTorch's order here.
"""

import base64
import json
import math
import platform
import sys
import time


def encoded(value):
    """A value whose numbers JSON can hold: NaN and ±∞ as the strings that the bench reads."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: encoded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [encoded(each) for each in value]
    return value


def answer(**document):
    sys.stdout.write(json.dumps(encoded(document), allow_nan=False) + "\n")
    sys.stdout.flush()


try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except Exception as error:  # whatever keeps PyTorch from loading, a broken native library included
    answer(error="NO_TORCH", message=f"{type(error).__name__}: {error}", python=platform.python_version())
    sys.exit(0)


class HebbianConvolution(nn.Conv2d):
    """A convolution that moves by abs(H) in the direction of its gradient's sign: GHL, eq. 4 and 5."""

    def __init__(self, *args, temperature, **options):
        super().__init__(*args, bias=False, **options)
        self.temperature = temperature
        self.register_buffer("hebbian", torch.zeros_like(self.weight))

    def keep(self, products, y, u):
        """Keeps H = Σ u·x − (Σ u·y)·w, divided by its largest magnitude."""
        forgotten = (u * y).sum((0, 2, 3)).view(-1, 1, 1, 1) * self.weight
        h = products - forgotten
        self.hebbian.copy_(h / (h.abs().amax() + 1e-30))

    @torch.no_grad()
    def direct(self):
        self.weight.grad.copy_(self.hebbian.abs() * self.weight.grad.sign())


class PublishedConvolution(HebbianConvolution):
    def forward(self, x):
        x = F.pad(x, (self.padding[1], self.padding[1], self.padding[0], self.padding[0]))
        y = F.conv2d(x, self.weight, stride=self.stride)
        with torch.no_grad():
            examples, units = y.shape[:2]
            by_unit = y.transpose(0, 1).reshape(units, -1)
            u = torch.softmax(by_unit / self.temperature, dim=0)
            u = u.view(units, examples, *y.shape[2:]).transpose(0, 1)
            patches = F.unfold(x, self.kernel_size, stride=self.stride).transpose(1, 2)
            products = torch.matmul(u.reshape(examples, units, -1), patches)
            self.keep(products.sum(0).view_as(self.weight), y, u)
        return y


class GradientConvolution(HebbianConvolution):
    def forward(self, x):
        y = super().forward(x)
        with torch.no_grad():
            u = torch.softmax(y / self.temperature, dim=1)
            products = nn.grad.conv2d_weight(x, self.weight.shape, u, self.stride, self.padding)
            self.keep(products, y, u)
        return y


HEBBIAN = {"ghlPublished": PublishedConvolution, "ghlGradient": GradientConvolution}


def build(layers, weights, way):
    """The layers in order, with the given weights; also the convolutions, and those that a rule moves."""
    modules, convolutions = [], []
    flattened = None
    for layer in layers:
        kind = layer["kind"]
        if kind == "convolution":
            options = {"stride": layer["stride"], "padding": layer["padding"]}
            sizes = (layer["inputs"], layer["units"], layer["size"])
            if way in HEBBIAN and layer["temperature"] is not None:
                module = HEBBIAN[way](*sizes, temperature=layer["temperature"], **options)
            else:
                module = nn.Conv2d(*sizes, bias=False, **options)
            convolutions.append(module)
            load(module.weight, weights[layer["name"]][0].permute(3, 2, 0, 1))
        elif kind == "dense":
            module = nn.Linear(layer["inputs"], layer["units"])
            kernel, bias = weights[layer["name"]]
            load(module.weight, channels_first(kernel, flattened).T)
            load(module.bias, bias)
            flattened = None
        elif kind == "batchNorm":
            norm = nn.BatchNorm2d if layer["spatial"] else nn.BatchNorm1d
            options = {"eps": layer["epsilon"], "momentum": layer["momentum"], "affine": layer["affine"]}
            module = norm(layer["channels"], **options)
        elif kind == "flatten":
            module, flattened = nn.Flatten(), layer["shape"]
        else:
            module = {
                "relu": lambda: nn.ReLU(),
                "maxPool": lambda: nn.MaxPool2d(layer["size"], layer["stride"], layer["padding"]),
                "averagePool": lambda: nn.AvgPool2d(layer["size"], layer["stride"]),
                "dropout": lambda: nn.Dropout(layer["rate"]),
            }[kind]()
        modules.append(module)
    return nn.Sequential(*modules), convolutions


@torch.no_grad()
def load(parameter, values):
    parameter.copy_(values)


def channels_first(kernel, shape):
    """A kernel on flattened [height, width, channels], its rows in the order of [channels, height, width]."""
    if shape is None:
        return kernel
    return kernel.view(*shape, -1).permute(2, 0, 1, 3).reshape(kernel.shape)


def channels_last(kernel, shape):
    """The way back from channels_first."""
    if shape is None:
        return kernel
    height, width, channels = shape
    return kernel.view(channels, height, width, -1).permute(1, 2, 0, 3).reshape(kernel.shape)


class Trainer:
    """One way of training: a model, its optimizer and its schedule."""

    def __init__(self, setting, weights, way):
        self.model, convolutions = build(setting["layers"], weights, way)
        self.hebbian = [module for module in convolutions if isinstance(module, HebbianConvolution)]
        kernels = [module.weight for module in convolutions]
        others = [each for each in self.model.parameters() if all(each is not kernel for kernel in kernels)]
        self.optimizer = torch.optim.SGD(
            [
                {"params": kernels, "lr": setting["convolutionStep"], "weight_decay": setting["convolutionDecay"]},
                {"params": others, "lr": setting["restStep"]},
            ]
        )
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=setting["steps"])

    def step(self, images, labels):
        began = time.perf_counter()
        self.optimizer.zero_grad()
        outputs = self.model(images)
        loss = F.cross_entropy(outputs, labels)
        loss.backward()
        for layer in self.hebbian:
            layer.direct()
        self.optimizer.step()
        self.scheduler.step()
        correct = (outputs.argmax(1) == labels).sum().item()
        loss = loss.item()
        return {"ms": 1000 * (time.perf_counter() - began), "loss": loss, "correct": correct}

    def weights(self, layers):
        """Every kernel and bias in TensorFlow.js's order, as base64 of float32."""
        found, flattened = {}, None
        for layer, module in zip(layers, self.model):
            if layer["kind"] == "flatten":
                flattened = layer["shape"]
            elif layer["kind"] == "convolution":
                found[layer["name"]] = [module.weight.permute(2, 3, 1, 0)]
            elif layer["kind"] == "dense":
                found[layer["name"]] = [channels_last(module.weight.T.contiguous(), flattened), module.bias]
                flattened = None
        return {name: [encoded(each) for each in values] for name, values in found.items()}


def encoded(tensor):
    values = tensor.detach().contiguous().flatten()
    return base64.b64encode(bytes(values.untyped_storage())).decode()


class Twin:
    """All that one process knows: the setting, the batches, and a trainer for each way that was asked for."""

    def __init__(self, setting):
        self.setting = setting
        torch.set_num_threads(setting["threads"])
        torch.manual_seed(0)
        self.given = {
            layer: [floats(math.prod(shape)).view(shape) for shape in shapes]
            for layer, shapes in setting["weights"].items()
        }
        size, shape, classes = setting["batch"], setting["shape"], setting["classes"]
        self.batches = []
        for _ in range(setting["batches"]):
            images = floats(size * math.prod(shape)).view(size, *shape)
            labels = floats(size * classes).view(size, classes)
            self.batches.append((images.permute(0, 3, 1, 2).contiguous(), labels.argmax(1)))
        self.trainers = {}

    def trainer(self, way):
        if way not in self.trainers:
            self.trainers[way] = Trainer(self.setting, self.given, way)
        return self.trainers[way]

    def step(self, way, index):
        return self.trainer(way).step(*self.batches[index % len(self.batches)])


def floats(count):
    """The next `count` numbers of standard input, a copy of their own."""
    return torch.frombuffer(bytearray(sys.stdin.buffer.read(4 * count)), dtype=torch.float32).clone()


def time_matmul(side):
    """The ms of one product of square matrices."""
    a, b = torch.full((side, side), 0.5), torch.full((side, side), 0.25)
    began = time.perf_counter()
    torch.matmul(a, b)
    return 1000 * (time.perf_counter() - began)


def peak_mebibytes():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main():
    answer(torch=torch.__version__, python=platform.python_version())
    twin = None
    for line in iter(sys.stdin.buffer.readline, b""):
        request = json.loads(line)
        task = request["do"]
        if task == "begin":
            twin = Twin(request["setting"])
            answer(threads=torch.get_num_threads())
        elif task == "step":
            answer(**twin.step(request["way"], request["batch"]))
        elif task == "weights":
            answer(weights=twin.trainer(request["way"]).weights(twin.setting["layers"]))
        elif task == "matmul":
            answer(ms=time_matmul(request["side"]))
        elif task == "peak":
            answer(mebibytes=peak_mebibytes())


try:
    main()
except KeyboardInterrupt:
    pass
except Exception as error:
    answer(error="TWIN_FAILED", message=f"{type(error).__name__}: {error}")
