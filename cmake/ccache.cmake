# ccache where there is one. Neither the build folder nor the place of the checkout takes part in the hash, so that all
# presets and clones share their objects; a precompiled header is told by its content. What counts coverage holds absolute paths: that build
# hashes its place.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  if(BATGW_COVERAGE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  else()
    set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
      CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      add_compile_options(-fpch-preprocess)  # ccache needs it
    endif()
  endif()
endif()
