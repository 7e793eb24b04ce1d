batgw decode byd-hvs --interface can0 atto3.log
