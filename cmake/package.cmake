# Packages by CPack: `scripts/package` makes them. DEB: numapin (the program, its pages) and libnumapin-dev (library,
# headers); TGZ: the program alone, for any Linux with glibc (docs/packages.md says how old).
set(CPACK_PACKAGE_NAME numapin)
set(CPACK_PACKAGE_VENDOR numapin)
set(CPACK_PACKAGE_CONTACT "the numapin maintainers <numapin@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program library)
set(CPACK_COMPONENTS_GROUPING IGNORE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME numapin)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION admin)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION
    "puts GPU jobs on the right NUMA node\n Finds the CPUs and memory beside each GPU, starts programs there, and shows\n whether they stay there.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libnumapin-dev)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS libexpected-dev)  # in the headers
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
    "library and headers of numapin\n The layers behind the program: machines from sysfs, NVML and recordings,\n plans, binding.")

set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY ON)
set(CPACK_ARCHIVE_PROGRAM_FILE_NAME numapin-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
include(CPack)
