batgw decode byd-hvs --json hvs.log
