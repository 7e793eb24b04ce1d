# One executable per folder of tests/, one ctest case per file in it.
#
#   tests/<room>/<what>_test.cpp        case <room>/<what>
#   tests/<room>/<what>_long_test.cpp   the same, label "long": not part of `make test`
#   tests/<room>/broker_<what>_test.cpp the same, label "broker": needs mosquitto, not part of a bare `make`
#   tests/support/*.cpp, *.hpp          helpers that any test may use
#   tests/must_not_compile/*.cpp        must fail with the words of the first line, `// expect: REGEX`
#   tests/fuzz/*.cpp                    libFuzzer targets (preset fuzz)
#   tests/bench/*.cpp                   one executable, batgw_bench
#   tests/canlab/suite_<kind>_<what>    case canlab/<kind>_<what>: runs in a virtual machine of its own, label "canlab"
#   tests/canlab/*.cpp                  one executable, test_canlab_bus, for the suites written in C++

find_package(doctest REQUIRED)

# Test code is compiled once and run once: optimising it costs more time than it saves, three times more under sanitizers. What it
# tests keeps the flags of the build. Scenarios under sanitizers are the exception: they run for many minutes.
add_library(batgw_test_options INTERFACE)
target_compile_options(batgw_test_options INTERFACE
  $<$<AND:$<CONFIG:Debug>,$<NOT:$<BOOL:$<TARGET_PROPERTY:BATGW_OPTIMISED>>>>:-O0>)

add_library(batgw_doctest_main OBJECT tests/main.cpp)
target_link_libraries(batgw_doctest_main PUBLIC batgw_options doctest::doctest batgw_test_options)
if(BATGW_PCH)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/pch/tests.cpp CONTENT "")
  add_library(batgw_test_pch OBJECT ${PROJECT_BINARY_DIR}/pch/tests.cpp)
  target_link_libraries(batgw_test_pch PRIVATE batgw_options doctest::doctest batgw_test_options)
  target_precompile_headers(batgw_test_pch PRIVATE <doctest/doctest.h> <algorithm> <array> <chrono> <filesystem> <fstream>
    <functional> <map> <memory> <optional> <random> <set> <span> <string> <string_view> <thread> <vector>)
endif()

# Several test files per compiler run: a third of the time of a cold build, for some seconds more after a change of one. Each keeps its
# helpers in a namespace of its own, and what they include stands before the first. A file that adds to somebody's namespace stays
# alone.
function(batgw_test_unity name)
  set(includes "")
  foreach(source IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    file(STRINGS ${source} lines REGEX "^(#include|#define|namespace [a-z_0-9:]+ *({|$)|.*operator new)")
    if(lines MATCHES "#define|namespace |operator new")
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    else()
      list(APPEND includes ${lines})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES includes)
  list(JOIN includes "\n" includes)
  set(header ${PROJECT_BINARY_DIR}/unity/${name}.hpp)
  file(CONFIGURE OUTPUT ${header} CONTENT "#pragma once\n${includes}\n" @ONLY)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 5 UNITY_BUILD_UNIQUE_ID BATGW_TEST_FILE
    UNITY_BUILD_CODE_BEFORE_INCLUDE "#include \"${header}\"\nnamespace BATGW_TEST_FILE {" UNITY_BUILD_CODE_AFTER_INCLUDE "}")
endfunction()

