#!/usr/bin/env python3
"""Opens the folders that limbeck writes for texts in model2vec, sentence-transformers and transformers, and compares their vectors with
those of `limbeck embed`.

    python -m venv venv && venv/bin/pip install -r tests/fixtures/requirements.txt
    venv/bin/pip install --no-deps -r tests/fixtures/requirements-static.txt
    cargo build --release
    venv/bin/python scripts/check-folders.py target/release/limbeck [TEACHER]

TEACHER is a folder of sentence-transformers such as all-MiniLM-L6-v2; without one it is a small one of the tests. Nothing is downloaded.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}

import model2vec
import numpy
import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer

VERSIONS = {model2vec: "0.10.0", sentence_transformers: "6.2.0", transformers: "5.24.0"}
SMALL = Path(__file__).resolve().parent.parent / "tests/fixtures/encoder/sentences"
#: Rows of static models are f16, sums of which differ in their order.
STATIC, ENCODER = 1e-3, 1e-4
WHO, WHAT, WHERE = ["the cat", "a bird", "the bird", "cats", "a cat"], ["sat", "sing", "fly", "sat on"], ["", " on a mat", " on the mat"]
TEXTS = [f"{who} {what}{where}" for who in WHO for what in WHAT for where in WHERE]


def run(binary, folder, *arguments):
    """What a command prints; fails where it does."""
    done = subprocess.run([binary, *map(str, arguments)], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"limbeck {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
    return done.stdout


def embed(binary, folder, model):
    run(binary, folder, "embed", model, "texts.txt", "--out", "vectors.npy")
    return numpy.load(folder / "vectors.npy")


def differs(what, got, want, most):
    """Prints how far two sets of vectors are apart; whether that is too far."""
    got, want = numpy.asarray(got, numpy.float64), numpy.asarray(want, numpy.float64)
    if got.shape != want.shape:
        print(f"{what:<52} {got.shape}, expected {want.shape}")
        return True
    apart = float(numpy.abs(got - want).max())
    print(f"{what:<52} {len(got)} x {got.shape[1]}, at most {apart:.1e} apart")
    return not apart <= most


def means(folder, texts):
    """Tokens' means by transformers alone, of length 1 where the folder says so."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model, info = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    complete(folder, info, {"pooler.dense.weight", "pooler.dense.bias"})
    normalize = "Normalize" in (folder / "modules.json").read_text()
    rows = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=model.config.max_position_embeddings)
        with torch.no_grad():
            row = model.eval()(**inputs).last_hidden_state[0].mean(0)
        rows.append(torch.nn.functional.normalize(row, dim=0) if normalize else row)
    return torch.stack(rows)


def complete(folder, info, but=frozenset()):
    """Fails where transformers did not find what it looked for, or found more."""
    left = {*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]} - but
    if left:
        sys.exit(f"{folder}: transformers leaves or misses {sorted(left)}")


def masked(folder):
    """A masked language model opens whole, with its head tied to the words."""
    model, info = transformers.AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    complete(folder, info)
    head, words = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    print(f"{folder.parent.name + ' as ' + type(model).__name__:<52} {tuple(head.shape)}, tied: {head is words}")
    return head is not words


def write_data(folder):
    (folder / "data").mkdir()
    (folder / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    (folder / "data/train.txt").write_text("\n".join(TEXTS[:48]) + "\n")
    pairs = [f"{a}\t{b}\t{float(a.split()[-1] == b.split()[-1])}" for a, b in zip(TEXTS[48:], TEXTS[:12])]
    (folder / "data/test.tsv").write_text("sentence1\tsentence2\tscore\n" + "\n".join(pairs) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("teacher", type=Path, nargs="?", default=SMALL)
    flags = parser.parse_args()
    for module, version in VERSIONS.items():
        if module.__version__ != version:
            print(f"warning: {module.__name__} is {module.__version__}, and {version} was checked")
    binary, teacher = flags.binary.resolve(), flags.teacher.resolve()
    width = json.loads((teacher / "config.json").read_text())["hidden_size"]
    failed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder)
        run(binary, folder, "static", teacher, "--dims", width // 2, "--out", "static")
        ours = embed(binary, folder, "static")
        other = model2vec.StaticModel.from_pretrained(folder / "static")
        failed.append(differs("static: model2vec", other.encode(TEXTS), ours, STATIC))
        other = SentenceTransformer(str(folder / "static"), device="cpu")
        failed.append(differs("static: sentence-transformers", other.encode(TEXTS), ours, STATIC))

        ours = embed(binary, folder, teacher)
        other = SentenceTransformer(str(teacher), device="cpu", model_kwargs={"dtype": torch.float32})
        failed.append(differs("teacher: sentence-transformers", other.encode(TEXTS), ours, ENCODER))
        short = ["--data-dir", "data", "--max-tokens", 10, "--epochs", 1, "--batch-size", 16]
        for model in [f"bert:1,{width // 2},2,8", f"bert:1,{width},2,8,normalize=yes"]:
            student = ["--teacher", teacher, "--model", model, "--out", "run", "--overwrite"]
            run(binary, folder, "distill", "--data", "sentences", *student, *short)
            ours = embed(binary, folder, "run/encoder")
            other = SentenceTransformer(str(folder / "run/encoder"), device="cpu")
            failed.append(differs(f"{model}: sentence-transformers", other.encode(TEXTS), ours, ENCODER))
            failed.append(differs(f"{model}: transformers", means(folder / "run/encoder", TEXTS), ours, ENCODER))

        for name, model in [("bert", "bert:1,8,2,8"), ("distilbert", "bert:1,8,2,8,head=relu")]:
            words = ["--task", "mlm", "--data", "sentences", "--tokenizer", teacher / "tokenizer.json"]
            run(binary, folder, "train", *words, "--model", model, *short, "--out", name)
            failed.append(masked(folder / name / "encoder"))
    if any(failed):
        sys.exit("some are further apart than they may be")
    print("all as they should be")


if __name__ == "__main__":
    main()
