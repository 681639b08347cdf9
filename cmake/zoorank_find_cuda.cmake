# Sets ZOORANK_CUDA_COMPILER_WORKS from ZOORANK_CUDA=AUTO|ON|OFF and says in one
# line what the build will contain. A CUDA compiler that is there but broken is a
# warning under AUTO: a user with a GPU must not lose it without a word.
string(TOUPPER "${ZOORANK_CUDA}" zoorank_cuda_mode)
if(NOT zoorank_cuda_mode MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "ZOORANK_CUDA is '${ZOORANK_CUDA}'; it must be AUTO, ON or OFF")
endif()

set(ZOORANK_CUDA_COMPILER_WORKS OFF)
if(NOT zoorank_cuda_mode STREQUAL "OFF")
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER)
    unset(CMAKE_CUDA_COMPILER CACHE)  # an earlier failure must not outlive its cause
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(ZOORANK_CUDA_COMPILER_WORKS ON)
  else()
    # check_language() finds no compiler and a broken compiler equally NOTFOUND.
    if(DEFINED ENV{CUDACXX})
      set(zoorank_broken_nvcc "$ENV{CUDACXX}")
    else()
      find_program(zoorank_broken_nvcc nvcc NO_CACHE NO_CMAKE_SYSTEM_PATH
                   HINTS ENV CUDA_PATH PATH_SUFFIXES bin)
    endif()
  endif()
  if(zoorank_cuda_mode STREQUAL "ON" AND NOT ZOORANK_CUDA_COMPILER_WORKS)
    if(zoorank_broken_nvcc)
      message(FATAL_ERROR "ZOORANK_CUDA=ON, but ${zoorank_broken_nvcc} cannot compile a CUDA program "
                          "(set CUDACXX to one that can; the log is under CMakeFiles/)")
    endif()
    message(FATAL_ERROR "ZOORANK_CUDA=ON, but there is no nvcc (set CUDACXX to its path)")
  elseif(zoorank_broken_nvcc)
    message(WARNING "${zoorank_broken_nvcc} cannot compile a CUDA program: building without CUDA. "
                    "Set CUDACXX to a working nvcc, or ZOORANK_CUDA=OFF to say that this is meant.")
  endif()
endif()

if(NOT ZOORANK_CUDA_COMPILER_WORKS)
  message(STATUS "zoorank ${PROJECT_VERSION}: without CUDA (ZOORANK_CUDA=${zoorank_cuda_mode})")
  return()
endif()

# Machine code for each device family, and PTX, which the driver of a device that is newer than all of them translates.
set(ZOORANK_CUDA_ARCHITECTURES "all" CACHE STRING
    "Devices to build for: all, native (those of this machine), or a list as of CMAKE_CUDA_ARCHITECTURES")
if(ZOORANK_CUDA_ARCHITECTURES STREQUAL "all")
  set(ZOORANK_CUDA_TARGETS 80-real 86-real 89-real 90a-real 100-real 120-real 100-virtual)
elseif(ZOORANK_CUDA_ARCHITECTURES STREQUAL "native")
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                  OUTPUT_VARIABLE capabilities RESULT_VARIABLE status)
  string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${capabilities}")
  if(status OR NOT capabilities)
    message(FATAL_ERROR "ZOORANK_CUDA_ARCHITECTURES=native, but nvidia-smi names no device")
  endif()
  set(ZOORANK_CUDA_TARGETS "")
  foreach(capability IN LISTS capabilities)
    string(REPLACE "." "" target "${capability}")
    string(REGEX REPLACE "^90$" "90a" target "${target}")  # 9.0 without the a has no wgmma
    list(APPEND ZOORANK_CUDA_TARGETS ${target}-real)
  endforeach()
  list(REMOVE_DUPLICATES ZOORANK_CUDA_TARGETS)
else()
  set(ZOORANK_CUDA_TARGETS ${ZOORANK_CUDA_ARCHITECTURES})
endif()
set(CMAKE_CUDA_ARCHITECTURES ${ZOORANK_CUDA_TARGETS})
enable_language(CUDA)
list(JOIN ZOORANK_CUDA_TARGETS " " zoorank_cuda_targets)
message(STATUS "zoorank ${PROJECT_VERSION}: with CUDA by ${CMAKE_CUDA_COMPILER}, for ${zoorank_cuda_targets}")