# An archive: only what a test uses of it is linked, so a helper needs no more rooms than the tests that call it.
batgw_room(batgw_test_support SOURCES tests/support/*.cpp LINKS batgw_model)

# Rooms of the core are tested with nothing more than they may know; everything else sees the whole program.
set(links_model batgw_model)
set(links_battery batgw_sim batgw_drivers)
set(links_inverter batgw_sim batgw_drivers)
set(links_drivers batgw_sim batgw_drivers)
set(links_safety batgw_safety)
set(links_sim batgw_sim)
set(links_bridge batgw_bridge batgw_sim)
set(links_scenarios batgw_bridge batgw_sim batgw_conf)
set(links_conf batgw_conf batgw_drivers)
set(links_bus batgw_bus)
set(links_mqtt batgw_mqtt batgw_drivers)
# These have threads, measure time or use the machine's ports: label "threads".
set(thread_rooms bus mqtt batgw)
# A test has some of the four slots per processor (tools/run-tests). What lives with real clocks waits most of its time and takes one,
# under sanitizers two; a virtual machine takes a processor. What computes takes three, so that something that waits goes on beside it,
# and stands back for it.
set(slots_of_waiting 1)
if(BATGW_SANITIZE)
  set(slots_of_waiting 2)
endif()
set(slots_of_computing 3)
set(slots_of_machine 4)
set(longest_waiting batgw/gateway batgw/broker_demo batgw/broker_chaos batgw/daly_pty)  # a minute: they start first
# What the coverage bar is about: every line is run by the room's own tests.
set(core_rooms battery inverter safety)

file(GLOB test_files RELATIVE ${PROJECT_SOURCE_DIR}/tests CONFIGURE_DEPENDS tests/*/*_test.cpp)
set(rooms ${test_files})
list(TRANSFORM rooms REPLACE "/.*" "")
list(REMOVE_DUPLICATES rooms)
if(BATGW_FUZZ)
  list(REMOVE_ITEM rooms fuzz)
endif()

