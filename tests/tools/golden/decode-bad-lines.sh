batgw decode byd-atto3 bad.log
