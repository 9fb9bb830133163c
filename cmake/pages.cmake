# Manual pages and completions, written by a program that is built from the same command table as numapin.
add_executable(numapin_write_pages tools/write_pages.cc)
target_link_libraries(numapin_write_pages PRIVATE numapin_cli)
set(NUMAPIN_PAGES ${PROJECT_BINARY_DIR}/pages)
add_custom_command(OUTPUT ${NUMAPIN_PAGES}/man1/numapin.1
                   COMMAND numapin_write_pages ${NUMAPIN_PAGES}
                   DEPENDS numapin_write_pages COMMENT "Writing manual pages and completions")
add_custom_target(numapin_pages ALL DEPENDS ${NUMAPIN_PAGES}/man1/numapin.1)

install(DIRECTORY ${NUMAPIN_PAGES}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT program)
install(FILES ${NUMAPIN_PAGES}/bash/numapin DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT program)
install(FILES ${NUMAPIN_PAGES}/zsh/_numapin DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT program)
install(FILES ${NUMAPIN_PAGES}/fish/numapin.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT program)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT program)
