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

if(ZOORANK_CUDA_COMPILER_WORKS)
  message(STATUS "zoorank ${PROJECT_VERSION}: no CUDA kernels in this version; "
                 "${CMAKE_CUDA_COMPILER} works and is not used")
else()
  message(STATUS "zoorank ${PROJECT_VERSION}: no CUDA kernels in this version (ZOORANK_CUDA=${zoorank_cuda_mode})")
endif()
