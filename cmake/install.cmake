# `make install` honours DESTDIR and PREFIX. An existing /etc/batgw.yaml is never touched: the annotated example goes
# to the documentation folder, and is put in place only where no configuration is.
if(EXISTS ${PROJECT_SOURCE_DIR}/etc/batgw.service)
  install(CODE "
    file(READ \"${PROJECT_SOURCE_DIR}/etc/batgw.service\" unit)
    string(REPLACE \"/usr/bin/batgw\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/batgw\" unit \"\${unit}\")
    string(REPLACE \"/usr/share/doc/batgw\" \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR}\" unit \"\${unit}\")
    file(WRITE \"${PROJECT_BINARY_DIR}/batgw.service\" \"\${unit}\")")
  install(FILES ${PROJECT_BINARY_DIR}/batgw.service DESTINATION lib/systemd/system)
  install(FILES etc/realtime.conf DESTINATION ${CMAKE_INSTALL_DOCDIR})
  install(FILES etc/batgw.sysusers DESTINATION lib/sysusers.d RENAME batgw.conf)
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/etc/batgw.yaml)
  install(FILES etc/batgw.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR})
  # 0640: it may hold the broker's password.
  install(CODE "
    if(NOT EXISTS \"\$ENV{DESTDIR}/etc/batgw.yaml\")
      file(INSTALL \"${PROJECT_SOURCE_DIR}/etc/batgw.yaml\" DESTINATION /etc PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)
    endif()")
endif()
install(FILES CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
