# A kernel file is compiled for one instruction set and linked into a program for all.
# Whatever it defines weakly (an inline function, an instantiated template) the linker
# may pick for every caller, and an older processor then meets an instruction it does
# not have. So: no weak symbol, and one external one, the table.
if(NOT OBJECTS)
  message(FATAL_ERROR "there are no kernel objects to look at")
endif()

foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} --extern-only --defined-only --demangle ${object}
                  OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" symbols "${listing}")
  cmake_path(GET object FILENAME file)

  set(weak ${symbols})
  list(FILTER weak INCLUDE REGEX "^[0-9a-fA-F]+ [VvWwu] ")
  list(LENGTH weak weak_count)
  list(LENGTH symbols count)
  list(JOIN symbols "\n  " symbol_lines)
  if(weak_count OR NOT count EQUAL 1)
    message(SEND_ERROR "${file} defines ${count} external symbols, ${weak_count} of them weak; "
                       "it may define one, its table:\n  ${symbol_lines}")
  else()
    message(STATUS "${file}: ${symbol_lines}")
  endif()
endforeach()
