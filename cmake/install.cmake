# The library numapin::numapin (one shared library of every layer but the command line), its headers, the program.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(numapin_library SHARED)
foreach(layer pure files gpu sources os capi)
  if(TARGET numapin_${layer}_objects)
    target_sources(numapin_library PRIVATE $<TARGET_OBJECTS:numapin_${layer}_objects>)
  endif()
endforeach()
# Debian's static libraries are not position-independent: a shared library takes the shared ones.
target_link_libraries(numapin_library PRIVATE ${NUMAPIN_FMT} ${NUMAPIN_SHARED_XML} ${NUMAPIN_SHARED_ARCHIVE} ${CMAKE_DL_LIBS})
target_include_directories(numapin_library INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                     $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(numapin_library INTERFACE cxx_std_20)
set_target_properties(numapin_library PROPERTIES OUTPUT_NAME numapin EXPORT_NAME numapin
                      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
# Exported: the C ABI as NUMAPIN_1, which stays, and namespace numapin as NUMAPIN_CXX_<version>, which is that of one
# release; nothing of the libraries inside.
configure_file(cmake/numapin.map.in numapin.map @ONLY)
target_link_options(numapin_library PRIVATE LINKER:--version-script=${PROJECT_BINARY_DIR}/numapin.map LINKER:--no-undefined-version)
set_property(TARGET numapin_library APPEND PROPERTY LINK_DEPENDS ${PROJECT_BINARY_DIR}/numapin.map)
add_library(numapin::numapin ALIAS numapin_library)

if(TARGET numapin)
  install(TARGETS numapin RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
  # The name by which container engines start it as their runtime.
  file(CREATE_LINK numapin ${PROJECT_BINARY_DIR}/numapin-runtime SYMBOLIC)
  install(FILES ${PROJECT_BINARY_DIR}/numapin-runtime DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
  include(cmake/pages.cmake)
endif()
install(TARGETS numapin_library EXPORT numapinTargets 
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT library)
install(DIRECTORY include/numapin DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
install(EXPORT numapinTargets NAMESPACE numapin:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/numapin COMPONENT library)
configure_package_config_file(cmake/numapinConfig.cmake.in numapinConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/numapin)
write_basic_package_version_file(numapinConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/numapinConfig.cmake ${PROJECT_BINARY_DIR}/numapinConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/numapin COMPONENT library)
file(RELATIVE_PATH NUMAPIN_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/numapin.pc.in numapin.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/numapin.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
foreach(package runtime:libnumapin${PROJECT_VERSION_MAJOR} library:libnumapin-dev)
  string(REPLACE ":" ";" package ${package})
  list(GET package 0 component)
  list(GET package 1 name)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} RENAME copyright COMPONENT ${component})
endforeach()

# The Python package, for Debian's package alone (elsewhere: `pip install integrations/python`): what its own wheel holds.
find_program(NUMAPIN_PACKAGE_PYTHON python3)
mark_as_advanced(NUMAPIN_PACKAGE_PYTHON)
if(NUMAPIN_PACKAGE_PYTHON)
  install(CODE "
    execute_process(COMMAND ${NUMAPIN_PACKAGE_PYTHON} -B build_package.py ${PROJECT_BINARY_DIR} OUTPUT_VARIABLE wheel OUTPUT_STRIP_TRAILING_WHITESPACE
                    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/integrations/python COMMAND_ERROR_IS_FATAL ANY)
    file(ARCHIVE_EXTRACT INPUT ${PROJECT_BINARY_DIR}/\${wheel} TOUCH
         DESTINATION \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/python3/dist-packages)" COMPONENT python EXCLUDE_FROM_ALL)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/python3-numapin RENAME copyright COMPONENT python EXCLUDE_FROM_ALL)
endif()
include(cmake/package.cmake)
