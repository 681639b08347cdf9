#!/usr/bin/env bash
# Everything that has to be seen on a GPU, in one call of under ten minutes:
#
#     benchmarks/gpu_check.sh [--wheels DIR] [--seconds N] [--only STEP,...] [DIRECTORY]
#
# builds the backend for the card that it finds, holds every kernel against the CPU's float64, runs the engine's tests on
# the card, compares the bits of runs, looks for bad accesses and races with compute-sanitizer, and times: most important
# first. A step that fails, hangs or has nothing to run on leaves the others their turn and their share of the time, of which
# it may use what those before it left; after N seconds (540) none begins.
#
# DIRECTORY (build/gpu_check) gets six files at most, each complete after every step, whatever stops the rest:
#     steps.csv       a line a step: ok, FAILED, stopped or skipped, the seconds it took, the last line it printed
#     summary.txt     the same to read, and the measured table
#     logs.txt        what every step printed
#     gpu_check.csv   measurements, to be committed as benchmarks/results/CARD/gpu_check.csv
#     kernels.csv, kernels.json   what `benchmarks/kernels.py --device cuda` measured
# The script ends with 0 when no step failed or was stopped.
#
# It needs the repository; nvcc, g++ and nvidia-smi; and a python3 of 3.10 or newer with numpy, pybind11 >= 3 and cmake. The
# tests need pytest, hypothesis and scikit-learn; comparisons torch with CUDA; ranking pydantic, safetensors and Pillow;
# `benchmarks/kernels.py` rich and threadpoolctl. What is missing is said in the step that misses it. Nothing is fetched: on a
# machine without a network what is missing comes as wheels in DIR (or $ZOORANK_WHEELS), which are put before all else on
# the path. Where there is a network, for the other machine's Python, here 3.12:
#     python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
#       --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d DIR \
#       pybind11 pydantic pydantic-core typing-inspection annotated-types typing-extensions
# A zoorank wheel with CUDA among them is used where the build fails.
set -uo pipefail
set -m # a step is a group of processes, so that all of it can be ended
cd "$(dirname "$0")/.." || exit 1

wheels=${ZOORANK_WHEELS:-} total=540 only='' target=build/gpu_check
while (($#)); do
    case $1 in
        --wheels) wheels=${2:?--wheels needs a directory}; shift ;;
        --seconds) total=${2:?--seconds needs a number}; shift ;;
        --only) only=,${2:?--only needs names of steps},; shift ;;
        -*) echo "unknown option $1; allowed: --wheels DIR, --seconds N, --only STEP,..." >&2; exit 2 ;;
        *) target=$1 ;;
    esac
    shift
done
[[ -z $wheels || -d $wheels ]] || { echo "there is no directory $wheels" >&2; exit 2; }
[[ -z $wheels ]] || wheels=$(cd "$wheels" && pwd)
mkdir -p "$target" build/gpu && results=$(cd "$target" && pwd) || exit 1
build=$PWD/build/gpu
export results build wheels
export PYTHONUNBUFFERED=1 CUDA_MODULE_LOADING=LAZY
command -v nvcc >/dev/null || PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
export PATH=$PATH:/usr/local/cuda/compute-sanitizer
rm -f "$results"/{steps.csv,summary.txt,logs.txt,gpu_check.csv,kernels.csv,kernels.json}
rm -rf "$build/wheels" "$build/site" "$build/kernels"
echo step,status,seconds,limit,last_line >"$results/steps.csv"

skipped=77 # the status of a step that has nothing to run on

planning=yes # at first the shares are only added up
later=0      # the shares of all steps that are still to come

# end_group PID: an interrupt first, after which pytest says what has failed so far.
end_group() {
    local signal begin
    for signal in INT TERM KILL; do
        kill -$signal -- -"$1" 2>/dev/null
        begin=$SECONDS
        while kill -0 -- -"$1" 2>/dev/null && ((SECONDS - begin < 3)); do sleep 0.1; done
    done
}

