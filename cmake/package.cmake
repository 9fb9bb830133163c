# Packages by CPack: `scripts/package` makes them. DEB: numapin (the program, its pages), libnumapin0 (the library),
# libnumapin-dev (headers), python3-numapin, and, where Slurm's header is, numapin-slurm (the SPANK plugin); TGZ: the
# program alone, for any Linux with glibc (docs/packages.md says how old).
set(CPACK_PACKAGE_NAME numapin)
set(CPACK_PACKAGE_VENDOR numapin)
set(CPACK_PACKAGE_CONTACT "the numapin maintainers <numapin@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${CMAKE_PROJECT_NAME} built using CMake")  # CPack's default: any other begins every package's description
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
    "puts GPU jobs on the right NUMA node\nFinds the CPUs and memory beside each GPU, starts programs there, and shows\nwhether they stay there.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libnumapin-dev)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS "libnumapin${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}), libexpected-dev")  # in the headers
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
    "headers of numapin's library\nThe layers behind the program: machines from sysfs, NVML and recordings,\nplans, binding.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libnumapin${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "library of numapin\nFor programs, for Python and for the Slurm plugin: finds the place of GPUs and binds.")
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
  set(CPACK_COMPONENT_SLURM_DESCRIPTION "SPANK plugin of numapin\nSlurm binds each task, CPUs and memory, to the NUMA node of its GPUs.")
endif()

if(NUMAPIN_PACKAGE_PYTHON)
  list(APPEND CPACK_COMPONENTS_ALL python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-numapin)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.8), libnumapin${PROJECT_VERSION_MAJOR} (>= ${PROJECT_VERSION})")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS python3-torch)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/cmake/python/postinst ${PROJECT_SOURCE_DIR}/cmake/python/prerm)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_STRICT_PERMISSION ON)
  set(CPACK_COMPONENT_PYTHON_DESCRIPTION
      "Python module of numapin\nBinds a Python process, its threads and its DataLoader workers beside its GPU.")
endif()

set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_ARCHIVE_PROGRAM_FILE_NAME numapin-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
include(CPack)
