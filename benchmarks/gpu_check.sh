#!/usr/bin/env bash
# Everything that has to be seen on a GPU, in one call of under ten minutes:
#
#     benchmarks/gpu_check.sh [DIRECTORY]        (default: build/gpu_check)
#
# builds the backend for the card that it finds, runs the engine's tests on it against the float64 reference, compares
# the bits of two runs, looks for bad accesses and races with compute-sanitizer, and times. A step that fails or takes too
# long leaves the others their turn. DIRECTORY gets a log a step, summary.txt, and gpu_check.csv, to be committed as
# benchmarks/results/CARD/gpu_check.csv.
#
# It needs the repository; nvcc, g++ and nvidia-smi; and a python3 with torch (CUDA), numpy, pybind11, cmake, and for the
# tests pytest, hypothesis and scikit-learn. Nothing is fetched. On a machine without a network, what is missing can be
# brought as wheels: where there is a network,
#     python3 -m pip download --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
#       --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d wheels pybind11 cmake ninja pytest hypothesis
# and here, before this script,
#     python3 -m pip install --no-index --no-deps --target site wheels/*.whl; export PYTHONPATH=$PWD/site PATH=$PWD/site/bin:$PATH
set -uo pipefail
cd "$(dirname "$0")/.."
results=$(mkdir -p "${1:-build/gpu_check}" && cd "${1:-build/gpu_check}" && pwd)
summary=$results/summary.txt
export PYTHONUNBUFFERED=1 CUDA_MODULE_LOADING=LAZY
: >"$summary"

# step NAME SECONDS COMMAND...: a line of the summary, and a log.
step() {
    local name=$1 limit=$2 begin=$SECONDS status
    shift 2
    timeout --kill-after=5 "$limit" "$@" >"$results/$name.log" 2>&1
    status=$?
    case $status in
        0) status=ok ;;
        124 | 137) status="stopped after $limit s" ;;
        *) status="FAILED ($status)" ;;
    esac
    printf '%-12s %-22s %4d s  %s\n' "$name" "$status" $((SECONDS - begin)) \
        "$(grep -v '^ *$' "$results/$name.log" | tail -n 1 | cut -c1-110)" | tee -a "$summary"
    [[ $status == ok ]]
}

build() {
    local build=build/gpu generator=()
    command -v ninja >/dev/null && generator=(-G Ninja)
    cmake "${generator[@]}" -S . -B $build -DCMAKE_BUILD_TYPE=Release -DZOORANK_CUDA=ON \
        -DZOORANK_CUDA_ARCHITECTURES=native -DZOORANK_PYTHON=ON -DZOORANK_TESTS=OFF \
        -DPython_EXECUTABLE="$(command -v python3)" -Dpybind11_DIR="$(python3 -m pybind11 --cmakedir)" &&
        cmake --build $build --parallel --target _core _cuda &&
        rm -rf $build/site && cmake --install $build --component python --prefix $build/site &&
        cp -r python/zoorank/. $build/site/zoorank/ &&
        PYTHONPATH=$build/site python3 -c 'import zoorank; print(zoorank.build_info()["cuda_devices"])'
}

facts() {
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv,noheader
    nvcc --version | tail -n 2
    python3 -c 'import sys, torch; print(sys.version.split()[0], torch.__version__, torch.version.cuda)'
}

tests() {
    python3 -m pytest -q -p no:cacheprovider -o filterwarnings=default -o addopts=--import-mode=importlib "$@"
}

sanitize() {
    ZOORANK_CUDA_KERNEL=$2 compute-sanitizer --tool "$1" --error-exitcode 9 \
        python3 benchmarks/gpu_speed.py --small
}
export -f build facts tests sanitize

step facts 30 bash -c facts
if step build 150 bash -c build; then
    export PYTHONPATH=$PWD/build/gpu/site${PYTHONPATH:+:$PYTHONPATH}
    step bits 40 python3 benchmarks/gpu_speed.py --bits
    step times 150 python3 benchmarks/gpu_speed.py --out "$results"
    step test_cuda 90 bash -c 'tests tests/engine/test_cuda.py'
    # The tests of the CPU engine, unchanged; those about instruction sets have nothing to do with a device.
    ZOORANK_DEVICE=cuda ZOORANK_TEST_EXAMPLES=40 step test_engine 100 bash -c \
        'tests tests/engine/test_silhouette.py tests/engine/test_distances.py tests/engine/test_input.py \
            tests/engine/test_result.py -k "not instruction_set"'
    if command -v compute-sanitizer >/dev/null; then
        for tool in memcheck racecheck; do
            for kernel in auto mma; do
                step $tool-$kernel 40 bash -c "sanitize $tool $kernel"
            done
        done
    else
        echo "memcheck, racecheck: there is no compute-sanitizer" | tee -a "$summary"
    fi
fi

echo
cat "$results"/facts.log
[[ -e $results/gpu_check.csv ]] && column -s, -t "$results/gpu_check.csv" | tee -a "$summary"
! grep -qE 'FAILED|stopped' "$summary"