# step NAME SECONDS COMMAND...: runs it for so long, up to three times as long where the steps to come can spare it, and
# not beyond the end of all.
step() {
    local name=$1 share=$2 begin=$SECONDS log=$build/$1.log limit status pid last
    shift 2
    [[ -z $only || $only == *,$name,* ]] || return 0
    if [[ $planning ]]; then
        ((later += share))
        return 0
    fi
    ((later -= share))
    ((limit = total - SECONDS - later, limit = limit < share ? share : limit > 3 * share ? 3 * share : limit))
    ((limit = total - SECONDS < limit ? total - SECONDS : limit))
    if ((limit < 3)); then
        echo "no time left" >"$log"
        status=$skipped
    else
        "$@" >"$log" 2>&1 </dev/null &
        pid=$!
        # Not `timeout`: it would wait for a process that the driver does not let go.
        while kill -0 $pid 2>/dev/null && ((SECONDS - begin < limit)); do sleep 0.2; done
        if kill -0 $pid 2>/dev/null; then
            disown $pid 2>/dev/null # or the shell would speak of it
            end_group $pid
            status="stopped after $limit s"
        else
            wait $pid
            status=$?
        fi
    fi
    case $status in
        0) status=ok ;;
        "$skipped") status=skipped ;;
        stopped*) ;;
        *) status="FAILED ($status)" ;;
    esac
    last=$(grep -v '^[[:space:]]*$' "$log" | tail -n 1 | tr -d '\r' | cut -c1-160)
    printf '%s,%s,%d,%d,"%s"\n' "$name" "$status" $((SECONDS - begin)) "$limit" "${last//\"/\'}" >>"$results/steps.csv"
    printf '%-12s %-20s %4d s  %s\n' "$name" "$status" $((SECONDS - begin)) "$last" | tee -a "$results/summary.txt"
    { printf '\n===== %s: %s, %d s\n' "$name" "$status" $((SECONDS - begin)); tail -c 400000 "$log"; } >>"$results/logs.txt"
}

# ended NAME STATUS...: whether that step has ended so.
ended() {
    local name=$1
    shift
    grep -qE "^$name,($(IFS='|'; echo "$*"))" "$results/steps.csv"
}

skip() {
    echo "$*"
    exit $skipped
}

facts() {
    nvcc --version 2>&1 | tail -n 2
    cmake --version 2>&1 | head -n 1
    # From what is installed, not by importing: a first import of torch can take longer than this step may.
    python3 -c '
import importlib.metadata, os, sys
print("python", sys.version.split()[0], "on", len(os.sched_getaffinity(0)), "processors")
for name in "torch", "numpy", "pybind11", "pytest", "pydantic":
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print(name, "is not installed")'
    command -v nvidia-smi >/dev/null || skip "there is no nvidia-smi, so no NVIDIA driver"
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader
}

install_wheels() {
    [[ -n $wheels ]] || skip "no --wheels"
    python3 -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$build/wheels" \
        "$wheels"/*.whl && ls "$build/wheels" | tr '\n' ' '
}

# The Python modules need pybind11 and Python's headers; the program cuda_check does not, and is built without them if need be.
configure() {
    local python generator=() architectures=native pybind11
    command -v nvcc >/dev/null || skip "there is no nvcc on the PATH or in ${CUDA_HOME:-/usr/local/cuda}/bin"
    command -v cmake >/dev/null || skip "there is no cmake"
    command -v ninja >/dev/null && generator=(-G Ninja)
    nvidia-smi -L >/dev/null 2>&1 || architectures=90a-real
    pybind11=$(python3 -m pybind11 --cmakedir)
    for python in ON OFF; do
        cmake "${generator[@]}" -S . -B "$build/cmake" -DCMAKE_BUILD_TYPE=Release -DZOORANK_CUDA=ON -DZOORANK_TESTS=OFF \
            -DZOORANK_TOOLS=OFF -DZOORANK_CUDA_CHECK=ON -DZOORANK_CUDA_ARCHITECTURES=$architectures \
            -DZOORANK_PYTHON=$python -DPython_EXECUTABLE="$(command -v python3)" -Dpybind11_DIR="$pybind11" &&
            break
        [[ $python == ON ]] || return 1
        echo "again without the Python modules, for which pybind11 >= 3 or Python's headers are missing"
    done
    [[ $python == ON ]] || echo "for cuda_check alone: the Python modules cannot be built"
}

compile() {
    [[ -e $build/cmake/CMakeCache.txt ]] || skip "nothing is configured"
    cmake --build "$build/cmake" --parallel --target cuda_check
}

compile_modules() {
    if grep -q ZOORANK_PYTHON:BOOL=ON "$build/cmake/CMakeCache.txt" 2>/dev/null &&
        cmake --build "$build/cmake" --parallel --target _core _cuda &&
        cmake --install "$build/cmake" --component python --prefix "$build/site"; then
        cp -r python/zoorank/. "$build/site/zoorank/"
    else
        echo "nothing was built; is there a zoorank among what is installed?"
    fi
    PYTHONPATH=$build/site:${PYTHONPATH:-} python3 -c '
import zoorank
info = zoorank.build_info()
print(zoorank.__file__, info["cuda_devices"], info["cuda_unavailable_reason"])
raise SystemExit(0 if info["cuda_built"] else 1)'
}

kernel() {
    local program=$build/cmake/tests/cuda/cuda_check
    [[ -x $program ]] || skip "cuda_check is not built"
    "$program" "$@"
}

