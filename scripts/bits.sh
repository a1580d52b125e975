#!/bin/sh
# Says whether two builds of limbeck make the same models, bit for bit: it trains by a fixed list of commands on the digits
# inside the binary, a few minutes on two CPU cores, and prints the sha256 of what they made.
#
#   scripts/bits.sh BINARY > before.txt               a line for each model, log and answer
#   scripts/bits.sh BINARY --compare before.txt       the same, and what differs; fails where weights or numbers do
#
# Lines are `sha256  part  name`. Part is `tensors` (names, shapes and bytes alone), `file` (with its metadata, which may
# gain keys: a difference there is told, and no failure), `log` (steps, losses and measures of metrics.jsonl, without names
# and times) or `answer` (how many images `eval` found right).
#
# LIMBECK_BITS_FOLDER    works there and leaves the runs, instead of in a temporary folder
set -eu

[ $# -eq 1 ] || { [ $# -eq 3 ] && [ "$2" = --compare ]; } || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
limbeck=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
fixtures=$here/../tests/fixtures
before=${3:+$(cd "$(dirname "$3")" && pwd)/$(basename "$3")}
if [ -n "${LIMBECK_BITS_FOLDER-}" ]; then
    mkdir -p "$LIMBECK_BITS_FOLDER"
    work=$(cd "$LIMBECK_BITS_FOLDER" && pwd)
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi
# Nothing that was measured or set on this machine may choose other kernels.
export LIMBECK_CACHE="$work/cache"
cd "$work"

# A run in a folder of its own: NAME COMMAND FLAGS...
run() {
    name=$1
    shift
    again "$name" "$@" --overwrite
}

# The same with no claim on the folder: for a run that goes on.
again() {
    name=$1
    shift
    if ! "$limbeck" --no-tune "$@" --out "$name" >"$name.out" 2>&1; then
        echo "bits: $name failed: limbeck $*" >&2
        tail -5 "$name.out" >&2
        exit 1
    fi
    python3 "$here/digests.py" "$name"
}

# A run that is killed in its middle and resumed; it must make what an uninterrupted one makes: NAME COMMAND FLAGS...
killed() {
    name=$1
    shift
    rm -rf "$name"
    "$limbeck" --no-tune "$@" --checkpoint-every 1 --out "$name" >"$name.out" 2>&1 &
    process=$!
    until ls "$name"/checkpoint-*.safetensors >"$name.seen" 2>&1 || ! kill -0 "$process" 2>"$name.seen"; do sleep 0.05; done
    kill -9 "$process" 2>"$name.seen" || true
    wait "$process" 2>"$name.seen" || true
    again "$name" "$@" --checkpoint-every 1 --resume
}

# How many images a model finds right: NAME FLAGS...
answers() {
    name=$1
    shift
    "$limbeck" --no-tune eval "$@" --json >"$name.json" 2>"$name.out"
    python3 "$here/digests.py" "$name.json"
}

images="--limit-train 256 --limit-test 100 --batch-size 32 --seed 1"
small="$images --epochs 2"
short="--limit-train 128 --limit-test 100 --max-steps 4 --batch-size 32 --seed 2"
cnn="--teacher teacher/model.safetensors"
resnet="--teacher resnet/model.safetensors"

training() {
    run teacher train --model cnn:8,16,32 $images --epochs 4
    run resnet train --model resnet:14 $small
    run wide train --model wrn:10,2 $short
    run vgg train --model vgg:8 $short
    run mobile train --model mobilenetv2 $short
    run mlp train --model mlp:32,16 $small
    run adamw train --model cnn:4,8 $small --optimizer adamw --warmup-steps 4
    run adam train --model cnn:4,8 $small --optimizer adam --schedule constant
    run multistep train --model cnn:4,8 $small --schedule multistep --milestone-epochs 1 --nesterov false
    run augmented train --model cnn:4,8 $small --crop-padding 1 --flip
    run smoothed train --model cnn:4,8 $small --label-smoothing 0.1 --max-grad-norm 1
    run averaged train --model cnn:4,8 $small --ema-decay 0.9
    run stopped train --model cnn:4,8 $images --epochs 9 --validation 0.3 --patience 1 --learning-rate 0.3
    run recomputed train --model resnet:8 $short --recompute
    run mixed train --model resnet:8 $short --precision mixed
    run continued train --model cnn:8,16,32 $short --init teacher/model.safetensors
    killed resumed train --model cnn:8,16,32 $images --epochs 4
}

# What the methods that the list names make, then each other one for a few steps.
methods() {
    run kd distill $cnn --model cnn:4,8,16 $small --method kd --baseline
    run feature distill $cnn --model cnn:4,8,16 $small --method feature:1
    run dkd+at distill $cnn --model cnn:4,8,16 $small --method dkd:1,beta=2,warmup=0.5+at:100,until=0.5
    run reviewkd distill $resnet --model resnet:8 $small --method reviewkd
    run crd distill $cnn --model cnn:4,8,16 $small --method crd:0.8,negatives=64
    run weights distill $cnn --model cnn:4,8,16 $small --method weights --pull 0.01
    run low-rank distill $cnn --model cnn:8,16,32 $short --method weights:1,rank=0.5
    run deeper distill $resnet --model resnet:20 $short --method weights:1,layers=deeper
    run simkd distill $cnn --model cnn:4,8,16 $small --method simkd
    run mixed-kd distill $resnet --model resnet:8 $short --method kd+feature:1 --precision mixed
    run smoothed-kd distill $cnn --model cnn:4,8,16 $short --method kd --label-smoothing 0.1 --crop-padding 1 --flip
    killed resumed-kd distill $cnn --model cnn:4,8,16 $small --method kd
    killed resumed-crd distill $cnn --model cnn:4,8,16 $small --method crd:0.8,negatives=64
    for method in ab activation at binary-kd cc ctkd cwd dist dkd fitnet ft jsd logit-mse logit-std mlkd nst ofa ofd pkt rkd \
        sp tf-kd vid wsld kd,logits=standardised cc:1,form=code at:1000,form=paper ft:200,factor=attention; do
        run "method-$method" distill $resnet --model resnet:8 $short --method "$method"
    done
    run method-fsp distill $resnet --model resnet:8 $short --method fsp
}

schemes() {
    run dml distill --scheme dml --model cnn:4,8 --peer cnn:8,16 $small
    run ban distill --scheme ban --generations 1 --model cnn:4,8 $small
    run takd distill --scheme takd $cnn --assistant cnn:6,12,24 --model cnn:4,8,16 $small
    run byot distill --scheme byot --model cnn:4,8,16 $small
    run tf-kd distill --scheme tf-kd --model cnn:4,8 $small
    run virtual distill --model cnn:4,8 --method tf-kd $small
    run ema distill --scheme ema --model cnn:4,8 --teacher-decay 0.9 $small
    run two distill --teacher teacher/model.safetensors,resnet/model.safetensors --teacher-weights 0.7,0.3 \
        --model cnn:4,8,16 $small --method kd
    run pytorch distill --teacher "$fixtures/teacher/teacher.pth" --teacher-model resnet_b:8,4,4,8,8 \
        --data-mean 0.3 --data-std 0.4 --model resnet:8 $short --method kd
    run onnx distill --teacher "$fixtures/teacher/norms.onnx" --data-mean 0.3 --data-std 0.4 --model resnet:8 $short --method kd
    killed resumed-dml distill --scheme dml --model cnn:4,8 --peer cnn:8,16 $small
}

# What a teacher wrote to disk, and who learned from it.
outputs() {
    teach all --taps pool3
    teach largest --topk 3
    teach views --crop-padding 1 --flip --epochs 2
    run stored distill --teacher-outputs all.safetensors --model cnn:4,8,16 $small --method kd+feature:1
    run stored-topk distill --teacher-outputs largest.safetensors --model cnn:4,8,16 $small --method kd
    run stored-views distill --teacher-outputs views.safetensors --crop-padding 1 --flip --model cnn:4,8,16 $small
    run stored-simkd distill --teacher-outputs all.safetensors $cnn --model cnn:4,8,16 $small --method simkd
    killed resumed-stored distill --teacher-outputs all.safetensors --model cnn:4,8,16 $small --method kd
}

teach() {
    file=$1.safetensors
    shift
    "$limbeck" --no-tune teach $cnn --limit-train 256 --seed 1 --batch-size 32 "$@" --out "$file" >"$file.out" 2>&1
    python3 "$here/digests.py" "$file"
}

sweep() {
    cat >sweep.toml <<'END'
methods = ["kd", { scheme = "takd", assistant = ["cnn:3,6"] }]
seeds = [1]

[settings]
limit_train = 96
limit_test = 60
epochs = 2
batch_size = 16

[[pair]]
teacher = "sweep-teacher.safetensors"
model = "cnn:2,4"
train_teacher = { model = "cnn:5,10", epochs = 1 }
END
    rm -rf sweep-teacher.safetensors sweep
    again sweep sweep sweep.toml
    rm -rf demo
    again demo demo --seeds 1 --epochs 1
}

evaluation() {
    answers eval-teacher teacher/model.safetensors
    answers eval-simkd simkd/model.safetensors --batch-size 7
    answers eval-low-rank low-rank/model.safetensors
}

all() {
    training
    methods
    schemes
    outputs
    sweep
    evaluation
}

if [ -n "$before" ]; then
    all >now.txt
    python3 "$here/digests.py" --compare "$before" now.txt
else
    all
fi
