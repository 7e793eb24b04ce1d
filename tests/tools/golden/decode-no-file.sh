batgw decode byd-atto3 no-such.log
