batgw decode byd-hvs hvs.log
