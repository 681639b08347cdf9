include(CheckCXXCompilerFlag)

# zoorank_add_isa(avx2 "-mavx2 -mfma")
#
# Adds csrc/src/cpu/kernels_avx2.cpp to the library, compiled with those flags,
# and defines ZOORANK_HAS_AVX2 for the table that lists it. A compiler or target
# processor that does not take all the flags together goes without the set.
function(zoorank_add_isa name flags)
  set(source "${PROJECT_SOURCE_DIR}/csrc/src/cpu/kernels_${name}.cpp")
  string(TOUPPER "${name}" upper_name)
  check_cxx_compiler_flag("${flags}" ZOORANK_COMPILER_TAKES_${upper_name})
  if(NOT ZOORANK_COMPILER_TAKES_${upper_name})
    return()
  endif()
  separate_arguments(flag_list UNIX_COMMAND "${flags}")
  # sqrt sets errno and FMA is off in some compilers' defaults; the kernels want
  # neither surprise.
  list(APPEND flag_list -fno-math-errno -ffp-contract=fast)
  set_source_files_properties("${source}" TARGET_DIRECTORY zoorank
                              PROPERTIES COMPILE_OPTIONS "${flag_list}")
  target_sources(zoorank PRIVATE "${source}")
  target_compile_definitions(zoorank PRIVATE ZOORANK_HAS_${upper_name})
  set_property(GLOBAL APPEND PROPERTY ZOORANK_INSTRUCTION_SETS ${name})
endfunction()
