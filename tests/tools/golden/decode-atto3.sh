batgw decode byd-atto3 --interface can0 atto3.log