sanitize() {
    local program=$build/cmake/tests/cuda/cuda_check tool=$1 status
    shift
    [[ -x $program ]] || skip "cuda_check is not built"
    command -v compute-sanitizer >/dev/null || skip "there is no compute-sanitizer"
    compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" "$@" small 2>&1 | tee "$build/$tool.out"
    status=${PIPESTATUS[0]}
    ! grep -q 'Device not supported' "$build/$tool.out" || skip "compute-sanitizer refuses this device"
    return "$status"
}

tests() {
    local options=(-q -p no:cacheprovider -o filterwarnings=default -o addopts=--import-mode=importlib --maxfail=60 -rfE
        -o faulthandler_timeout=25)
    missing pytest hypothesis
    device_or_skip
    python3 -c 'import xdist' 2>/dev/null && options+=(-n 6)
    python3 -c 'import pytest_timeout' 2>/dev/null && options+=(--timeout 40 --timeout-method thread)
    python3 -m pytest "${options[@]}" "$@"
}

# Skips the step when one of these modules is missing; imports none of them.
missing() {
    local name
    for name; do
        python3 -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$name') is None)" ||
            skip "python3 has no $name"
    done
}

device_or_skip() {
    local reason
    reason=$(python3 -c 'import zoorank; print(zoorank.build_info()["cuda_unavailable_reason"])' 2>&1) ||
        skip "zoorank does not import: $(tail -n 1 <<<"$reason")"
    [[ -z $reason ]] || skip "$reason"
}

speed() {
    device_or_skip
    python3 benchmarks/gpu_speed.py "$@" --out "$results"
}

beside_torch() {
    missing torch
    device_or_skip
    python3 benchmarks/gpu_torch.py "$@" --out "$results"
}

rank() {
    missing torch pydantic safetensors PIL
    tests "$@"
}

bench() {
    device_or_skip
    missing rich threadpoolctl
    COLUMNS=150 python3 benchmarks/kernels.py --device cuda --n 20000 --d 64,512,2048 --classes 10,1000 \
        --out "$build/kernels"
    local status=$?
    cp "$build"/kernels/*/kernels.{csv,json} "$results" 2>/dev/null
    return $status
}

engine=(tests/engine/test_silhouette.py tests/engine/test_distances.py tests/engine/test_input.py
    tests/engine/test_result.py tests/engine/test_batch.py tests/engine/test_samples.py)

steps() {
    local kernel_of_tests=auto kernel_of_times=auto kernels=(mma wgmma simt)
    step facts 8 facts
    step wheels 12 install_wheels
    step configure 20 configure
    step compile 70 compile
    step mma 10 kernel mma
    step wgmma 10 kernel wgmma
    step simt 10 kernel simt
    step others 15 kernel others
    # A best kernel that hangs would take all the rest with it, which can be seen with the others.
    ! ended wgmma FAILED stopped || kernel_of_tests=simt kernel_of_times=mma
    ! ended mma FAILED stopped || ended wgmma ok || kernel_of_tests=simt kernel_of_times=simt
    ! ended wgmma FAILED stopped skipped || kernels=(mma simt)
    step modules 35 compile_modules
    export ZOORANK_CUDA_KERNEL=$kernel_of_tests
    ZOORANK_DEVICE=cuda ZOORANK_TEST_EXAMPLES=40 step engine 50 tests "${engine[@]}" -k "not instruction_set"
    step cuda 35 tests tests/engine/test_cuda.py tests/engine/test_cuda_estimate.py
    export ZOORANK_CUDA_KERNEL=$kernel_of_times
    step bits 15 speed bits
    step memcheck 25 sanitize memcheck "${kernels[@]}" others
    step racecheck 30 sanitize racecheck "${kernels[@]}" references
    step speed 85 speed limits exact estimate closed slower
    step torch 25 beside_torch limits peers
    step end-to-end 20 beside_torch encode
    step rank 20 rank tests/ranking/test_rank_in_memory.py
    step accuracy 12 speed accuracy
    step bench 15 bench
    step synccheck 10 sanitize synccheck "${kernels[@]}" references
    export ZOORANK_CUDA_KERNEL=$kernel_of_tests
    ZOORANK_DEVICE=cuda step files 8 tests tests/engine/test_{precision,rows,estimate}.py
}

export PYTHONPATH=$build/site:$build/wheels${PYTHONPATH:+:$PYTHONPATH} PATH=$build/wheels/bin:$PATH
steps
planning=
# The first import reads gigabytes, which it may as well do while others wait for the compiler.
python3 -c 'import torch' >/dev/null 2>&1 </dev/null &
disown
steps

{
    echo
    cat "$build/facts.log"
    [[ -e $results/gpu_check.csv ]] && column -s, -t "$results/gpu_check.csv"
} 2>/dev/null | tee -a "$results/summary.txt"
printf '%d s; the results are in %s\n' $SECONDS "$results" | tee -a "$results/summary.txt"
! grep -qE ',(FAILED|stopped)' "$results/steps.csv"