foreach(room IN LISTS rooms)
  set(files ${test_files})
  list(FILTER files INCLUDE REGEX "^${room}/")
  list(TRANSFORM files PREPEND ${PROJECT_SOURCE_DIR}/tests/ OUTPUT_VARIABLE sources)
  if(NOT DEFINED links_${room})
    set(links_${room} batgw_shell)
  endif()
  add_executable(test_${room} ${sources})
  target_link_libraries(test_${room} PRIVATE batgw_doctest_main batgw_test_support ${links_${room}} batgw_options)
  if(room IN_LIST core_rooms)
    target_compile_options(test_${room} PRIVATE ${BATGW_COUNTS})
  endif()
  if(BATGW_SANITIZE AND room STREQUAL "scenarios")
    set_target_properties(test_${room} PROPERTIES BATGW_OPTIMISED ON)
  endif()
  if(BATGW_PCH)
    target_precompile_headers(test_${room} REUSE_FROM batgw_test_pch)
  endif()
  if(NOT BATGW_FUZZ)
    batgw_test_unity(test_${room} ${sources})
  endif()
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME)
    string(REGEX REPLACE "_test\\.cpp$" "" what ${name})
    set(case ${room}/${what})
    set(command $<TARGET_FILE:test_${room}> --source-file=*/${name})
    if(room IN_LIST thread_rooms AND NOT case STREQUAL "mqtt/state_json")  # one that only makes text, ten thousand times
      add_test(NAME ${case} COMMAND ${command} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
      set_tests_properties(${case} PROPERTIES PROCESSORS ${slots_of_waiting} LABELS threads)
    else()
      add_test(NAME ${case} COMMAND nice -n 10 ${command} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
      set_tests_properties(${case} PROPERTIES PROCESSORS ${slots_of_computing} COST 100)
    endif()
    if(case IN_LIST longest_waiting)
      set_tests_properties(${case} PROPERTIES COST 200)
    endif()
    # doctest calls it a success when the filter matched nothing.
    set_tests_properties(${case} PROPERTIES TIMEOUT 600 FAIL_REGULAR_EXPRESSION "test cases: +0 ")
    if(room IN_LIST core_rooms)
      set_property(TEST ${case} APPEND PROPERTY LABELS core)
      set_property(TEST ${case} PROPERTY ENVIRONMENT "LLVM_PROFILE_FILE=${PROJECT_BINARY_DIR}/profiles/${room}/${what}.profraw")
    endif()
    if(what MATCHES "^broker")
      set_property(TEST ${case} APPEND PROPERTY LABELS broker)
    endif()
    if(what MATCHES "_long$")
      set_tests_properties(${case} PROPERTIES TIMEOUT 1500)
      set_property(TEST ${case} APPEND PROPERTY LABELS long)
    endif()
  endforeach()
endforeach()
if(TARGET test_fuzz)
  file(GLOB files CONFIGURE_DEPENDS tests/fuzz/fuzz_*.cpp)
  target_sources(test_fuzz PRIVATE ${files})
  foreach(file IN LISTS files)
    get_filename_component(what ${file} NAME_WE)
    set_source_files_properties(${file} PROPERTIES COMPILE_DEFINITIONS LLVMFuzzerTestOneInput=${what} SKIP_UNITY_BUILD_INCLUSION ON)
  endforeach()
endif()
# What ThreadSanitizer is for, and what the coverage bar is about.
foreach(group threads core)
  add_custom_target(tests_${group})
endforeach()
foreach(room IN LISTS thread_rooms)
  add_dependencies(tests_threads test_${room})
endforeach()
foreach(room IN LISTS core_rooms)
  add_dependencies(tests_core test_${room})
endforeach()
# test_batgw and its like start the program itself.
if(TARGET batgw)
  foreach(room IN LISTS rooms)
    if(links_${room} STREQUAL "batgw_shell")
      add_dependencies(test_${room} batgw)
    endif()
  endforeach()
endif()

file(GLOB cases CONFIGURE_DEPENDS tests/must_not_compile/*.cpp)
foreach(file IN LISTS cases)
  get_filename_component(what ${file} NAME_WE)
  file(STRINGS ${file} first LIMIT_COUNT 1)
  if(NOT first MATCHES "^// expect: (.+)$")
    message(FATAL_ERROR "${file}: the first line must be `// expect: REGEX`")
  endif()
  add_test(NAME must_not_compile/${what}
    COMMAND ${PROJECT_SOURCE_DIR}/tools/must-not-compile ${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR} ${file})
endforeach()

add_test(NAME house/includes COMMAND ${PROJECT_SOURCE_DIR}/tools/check-includes)
# The layouts in the pages are those of the declarations: `make docs` writes them.
add_test(NAME house/safety_case COMMAND ${PROJECT_SOURCE_DIR}/tools/safety-case --check)
add_test(NAME house/docs COMMAND batgw layout --check docs/protocols WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})

# Suites written in C++: cases of one program, which the shell wrappers suite_<kind>_bus start in the machine.
file(GLOB canlab_files CONFIGURE_DEPENDS tests/canlab/*.cpp)
if(canlab_files)
  add_executable(test_canlab_bus ${canlab_files})
  if(BATGW_SANITIZE)
    set_target_properties(test_canlab_bus PROPERTIES EXCLUDE_FROM_ALL ON)  # the machines run what `make test` built
  endif()
  batgw_test_unity(test_canlab_bus ${canlab_files})
  target_link_libraries(test_canlab_bus PRIVATE batgw_bus doctest::doctest Threads::Threads batgw_options)
endif()

# The built program on the kernel's own CAN. They take longest, so they start first.
foreach(kind vcan hw2 slcan busoff gpio)
  file(GLOB suites CONFIGURE_DEPENDS tests/canlab/suite_${kind}_*)
  foreach(suite IN LISTS suites)
    get_filename_component(what ${suite} NAME)
    string(REPLACE "suite_" "" what ${what})
    add_test(NAME canlab/${what} COMMAND ${PROJECT_SOURCE_DIR}/tests/canlab/run ${kind} ${PROJECT_BINARY_DIR} ${suite})
    set_tests_properties(canlab/${what} PROPERTIES LABELS canlab TIMEOUT 400 PROCESSORS ${slots_of_machine} COST 1000)
  endforeach()
endforeach()

if(BATGW_FUZZ)
  add_custom_target(fuzz_targets)
  file(GLOB targets CONFIGURE_DEPENDS tests/fuzz/fuzz_*.cpp)
  foreach(file IN LISTS targets)
    get_filename_component(what ${file} NAME_WE)
    string(REGEX REPLACE "^fuzz_" "" what ${what})
    add_executable(fuzz_${what} ${file})
    target_link_libraries(fuzz_${what} PRIVATE batgw_shell)
    target_link_options(fuzz_${what} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz_targets fuzz_${what})
  endforeach()
endif()

file(GLOB bench CONFIGURE_DEPENDS tests/bench/*.cpp)
if(bench)
  add_executable(batgw_bench EXCLUDE_FROM_ALL ${bench})
  target_link_libraries(batgw_bench PRIVATE batgw_test_support batgw_shell)
endif()
