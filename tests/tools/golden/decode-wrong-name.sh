batgw decode byd-atto atto3.log
