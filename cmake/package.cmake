# Packages by CPack: `scripts/package` makes them. DEB: numapin (the program, its pages), libnumapin0 (the library),
# libnumapin-dev (headers), and, where Slurm's header is, numapin-slurm (the SPANK plugin); TGZ: the program alone, for any Linux with glibc (docs/packages.md says how old).
set(CPACK_PACKAGE_NAME numapin)
set(CPACK_PACKAGE_VENDOR numapin)
set(CPACK_PACKAGE_CONTACT "the numapin maintainers <numapin@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program runtime library)
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
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS "libnumapin${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}), libexpected-dev")  # in the headers
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
    "headers of numapin's library\n The layers behind the program: machines from sysfs, NVML and recordings,\n plans, binding.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libnumapin${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "library of numapin\n For programs, for Python and for the Slurm plugin: finds the place of GPUs and binds.")
if(TARGET spank_numapin)
  # A plugin is loaded by the Slurm of its own major release only; the library it opens by name.
  file(STRINGS ${SLURM_INCLUDE_DIR}/slurm/slurm_version.h version_line REGEX "define SLURM_VERSION_NUMBER 0x")
  string(REGEX MATCH "0x([0-9a-f][0-9a-f])([0-9a-f][0-9a-f])" found "${version_line}")
  math(EXPR slurm_year "0x${CMAKE_MATCH_1}")
  math(EXPR slurm_month "0x${CMAKE_MATCH_2}")
  if(slurm_month LESS 10)
    set(slurm_month "0${slurm_month}")
  endif()
  list(APPEND CPACK_COMPONENTS_ALL slurm)
  set(CPACK_DEBIAN_SLURM_PACKAGE_NAME numapin-slurm)
  set(CPACK_DEBIAN_SLURM_PACKAGE_SECTION admin)
  set(CPACK_DEBIAN_SLURM_PACKAGE_DEPENDS
      "libnumapin${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}), slurm-wlm-basic-plugins (>= ${slurm_year}.${slurm_month}), slurm-wlm-basic-plugins (<< ${slurm_year}.${slurm_month}.99)")
  set(CPACK_COMPONENT_SLURM_DESCRIPTION "SPANK plugin of numapin\n Slurm binds each task, CPUs and memory, to the NUMA node of its GPUs.")
endif()

set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_ARCHIVE_PROGRAM_FILE_NAME numapin-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
include(CPack)
